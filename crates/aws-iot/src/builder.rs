//! From settings to a connection.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use bytes::Bytes;
use iot_session::layers::{Backoff, Reconnect};
use iot_session::proto::{ConnectOptions, Engine};
use iot_session::{Config, Version, Will, stack};
use iot_transport::{Address, BoxConnector, Connector, CustomAuthorizer, Identity, Material, TrustAnchors};
use zeroize::Zeroizing;

use crate::client::Client;
use crate::door::{Door, Way};
use crate::error::Error;
use crate::limits;

/// A connection to `endpoint` by mutual TLS: with the device's certificate and private key, PEM or DER, each from a file
/// ([`Material::file`]) or from bytes ([`Material::bytes`]). Port 8883, or 443 by ALPN.
///
/// See [`Builder`] for the settings; every one has a default.
pub fn mutual_tls(endpoint: &str, certificate: Material, private_key: Material) -> Builder {
    mutual_tls_with(endpoint, Identity::new(certificate, private_key))
}

/// As [`mutual_tls`], with an identity whose private key this program need not see: in a TPM, behind PKCS#11 or in a secure
/// element, by [`Identity::resolver`].
pub fn mutual_tls_with(endpoint: &str, identity: Identity) -> Builder {
    Builder::new(endpoint, Door::MutualTls(identity))
}

/// A connection over the streams of this connector: for ways to a broker that have no function of their own here.
///
/// Endpoint, TLS and whatever else lies below MQTT are the connector's: [`root_ca`](Builder::root_ca),
/// [`port`](Builder::port) and what is said to be the same of region, proxy and the system's roots have no effect. All other
/// settings have theirs.
///
/// ```no_run
/// use aws_iot::crates::iot_transport::Tcp;
///
/// # async fn f() -> Result<(), aws_iot::Error> {
/// // A broker on this very machine, without TLS.
/// let client = aws_iot::over(Tcp::new("localhost", 1883)).client_id("my-device").connect().await?;
/// # drop(client); Ok(()) }
/// ```
pub fn over(connector: impl Connector) -> Builder {
    let connector = BoxConnector::new(connector);
    let endpoint = connector.endpoint().map(ToString::to_string).unwrap_or_default();
    Builder::new(&endpoint, Door::Own(connector))
}

/// A connection to `endpoint` by WebSocket on port 443, signed by AWS Signature Version 4 with what `credentials` gives at
/// each attempt: [`Credentials`](crate::credentials::Credentials) themselves, a
/// [`Chain`](crate::credentials::Chain) of places to look in, or any other provider of the AWS SDK for Rust. Temporary
/// credentials are kept until shortly before they expire, or until they are refused.
///
/// The identity's policy must allow `iot:Connect` and what follows. See [`Builder`] for the settings.
///
/// ```no_run
/// use aws_iot::credentials::Chain;
///
/// # async fn f() -> Result<(), aws_iot::Error> {
/// // From the environment, or the shared credentials file.
/// let client = aws_iot::websocket("abc-ats.iot.eu-west-1.amazonaws.com", Chain::new()).connect().await?;
/// # drop(client); Ok(()) }
/// ```
#[cfg(feature = "websocket")]
#[cfg_attr(docsrs, doc(cfg(feature = "websocket")))]
pub fn websocket(
    endpoint: &str,
    credentials: impl crate::credentials::ProvideCredentials + 'static,
) -> Builder {
    Builder::new(endpoint, Door::SigV4(iot_transport::SigV4::new(credentials)))
}

/// A connection to `endpoint` by TLS on port 443 that a custom authorizer lets pass, by what the user name of CONNECT
/// tells it and, if it looks at them, [`username`](Builder::username) and [`password`](Builder::password).
///
/// See [`Builder`] for the settings.
///
/// ```no_run
/// use aws_iot::CustomAuthorizer;
///
/// # async fn f() -> Result<(), aws_iot::Error> {
/// let parameters = CustomAuthorizer::new().name("my-authorizer").token("token-key", "42").signature("c2ln+bg==");
/// let client = aws_iot::custom_authorizer("abc-ats.iot.eu-west-1.amazonaws.com", parameters)
///     .username("my-device")
///     .connect()
///     .await?;
/// # drop(client); Ok(()) }
/// ```
pub fn custom_authorizer(endpoint: &str, parameters: CustomAuthorizer) -> Builder {
    Builder::new(endpoint, Door::CustomAuthorizer(parameters))
}

/// As [`custom_authorizer`], by WebSocket: the parameters are headers, or the query, of the upgrade.
#[cfg(feature = "websocket")]
#[cfg_attr(docsrs, doc(cfg(feature = "websocket")))]
pub fn websocket_custom_authorizer(endpoint: &str, parameters: CustomAuthorizer) -> Builder {
    Builder::new(endpoint, Door::WebSocketCustomAuthorizer(parameters))
}

/// The settings of a connection. [`connect`](Self::connect) checks them all and connects.
#[derive(Clone)]
#[must_use = "a builder does nothing until `connect` is called"]
pub struct Builder {
    endpoint: String,
    door: Door,
    way: Way,
    port: Option<u16>,
    username: Option<String>,
    password: Option<Zeroizing<Vec<u8>>>,
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
    fn new(endpoint: &str, door: Door) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            door,
            way: Way::default(),
            port: None,
            username: None,
            password: None,
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

    /// The CA that signed the server's certificate: for a custom domain, or a local broker. Default: Amazon's roots, which
    /// the `-ats` endpoints chain to. No effect with [`over`].
    pub fn root_ca(mut self, root_ca: Material) -> Self {
        self.way.anchors = TrustAnchors::ca(root_ca);
        self
    }

    /// Trusts whom the operating system trusts, a company's own CA perhaps, instead of Amazon's roots. No effect with
    /// [`over`].
    #[cfg(feature = "platform-verifier")]
    #[cfg_attr(docsrs, doc(cfg(feature = "platform-verifier")))]
    pub fn platform_roots(mut self) -> Self {
        self.way.anchors = TrustAnchors::platform();
        self
    }

    /// The port. Default: the endpoint's, else 8883 with a client certificate and 443 without. On 443 the protocol is
    /// offered by ALPN, as AWS IoT Core asks. No effect with [`over`].
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The AWS region that WebSocket connections are signed for, such as `eu-west-1`. Default: what the endpoint's name
    /// tells; a custom domain tells none. No effect but with `websocket`.
    #[cfg(feature = "websocket")]
    #[cfg_attr(docsrs, doc(cfg(feature = "websocket")))]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.way.region = Some(region.into());
        self
    }

    /// Goes through an HTTP proxy, by CONNECT. It sees the endpoint's name and nothing of what goes through. Default: no
    /// proxy; the environment is not looked at. No effect with [`over`].
    ///
    /// Only the connection to the endpoint does: credentials from Cognito or the AWS IoT credential provider are asked for
    /// directly, unless their `over` was given an `HttpProxy`
    /// ([`iot_transport`](crate::crates::iot_transport)) with TLS around it; those of the AWS SDK go as the SDK is told.
    #[cfg(feature = "proxy")]
    #[cfg_attr(docsrs, doc(cfg(feature = "proxy")))]
    pub fn proxy(mut self, proxy: crate::Proxy) -> Self {
        self.way.proxy = Some(proxy);
        self
    }

    /// The user name in CONNECT, which AWS IoT Core hands to custom authorizers and ignores otherwise. The parameters of a
    /// custom authorizer, and [metrics](Self::metrics), are appended. Default: none.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// The password in CONNECT, for custom authorizers, at most 65,535 bytes. Default: none.
    pub fn password(mut self, password: impl Into<Vec<u8>>) -> Self {
        self.password = Some(Zeroizing::new(password.into()));
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
    /// there, and the clock is set if the certificate is not valid by it. What repeating cannot heal (a refused
    /// certificate, a refused client id) is still reported at once. Default: no.
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
        let connector = self.connector()?;
        let engine = Engine::new(self.options()?);
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

    fn connector(&self) -> Result<BoxConnector, Error> {
        if let Door::Own(connector) = &self.door {
            return Ok(connector.clone());
        }
        let endpoint: Address = self.endpoint.parse()?;
        let port = self.port.or(endpoint.port()).unwrap_or(self.door.default_port());
        self.door.connector(&self.way, (endpoint.host(), port), self.retry_first)
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
        let username = self.login();
        if !username.is_empty() || self.password.is_some() {
            let password = self.password.as_ref().map(|password| Bytes::copy_from_slice(password));
            options = options.login(&username, password)?;
        }
        options.validate()?;
        Ok(options)
    }

    /// The user name: the user's own, the custom authorizer's parameters, the metrics.
    fn login(&self) -> Zeroizing<String> {
        let own = self.username.as_deref().unwrap_or_default();
        let mut username = match &self.door {
            Door::CustomAuthorizer(parameters) => parameters.username(own),
            _ => Zeroizing::new(own.to_owned()),
        };
        if self.metrics {
            let separator = if username.contains('?') { '&' } else { '?' };
            username.push(separator);
            username.push_str(concat!("SDK=Rust&Version=", env!("CARGO_PKG_VERSION")));
        }
        username
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
            .field("door", &self.door)
            .field("port", &self.port)
            .field("client_id", &self.client_id)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
