//! Names, addresses, ports.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::endpoint::is_aws;
use super::report::{Finding, Outcome};

/// Addresses beyond this many are not tried.
const TRIED: usize = 8;
/// How long the others may take once one has answered.
const OTHERS: Duration = Duration::from_secs(1);
const MQTTS: u16 = 8883;
const HTTPS: u16 = 443;

/// Whose name and port it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Endpoint,
    #[cfg_attr(not(feature = "proxy"), allow(dead_code, reason = "there are no proxies"))]
    Proxy,
}

/// The addresses of a host; none of an address.
pub(super) async fn resolve(
    whose: Whose,
    host: &str,
    port: u16,
    limit: Duration,
) -> (Outcome, Vec<SocketAddr>) {
    if let Ok(address) = host.parse::<IpAddr>() {
        let whose = if whose == Whose::Proxy { "proxy" } else { "endpoint" };
        let outcome = Outcome::Skipped { why: format!("the {whose} is an address") };
        return (outcome, vec![SocketAddr::new(address, port)]);
    }
    let what = match timeout(limit, lookup_host((host, port))).await {
        Ok(Ok(found)) => {
            let mut addresses: Vec<SocketAddr> = Vec::new();
            for address in found {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            if !addresses.is_empty() {
                let shown: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
                return (Outcome::Passed { detail: format!("{host} is {}", shown.join(", ")) }, addresses);
            }
            format!("the name {host} has no address")
        }
        Ok(Err(error)) => format!("the name {host} has no address: {error}"),
        Err(_) => format!("no name server answered for {host} within {} ms", limit.as_millis()),
    };
    if whose == Whose::Proxy {
        return (
            Outcome::Failed(Finding::new(
                what,
                "the proxy's name is misspelt, or known inside another network only, or this device has no network or no name \
                 server",
                "compare it with what whoever runs the proxy says; if it is right, look at the device's network and at its \
                 name servers (/etc/resolv.conf)",
            )),
            Vec::new(),
        );
    }
    let means = if is_aws(host) {
        "the endpoint is misspelt, of another region perhaps, or this device has no network or no name server"
    } else {
        "the name is misspelt, or known inside another network only, or this device has no network or no name server"
    };
    let remedy = if is_aws(host) {
        "compare it with what `aws iot describe-endpoint --endpoint-type iot:Data-ATS` prints; if it is right, look at the \
         device's network and at its name servers (/etc/resolv.conf)"
    } else {
        "compare it with the broker's name; if it is right, look at the device's network and at its name servers \
         (/etc/resolv.conf)"
    };
    (Outcome::Failed(Finding::new(what, means, remedy)), Vec::new())
}

/// Connects to each of the addresses; one that answers will do.
pub(super) async fn connect(whose: Whose, addresses: &[SocketAddr], limit: Duration) -> Outcome {
    let tried = try_all(addresses, limit).await;
    let shown: Vec<String> =
        tried.iter().map(|(address, result)| format!("{address} {}", word(result))).collect();
    let shown = shown.join(", ");
    if tried.iter().any(|(_, result)| result.is_ok()) {
        return Outcome::Passed { detail: shown };
    }
    let port = addresses.first().map_or(0, SocketAddr::port);
    if whose == Whose::Proxy {
        return Outcome::Failed(Finding::new(
            format!("no connection to the proxy: {shown}"),
            "the proxy does not run at this host and port, or a firewall keeps this device from it",
            "check the proxy's host and port (Builder::proxy), and the device's network",
        ));
    }
    let open = port == MQTTS && {
        let others: Vec<_> = addresses.iter().map(|address| SocketAddr::new(address.ip(), HTTPS)).collect();
        try_all(&others, limit.min(OTHERS)).await.iter().any(|(_, result)| result.is_ok())
    };
    let kinds: Vec<_> = tried
        .iter()
        .map(|(_, result)| result.as_ref().map_or_else(io::Error::kind, |()| ErrorKind::Other))
        .collect();
    Outcome::Failed(blocked(format!("no connection: {shown}"), port, &kinds, open))
}

/// What it means that no address could be connected to; `open`: port 443 could.
fn blocked(what: String, port: u16, kinds: &[ErrorKind], open: bool) -> Finding {
    let has = |kind| kinds.contains(&kind);
    let other_port =
        if port == MQTTS { ", or go by port 443 (Builder::port), which most let pass" } else { "" };
    if open {
        return Finding::new(
            what,
            format!(
                "port {port} is blocked on the way, by a firewall most probably: port 443 of the same host answers"
            ),
            "connect by port 443 (Builder::port), or have the firewall let port 8883 pass",
        );
    }
    if has(ErrorKind::ConnectionRefused) {
        return Finding::new(
            what,
            format!("nothing listens at port {port}, or a firewall refuses it"),
            format!(
                "check endpoint and port; if they are right, have the firewall let port {port} pass{other_port}"
            ),
        );
    }
    if has(ErrorKind::TimedOut) {
        return Finding::new(
            what,
            format!("a firewall drops what is sent to port {port}, or the host is down"),
            format!("have the firewall let port {port} pass{other_port}"),
        );
    }
    Finding::new(
        what,
        "this device has no way to the host: no network, no default route, or IPv6 addresses without IPv6",
        "look at the device's network: interface, route, APN",
    )
}

type Tried = (SocketAddr, io::Result<()>);

async fn try_all(addresses: &[SocketAddr], limit: Duration) -> Vec<Tried> {
    let mut dials = JoinSet::new();
    for (place, address) in addresses.iter().copied().take(TRIED).enumerate() {
        dials.spawn(async move { (place, TcpStream::connect(address).await.map(drop)) });
    }
    let late = || io::Error::from(ErrorKind::TimedOut);
    let mut tried: Vec<Tried> = addresses.iter().take(TRIED).map(|address| (*address, Err(late()))).collect();
    let mut note = |(place, result): (usize, io::Result<()>)| {
        let answered = result.is_ok();
        if let Some(entry) = tried.get_mut(place) {
            entry.1 = result;
        }
        answered
    };
    let first = timeout(limit, async {
        while let Some(ended) = dials.join_next().await {
            if ended.is_ok_and(&mut note) {
                return;
            }
        }
    });
    if first.await.is_ok() {
        let others = async {
            while let Some(ended) = dials.join_next().await {
                let _ = ended.map(&mut note);
            }
        };
        let _ = timeout(limit.min(OTHERS), others).await;
    }
    tried
}

fn word(result: &io::Result<()>) -> String {
    match result.as_ref().map_err(io::Error::kind) {
        Ok(()) => "answers".into(),
        Err(ErrorKind::ConnectionRefused) => "refuses".into(),
        Err(ErrorKind::TimedOut) => "does not answer".into(),
        Err(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => "cannot be reached".into(),
        Err(_) => result.as_ref().err().map(io::Error::to_string).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_blocks_a_port_is_told_by_how_it_fails() {
        let means = |kinds: &[ErrorKind], open| blocked(String::new(), MQTTS, kinds, open);
        let both = [ErrorKind::NetworkUnreachable, ErrorKind::ConnectionRefused];
        assert!(means(&both, false).means.starts_with("nothing listens at port 8883"));
        let dropped = means(&[ErrorKind::TimedOut], false);
        assert!(dropped.means.contains("firewall drops") && dropped.remedy.contains("443"), "{dropped:?}");
        assert!(means(&[ErrorKind::TimedOut], true).remedy.starts_with("connect by port 443"));
        assert!(means(&[ErrorKind::NetworkUnreachable], false).means.contains("no way to the host"));
        assert!(
            !blocked(String::new(), HTTPS, &[ErrorKind::TimedOut], false).remedy.contains("Builder::port")
        );
    }
}
