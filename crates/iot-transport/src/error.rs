//! Why there is no connection, said so that the reader knows what to do.

use std::error::Error;
use std::fmt;
use std::io;

use crate::{Endpoint, Phase};

/// Why an attempt gave no stream.
///
/// `Display` is one sentence: the phase, the address, the reason, and for the common causes what to do about
/// them. Neither `Display` nor `Debug` ever holds a secret. [`kind`](Self::kind) is for code,
/// [`Error::source`] has the error underneath where there is one.
///
/// ```
/// use iot_transport::{ConnectError, ConnectErrorKind, Phase};
///
/// let error = ConnectError::new(Phase::Tcp, ConnectErrorKind::Refused, "nothing listens there")
///     .with_address("broker.example:8883");
/// assert_eq!(error.to_string(), "TCP connection to broker.example:8883 failed: nothing listens there");
/// assert!(error.is_retryable());
/// ```
pub struct ConnectError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    phase: Phase,
    kind: ConnectErrorKind,
    retryable: bool,
    http_status: Option<u16>,
    address: Option<String>,
    reason: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What kind of failure a [`ConnectError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The host name has no address, or no name server answered.
    NameNotFound,
    /// The host is there and refused the connection.
    Refused,
    /// There is no way to the host.
    Unreachable,
    /// The deadline passed.
    TimedOut,
    /// Our check of the server's certificate failed.
    CertificateRejected,
    /// The server did not accept our client certificate, or asked for one and got none.
    ClientCertificateRejected,
    /// The server, or a proxy, answered with HTTP and said no: see [`ConnectError::http_status`].
    HttpRefused,
    /// No credentials were to be had from their provider.
    Credentials,
    /// Something given to the connector cannot work: a host, a name, a certificate, a key.
    Configuration,
    /// The peer closed or reset the connection before it was ready.
    Closed,
    /// The two sides have no TLS version, cipher or application protocol in common, or the peer speaks neither TLS
    /// nor HTTP where it should.
    Protocol,
    /// Anything else.
    Other,
}

impl ConnectError {
    /// An error with its reason: what happened and what to do, in lower case, without a full stop and without
    /// secrets.
    ///
    /// Whether it [is retryable](Self::is_retryable) follows from its kind.
    pub fn new(phase: Phase, kind: ConnectErrorKind, reason: impl Into<String>) -> Self {
        let retryable =
            !matches!(kind, ConnectErrorKind::CertificateRejected | ConnectErrorKind::Configuration);
        Self(Box::new(Inner {
            phase,
            kind,
            retryable,
            http_status: None,
            address: None,
            reason: reason.into(),
            source: None,
        }))
    }

    /// The error for an I/O error met in a phase; kind and words come from the I/O error, which becomes the
    /// source.
    #[must_use]
    pub fn from_io(phase: Phase, error: io::Error) -> Self {
        let kind = kind_of(&error);
        let reason = explain_io(&error).unwrap_or_else(|| describe(&error));
        Self::new(phase, kind, reason).with_source(error)
    }

    /// Sets the address that was tried, as `host:port`.
    #[must_use]
    pub fn with_address(mut self, address: impl Into<String>) -> Self {
        self.0.address = Some(address.into());
        self
    }

    /// Sets the error underneath. It must hold no secret.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Sets the HTTP status of the refusal.
    #[must_use]
    pub fn with_http_status(mut self, status: u16) -> Self {
        self.0.http_status = Some(status);
        self
    }

    /// Overrides whether a later attempt may succeed with nothing changed here.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    pub(crate) fn at_endpoint(self, endpoint: Option<&Endpoint>) -> Self {
        match endpoint {
            Some(endpoint) => self.with_address(endpoint.to_string()),
            None => self,
        }
    }

    /// Adds to the reason.
    #[cfg(feature = "proxy")]
    pub(crate) fn with_note(mut self, note: &str) -> Self {
        self.0.reason.push_str("; ");
        self.0.reason.push_str(note);
        self
    }

    /// Sets the address unless one is set already.
    #[cfg(feature = "websocket")]
    pub(crate) fn or_at_endpoint(self, endpoint: Option<&Endpoint>) -> Self {
        if self.0.address.is_some() { self } else { self.at_endpoint(endpoint) }
    }

    /// The phase that failed.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ConnectErrorKind {
        self.0.kind
    }

    /// The HTTP status with which a server or a proxy refused, for [`ConnectErrorKind::HttpRefused`].
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// The address that was tried, as `host:port`, if it is known.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.0.address.as_deref()
    }

    /// The reason alone, without phase and address.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// Whether a later attempt can succeed with nothing changed on this side.
    ///
    /// False for a server certificate that fails its check, for a setup that cannot work, for a proxy that refuses the
    /// user (407), and for an upgrade that is answered with 2xx, 3xx, 404 or 426: no WebSocket is served there. True for
    /// the rest: for other refusals (401 and 403, since permissions may be granted and credentials renewed meanwhile, 429,
    /// 5xx); also for a refused client certificate, which the broker's operator may register or activate
    /// meanwhile; for a server certificate that is outside its dates, because this device's clock may be set
    /// meanwhile; and for certificate files that were good before, because they may be in the middle of being
    /// replaced. A session that has been up once does well to go on trying whatever this says.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }
}

impl From<io::Error> for ConnectError {
    /// Takes the phase to be [`Phase::Tcp`]; use [`ConnectError::from_io`] for another.
    fn from(error: io::Error) -> Self {
        Self::from_io(Phase::Tcp, error)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { phase, address, reason, .. } = &*self.0;
        let preposition = match phase {
            Phase::Resolve => "of",
            Phase::Tls | Phase::Upgrade => "with",
            Phase::Credentials => "for",
            _ => "to",
        };
        match address {
            Some(address) => write!(f, "{phase} {preposition} {address} failed: {reason}"),
            None => write!(f, "{phase} failed: {reason}"),
        }
    }
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { phase, kind, retryable, http_status, address, reason, source } = &*self.0;
        f.debug_struct("ConnectError")
            .field("phase", phase)
            .field("kind", kind)
            .field("retryable", retryable)
            .field("http_status", http_status)
            .field("address", address)
            .field("reason", reason)
            .field("source", source)
            .finish()
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// Says in words what an error of an established stream means, where its own text does not: chiefly a refusal
/// that TLS delivers late.
///
/// With TLS 1.3 a client learns only after its handshake that the server refused its certificate: the first
/// read fails with a bare alert. This turns that alert into the sentence, without phase and address, that a
/// [`ConnectError`] would have had. `None` means that the error's own text is as good as it gets. Without the
/// feature `tls` the answer is always `None`.
///
/// ```
/// let plain = std::io::Error::other("something else");
/// assert_eq!(iot_transport::explain_io(&plain), None);
/// ```
#[must_use]
pub fn explain_io(error: &io::Error) -> Option<String> {
    #[cfg(feature = "tls")]
    {
        crate::tls::explain_stream_error(error)
    }
    #[cfg(not(feature = "tls"))]
    {
        let _ = error;
        None
    }
}

/// The kind that an I/O error stands for.
pub(crate) fn kind_of(error: &io::Error) -> ConnectErrorKind {
    use io::ErrorKind as Io;
    #[cfg(feature = "tls")]
    if let Some(kind) = crate::tls::kind_of_stream_error(error) {
        return kind;
    }
    match error.kind() {
        Io::ConnectionRefused => ConnectErrorKind::Refused,
        Io::HostUnreachable | Io::NetworkUnreachable | Io::NetworkDown | Io::AddrNotAvailable => {
            ConnectErrorKind::Unreachable
        }
        Io::TimedOut => ConnectErrorKind::TimedOut,
        Io::ConnectionReset
        | Io::ConnectionAborted
        | Io::BrokenPipe
        | Io::UnexpectedEof
        | Io::NotConnected => ConnectErrorKind::Closed,
        _ => ConnectErrorKind::Other,
    }
}

/// A few words for an I/O error met while connecting, without advice.
pub(crate) fn describe(error: &io::Error) -> String {
    use io::ErrorKind as Io;
    match error.kind() {
        Io::ConnectionRefused => "connection refused".into(),
        Io::HostUnreachable | Io::NetworkUnreachable => "no route to it".into(),
        Io::NetworkDown => "the network is down".into(),
        Io::AddrNotAvailable => "this device has no address of that family".into(),
        Io::TimedOut => "no answer".into(),
        Io::ConnectionReset | Io::ConnectionAborted => "connection reset".into(),
        Io::BrokenPipe | Io::UnexpectedEof | Io::NotConnected => "connection closed".into(),
        Io::PermissionDenied => "this system forbids it (firewall or sandbox)".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crosses_threads<T: Error + Send + Sync + 'static>() {}

    #[test]
    fn the_error_crosses_threads_keeps_its_source_and_is_one_word_wide() {
        crosses_threads::<ConnectError>();
        assert_eq!(size_of::<ConnectError>(), size_of::<usize>());
        let error = ConnectError::from(io::Error::from(io::ErrorKind::ConnectionReset));
        assert_eq!((error.kind(), error.phase()), (ConnectErrorKind::Closed, Phase::Tcp));
        assert!(error.source().unwrap().is::<io::Error>());
        assert_eq!(error.to_string(), "TCP connection failed: connection reset");
    }

    #[test]
    fn what_retrying_cannot_help_says_so() {
        let retryable = |kind| ConnectError::new(Phase::Tls, kind, "").is_retryable();
        assert!(
            !retryable(ConnectErrorKind::Configuration) && !retryable(ConnectErrorKind::CertificateRejected)
        );
        assert!(
            retryable(ConnectErrorKind::NameNotFound)
                && retryable(ConnectErrorKind::ClientCertificateRejected)
        );
        let overridden =
            ConnectError::new(Phase::Tls, ConnectErrorKind::Configuration, "").with_retryable(true);
        assert!(overridden.is_retryable());
    }
}
