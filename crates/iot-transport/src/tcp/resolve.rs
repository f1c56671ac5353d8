//! From a host to its addresses, in the order in which they are tried.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::lookup_host;
use tokio::time::{Instant, timeout_at};

use crate::{ConnectError, ConnectErrorKind, Endpoint, Phase};

/// All addresses of the endpoint's host; never empty. A literal address needs no lookup.
pub(super) async fn resolve(endpoint: &Endpoint, deadline: Instant) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Some(problem) = problem_with(endpoint.host()) {
        // What was given may be a URL with a password in it: it is not repeated.
        return Err(ConnectError::new(Phase::Resolve, ConnectErrorKind::Configuration, problem));
    }
    if let Ok(ip) = endpoint.host().parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, endpoint.port())]);
    }
    look_up(lookup_host((endpoint.host(), endpoint.port())), endpoint, deadline).await
}

/// What this lookup finds before the deadline.
async fn look_up(
    lookup: impl Future<Output = io::Result<impl Iterator<Item = SocketAddr>>>,
    endpoint: &Endpoint,
    deadline: Instant,
) -> Result<Vec<SocketAddr>, ConnectError> {
    let failed = |kind, reason: String| {
        ConnectError::new(Phase::Resolve, kind, reason).with_address(endpoint.to_string())
    };
    match timeout_at(deadline, lookup).await {
        Err(_) => Err(failed(
            ConnectErrorKind::TimedOut,
            "no name server answered before the deadline; check that this device has a network and a name \
             server"
                .into(),
        )),
        Ok(Err(error)) => {
            let reason =
                format!("{error}; check the spelling, and that this device has a network and a name server");
            Err(failed(ConnectErrorKind::NameNotFound, reason).with_source(error))
        }
        Ok(Ok(found)) => match interleave(found.collect()) {
            addresses if addresses.is_empty() => Err(failed(
                ConnectErrorKind::NameNotFound,
                "the name has no address; check the spelling".into(),
            )),
            addresses => Ok(addresses),
        },
    }
}

/// The two families in turn, beginning with the one that the system put first; within a family, its order.
fn interleave(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (ours, others): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut ours, mut others) = (ours.into_iter(), others.into_iter());
    let mut ordered = Vec::with_capacity(ours.len() + others.len());
    loop {
        let pair = [ours.next(), others.next()];
        if pair == [None, None] {
            return ordered;
        }
        for address in pair.into_iter().flatten() {
            if !ordered.contains(&address) {
                ordered.push(address);
            }
        }
    }
}

fn problem_with(host: &str) -> Option<&'static str> {
    if host.is_empty() {
        Some("the host name is empty")
    } else if host.contains('/') || host.contains('@') {
        Some("the host looks like a URL; give the bare host name, and the port apart from it")
    } else if host.matches(':').count() == 1 {
        Some("the host has a port in it; give the port apart from the host name")
    } else if host.contains(char::is_whitespace) {
        Some("the host name has white space in it")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Attempt;
    use std::time::Duration;

    fn addresses(text: &[&str]) -> Vec<SocketAddr> {
        text.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_families_take_turns_and_no_address_comes_twice() {
        let found = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1", "2.2.2.2:1"]);
        assert_eq!(interleave(found), expected);
        assert_eq!(interleave(Vec::new()), Vec::new());
    }

    #[tokio::test(start_paused = true)]
    async fn name_servers_that_stall_are_left_exactly_at_the_deadline() {
        let attempt = Attempt::within(1, Duration::from_secs(30));
        let endpoint = Endpoint::new("broker.example", 8883);
        let stalled = std::future::pending::<io::Result<std::vec::IntoIter<SocketAddr>>>();
        let error = look_up(stalled, &endpoint, attempt.deadline()).await.unwrap_err();
        let just_after = Attempt::new(1, attempt.deadline() + Duration::from_millis(1));
        assert!(attempt.remaining().is_zero() && !just_after.remaining().is_zero());
        assert_eq!((error.kind(), error.phase()), (ConnectErrorKind::TimedOut, Phase::Resolve));
        assert!(error.to_string().contains("broker.example:8883"), "{error}");
    }

    #[tokio::test]
    async fn literal_addresses_need_no_lookup() {
        let deadline = Attempt::within(1, Duration::from_secs(5)).deadline();
        for (host, expected) in [("127.0.0.1", "127.0.0.1:7"), ("::1", "[::1]:7"), ("[::1]", "[::1]:7")] {
            let found = resolve(&Endpoint::new(host, 7), deadline).await.unwrap();
            assert_eq!(found, addresses(&[expected]));
        }
    }

    #[tokio::test]
    async fn what_is_no_host_name_is_told_apart_and_not_repeated() {
        let deadline = Attempt::within(1, Duration::from_secs(5)).deadline();
        for (host, hint) in [
            ("", "empty"),
            ("mqtts://user:hunter2@broker", "looks like a URL"),
            ("broker.example:8883", "has a port in it"),
            ("broker example", "white space"),
        ] {
            let error = resolve(&Endpoint::new(host, 8883), deadline).await.unwrap_err();
            assert_eq!(error.kind(), ConnectErrorKind::Configuration);
            assert!(error.to_string().contains(hint), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }
}
