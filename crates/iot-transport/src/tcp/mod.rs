//! TCP: every address of the name, raced under one deadline.

mod race;
mod resolve;

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::error::{describe, kind_of};
use crate::{Attempt, ConnectError, ConnectErrorKind, Connector, Endpoint, Phase};
use race::Tried;

/// Connects to a host and port over TCP, unencrypted: the innermost connector of most stacks.
///
/// The name is resolved anew for each attempt and *every* address it has is tried, IPv6 and IPv4 in turn. The
/// next address is started when the one before fails or 250 ms after it was started (sooner if the time left
/// would not otherwise reach the last address), and the first to answer wins: an address that swallows
/// packets costs a quarter of a second, not the attempt.
///
/// By default Nagle's algorithm is off and TCP keep-alive probes start after 60 s of silence, 15 s apart.
///
/// Cancelling: dropping the future closes every socket that was opened. A name lookup given up runs to its
/// end on tokio's blocking pool, where its result is dropped.
///
/// ```
/// use std::time::Duration;
/// use iot_transport::{Connector, Tcp};
///
/// let tcp = Tcp::new("[::1]", 1883).keep_alive(Duration::from_secs(30), Duration::from_secs(5));
/// assert_eq!(tcp.endpoint().map(ToString::to_string).as_deref(), Some("[::1]:1883"));
/// ```
#[derive(Clone, Debug)]
pub struct Tcp {
    endpoint: Endpoint,
    nodelay: bool,
    keep_alive: Option<KeepAlive>,
}

#[derive(Clone, Copy, Debug)]
struct KeepAlive {
    idle: Duration,
    interval: Duration,
}

impl Tcp {
    /// Leads to a host name, an IPv4 address or an IPv6 address (with or without brackets), and a port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        let keep_alive = KeepAlive { idle: Duration::from_secs(60), interval: Duration::from_secs(15) };
        Self { endpoint: Endpoint::new(host, port), nodelay: true, keep_alive: Some(keep_alive) }
    }

    /// Whether small writes leave at once (`TCP_NODELAY`). Default: true.
    #[must_use]
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// After how long a silence the system probes the peer, and how far apart. Default: 60 s and 15 s.
    ///
    /// Systems count in whole seconds; how many lost probes end the connection is the system's own setting.
    #[must_use]
    pub fn keep_alive(mut self, idle: Duration, interval: Duration) -> Self {
        self.keep_alive = Some(KeepAlive { idle, interval });
        self
    }

    /// Sends no keep-alive probes.
    #[must_use]
    pub fn no_keep_alive(mut self) -> Self {
        self.keep_alive = None;
        self
    }

    /// A socket that refuses an option is still a connection: it is used as it is.
    fn set_options(&self, stream: &TcpStream) {
        let _ = stream.set_nodelay(self.nodelay);
        if let Some(KeepAlive { idle, interval }) = self.keep_alive {
            let _ = SockRef::from(stream).set_tcp_keepalive(&keep_alive_parameters(idle, interval));
        }
    }
}

impl Connector for Tcp {
    type Io = TcpStream;

    async fn connect(&self, attempt: &Attempt) -> Result<TcpStream, ConnectError> {
        attempt.enter(Phase::Resolve);
        let addresses = resolve::resolve(&self.endpoint, attempt.deadline()).await?;
        attempt.enter(Phase::Tcp);
        match race::race(&addresses, attempt.deadline(), attempt.remaining(), TcpStream::connect).await {
            Ok(stream) => {
                self.set_options(&stream);
                Ok(stream)
            }
            Err(tried) => Err(no_address_answered(tried).with_address(self.endpoint.to_string())),
        }
    }

    fn endpoint(&self) -> Option<&Endpoint> {
        Some(&self.endpoint)
    }
}

fn keep_alive_parameters(idle: Duration, interval: Duration) -> TcpKeepalive {
    let parameters = TcpKeepalive::new().with_time(idle);
    #[cfg(any(
        target_os = "android",
        target_os = "freebsd",
        target_os = "ios",
        target_os = "linux",
        target_os = "macos",
        target_os = "netbsd",
        target_os = "windows",
    ))]
    let parameters = parameters.with_interval(interval);
    #[cfg(not(any(
        target_os = "android",
        target_os = "freebsd",
        target_os = "ios",
        target_os = "linux",
        target_os = "macos",
        target_os = "netbsd",
        target_os = "windows",
    )))]
    let _ = interval;
    parameters
}

/// Names up to this many addresses; the rest are counted.
const NAMED: usize = 4;

fn no_address_answered(tried: Vec<Tried>) -> ConnectError {
    let kind = summary(&tried);
    let advice = match kind {
        ConnectErrorKind::Refused => "; check the port, and that the server is running",
        ConnectErrorKind::Unreachable => "; check that this device is on a network that leads there",
        ConnectErrorKind::TimedOut => "; check the host and port: a firewall may be dropping the packets",
        _ => "",
    };
    let mut reason = String::new();
    for (index, Tried { address, error }) in tried.iter().take(NAMED).enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        let why = error.as_ref().map_or_else(|| "no answer before the deadline".to_owned(), describe);
        reason.push_str(&format!("{separator}{address}: {why}"));
    }
    if tried.len() > NAMED {
        reason.push_str(&format!(", and {} more", tried.len() - NAMED));
    }
    reason.push_str(advice);
    let error = ConnectError::new(Phase::Tcp, kind, reason);
    match tried.into_iter().find_map(|tried| tried.error) {
        Some(source) => error.with_source(source),
        None => error,
    }
}

/// One kind for several failures: the one that says most about what to do.
fn summary(tried: &[Tried]) -> ConnectErrorKind {
    let kinds =
        || tried.iter().map(|Tried { error, .. }| error.as_ref().map_or(ConnectErrorKind::TimedOut, kind_of));
    [ConnectErrorKind::Refused, ConnectErrorKind::TimedOut, ConnectErrorKind::Unreachable]
        .into_iter()
        .find(|kind| kinds().any(|met| met == *kind))
        .or_else(|| kinds().next())
        .unwrap_or(ConnectErrorKind::Other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::net::SocketAddr;

    fn tried(port: u16, error: Option<io::ErrorKind>) -> Tried {
        Tried { address: SocketAddr::from(([10, 0, 0, 1], port)), error: error.map(io::Error::from) }
    }

    #[test]
    fn every_address_is_named_with_its_reason() {
        let error = no_address_answered(vec![
            tried(1, Some(io::ErrorKind::NetworkUnreachable)),
            tried(2, Some(io::ErrorKind::ConnectionRefused)),
            tried(3, None),
        ]);
        assert_eq!(error.kind(), ConnectErrorKind::Refused);
        assert_eq!(
            error.reason(),
            "10.0.0.1:1: no route to it, 10.0.0.1:2: connection refused, 10.0.0.1:3: no answer before the \
             deadline; check the port, and that the server is running"
        );
    }

    #[test]
    fn many_addresses_are_counted_instead() {
        let error = no_address_answered((1..=7).map(|port| tried(port, None)).collect());
        assert_eq!(error.kind(), ConnectErrorKind::TimedOut);
        assert!(
            error.reason().contains("10.0.0.1:4: no answer before the deadline, and 3 more; "),
            "{error}"
        );
        assert!(!error.reason().contains("10.0.0.1:5"), "{error}");
    }
}
