//! What TLS is told: whom to trust, who we are, what to ask for.

use std::fmt;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::time_provider::TimeProvider;

use super::config::Loader;
use super::{CertificateFacts, Material, Presented, TlsSetupError, config};

/// How [`Tls`](super::Tls) sets up its connections.
///
/// ```
/// use iot_transport::{Material, TlsOptions, TrustAnchors, alpn};
///
/// let options = TlsOptions::new(TrustAnchors::ca(Material::file("AmazonRootCA1.pem"))).alpn([alpn::MUTUAL_TLS]);
/// ```
#[derive(Clone)]
pub struct TlsOptions {
    pub(super) anchors: TrustAnchors,
    pub(super) identity: Option<Identity>,
    pub(super) present_outdated: bool,
    pub(super) server_name: Option<String>,
    pub(super) alpn: Vec<Vec<u8>>,
    pub(super) provider: Option<Arc<CryptoProvider>>,
    pub(super) clock: Option<Arc<dyn TimeProvider>>,
    pub(super) presented: Option<Presented>,
    #[cfg(feature = "dangerous-accept-any-server")]
    pub(super) accept_any_server: bool,
}

impl TlsOptions {
    /// Trusts the servers that these anchors vouch for; no client certificate, no ALPN.
    #[must_use]
    pub fn new(anchors: TrustAnchors) -> Self {
        Self {
            anchors,
            identity: None,
            present_outdated: false,
            server_name: None,
            alpn: Vec::new(),
            provider: None,
            clock: None,
            presented: None,
            #[cfg(feature = "dangerous-accept-any-server")]
            accept_any_server: false,
        }
    }

    /// Presents this client certificate when the server asks for one. Default: none.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Presents a client certificate that has expired, or is not valid yet, and lets the server judge. Default: that is
    /// an error before anything is dialled, which names the dates and what this device's clock says.
    #[must_use]
    pub fn present_outdated(mut self, present: bool) -> Self {
        self.present_outdated = present;
        self
    }

    /// Verifies the server's certificate against this DNS name or IP address, and sends it as SNI, instead of
    /// the host that is dialled: for a tunnel or a local address. Default: the inner connector's host.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Offers these application protocols (ALPN), the most wanted first, each of 1 to 255 bytes: see
    /// [`alpn`](crate::alpn) for those of AWS IoT Core. Default: none.
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

    /// Puts there what certificates the server presents, before they are verified: for telling people who answered instead
    /// of the right one. Default: nowhere.
    #[must_use]
    pub fn presented(mut self, presented: Presented) -> Self {
        self.presented = Some(presented);
        self
    }

    /// **Dangerous, for tests only:** takes whoever answers for the right server. Anybody on the way can then read and
    /// change everything.
    #[cfg(feature = "dangerous-accept-any-server")]
    #[cfg_attr(docsrs, doc(cfg(feature = "dangerous-accept-any-server")))]
    #[must_use]
    pub fn dangerous_accept_any_server(mut self) -> Self {
        self.accept_any_server = true;
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

    /// Reads the client certificate and says what is in it, good or outdated; `None` if there is none here, since a
    /// [resolver](Identity::resolver) has it perhaps. Blocks while it reads the file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or holds no certificate.
    pub fn client_certificate(&self) -> Result<Option<CertificateFacts>, TlsSetupError> {
        match self.identity.as_ref().map(|identity| &identity.0) {
            Some(Kind::Materials { certificates, .. }) => {
                config::facts(certificates, self.provider.as_deref())
            }
            Some(Kind::Resolver(_)) | None => Ok(None),
        }
    }

    pub(super) fn given_server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    pub(super) fn reads_files(&self) -> bool {
        let identity = self.identity.iter().flat_map(Identity::materials);
        self.anchors.materials.iter().chain(identity).any(Material::is_file)
    }
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alpn: Vec<_> = self.alpn.iter().map(|protocol| String::from_utf8_lossy(protocol)).collect();
        let mut shown = f.debug_struct("TlsOptions");
        shown
            .field("anchors", &self.anchors)
            .field("identity", &self.identity)
            .field("present_outdated", &self.present_outdated)
            .field("server_name", &self.server_name)
            .field("alpn", &alpn);
        #[cfg(feature = "dangerous-accept-any-server")]
        shown.field("accept_any_server", &self.accept_any_server);
        shown.finish_non_exhaustive()
    }
}

/// The certificate authorities whose word about a server is taken.
///
/// ```
/// use iot_transport::{Material, TrustAnchors};
///
/// let anchors = TrustAnchors::ca(Material::file("AmazonRootCA1.pem")).and(Material::file("our-test-ca.pem"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct TrustAnchors {
    pub(super) materials: Vec<Material>,
    #[cfg(feature = "amazon-roots")]
    pub(super) amazon: bool,
    #[cfg(feature = "platform-verifier")]
    pub(super) platform: bool,
}

impl TrustAnchors {
    /// Every certificate in here; at least one.
    #[must_use]
    pub fn ca(material: Material) -> Self {
        Self::default().and(material)
    }

    /// Amazon Root CA 1 to 4, which the `-ats` endpoints of AWS IoT Core chain to (AWS IoT Core Developer Guide, "Server
    /// authentication"). They come out of Mozilla's list as the crate `webpki-roots` has it.
    #[cfg(feature = "amazon-roots")]
    #[cfg_attr(docsrs, doc(cfg(feature = "amazon-roots")))]
    #[must_use]
    pub fn amazon() -> Self {
        Self { amazon: true, ..Self::default() }
    }

    /// Those of the operating system, and its own verifier where it has one (Windows, macOS, iOS, Android): for
    /// companies whose own CA is installed there. On Android `rustls-platform-verifier` has to be initialised first, and
    /// no others can be added.
    #[cfg(feature = "platform-verifier")]
    #[cfg_attr(docsrs, doc(cfg(feature = "platform-verifier")))]
    #[must_use]
    pub fn platform() -> Self {
        Self { platform: true, ..Self::default() }
    }

    /// And every certificate in this one.
    #[must_use]
    pub fn and(mut self, material: Material) -> Self {
        self.materials.push(material);
        self
    }
}

/// Who we are to the server: a certificate and its private key.
///
/// ```
/// use iot_transport::{Identity, Material};
///
/// let identity = Identity::new(Material::file("device.pem.crt"), Material::file("private.pem.key"));
/// ```
#[derive(Clone, Debug)]
pub struct Identity(pub(super) Kind);

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Materials { certificates: Material, key: Material },
    Resolver(Arc<dyn ResolvesClientCert>),
}

impl Identity {
    /// The certificate, followed by the certificates that lead to its CA if the server does not have them,
    /// and the certificate's private key, unencrypted: PKCS#8 (`PRIVATE KEY`), PKCS#1 (`RSA PRIVATE KEY`) or
    /// SEC1 (`EC PRIVATE KEY`). One PEM text that holds both may be given twice.
    #[must_use]
    pub fn new(certificates: Material, key: Material) -> Self {
        Self(Kind::Materials { certificates, key })
    }

    /// A certificate whose private key this program never sees: in a TPM, behind PKCS#11, in a secure element. The
    /// resolver is asked during each handshake, on an async thread: a slow signer does well to be quick or to hand the
    /// work on.
    ///
    /// It gives rustls a [`CertifiedKey`](rustls::sign::CertifiedKey) whose
    /// [`SigningKey`](rustls::sign::SigningKey) does the signing.
    #[must_use]
    pub fn resolver(resolver: Arc<dyn ResolvesClientCert>) -> Self {
        Self(Kind::Resolver(resolver))
    }

    fn materials(&self) -> impl Iterator<Item = &Material> {
        match &self.0 {
            Kind::Materials { certificates, key } => [Some(certificates), Some(key)],
            Kind::Resolver(_) => [None, None],
        }
        .into_iter()
        .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_what_is_checked_less_strictly() {
        let options = TlsOptions::new(TrustAnchors::default());
        assert!(format!("{options:?}").contains("present_outdated: false"));
        assert!(format!("{:?}", options.clone().present_outdated(true)).contains("present_outdated: true"));
        #[cfg(feature = "dangerous-accept-any-server")]
        assert!(format!("{:?}", options.dangerous_accept_any_server()).contains("accept_any_server: true"));
    }
}
