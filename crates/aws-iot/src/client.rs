//! The connection that applications hold.

use std::future::Future;
#[cfg(feature = "outbox")]
use std::path::Path;
#[cfg(feature = "outbox")]
use std::sync::Arc;
use std::time::Duration;

use iot_session::stage::{Connected, Notice};
use iot_session::{
    Ack, Leftover, Message, Messages, NoticeHandler, Notices, OpError, QoS, Stats, Status, SubscribeOptions,
    Subscription, TopicFilter,
};
use mqtt_codec::ReasonCode;

use crate::error::{Error, TryPublishError};
use crate::limits;

/// A connection to AWS IoT Core that is kept up until [`disconnect`](Self::disconnect). Clones share it; dropping the
/// last one disconnects in order.
///
/// It is [`iot_session::Client`] with AWS IoT Core's limits checked before anything is sent: what passes them would
/// make the service close the connection.
#[derive(Debug, Clone)]
pub struct Client {
    session: iot_session::Client,
    #[cfg(feature = "outbox")]
    damaged_outbox: Option<Arc<Path>>,
    #[cfg(feature = "outbox")]
    left_subscriptions: Arc<[TopicFilter]>,
}

impl Client {
    pub(crate) fn new(session: iot_session::Client) -> Self {
        Self {
            session,
            #[cfg(feature = "outbox")]
            damaged_outbox: None,
            #[cfg(feature = "outbox")]
            left_subscriptions: Arc::default(),
        }
    }

    #[cfg(feature = "outbox")]
    pub(crate) fn with_outbox(self, damaged: Option<std::path::PathBuf>, left: Vec<TopicFilter>) -> Self {
        Self { damaged_outbox: damaged.map(Arc::from), left_subscriptions: left.into(), ..self }
    }

    /// Where the file of the [outbox](crate::Builder::outbox) is now, if it was found damaged: it was set aside and a new one
    /// begun. What it holds is not sent. `None`: nothing was wrong with it.
    #[cfg(feature = "outbox")]
    #[cfg_attr(docsrs, doc(cfg(feature = "outbox")))]
    #[must_use]
    pub fn damaged_outbox(&self) -> Option<&Path> {
        self.damaged_outbox.as_deref()
    }

    /// What an earlier run of the program had subscribed in the session that is [kept](crate::OutboxFile::keep_session): while AWS
    /// IoT Core has that session it sends what these filters match, also what came while the program did not run. Subscribe those
    /// that are still wanted, before connecting or within seconds of it, and [`unsubscribe`](Self::unsubscribe) the others. Empty
    /// where no session is kept.
    #[cfg(feature = "outbox")]
    #[cfg_attr(docsrs, doc(cfg(feature = "outbox")))]
    #[must_use]
    pub fn left_subscriptions(&self) -> &[TopicFilter] {
        &self.left_subscriptions
    }

    /// Connects again after [`disconnect`](Self::disconnect), or ends the wait for the next attempt. When a connection
    /// is up, says so at once.
    ///
    /// # Errors
    /// The reason of the attempt.
    pub async fn connect(&self) -> Result<Connected, Error> {
        Ok(self.session.connect().await?)
    }

    /// As [`connect`](Self::connect), but returns at once; the attempts go on until one succeeds.
    ///
    /// # Errors
    /// The client is closed.
    pub async fn connect_lazily(&self) -> Result<(), Error> {
        Ok(self.session.connect_lazily().await?)
    }

    /// Ends the wait for the next attempt: for when the network is known to be back. Nothing happens while there is a
    /// connection, or none is wanted.
    ///
    /// # Errors
    /// The client is closed.
    pub async fn reconnect_now(&self) -> Result<(), Error> {
        Ok(self.session.reconnect_now().await?)
    }

    /// Waits until there is a connection, with every subscription in force.
    ///
    /// # Errors
    /// The client is closed.
    pub async fn online(&self) -> Result<Connected, Error> {
        Ok(self.session.online().await?)
    }

    /// Hands a message over and gives a future of its outcome. Waits for room while 100 QoS 1 messages are
    /// unacknowledged, or while AWS IoT Core's rate for a connection is used up. Without a connection it goes into the
    /// [offline queue](crate::Builder::offline_queue); its future stays valid from there to the acknowledgement.
    ///
    /// ```no_run
    /// # async fn example(client: aws_iot::Client) -> Result<(), aws_iot::Error> {
    /// use aws_iot::Message;
    ///
    /// let ack = client.publish(Message::new("sensor/1", "21.5")?).await?;
    /// ack.await?; // acknowledged by AWS IoT Core
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A limit is passed, or the client is closed.
    ///
    /// # Cancellation
    /// Dropped before it resolves, the message was not sent.
    pub async fn publish(&self, message: Message) -> Result<Ack, Error> {
        limits::check_message(&message)?;
        Ok(self.session.publish(message).await?)
    }

    /// As [`publish`](Self::publish), and waits until the message is in the [outbox](crate::Builder::outbox), where it
    /// survives the end of the process and a loss of power; it goes out from there, in a later run of the program if need be.
    /// Returns at its acknowledgement, if that comes first.
    ///
    /// # Errors
    /// There is no outbox; the message is none that it keeps until it is acknowledged, not being of QoS 1 perhaps; it
    /// could not be written, or there is no room: it is not sent then. A limit is passed, or the client is closed.
    ///
    /// # Cancellation
    /// Dropped while it waits for room, the message is not sent; afterwards it is written and sent all the same.
    #[cfg(feature = "outbox")]
    #[cfg_attr(docsrs, doc(cfg(feature = "outbox")))]
    pub async fn publish_durably(&self, message: Message) -> Result<Ack, Error> {
        limits::check_message(&message)?;
        Ok(self.session.publish_durably(message).await?)
    }

    /// As [`publish`](Self::publish), without waiting for room.
    ///
    /// # Errors
    /// A limit is passed; there is no room, or the client is closed: these give the message back.
    pub fn try_publish(&self, message: Message) -> Result<Ack, TryPublishError> {
        limits::check_message(&message)?;
        Ok(self.session.try_publish(message)?)
    }

    /// Subscribes and returns at SUBACK with the stream of messages. Dropping it unsubscribes. It is kept over
    /// reconnects, whatever becomes of the session; made without a connection, it waits for one.
    ///
    /// # Errors
    /// The filter is not valid or passes a limit, AWS IoT Core refused it (the policy does not allow `iot:Subscribe`), no
    /// answer came within the operation timeout.
    ///
    /// # Cancellation
    /// Leaves no subscription.
    pub async fn subscribe<F>(&self, filter: F, qos: QoS) -> Result<Messages, Error>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
    {
        self.subscribe_with(filter, SubscribeOptions::new(qos)).await
    }

    /// As [`subscribe`](Self::subscribe), with all that can be said: MQTT 5's options, and acknowledging each message
    /// oneself.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub async fn subscribe_with<F>(&self, filter: F, options: SubscribeOptions) -> Result<Messages, Error>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
    {
        let filter = checked(filter, options.quality())?;
        Ok(self.session.subscribe_with::<TopicFilter>(filter, options).await?)
    }

    /// Subscribes and calls `handler` with each message, one after another, on a task of its own: a slow or panicking
    /// handler harms nobody else. The handler may use the client.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub async fn on<F, H, Fut>(&self, filter: F, qos: QoS, handler: H) -> Result<Subscription, Error>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
        H: FnMut(Message) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.on_with(filter, SubscribeOptions::new(qos), handler).await
    }

    /// As [`on`](Self::on), with all that can be said. With manual acknowledgement a message is acknowledged once the handler has
    /// returned; if it panics, the message stays unacknowledged (see [`Acknowledge`](crate::Acknowledge)).
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub async fn on_with<F, H, Fut>(
        &self,
        filter: F,
        options: SubscribeOptions,
        handler: H,
    ) -> Result<Subscription, Error>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
        H: FnMut(Message) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let filter = checked(filter, options.quality())?;
        Ok(self.session.on_with::<TopicFilter, _, _>(filter, options, handler).await?)
    }

    /// Unsubscribes a filter and ends every stream and handler of it. Returns at UNSUBACK.
    ///
    /// # Errors
    /// The filter is not valid, no answer came within the operation timeout.
    pub async fn unsubscribe<F>(&self, filter: F) -> Result<ReasonCode, Error>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
    {
        Ok(self.session.unsubscribe(filter).await?)
    }

    /// Where the connection stands, to look at and to wait for changes.
    #[must_use]
    pub fn status(&self) -> tokio::sync::watch::Receiver<Status> {
        self.session.status()
    }

    /// What happens, from now on: online, offline with the reason and the time of the next attempt, subscriptions made anew or given
    /// up, messages dropped, the progress of a drain. As a stream; [`on_notice`](Self::on_notice) is for callbacks.
    #[must_use]
    pub fn notices(&self) -> Notices {
        self.session.notices()
    }

    /// Calls `handler` with each notice from now on, one after another, on a task of its own, as long as what is returned
    /// is there. A panic in it is counted ([`Stats::handler_panics`]), and the next notice follows.
    ///
    /// ```no_run
    /// # fn example(client: aws_iot::Client) -> Result<(), aws_iot::Error> {
    /// use aws_iot::Notice;
    ///
    /// let _watching = client.on_notice(async |notice| match notice {
    ///     Notice::Online(_) => println!("online"),
    ///     Notice::Offline { error, retry_in: Some(wait) } => println!("offline: {error}; again in {wait:?}"),
    ///     Notice::Offline { error, retry_in: None } => println!("offline: {error}"),
    ///     Notice::Dropped { why } => println!("a message was dropped: {why}"),
    ///     _ => {}
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// There is no tokio runtime here.
    pub fn on_notice<H, Fut>(&self, handler: H) -> Result<NoticeHandler, Error>
    where
        H: FnMut(Notice) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Ok(self.session.on_notice(handler)?)
    }

    /// Counters since the client was made, and what waits at present.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.session.stats()
    }

    /// Leaves in order: AWS IoT Core publishes no will. Await the acknowledgements that matter first.
    ///
    /// # Errors
    /// The client is closed.
    pub async fn disconnect(&self) -> Result<(), Error> {
        Ok(self.session.disconnect().await?)
    }

    /// Shuts down in order: sends what was handed over, waits for the acknowledgements, leaves, and says what did not make
    /// it within this time. Closed for good, unlike [`disconnect`](Self::disconnect).
    ///
    /// # Errors
    /// The client is closed already.
    ///
    /// # Cancellation
    /// The close goes on.
    pub async fn close(&self, within: Duration) -> Result<Leftover, Error> {
        Ok(self.session.close(within).await?)
    }

    /// A shadow of a thing, over this connection: any number may be in use beside plain messages. Nothing is subscribed until
    /// it is used.
    ///
    /// ```no_run
    /// # async fn example(client: aws_iot::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use aws_iot::shadow::{Shadow, ShadowId, Update};
    ///
    /// let lamp = client.shadow(ShadowId::classic("lamp")?);
    /// lamp.update(Update::new().reported(serde_json::json!({ "on": true }))).await?;
    /// let shadow: Shadow = lamp.get().await?;
    /// println!("version {}: {:?}", shadow.version, shadow.state.reported);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "shadow")]
    #[cfg_attr(docsrs, doc(cfg(feature = "shadow")))]
    #[must_use]
    pub fn shadow(&self, id: iot_shadow::ShadowId) -> iot_shadow::ShadowClient {
        iot_shadow::ShadowClient::new(&self.session, id)
    }

    /// A shadow with [`Options`](iot_shadow::Options) of its own.
    #[cfg(feature = "shadow")]
    #[cfg_attr(docsrs, doc(cfg(feature = "shadow")))]
    #[must_use]
    pub fn shadow_with(
        &self,
        id: iot_shadow::ShadowId,
        options: iot_shadow::Options,
    ) -> iot_shadow::ShadowClient {
        iot_shadow::ShadowClient::with(&self.session, id, options)
    }

    /// The plain session below, without AWS's limits.
    #[must_use]
    pub fn session(&self) -> &iot_session::Client {
        &self.session
    }
}

pub(crate) fn checked<F>(filter: F, qos: QoS) -> Result<TopicFilter, Error>
where
    F: TryInto<TopicFilter>,
    OpError: From<F::Error>,
{
    let filter = filter.try_into().map_err(OpError::from)?;
    limits::check_filter(&filter)?;
    limits::check_qos(qos)?;
    Ok(filter)
}
