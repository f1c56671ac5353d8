//! From settings to a connection.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use iot_session::layers::{Backoff, Reconnect};
use iot_session::proto::{ConnectOptions, Engine};
use iot_session::{Config, Version, Will, stack};
use iot_transport::{Identity, Material, Tcp, Tls, TlsOptions, TrustAnchors};

use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::limits;

/// The port of MQTT with a client certificate.
const MQTTS: u16 = 8883;
/// The port on which ALPN tells MQTT with a client certificate from HTTPS.
const HTTPS: u16 = 443;
/// What ALPN says there (AWS IoT Developer Guide, "Protocols, port mappings, and authentication").
const ALPN: &[u8] = b"x-amzn-mqtt-ca";

/// A connection to `endpoint` by mutual TLS: with the device's certificate and private key, each from a file
/// ([`Material::file`]) or from bytes ([`Material::bytes`]).
///
/// See [`Builder`] for the settings; only [`root_ca`](Builder::root_ca) has no default.
pub fn mutual_tls(endpoint: &str, certificate: Material, private_key: Material) -> Builder {
    Builder {
        endpoint: endpoint.to_owned(),
        certificate,
        private_key,
        root_ca: None,
        port: None,
        client_id: None,
        version: Version::V5,
        clean_start: true,
        session_expiry: Duration::ZERO,
        keep_alive: Duration::from_secs(30),
        will: None,
        metrics: true,
        backoff: Backoff::default(),
        retry_first: false,
        connect_timeout: Duration::from_secs(30),
        operation_timeout: Duration::from_secs(5),
    }
}

/// The settings of a connection. [`connect`](Self::connect) checks them all and connects.
#[derive(Clone)]
#[must_use = "a builder does nothing until `connect` is called"]
pub struct Builder {
    endpoint: String,
    certificate: Material,
    private_key: Material,
    root_ca: Option<Material>,
    port: Option<u16>,
    client_id: Option<String>,
    version: Version,
    clean_start: bool,
    session_expiry: Duration,
    keep_alive: Duration,
    will: Option<Will>,
    metrics: bool,
    backoff: Backoff,
    retry_first: bool,
    connect_timeout: Duration,
    operation_timeout: Duration,
}

impl Builder {
    /// The CA that signed the server's certificate, for example `AmazonRootCA1.pem`. Required.
    pub fn root_ca(mut self, root_ca: Material) -> Self {
        self.root_ca = Some(root_ca);
        self
    }

    /// The port. Default: the endpoint's, else 8883. On 443 ALPN `x-amzn-mqtt-ca` is offered, as AWS IoT Core asks.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The client identifier, at most 128 bytes; the policy must allow it. Default: `rust-` and 16 random hexadecimal
    /// digits, kept for the life of the client.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// The protocol version. Default: MQTT 5, whose reason codes make refusals readable.
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// Whether an earlier session is thrown away at the first connection. Default: yes.
    pub fn clean_start(mut self, clean_start: bool) -> Self {
        self.clean_start = clean_start;
        self
    }

    /// MQTT 5: how long the session outlives its connection, in seconds, rounded up; AWS IoT Core grants up to its quota,
    /// 1 h by default. Default: not at all.
    pub fn session_expiry(mut self, expiry: Duration) -> Self {
        self.session_expiry = expiry;
        self
    }

    /// The longest silence before the connection is tested, in seconds, rounded up. Default: 30 s. AWS IoT Core takes 30 s
    /// to 1,200 s as they are and raises what is below.
    pub fn keep_alive(mut self, keep_alive: Duration) -> Self {
        self.keep_alive = keep_alive;
        self
    }

    /// What is published when this client goes away without a disconnect. Default: nothing.
    pub fn will(mut self, will: Will) -> Self {
        self.will = Some(will);
        self
    }

    /// Whether AWS is told, in the user name, which SDK connects. Default: yes.
    pub fn metrics(mut self, metrics: bool) -> Self {
        self.metrics = metrics;
        self
    }

    /// The delays between attempts. Default: `min(2^n · 1 s, 32 s)`, starting over after 20 s of stable connection.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Whether the very first attempt is repeated, too, so that [`connect`](Self::connect) waits until the network is
    /// there. What repeating cannot heal (a refused certificate, a refused client id) is still reported at once. Default:
    /// no.
    pub fn retry_first(mut self, retry: bool) -> Self {
        self.retry_first = retry;
        self
    }

    /// How long an attempt may take from DNS to CONNACK. Default: 30 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the answer to a publish, subscribe or unsubscribe is waited for. Default: 5 s.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// Checks the settings, reads certificate, key and CA once, spawns the connection's task and returns at CONNACK.
    /// The files are read again at each attempt, so a rotated certificate is taken up.
    ///
    /// # Errors
    /// What is wrong with a setting or a file, why the first attempt failed, or that there is no tokio runtime.
    ///
    /// # Cancellation
    /// Nothing is left behind.
    pub async fn connect(self) -> Result<Client, Error> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let endpoint: Endpoint = self.endpoint.parse()?;
        let port = self.port.or(endpoint.port()).unwrap_or(MQTTS);
        let engine = Engine::new(self.options()?);
        let connector = Tls::new(Tcp::new(endpoint.host(), port), self.tls(port)?);
        connector.check()?;
        let codec = engine.codec();
        let reconnect = Reconnect::new(self.backoff).retry_first(self.retry_first);
        let stage = stack(engine).layer(reconnect).into_stage();
        let config = Config {
            connect_timeout: self.connect_timeout,
            explain: Some(iot_transport::explain_io),
            ..Config::default()
        };
        let (session, driver) = iot_session::client(stage, codec, connector, config);
        runtime.spawn(driver.run());
        session.connect().await?;
        Ok(Client::new(session))
    }

    fn options(&self) -> Result<ConnectOptions, Error> {
        let client_id = self.client_id.clone().unwrap_or_else(generated_client_id);
        limits::check_client_id(&client_id)?;
        let mut options = ConnectOptions::new(self.version, &client_id)?
            .clean_start(self.clean_start)
            .session_expiry(self.session_expiry)
            .keep_alive(self.keep_alive)
            .connect_timeout(self.connect_timeout)
            .operation_timeout(self.operation_timeout);
        if let Some(will) = &self.will {
            limits::check_topic(will.topic.as_str())?;
            limits::check_qos(will.qos)?;
            options = options.will(will.clone());
        }
        if self.metrics {
            options = options.login(concat!("?SDK=Rust&Version=", env!("CARGO_PKG_VERSION")), None)?;
        }
        options.validate()?;
        Ok(options)
    }

    fn tls(&self, port: u16) -> Result<TlsOptions, Error> {
        let root_ca = self.root_ca.clone().ok_or(Error::NoRootCa)?;
        let identity = Identity::new(self.certificate.clone(), self.private_key.clone());
        let options = TlsOptions::new(TrustAnchors::ca(root_ca)).identity(identity);
        Ok(if port == HTTPS { options.alpn([ALPN]) } else { options })
    }
}

/// Random enough to be nobody else's: the standard library seeds its hashers from the operating system.
fn generated_client_id() -> String {
    format!("rust-{:016x}", RandomState::new().build_hasher().finish())
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("endpoint", &self.endpoint)
            .field("port", &self.port)
            .field("client_id", &self.client_id)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
