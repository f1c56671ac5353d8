//! What is wrong with a TLS setup, told before anything is dialled.

use std::error::Error;
use std::fmt;

use crate::address::printable;

/// Why TLS cannot be set up with what it was given.
///
/// `Display` is one sentence: which item, from which file (or "the given bytes"), what is wrong, and what to
/// do. Nothing of a key is ever repeated.
#[derive(Debug)]
pub struct TlsSetupError {
    kind: TlsSetupErrorKind,
    text: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What kind of fault a [`TlsSetupError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsSetupErrorKind {
    /// The file does not exist.
    Missing,
    /// The file exists and cannot be read.
    Unreadable,
    /// The file or the given bytes are larger than [`FILE_LIMIT`](super::FILE_LIMIT).
    TooLarge,
    /// The file or the given bytes are empty.
    Empty,
    /// PEM that cannot be decoded.
    Malformed,
    /// There is no certificate where one has to be.
    NoCertificate,
    /// There is a private key where a certificate has to be.
    KeyInsteadOfCertificate,
    /// The certificate cannot be parsed.
    UnusableCertificate,
    /// There is no private key where one has to be.
    NoPrivateKey,
    /// There is a certificate where a private key has to be.
    CertificateInsteadOfKey,
    /// The private key is encrypted.
    EncryptedPrivateKey,
    /// The crypto provider cannot use the private key.
    UnusablePrivateKey,
    /// Private key and certificate do not belong together.
    KeyMismatch,
    /// The client certificate has expired, by this device's clock.
    ExpiredCertificate,
    /// The client certificate is not valid yet, by this device's clock.
    CertificateNotYetValid,
    /// The operating system's trust anchors cannot be had.
    PlatformVerifier,
    /// The server name is missing, or is neither a DNS name nor an IP address.
    ServerName,
    /// An application protocol (ALPN) is empty or longer than 255 bytes.
    ApplicationProtocol,
    /// There is no crypto provider, or it supports neither TLS 1.2 nor TLS 1.3.
    Provider,
}

impl TlsSetupError {
    /// What kind of fault it is.
    #[must_use]
    pub fn kind(&self) -> TlsSetupErrorKind {
        self.kind
    }

    /// Whether the same setup may work later: a certificate outside its dates may be replaced, or the clock be set.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, TlsSetupErrorKind::ExpiredCertificate | TlsSetupErrorKind::CertificateNotYetValid)
    }

    pub(super) fn new(kind: TlsSetupErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), source: None }
    }

    /// The source must repeat nothing of a file's contents.
    pub(super) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(super) fn no_name() -> Self {
        Self::new(
            TlsSetupErrorKind::ServerName,
            "no server name is known to verify the certificate against: give one with \
             TlsOptions::server_name",
        )
    }

    pub(super) fn bad_name(name: &str) -> Self {
        let shown = printable(name);
        Self::new(
            TlsSetupErrorKind::ServerName,
            format!(
                "the server name is {shown:?}, which is neither a DNS name nor an IP address: give the bare \
                 host name"
            ),
        )
    }
}

impl fmt::Display for TlsSetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for TlsSetupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
