//! TLS 1.2 and 1.3 around any connector, by rustls: the server is always verified, the client may present a
//! certificate.

mod config;
#[cfg(feature = "dangerous-accept-any-server")]
mod dangerous;
mod der;
mod error;
mod facts;
mod handshake;
mod material;
mod options;

use std::fmt;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::{Attempt, ConnectError, ConnectErrorKind, Connector, Endpoint, Phase};
use config::Loader;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;

pub use config::default_provider;
pub use error::{TlsSetupError, TlsSetupErrorKind};
pub use facts::{CertificateFacts, Presented};
pub(crate) use handshake::{explain_stream_error, kind_of_stream_error};
pub use material::{FILE_LIMIT, Material};
pub use options::{Identity, TlsOptions, TrustAnchors};
pub use rustls;
pub use tokio_rustls::client::TlsStream;

/// TLS around another connector.
///
/// The server's certificate is always verified, against the trust anchors and against the host name; without the
/// feature `dangerous-accept-any-server`, which is for tests, nothing turns that off. The name is the inner connector's [host](Connector::endpoint) unless
/// [`TlsOptions::server_name`] gives another; it is sent as SNI (an IP address is verified but not sent).
///
/// Certificate and key files are read again for each attempt, before anything is dialled, so that replacing
/// them needs no restart; while they stay the same, the configuration is kept, and with it the sessions that
/// TLS can resume.
///
/// Cancelling: dropping the future drops the stream underneath, unfinished handshake included. A file read
/// given up runs to its end on tokio's blocking pool, where its result is dropped.
///
/// ```no_run
/// use std::time::Duration;
/// use iot_transport::{Attempt, Connector, Identity, Material, Tcp, Tls, TlsOptions, TrustAnchors};
///
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let options = TlsOptions::new(TrustAnchors::ca(Material::file("AmazonRootCA1.pem")))
///     .identity(Identity::new(Material::file("device.pem.crt"), Material::file("private.pem.key")));
/// let tls = Tls::new(Tcp::new("broker.example", 8883), options);
/// tls.check()?; // a wrong path, an encrypted key, two files that do not match: told before any dial
/// let stream = tls.connect(&Attempt::within(1, Duration::from_secs(30))).await?;
/// # drop(stream); Ok(()) }
/// ```
pub struct Tls<C> {
    inner: C,
    loader: Arc<Loader>,
}

impl<C: Connector> Tls<C> {
    /// TLS with these options over the streams of `inner`. Nothing is read yet: see [`check`](Self::check).
    pub fn new(inner: C, options: TlsOptions) -> Self {
        Self { inner, loader: Arc::new(Loader::new(options)) }
    }

    /// Reads and checks all that the connector was given, dialling nothing: files, their contents, that key
    /// and certificate belong together, the server name. Blocks while it reads the files.
    ///
    /// # Errors
    ///
    /// The first thing found wrong.
    pub fn check(&self) -> Result<(), TlsSetupError> {
        self.server_name()?;
        self.loader.load().map(drop)
    }

    fn server_name(&self) -> Result<ServerName<'static>, TlsSetupError> {
        let given = self.loader.options().given_server_name();
        let name =
            given.or_else(|| self.inner.endpoint().map(Endpoint::host)).ok_or_else(TlsSetupError::no_name)?;
        ServerName::try_from(name.to_owned()).map_err(|_| TlsSetupError::bad_name(name))
    }

    /// All that can be settled before anything is dialled.
    async fn prepare(
        &self,
        attempt: &Attempt,
    ) -> Result<(ServerName<'static>, Arc<ClientConfig>), ConnectError> {
        let name = self.server_name().map_err(|error| self.wrong_setup(error))?;
        Ok((name, self.load(attempt.deadline()).await?))
    }

    /// The configuration; files are read off the async threads.
    async fn load(&self, deadline: Instant) -> Result<Arc<ClientConfig>, ConnectError> {
        let was_good = self.loader.was_good();
        // Files that were good before may be in the middle of being replaced.
        let wrong = |error| {
            let wrong = self.wrong_setup(error);
            if was_good { wrong.with_retryable(true) } else { wrong }
        };
        if !self.loader.options().reads_files() {
            return self.loader.load().map_err(wrong);
        }
        let loader = Arc::clone(&self.loader);
        match timeout_at(deadline, tokio::task::spawn_blocking(move || loader.load())).await {
            Ok(Ok(loaded)) => loaded.map_err(wrong),
            Ok(Err(join)) => Err(self
                .failed(ConnectErrorKind::Other, "the task that reads the certificate files was stopped")
                .with_source(join)),
            Err(_) => Err(self.failed(
                ConnectErrorKind::TimedOut,
                "the certificate files could not be read before the deadline; check the disk they are on",
            )),
        }
    }

    fn wrong_setup(&self, error: TlsSetupError) -> ConnectError {
        let retryable = error.is_retryable();
        let failed = self.failed(ConnectErrorKind::Configuration, error.to_string()).with_source(error);
        failed.with_retryable(retryable)
    }

    fn failed(&self, kind: ConnectErrorKind, reason: impl Into<String>) -> ConnectError {
        ConnectError::new(Phase::Tls, kind, reason).at_endpoint(self.inner.endpoint())
    }
}

impl<C: Connector> Connector for Tls<C> {
    type Io = TlsStream<C::Io>;

    async fn connect(&self, attempt: &Attempt) -> Result<Self::Io, ConnectError> {
        let (name, config) = self.prepare(attempt).await.inspect_err(|_| attempt.enter(Phase::Tls))?;
        let io = self.inner.connect(attempt).await?;
        attempt.enter(Phase::Tls);
        match timeout_at(attempt.deadline(), TlsConnector::from(config).connect(name, io)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(handshake::failed(error).at_endpoint(self.inner.endpoint())),
            Err(_) => Err(self.failed(
                ConnectErrorKind::TimedOut,
                "the server did not finish the handshake before the deadline; check that this port speaks \
                 TLS, and that no firewall or proxy holds the connection",
            )),
        }
    }

    fn endpoint(&self) -> Option<&Endpoint> {
        self.inner.endpoint()
    }
}

impl<C: fmt::Debug> fmt::Debug for Tls<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("inner", &self.inner).field("options", self.loader.options()).finish()
    }
}
