//! The settings of a connection.

use std::fmt;
use std::time::Duration;

use iot_session::layers::{Backoff, GiveUp, Jitter, OfflineQueue, Pacing};
use iot_session::{Version, Will};
use iot_transport::{Material, TrustAnchors};
use zeroize::Zeroizing;

use crate::door::{Door, Way};

/// The settings of a connection. [`connect`](Self::connect) checks them all and connects.
///
/// `L` is the user's own [layers](Self::layer), if there are any.
#[derive(Clone)]
#[must_use = "a builder does nothing until `connect` is called"]
pub struct Builder<L = ()> {
    pub(crate) endpoint: String,
    pub(crate) door: Door,
    pub(crate) way: Way,
    pub(crate) port: Option<u16>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Zeroizing<Vec<u8>>>,
    pub(crate) client_id: Option<String>,
    pub(crate) version: Version,
    pub(crate) clean_start: bool,
    pub(crate) session_expiry: Duration,
    pub(crate) keep_alive: Duration,
    pub(crate) will: Option<Will>,
    pub(crate) metrics: bool,
    pub(crate) backoff: Backoff,
    pub(crate) connect_interval: Duration,
    pub(crate) jitter: Jitter,
    pub(crate) retry_first: bool,
    pub(crate) give_up: GiveUp,
    pub(crate) offline_queue: OfflineQueue,
    #[cfg(feature = "outbox")]
    pub(crate) outbox: Option<crate::OutboxFile>,
    pub(crate) pacing: Pacing,
    pub(crate) containment: Option<u8>,
    pub(crate) connect_timeout: Duration,
    pub(crate) operation_timeout: Duration,
    pub(crate) layers: L,
}

impl Builder {
    pub(crate) fn new(endpoint: &str, door: Door) -> Self {
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
            connect_interval: Duration::from_secs(1),
            jitter: Jitter::default(),
            retry_first: false,
            give_up: GiveUp::default(),
            offline_queue: OfflineQueue::default(),
            #[cfg(feature = "outbox")]
            outbox: None,
            pacing: Pacing::aws_iot_core(),
            containment: Some(3),
            connect_timeout: Duration::from_secs(30),
            operation_timeout: Duration::from_secs(5),
            layers: (),
        }
    }
}

impl<L> Builder<L> {
    /// The CA that signed the server's certificate: for a custom domain, or a local broker. Default: Amazon's roots, which
    /// the `-ats` endpoints chain to. No effect with [`over`](crate::over).
    pub fn root_ca(mut self, root_ca: Material) -> Self {
        self.way.anchors = TrustAnchors::ca(root_ca);
        self
    }

    /// Trusts whom the operating system trusts, a company's own CA perhaps, instead of Amazon's roots. No effect with
    /// [`over`](crate::over).
    #[cfg(feature = "platform-verifier")]
    #[cfg_attr(docsrs, doc(cfg(feature = "platform-verifier")))]
    pub fn platform_roots(mut self) -> Self {
        self.way.anchors = TrustAnchors::platform();
        self
    }

    /// The port. Default: the endpoint's, else 8883 with a client certificate and 443 without. On 443 the protocol is
    /// offered by ALPN, as AWS IoT Core asks. No effect with [`over`](crate::over).
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
    /// proxy; the environment is not looked at. No effect with [`over`](crate::over).
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

    /// The client identifier, at most 128 bytes; the policy must allow it. Default, also for an empty one: `rust-` and 16 random
    /// hexadecimal digits, kept for the life of the client.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into()).filter(|client_id| !client_id.is_empty());
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

    /// The least time from one dial to the next, whatever asks for it: a delay below it, `reconnect_now`, a disconnect
    /// and a connect. Default: 1 s, as AWS IoT Core takes one CONNECT per second for each client identifier. A broker of
    /// one's own may take more.
    pub fn connect_interval(mut self, interval: Duration) -> Self {
        self.connect_interval = interval;
        self
    }

    /// How the delays are spread, so that a fleet that lost its connections at one instant does not come back at one.
    /// Default: not at all, so that the formula holds; [`Jitter::Full`] is what a fleet wants.
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// What to do about an error that repeating cannot heal, such as a refused certificate. Default: it ends the attempts
    /// before there was any connection, and is reported and retried after that.
    pub fn give_up(mut self, give_up: GiveUp) -> Self {
        self.give_up = give_up;
        self
    }

    /// What becomes of messages that are published while there is no connection. Default: 20 are kept, what comes then is
    /// dropped and its publisher told; two per second go out once the connection is back and every subscription with it.
    pub fn offline_queue(mut self, queue: OfflineQueue) -> Self {
        self.offline_queue = queue;
        self
    }

    /// Keeps every QoS 1 message in this file until AWS IoT Core acknowledges it, with a connection, too: a path, or an
    /// [`OutboxFile`](crate::OutboxFile) with bounds. What a run of the program leaves there, by a crash or without a
    /// connection, the next one sends first. Takes the place of the [offline queue](Self::offline_queue). Default: none.
    ///
    /// No operation timeout ends such a publish: await its [`Ack`](crate::Ack) with a timeout of one's own, or
    /// [`publish_durably`](crate::Client::publish_durably).
    ///
    /// ```no_run
    /// # use aws_iot::{Material, Message};
    /// # async fn example() -> Result<(), aws_iot::Error> {
    /// # let (certificate, key) = (Material::file("device.pem.crt"), Material::file("private.pem.key"));
    /// let client = aws_iot::mutual_tls("abc-ats.iot.eu-west-1.amazonaws.com", certificate, key)
    ///     .outbox("/var/lib/my-device/outbox")
    ///     .connect_lazily()
    ///     .await?;
    /// client.publish_durably(Message::new("sensor/1", "21.5")?).await?; // on disk
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "outbox")]
    #[cfg_attr(docsrs, doc(cfg(feature = "outbox")))]
    pub fn outbox(mut self, file: impl Into<crate::OutboxFile>) -> Self {
        self.outbox = Some(file.into());
        self
    }

    /// How fast messages go out. Default: AWS IoT Core's limits for a connection, 100 publishes and 512 KiB per second; it
    /// throws away, or disconnects for, what goes beyond.
    pub fn pacing(mut self, pacing: Pacing) -> Self {
        self.pacing = pacing;
        self
    }

    /// After how many connections in a row that AWS IoT Core ended right after a message was sent the message is given up
    /// ([`OpError::Poisoned`](crate::OpError::Poisoned)); `None`: never. Default: 3. In MQTT 3.1.1 that is how the service
    /// says that the policy does not allow the topic.
    pub fn containment(mut self, strikes: Option<u8>) -> Self {
        self.containment = strikes;
        self
    }

    /// A layer of one's own around everything else: it sees what the application does, and a session that is entirely
    /// recovered. Of several the last is the outermost.
    ///
    /// The guide is `docs/writing-a-layer.md`, the example `custom_layer`.
    pub fn layer<M>(self, layer: M) -> Builder<(M, L)> {
        Builder {
            endpoint: self.endpoint,
            door: self.door,
            way: self.way,
            port: self.port,
            username: self.username,
            password: self.password,
            client_id: self.client_id,
            version: self.version,
            clean_start: self.clean_start,
            session_expiry: self.session_expiry,
            keep_alive: self.keep_alive,
            will: self.will,
            metrics: self.metrics,
            backoff: self.backoff,
            connect_interval: self.connect_interval,
            jitter: self.jitter,
            retry_first: self.retry_first,
            give_up: self.give_up,
            offline_queue: self.offline_queue,
            #[cfg(feature = "outbox")]
            outbox: self.outbox,
            pacing: self.pacing,
            containment: self.containment,
            connect_timeout: self.connect_timeout,
            operation_timeout: self.operation_timeout,
            layers: (layer, self.layers),
        }
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
}

impl<L> fmt::Debug for Builder<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            // What is none may be a URL with a password in it.
            .field(
                "endpoint",
                &self.endpoint.parse::<iot_transport::Address>().map(|address| address.to_string()).ok(),
            )
            .field("door", &self.door)
            .field("port", &self.port)
            .field("client_id", &self.client_id)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
