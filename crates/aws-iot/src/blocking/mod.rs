//! The client for programs without async code: [`Client`] is what
//! [`Builder::connect_blocking`](crate::Builder::connect_blocking) gives.
//!
//! It has a thread of its own that runs the connection, and a second one for handlers, so that a handler may call the client.
//! Every call blocks the thread that makes it: async code uses [`crate::Client`].
//!
//! ```no_run
//! use std::time::Duration;
//! use aws_iot::{Material, Message, QoS};
//!
//! fn main() -> Result<(), aws_iot::Error> {
//!     let (certificate, key) = (Material::file("device.pem.crt"), Material::file("private.pem.key"));
//!     let client = aws_iot::mutual_tls("abc-ats.iot.eu-west-1.amazonaws.com", certificate, key)
//!         .connect_blocking()?;
//!     let mut messages = client.subscribe("sdk/test/Rust", QoS::AtLeastOnce)?;
//!     client.publish(Message::new("sdk/test/Rust", "hello")?)?.wait()?;
//!     if let Ok(message) = messages.next_timeout(Duration::from_secs(5)) {
//!         println!("{}: {}", message.topic(), String::from_utf8_lossy(message.payload()));
//!     }
//!     client.disconnect()
//! }
//! ```

#[cfg(feature = "shadow")]
mod shadow;

use std::future::Future;
use std::time::Duration;

pub use iot_session::blocking::{Ack, Messages, NextError};
use iot_session::stage::{Connected, Notice};
use iot_session::{
    Leftover, Message, NoticeHandler, OpError, QoS, Stats, Status, SubscribeOptions, Subscription,
    TopicFilter,
};
use mqtt_codec::ReasonCode;
#[cfg(feature = "shadow")]
#[cfg_attr(docsrs, doc(cfg(feature = "shadow")))]
pub use shadow::{Call, Deltas, Documents, ShadowClient, ShadowSync};

use crate::client::checked;
use crate::error::{Error, TryPublishError};
use crate::limits;

/// A connection to AWS IoT Core whose calls block. Clones share it; dropping the last one disconnects in order and waits
/// for that.
///
/// It is [`crate::Client`] call by call: what is said of limits, errors and the offline queue there holds here.
#[derive(Debug, Clone)]
pub struct Client {
    client: crate::Client,
    /// Dropped after `client`, whose end it waits for.
    session: iot_session::blocking::Client,
}

impl Client {
    pub(crate) fn new(client: crate::Client, session: iot_session::blocking::Client) -> Self {
        Self { client, session }
    }

    /// As [`crate::Client::connect`].
    ///
    /// # Errors
    /// The reason of the attempt.
    pub fn connect(&self) -> Result<Connected, Error> {
        Ok(self.session.connect()?)
    }

    /// As [`crate::Client::connect_lazily`]: returns at once.
    ///
    /// # Errors
    /// The client is closed.
    pub fn connect_lazily(&self) -> Result<(), Error> {
        Ok(self.session.connect_lazily()?)
    }

    /// As [`crate::Client::reconnect_now`].
    ///
    /// # Errors
    /// The client is closed.
    pub fn reconnect_now(&self) -> Result<(), Error> {
        Ok(self.session.reconnect_now()?)
    }

    /// Waits until there is a connection with every subscription in force, for so long; `None`: there is none yet.
    ///
    /// # Errors
    /// The client is closed.
    pub fn online(&self, timeout: Duration) -> Result<Option<Connected>, Error> {
        Ok(self.session.online(timeout)?)
    }

    /// Hands a message over and gives its outcome to [wait](Ack::wait) for, or to drop. Waits for room, as
    /// [`crate::Client::publish`] does, not for the outcome.
    ///
    /// # Errors
    /// A limit is passed, or the client is closed.
    pub fn publish(&self, message: Message) -> Result<Ack, Error> {
        limits::check_message(&message)?;
        Ok(self.session.publish(message)?)
    }

    /// As [`crate::Client::publish_durably`]: waits until the message is in the outbox.
    ///
    /// # Errors
    /// As there.
    #[cfg(feature = "outbox")]
    #[cfg_attr(docsrs, doc(cfg(feature = "outbox")))]
    pub fn publish_durably(&self, message: Message) -> Result<Ack, Error> {
        limits::check_message(&message)?;
        Ok(self.session.publish_durably(message)?)
    }

    /// As [`publish`](Self::publish), without waiting for room.
    ///
    /// # Errors
    /// A limit is passed; there is no room, or the client is closed: these give the message back.
    pub fn try_publish(&self, message: Message) -> Result<Ack, TryPublishError> {
        limits::check_message(&message)?;
        Ok(self.session.try_publish(message)?)
    }

    /// Subscribes and returns at SUBACK with an iterator of the messages. Dropping it unsubscribes.
    ///
    /// # Errors
    /// As [`crate::Client::subscribe`].
    pub fn subscribe<F>(&self, filter: F, qos: QoS) -> Result<Messages, Error>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
    {
        self.subscribe_with(filter, SubscribeOptions::new(qos))
    }

    /// As [`subscribe`](Self::subscribe), with all that can be said.
    ///
    /// # Errors
    /// As [`crate::Client::subscribe`].
    pub fn subscribe_with<F>(&self, filter: F, options: SubscribeOptions) -> Result<Messages, Error>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
    {
        let filter = checked(filter, options.quality())?;
        Ok(self.session.subscribe_with::<TopicFilter>(filter, options)?)
    }

    /// Subscribes and calls `handler` with each message on the thread for handlers, which all of them share: one that takes long
    /// keeps the others waiting, but not the connection. It may call the client. A panic in it is contained and counted.
    ///
    /// # Errors
    /// As [`crate::Client::subscribe`]; the system has no more threads.
    pub fn on<F, H>(&self, filter: F, qos: QoS, handler: H) -> Result<Subscription, Error>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
        H: FnMut(Message) + Send + 'static,
    {
        self.on_with(filter, SubscribeOptions::new(qos), handler)
    }

    /// As [`on`](Self::on), with all that can be said; see [`crate::Client::on_with`].
    ///
    /// # Errors
    /// As [`on`](Self::on).
    pub fn on_with<F, H>(
        &self,
        filter: F,
        options: SubscribeOptions,
        handler: H,
    ) -> Result<Subscription, Error>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
        H: FnMut(Message) + Send + 'static,
    {
        let filter = checked(filter, options.quality())?;
        Ok(self.session.on_with::<TopicFilter, _>(filter, options, handler)?)
    }

    /// As [`crate::Client::unsubscribe`].
    ///
    /// # Errors
    /// As there.
    pub fn unsubscribe<F>(&self, filter: F) -> Result<ReasonCode, Error>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
    {
        Ok(self.session.unsubscribe(filter)?)
    }

    /// Where the connection stands at present.
    #[must_use]
    pub fn status(&self) -> Status {
        self.session.status()
    }

    /// Waits for a status, for so long; `None`: it did not come.
    ///
    /// # Errors
    /// The client is closed.
    pub fn wait_for_status(
        &self,
        timeout: Duration,
        wanted: impl FnMut(&Status) -> bool,
    ) -> Result<Option<Status>, Error> {
        Ok(self.session.wait_for_status(timeout, wanted)?)
    }

    /// An iterator of what happens from now on; it blocks, and ends when the client is closed.
    pub fn notices(&self) -> impl Iterator<Item = Notice> + use<> {
        self.session.notices()
    }

    /// Calls `handler` with each notice from now on, on the thread for handlers, as long as what is returned is there.
    ///
    /// # Errors
    /// The system has no more threads.
    pub fn on_notice<H>(&self, handler: H) -> Result<NoticeHandler, Error>
    where
        H: FnMut(Notice) + Send + 'static,
    {
        Ok(self.session.on_notice(handler)?)
    }

    /// Counters since the client was made, and what waits at present.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.session.stats()
    }

    /// As [`crate::Client::disconnect`].
    ///
    /// # Errors
    /// The client is closed.
    pub fn disconnect(&self) -> Result<(), Error> {
        Ok(self.session.disconnect()?)
    }

    /// As [`crate::Client::close`].
    ///
    /// # Errors
    /// The client is closed already.
    pub fn close(&self, within: Duration) -> Result<Leftover, Error> {
        Ok(self.session.close(within)?)
    }

    /// A shadow of a thing, over this connection. Nothing is subscribed until it is used.
    ///
    /// ```no_run
    /// # fn example(client: aws_iot::blocking::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use aws_iot::shadow::{Shadow, ShadowId, Update};
    ///
    /// let lamp = client.shadow(ShadowId::classic("lamp")?);
    /// lamp.update(Update::new().reported(serde_json::json!({ "on": true }))).wait()?;
    /// let shadow: Shadow = lamp.get().wait()?;
    /// println!("version {}: {:?}", shadow.version, shadow.state.reported);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "shadow")]
    #[cfg_attr(docsrs, doc(cfg(feature = "shadow")))]
    #[must_use]
    pub fn shadow(&self, id: iot_shadow::ShadowId) -> ShadowClient {
        self.shadow_with(id, iot_shadow::Options::default())
    }

    /// A shadow with [`Options`](iot_shadow::Options) of its own.
    #[cfg(feature = "shadow")]
    #[cfg_attr(docsrs, doc(cfg(feature = "shadow")))]
    #[must_use]
    pub fn shadow_with(&self, id: iot_shadow::ShadowId, options: iot_shadow::Options) -> ShadowClient {
        ShadowClient::new(self.client.shadow_with(id, options), self.clone())
    }

    /// Waits for a future of the [async client](Self::client), which has the connection's timers while it is waited for. What it
    /// spawns runs on the connection's thread, and must not block there.
    ///
    /// ```no_run
    /// # fn example(client: aws_iot::blocking::Client) -> Result<(), aws_iot::Error> {
    /// use aws_iot::QoS;
    ///
    /// let messages = client.block_on(client.client().subscribe("a/b", QoS::AtLeastOnce))?;
    /// # drop(messages); Ok(()) }
    /// ```
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.session.block_on(future)
    }

    /// As [`block_on`](Self::block_on), for so long; `None`: the future was not done yet, and is dropped.
    pub fn block_on_for<F: Future>(&self, future: F, timeout: Duration) -> Option<F::Output> {
        self.session.block_on_for(future, timeout)
    }

    /// The same client for async code, with what only [`crate::Client`] has.
    #[must_use]
    pub fn client(&self) -> &crate::Client {
        &self.client
    }
}
