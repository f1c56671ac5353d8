//! The trait that everything else in this crate implements, and its closure form.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout_at;

use crate::{Attempt, ConnectError, ConnectErrorKind};

/// Makes byte streams to one broker, a new one for each attempt.
///
/// Connectors nest: `Tls::new(Tcp::new(host, port), options)` is a connector made of a connector. The future
/// runs inside a tokio runtime whose I/O and time drivers are on.
///
/// # Contract of an implementation
///
/// - It is over by [`Attempt::deadline`], with an error of kind [`ConnectErrorKind::TimedOut`] if need be.
/// - It calls [`Attempt::enter`] as each of its phases begins.
/// - Dropping the future gives up the attempt and closes whatever it had opened.
/// - No secret appears in its errors.
pub trait Connector: Send + Sync + 'static {
    /// The stream it makes.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Makes one stream.
    ///
    /// # Errors
    ///
    /// A [`ConnectError`] that tells the phase, the address and the reason.
    fn connect(&self, attempt: &Attempt) -> impl Future<Output = Result<Self::Io, ConnectError>> + Send;

    /// The host and port that this connector leads to, if it knows them.
    ///
    /// TLS around it verifies the server's certificate against this host unless told another name.
    fn endpoint(&self) -> Option<&Endpoint> {
        None
    }
}

/// A host and a port. `Display` gives `host:port`, with brackets around an IPv6 address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// A host name, an IPv4 address, or an IPv6 address with or without its brackets; and a port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        let host = host.into();
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::to_owned);
        Self { host: bare.unwrap_or(host), port }
    }

    /// The host, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", bracketed(&self.host), self.port)
    }
}

/// A host as it stands in front of a port: an IPv6 address in brackets.
pub(crate) fn bracketed(host: &str) -> Cow<'_, str> {
    if host.contains(':') { Cow::Owned(format!("[{host}]")) } else { Cow::Borrowed(host) }
}

/// Makes a connector of an async closure that returns a stream: a tunnel, a serial line, a test's in-memory
/// pipe.
///
/// The closure gets a clone of the attempt. It is left at the attempt's deadline, whatever it does.
///
/// ```
/// use iot_transport::{Attempt, Connector, from_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), iot_transport::ConnectError> {
/// let connector = from_fn(async |_attempt: Attempt| {
///     let (ours, _theirs) = tokio::io::duplex(1024);
///     Ok(ours)
/// });
/// let _stream = connector.connect(&Attempt::within(1, std::time::Duration::from_secs(5))).await?;
/// # Ok(()) }
/// ```
pub fn from_fn<F, Fut, Io>(dial: F) -> FromFn<F>
where
    F: Fn(Attempt) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Io, ConnectError>> + Send + 'static,
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    FromFn { dial, endpoint: None }
}

/// A closure as a connector: see [`from_fn`].
#[derive(Clone)]
pub struct FromFn<F> {
    dial: F,
    endpoint: Option<Endpoint>,
}

impl<F> FromFn<F> {
    /// Says where the closure's streams lead, for errors and for the name that TLS around it verifies.
    /// Not set by default.
    #[must_use]
    pub fn with_endpoint(mut self, host: impl Into<String>, port: u16) -> Self {
        self.endpoint = Some(Endpoint::new(host, port));
        self
    }
}

impl<F, Fut, Io> Connector for FromFn<F>
where
    F: Fn(Attempt) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Io, ConnectError>> + Send + 'static,
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    type Io = Io;

    async fn connect(&self, attempt: &Attempt) -> Result<Io, ConnectError> {
        match timeout_at(attempt.deadline(), (self.dial)(attempt.clone())).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::new(
                attempt.phase(),
                ConnectErrorKind::TimedOut,
                "the deadline passed before the connector gave a stream",
            )
            .at_endpoint(self.endpoint.as_ref())),
        }
    }

    fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_shows_itself_as_it_is_dialled() {
        assert_eq!(Endpoint::new("broker.example", 8883).to_string(), "broker.example:8883");
        assert_eq!(Endpoint::new("127.0.0.1", 1883).to_string(), "127.0.0.1:1883");
        for host in ["::1", "[::1]"] {
            let endpoint = Endpoint::new(host, 1883);
            assert_eq!((endpoint.host(), endpoint.to_string().as_str()), ("::1", "[::1]:1883"));
        }
    }
}
