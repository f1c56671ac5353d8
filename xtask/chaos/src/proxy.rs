//! A proxy between client and broker that breaks connections in every way that a network does.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mosquitto::Failure;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// What the proxy does to the connections that go through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Ends them in order.
    Cut,
    /// Ends them by a reset.
    Reset,
    /// Holds what is sent, that way or both, as a network does that loses packets: nobody is told.
    BlackHole {
        /// From the client to the broker.
        up: bool,
        /// From the broker to the client.
        down: bool,
    },
    /// Lets so many more bytes through to the client, then ends.
    Truncate(usize),
    /// Puts bytes into what the client receives that nobody sent.
    Garbage,
    /// Lets bytes through one by one.
    Trickle,
    /// Takes no new connections.
    Refuse,
}

/// A running proxy. New connections find what is set at the moment.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens, on loopback.
    pub port: u16,
    fault: watch::Sender<Fault>,
    /// Connections that were taken.
    pub taken: Arc<AtomicU64>,
}

impl Proxy {
    /// In front of this port of loopback.
    ///
    /// # Errors
    /// There is no port to listen at.
    pub async fn start(target: u16) -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (fault, faults) = watch::channel(Fault::None);
        let taken = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *faults.borrow() == Fault::Refuse {
                    continue;
                }
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(client, target, faults.clone()));
            }
        });
        Ok(Self { port, fault, taken })
    }

    /// Does this from now on.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

async fn serve(client: TcpStream, target: u16, faults: watch::Receiver<Fault>) {
    let Ok(broker) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else { return };
    let _ = (client.set_nodelay(true), broker.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = broker.into_split();
    let mut up = Direction { from: from_client, to: to_broker, is_up: true, faults: faults.clone() };
    let mut down = Direction { from: from_broker, to: to_client, is_up: false, faults };
    let reset = tokio::select! {
        reset = up.run() => reset,
        reset = down.run() => reset,
    };
    if reset {
        // Closing with a linger of zero is a reset.
        for stream in [up.from.reunite(down.to).ok(), down.from.reunite(up.to).ok()].into_iter().flatten() {
            let _ = stream.set_zero_linger();
        }
    }
}

struct Direction {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    is_up: bool,
    faults: watch::Receiver<Fault>,
}

impl Direction {
    /// Until the connection is over; whether by a reset.
    async fn run(&mut self) -> bool {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let fault = *self.faults.borrow_and_update();
            match fault {
                Fault::Cut => return false,
                Fault::Reset => return true,
                Fault::Truncate(left) if !self.is_up => return self.truncate(left, &mut buffer).await,
                Fault::Garbage if !self.is_up => {
                    let _ = self.to.write_all(&[0x5A; 37]).await;
                    if self.faults.changed().await.is_err() {
                        return false;
                    }
                    continue;
                }
                Fault::BlackHole { up, down } if (self.is_up && up) || (!self.is_up && down) => {
                    if self.faults.changed().await.is_err() {
                        return false;
                    }
                    continue;
                }
                _ => {}
            }
            let count = tokio::select! {
                biased;
                changed = self.faults.changed() => {
                    if changed.is_err() { return false }
                    continue;
                }
                count = self.from.read(&mut buffer) => count.unwrap_or(0),
            };
            if count == 0 {
                return false;
            }
            let bytes = buffer.get(..count).unwrap_or_default();
            let piece = if fault == Fault::Trickle { 1 } else { count };
            for piece in bytes.chunks(piece) {
                if self.to.write_all(piece).await.is_err() {
                    return false;
                }
                if fault == Fault::Trickle {
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    async fn truncate(&mut self, left: usize, buffer: &mut [u8]) -> bool {
        let count = tokio::time::timeout(Duration::from_millis(200), self.from.read(buffer)).await;
        if let Ok(Ok(count)) = count {
            let _ = self.to.write_all(buffer.get(..count.min(left)).unwrap_or_default()).await;
            sleep(Duration::from_millis(1)).await;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An echo server, the proxy in front of it, a connection through it.
    async fn through() -> (Proxy, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        let proxy = Proxy::start(port).await.unwrap();
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).await.unwrap();
        assert_eq!(echo(&mut client, b"hello").await.unwrap(), b"hello");
        (proxy, client)
    }

    async fn echo(client: &mut TcpStream, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        client.write_all(bytes).await?;
        let mut back = vec![0; bytes.len()];
        client.read_exact(&mut back).await?;
        Ok(back)
    }

    async fn is_silent(client: &mut TcpStream) -> bool {
        let mut byte = [0];
        tokio::time::timeout(Duration::from_millis(200), client.read(&mut byte)).await.is_err()
    }

    #[tokio::test]
    async fn a_cut_is_an_end_and_a_reset_an_error() {
        let (proxy, mut client) = through().await;
        proxy.set(Fault::Cut);
        assert_eq!(client.read(&mut [0; 9]).await.unwrap(), 0);
        let (proxy, mut client) = through().await;
        proxy.set(Fault::Reset);
        let error = client.read(&mut [0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_black_hole_holds_either_direction_and_loses_nothing() {
        for (up, down) in [(true, false), (false, true), (true, true)] {
            let (proxy, mut client) = through().await;
            proxy.set(Fault::BlackHole { up, down });
            client.write_all(b"later").await.unwrap();
            assert!(is_silent(&mut client).await, "up {up}, down {down}");
            proxy.set(Fault::None);
            let mut back = [0; 5];
            client.read_exact(&mut back).await.unwrap();
            assert_eq!(&back, b"later");
        }
    }

    #[tokio::test]
    async fn truncation_ends_within_what_is_sent_and_garbage_comes_between() {
        let (proxy, mut client) = through().await;
        proxy.set(Fault::Truncate(3));
        client.write_all(b"0123456789").await.unwrap();
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"012");
        let (proxy, mut client) = through().await;
        proxy.set(Fault::Garbage);
        let mut got = [0; 37];
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(got, [0x5A; 37]);
    }

    #[tokio::test]
    async fn what_trickles_arrives_in_full_and_who_is_refused_is_not_served() {
        let (proxy, mut client) = through().await;
        proxy.set(Fault::Trickle);
        let long = vec![7; 5000];
        assert_eq!(echo(&mut client, &long).await.unwrap(), long);
        proxy.set(Fault::Refuse);
        let mut other = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).await.unwrap();
        assert!(echo(&mut other, b"x").await.is_err());
        assert_eq!(proxy.taken.load(Ordering::Relaxed), 1);
    }
}
