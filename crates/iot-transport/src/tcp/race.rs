//! Several addresses, one winner: each is started a little after the one before, none waits for another to
//! time out.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

/// How long an address is waited for before the next is started beside it (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// An address that did not work out; no error means that it had not answered when the deadline passed.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) address: SocketAddr,
    pub(super) error: Option<io::Error>,
}

/// The first of the addresses that can be dialled, or what became of each of them.
///
/// Dropping the future drops all dials under way. `remaining` is the time left until `deadline`.
pub(super) async fn race<T, F, Fut>(
    addresses: &[SocketAddr],
    deadline: Instant,
    remaining: Duration,
    dial: F,
) -> Result<T, Vec<Tried>>
where
    F: Fn(SocketAddr) -> Fut,
    Fut: Future<Output = io::Result<T>>,
{
    let share = remaining / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut race = Race { under_way: Vec::new(), failed: Vec::new(), stagger: STAGGER.min(share) };
    match timeout_at(deadline, race.run(addresses, dial)).await {
        Ok(Some(won)) => Ok(won),
        Ok(None) => Err(race.failed),
        Err(_) => {
            let silent = race.under_way.iter().map(|(address, _)| Tried { address: *address, error: None });
            race.failed.extend(silent);
            Err(race.failed)
        }
    }
}

struct Race<Fut> {
    under_way: Vec<(SocketAddr, Pin<Box<Fut>>)>,
    failed: Vec<Tried>,
    stagger: Duration,
}

impl<T, Fut: Future<Output = io::Result<T>>> Race<Fut> {
    /// The winner, or `None` once all have failed.
    async fn run(&mut self, addresses: &[SocketAddr], dial: impl Fn(SocketAddr) -> Fut) -> Option<T> {
        let mut waiting = addresses.iter().copied();
        loop {
            if let Some(address) = waiting.next() {
                self.under_way.push((address, Box::pin(dial(address))));
            }
            if self.under_way.is_empty() {
                return None;
            }
            let finished = if waiting.len() == 0 {
                Some(self.next_finished().await)
            } else {
                timeout(self.stagger, self.next_finished()).await.ok()
            };
            match finished {
                Some((_, Ok(won))) => return Some(won),
                Some((address, Err(error))) => self.failed.push(Tried { address, error: Some(error) }),
                None => {}
            }
        }
    }

    async fn next_finished(&mut self) -> (SocketAddr, io::Result<T>) {
        poll_fn(|cx| {
            for (index, (address, dial)) in self.under_way.iter_mut().enumerate() {
                if let Poll::Ready(result) = dial.as_mut().poll(cx) {
                    let address = *address;
                    drop(self.under_way.remove(index));
                    return Poll::Ready((address, result));
                }
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Attempt;
    use std::cell::RefCell;
    use std::future::pending;
    use tokio::net::{TcpListener, TcpStream};

    fn ports(ports: &[u16]) -> Vec<SocketAddr> {
        ports.iter().map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect()
    }

    /// Port 1 swallows packets, port 2 refuses, every other port answers at once with its number.
    async fn invented(address: SocketAddr) -> io::Result<u16> {
        match address.port() {
            1 => pending().await,
            2 => Err(io::ErrorKind::ConnectionRefused.into()),
            port => Ok(port),
        }
    }

    async fn run(addresses: &[u16], limit: Duration) -> (Result<u16, Vec<Tried>>, Duration) {
        let (attempt, watch) = (Attempt::within(1, limit), Attempt::within(1, 2 * limit));
        let result = race(&ports(addresses), attempt.deadline(), attempt.remaining(), invented).await;
        (result, 2 * limit - watch.remaining())
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_starts_the_next_address_at_once() {
        let (result, took) = run(&[2, 2, 7], Duration::from_secs(30)).await;
        assert_eq!((result.unwrap(), took), (7, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_swallows_packets_costs_a_quarter_of_a_second() {
        let (result, took) = run(&[1, 1, 7], Duration::from_secs(30)).await;
        assert_eq!((result.unwrap(), took), (7, Duration::from_millis(500)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_address_gets_its_turn_even_in_a_short_time() {
        let (result, took) = run(&[1, 1, 1, 1, 7], Duration::from_millis(500)).await;
        assert_eq!((result.unwrap(), took), (7, Duration::from_millis(400)));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_exactly_at_the_deadline_and_names_every_address() {
        let (result, took) = run(&[1, 2, 1], Duration::from_secs(3)).await;
        assert_eq!(took, Duration::from_secs(3));
        let tried = result.unwrap_err();
        let seen: Vec<_> = tried.iter().map(|tried| (tried.address.port(), tried.error.is_some())).collect();
        assert_eq!(seen, [(2, true), (1, false), (1, false)]);
    }

    #[tokio::test]
    async fn no_address_at_all_is_a_failure_without_reasons() {
        assert!(run(&[], Duration::from_secs(1)).await.0.unwrap_err().is_empty());
    }

    #[tokio::test]
    async fn a_real_second_address_is_used_when_the_first_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let attempt = Attempt::within(1, Duration::from_secs(10));
        let stream =
            race(&[closed, open], attempt.deadline(), attempt.remaining(), TcpStream::connect).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
    }

    #[tokio::test(start_paused = true)]
    async fn dropping_the_race_drops_every_dial_under_way() {
        struct Socket<'a>(&'a RefCell<u32>);
        impl Drop for Socket<'_> {
            fn drop(&mut self) {
                *self.0.borrow_mut() -= 1;
            }
        }
        let open = RefCell::new(0);
        let attempt = Attempt::within(1, Duration::from_secs(30));
        let addresses = ports(&[1, 1, 1]);
        let racing = race(&addresses, attempt.deadline(), attempt.remaining(), async |_| {
            *open.borrow_mut() += 1;
            let _socket = Socket(&open);
            pending::<io::Result<()>>().await
        });
        assert!(timeout(Duration::from_secs(1), racing).await.is_err());
        assert_eq!(*open.borrow(), 0);
    }
}
