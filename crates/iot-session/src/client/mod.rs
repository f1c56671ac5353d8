//! The driver task and the handle that applications hold.

#[cfg(feature = "blocking")]
pub mod blocking;
mod channels;
pub(crate) mod clock;
mod driver;
mod handle;
mod inbox;
mod link;
mod notices;
mod outcomes;
mod replies;
mod requests;
mod router;
#[cfg(feature = "tower")]
mod service;
mod stats;
mod subscription;
mod trace;

pub use driver::Driver;
pub use handle::Client;
pub use notices::{NoticeHandler, Notices};
pub use outcomes::{Ack, ClosedError, Delivery, Leftover, TryPublishError};
pub use requests::{Request, RequestError, Requests};
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub use service::PublishService;
pub use stats::{Stats, Status};
pub use subscription::{Acknowledge, Ended, Messages, SubscribeOptions, Subscription};

use std::time::Duration;

use iot_transport::Connector;
use mqtt_codec::Codec;

use crate::stage::Stage;
use crate::time::UnixMillis;

/// Settings of the driver and the handle: `Config { inbox: 16, ..Config::default() }`.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long one attempt may take to give a byte stream and a CONNACK. Default: 30 s.
    pub connect_timeout: Duration,
    /// How many publishes wait in the channel between handle and driver, how many in the one for those that go first, and
    /// how many requests in theirs; a call waits for room beyond it. Default: 64, at least 1.
    pub commands: usize,
    /// How many messages a subscription holds for its reader. Beyond it QoS 0 messages are dropped and counted,
    /// those of QoS 1 and 2 stay unacknowledged. Default: 256, at least 1.
    pub inbox: usize,
    /// How many messages of QoS 1 and 2 may stay unacknowledged because their subscriber is slow; beyond it nothing more
    /// is read from the link. Not below the engine's Receive Maximum, which MQTT 5 servers obey, so that PINGRESP always gets
    /// through. Default: 100.
    pub unaccepted: usize,
    /// How long messages of QoS 1 and 2 may wait beyond the inbox for a slow subscriber. Then it is lagging
    /// ([`Notice::Lagging`](crate::stage::Notice)): what waits for it is acknowledged and counted ([`Stats::overdue`]), and
    /// until its inbox has room again further messages are dropped and counted. So one stuck subscriber does not keep the
    /// server from sending to the others for ever. Default: 30 s.
    pub inbox_timeout: Duration,
    /// How long messages of QoS 1 and 2 of a resumed session are held unacknowledged while no subscription matches them:
    /// the server may deliver what it stored before the application has subscribed again. Then they are acknowledged and
    /// counted ([`Stats::unrouted`]). Default: 10 s.
    pub hold: Duration,
    /// How long the last bytes of a connection may take to be written after a disconnect. Default: 2 s.
    pub close_timeout: Duration,
    /// Words for the transport's own read and write errors, such as a certificate that the server refuses after the
    /// TLS handshake. Default: none, the error speaks for itself.
    pub explain: Option<fn(&std::io::Error) -> Option<String>>,
    /// What the calendar says, `None` on a device that does not know; it may jump. It tells how old messages are that an earlier
    /// run left on disk. Default: the system's.
    pub calendar: fn() -> Option<UnixMillis>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(30),
            commands: 64,
            inbox: 256,
            unaccepted: 100,
            inbox_timeout: Duration::from_secs(30),
            hold: Duration::from_secs(10),
            close_timeout: Duration::from_secs(2),
            explain: None,
            calendar: clock::system_calendar,
        }
    }
}

/// A handle and the driver behind it. Nothing happens until [`Driver::run`] is spawned.
///
/// `stage` is a stack as [`stack`](crate::stack) makes it, `codec` is the engine's
/// ([`Engine::codec`](crate::proto::Engine::codec)). See the [front page](crate) for an example.
pub fn client<S, C>(stage: S, codec: Codec, connector: C, config: Config) -> (Client, Driver<S, C>)
where
    S: Stage + Send + 'static,
    C: Connector,
{
    let (client, channels, signals) = Client::new(&config);
    (client, Driver::new(stage, codec, connector, config, channels, signals))
}
