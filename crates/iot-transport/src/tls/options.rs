//! What TLS is told: whom to trust, who we are, what to ask for.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::time_provider::TimeProvider;

use super::config::Loader;
use super::{Pem, TlsSetupError};

/// How [`Tls`](super::Tls) sets up its connections.
///
/// ```
/// use iot_transport::{Pem, TlsOptions, TrustAnchors};
///
/// let options = TlsOptions::new(TrustAnchors::pem(Pem::file("AmazonRootCA1.pem"))).alpn(["x-amzn-mqtt-ca"]);
/// ```
#[derive(Clone)]
pub struct TlsOptions {
    pub(super) anchors: TrustAnchors,
    pub(super) identity: Option<Identity>,
    pub(super) server_name: Option<String>,
    pub(super) alpn: Vec<Vec<u8>>,
    pub(super) provider: Option<Arc<CryptoProvider>>,
    pub(super) clock: Option<Arc<dyn TimeProvider>>,
}

impl TlsOptions {
    /// Trusts the servers that these anchors vouch for; no client certificate, no ALPN.
    #[must_use]
    pub fn new(anchors: TrustAnchors) -> Self {
        Self { anchors, identity: None, server_name: None, alpn: Vec::new(), provider: None, clock: None }
    }

    /// Presents this client certificate when the server asks for one. Default: none.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Verifies the server's certificate against this DNS name or IP address, and sends it as SNI, instead of
    /// the host that is dialled: for a tunnel or a local address. Default: the inner connector's host.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Offers these application protocols (ALPN), the most wanted first, each of 1 to 255 bytes. Default:
    /// none.
    ///
    /// A server that knows ALPN but none of these ends the handshake; which one was chosen is told by
    /// `stream.get_ref().1.alpn_protocol()`.
    #[must_use]
    pub fn alpn<P: Into<Vec<u8>>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Computes with this crypto provider. Default: [`default_provider`](super::default_provider); without a
    /// provider feature there is none, and this has to be called.
    #[must_use]
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Takes the time, against which certificates are checked, from here. Default: the system's clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn TimeProvider>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Reads and checks everything here, as a connection would, and keeps nothing. Blocks while it reads the
    /// files.
    ///
    /// [`Tls::check`](super::Tls::check) checks the server name as well.
    ///
    /// # Errors
    ///
    /// The first thing found wrong.
    pub fn check(&self) -> Result<(), TlsSetupError> {
        Loader::new(self.clone()).load().map(drop)
    }

    pub(super) fn given_server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    pub(super) fn reads_files(&self) -> bool {
        let identity = self.identity.iter().flat_map(|identity| [&identity.certificates, &identity.key]);
        self.anchors.0.iter().chain(identity).any(Pem::is_file)
    }
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alpn: Vec<_> = self.alpn.iter().map(|protocol| String::from_utf8_lossy(protocol)).collect();
        f.debug_struct("TlsOptions")
            .field("anchors", &self.anchors)
            .field("identity", &self.identity)
            .field("server_name", &self.server_name)
            .field("alpn", &alpn)
            .finish_non_exhaustive()
    }
}

/// The certificate authorities whose word about a server is taken.
///
/// ```
/// use iot_transport::{Pem, TrustAnchors};
///
/// let anchors = TrustAnchors::pem(Pem::file("AmazonRootCA1.pem")).and(Pem::file("our-test-ca.pem"));
/// ```
#[derive(Clone, Debug)]
pub struct TrustAnchors(pub(super) Vec<Pem>);

impl TrustAnchors {
    /// Every certificate in this PEM text; at least one.
    #[must_use]
    pub fn pem(pem: Pem) -> Self {
        Self(vec![pem])
    }

    /// And every certificate in this one.
    #[must_use]
    pub fn and(mut self, pem: Pem) -> Self {
        self.0.push(pem);
        self
    }
}

/// Who we are to the server: a certificate and its private key.
///
/// ```
/// use iot_transport::{Identity, Pem};
///
/// let identity = Identity::new(Pem::file("device.pem.crt"), Pem::file("private.pem.key"));
/// ```
#[derive(Clone, Debug)]
pub struct Identity {
    pub(super) certificates: Pem,
    pub(super) key: Pem,
}

impl Identity {
    /// The certificate, followed by the certificates that lead to its CA if the server does not have them,
    /// and the certificate's private key, unencrypted: PKCS#8 (`PRIVATE KEY`), PKCS#1 (`RSA PRIVATE KEY`) or
    /// SEC1 (`EC PRIVATE KEY`). One PEM text that holds both may be given twice.
    #[must_use]
    pub fn new(certificates: Pem, key: Pem) -> Self {
        Self { certificates, key }
    }
}
