//! What applications hold.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mqtt_codec::{QoS, ReasonCode, TopicFilter};
use tokio::sync::{mpsc, oneshot, watch};

use super::Config;
use super::channels::{Channels, Control, Publish, Request};
use super::clock;
use super::inbox::{Inbox, Signal};
use super::notices::{NoticeHandler, Notices};
use super::outcomes::{Ack, ClosedError, Leftover, TryPublishError};
use super::stats::{Shared, Stats, Status};
use super::subscription::{Granted, Guard, Messages, Reader, SubscribeOptions, Subscription, contained};
use crate::error::OpError;
use crate::message::Message;
use crate::stage::{Connected, Notice};

/// A handle to a session. Clones share it; dropping the last one disconnects in order.
///
/// Every future of it can be dropped at any time. A `publish` dropped before it resolves was never sent; a
/// `subscribe` dropped early leaves no subscription.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) publishes: mpsc::Sender<Publish>,
    /// Those that go ahead of them.
    urgent: mpsc::Sender<Box<Publish>>,
    requests: mpsc::Sender<Box<Request>>,
    control: mpsc::Sender<Control>,
    signals: mpsc::UnboundedSender<Signal>,
    status: watch::Receiver<Status>,
    shared: Arc<Shared>,
    /// Of [`Config`].
    inbox: usize,
    unaccepted: usize,
}

impl Client {
    /// With the driver's ends, and the sender of signals for its router.
    pub(super) fn new(config: &Config) -> (Self, Channels, mpsc::UnboundedSender<Signal>) {
        let (publishes, publishes_end) = mpsc::channel(config.commands.max(1));
        let (urgent, urgent_end) = mpsc::channel(config.commands.max(1));
        let (requests, requests_end) = mpsc::channel(config.commands.max(1));
        let (control, control_end) = mpsc::channel(8);
        let (signals, signals_end) = mpsc::unbounded_channel();
        let (status_end, status) = watch::channel(Status::Idle);
        let shared = Arc::new(Shared::default());
        let channels = Channels {
            publishes: publishes_end,
            urgent: urgent_end,
            requests: requests_end,
            control: control_end,
            signals: signals_end,
            status: status_end,
            shared: Arc::clone(&shared),
        };
        let (inbox, unaccepted) = (config.inbox, config.unaccepted);
        let client = Self {
            publishes,
            urgent,
            requests,
            control,
            signals: signals.clone(),
            status,
            shared,
            inbox,
            unaccepted,
        };
        (client, channels, signals)
    }

    // --- the connection ---

    /// Connects and returns at CONNACK. From then on the session is kept connected until
    /// [`disconnect`](Self::disconnect). When a connection is up already, says so at once.
    ///
    /// # Errors
    /// [`OpError::Connect`] with the reason of the first attempt; [`OpError::Closed`].
    ///
    /// # Cancellation
    /// The attempt goes on; its outcome shows in [`status`](Self::status).
    pub async fn connect(&self) -> Result<Connected, OpError> {
        let (reply, outcome) = oneshot::channel();
        self.control.send(Control::Connect(reply)).await.map_err(|_| OpError::Closed)?;
        outcome.await.unwrap_or(Err(OpError::Closed))
    }

    /// Begins to connect and returns at once: for devices that boot without a network. The first attempt is repeated
    /// like all others, also after an error that repeating alone does not heal: the device's certificate may be
    /// registered later. How it goes, and whether repeating can help, shows in [`status`](Self::status);
    /// [`online`](Self::online) waits for it.
    ///
    /// ```
    /// # use iot_session::{Client, Message, OpError};
    /// async fn boot(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
    ///     client.connect_lazily().await?;
    ///     // Waits for the connection in the offline queue, if the stack has one.
    ///     client.publish(Message::new("sensor/1/booted", "")?).await?.await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// The client is closed.
    ///
    /// # Cancellation
    /// The attempts may go on.
    pub async fn connect_lazily(&self) -> Result<(), ClosedError> {
        let (taken, outcome) = oneshot::channel();
        self.control.send(Control::ConnectLazily(taken)).await.map_err(|_| ClosedError)?;
        outcome.await.map_err(|_| ClosedError)
    }

    /// Ends the wait before the next attempt to connect: for when the network is known to be back. It is not sooner than
    /// the base delay after the attempt before. Does nothing while connected, connecting or idle.
    ///
    /// # Errors
    /// The client is closed.
    pub async fn reconnect_now(&self) -> Result<(), ClosedError> {
        self.control.send(Control::ReconnectNow).await.map_err(|_| ClosedError)
    }

    /// Waits until the session is up. Says so at once when it is. Never returns while nobody connects.
    ///
    /// # Errors
    /// The client is closed.
    pub async fn online(&self) -> Result<Connected, ClosedError> {
        let mut status = self.status.clone();
        let status = status.wait_for(Status::is_connected).await.map_err(|_| ClosedError)?;
        match &*status {
            Status::Connected(connected) => Ok(connected.clone()),
            _ => Err(ClosedError),
        }
    }

    /// Sends what was handed over before as far as the window allows, then DISCONNECT, so that the server publishes
    /// no will, and closes. Outcomes of QoS 1 messages that were not acknowledged by then are
    /// [`OpError::Interrupted`]: await the acknowledgements that matter first, or [`close`](Self::close). The client can
    /// [`connect`](Self::connect) again.
    ///
    /// # Errors
    /// The client is closed.
    ///
    /// # Cancellation
    /// The disconnect goes on.
    pub async fn disconnect(&self) -> Result<(), ClosedError> {
        let (reply, outcome) = oneshot::channel();
        self.control.send(Control::Disconnect(reply)).await.map_err(|_| ClosedError)?;
        outcome.await.map_err(|_| ClosedError)
    }

    /// Shuts down in order: takes nothing new, sends what was handed over, waits for the acknowledgements, disconnects
    /// and ends the driver. Says what did not make it `within` this time. It does not wait for a connection that nobody
    /// is going to make. What is left ends with [`OpError::Closed`], or with [`OpError::Interrupted`] if it was sent.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use iot_session::{Client, ClosedError};
    /// async fn shut_down(client: &Client) -> Result<(), ClosedError> {
    ///     let leftover = client.close(Duration::from_secs(5)).await?;
    ///     if !leftover.is_empty() {
    ///         eprintln!("{} not sent, {} not acknowledged", leftover.queued, leftover.unacknowledged);
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// The client is closed already.
    ///
    /// # Cancellation
    /// The close goes on.
    pub async fn close(&self, within: Duration) -> Result<Leftover, ClosedError> {
        let deadline = clock::after(clock::instant(), within);
        let (reply, outcome) = oneshot::channel();
        self.control.send(Control::Close(deadline, reply)).await.map_err(|_| ClosedError)?;
        outcome.await.map_err(|_| ClosedError)
    }

    // --- messages out ---

    /// Hands a message over and gives a future of its outcome. Waits for room while the in-flight window is full, at any
    /// QoS, so that messages keep their order.
    ///
    /// While there is no connection, and no layer that keeps messages for later, the outcome is [`OpError::Offline`].
    ///
    /// # Errors
    /// The client is closed.
    ///
    /// # Cancellation
    /// Dropped before it resolves, the message was not sent.
    pub async fn publish(&self, message: Message) -> Result<Ack, ClosedError> {
        let (publish, outcome) = Publish::new(message);
        self.publishes.send(publish).await.map_err(|_| ClosedError)?;
        Ok(Ack(outcome))
    }

    /// Like [`publish`](Self::publish), ahead of all messages that wait for room by other calls: for requests whose answer
    /// somebody waits for. What the session has taken already, it does not overtake.
    ///
    /// # Errors
    /// The client is closed.
    ///
    /// # Cancellation
    /// Dropped before it resolves, the message was not sent.
    pub async fn publish_first(&self, message: Message) -> Result<Ack, ClosedError> {
        let (publish, outcome) = Publish::new(message);
        self.urgent.send(Box::new(publish)).await.map_err(|_| ClosedError)?;
        Ok(Ack(outcome))
    }

    /// Like [`publish`](Self::publish), and waits until the message is on disk, where it survives the end of the process
    /// and a loss of power; or until it is acknowledged, if that comes first. It goes out by itself from there, in a later
    /// run of the program if need be. Needs a stack with an [`Outbox`](crate::layers::Outbox) and a driver with a
    /// [disk](super::Driver::with_disk).
    ///
    /// ```
    /// # use iot_session::{Client, Message};
    /// async fn measured(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
    ///     let ack = client.publish_durably(Message::new("sensor/1", "21.5")?).await?;
    ///     // From here on a power cut does not lose it. Whether it has arrived:
    ///     ack.await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`OpError::Unsupported`]: there is no store, or the message is none that stays there: not of QoS 1, not to be
    /// [queued](Message::queue) or [sent again](Message::resend). [`OpError::Store`]: it could not be written.
    /// [`OpError::Dropped`]: there is no room. In each case it is not sent. [`OpError::Closed`]: the client is closed; it
    /// may have been written.
    ///
    /// # Cancellation
    /// Dropped while it waits for room, the message is not sent; afterwards it is written and sent all the same.
    pub async fn publish_durably(&self, message: Message) -> Result<Ack, OpError> {
        if !self.shared.has_disk.load(Ordering::Relaxed) {
            return Err(OpError::Unsupported("this client keeps no messages on disk"));
        }
        if !message.is_durable() {
            return Err(OpError::Unsupported(
                "only a QoS 1 message that may be queued and sent again is kept on disk until it is acknowledged",
            ));
        }
        let (mut publish, outcome) = Publish::new(message);
        let (stored, is_stored) = oneshot::channel();
        publish.stored = Some(stored);
        self.publishes.send(publish).await.map_err(|_| OpError::Closed)?;
        is_stored.await.unwrap_or(Err(OpError::Closed))?;
        Ok(Ack(outcome))
    }

    /// Like [`publish`](Self::publish), without waiting.
    ///
    /// # Errors
    /// Gives the message back when there is no room, or when the client is closed.
    pub fn try_publish(&self, message: Message) -> Result<Ack, TryPublishError> {
        match self.publishes.try_reserve() {
            Ok(permit) => {
                let (publish, outcome) = Publish::new(message);
                permit.send(publish);
                Ok(Ack(outcome))
            }
            Err(mpsc::error::TrySendError::Full(())) => Err(TryPublishError::Full(message)),
            Err(mpsc::error::TrySendError::Closed(())) => Err(TryPublishError::Closed(message)),
        }
    }

    // --- messages in ---

    /// Subscribes and returns at SUBACK with the stream of messages. `filter` is a [`TopicFilter`] or a string.
    ///
    /// With the layer that keeps subscriptions it waits for a connection; it may be called before
    /// [`connect`](Self::connect), on a task of its own.
    ///
    /// # Errors
    /// The filter is not valid, the server refused it, no answer came in time; there is no connection and nothing keeps
    /// the subscription for later.
    ///
    /// # Cancellation
    /// Leaves no subscription.
    pub async fn subscribe<F>(&self, filter: F, qos: QoS) -> Result<Messages, OpError>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
    {
        self.subscribe_with(filter, SubscribeOptions::new(qos)).await
    }

    /// Like [`subscribe`](Self::subscribe), with all that can be said. Options of two subscriptions of one filter are
    /// those of the later one, at the higher QoS of the two.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe); options that MQTT 3.1.1 does not have fail there.
    ///
    /// # Cancellation
    /// Leaves no subscription.
    pub async fn subscribe_with<F>(&self, filter: F, options: SubscribeOptions) -> Result<Messages, OpError>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
    {
        self.subscribe_filters(vec![filter.try_into()?], options).await
    }

    /// Subscribes several filters by one SUBSCRIBE, if the server takes as many in one, and returns with the stream of all
    /// their messages, in the order in which they come. A message that more than one of them matches comes once for each.
    ///
    /// ```
    /// use iot_session::{Client, OpError, QoS, SubscribeOptions};
    ///
    /// async fn answers(client: &Client) -> Result<(), OpError> {
    ///     let options = SubscribeOptions::new(QoS::AtLeastOnce);
    ///     let mut answers = client.subscribe_all(["job/accepted", "job/rejected"], options).await?;
    ///     while let Some(answer) = answers.next().await {
    ///         println!("{}", answer.topic());
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe), if it fails for one of them; then none is left. [`OpError::Unsupported`]:
    /// there is no filter.
    ///
    /// # Cancellation
    /// Leaves no subscription.
    pub async fn subscribe_all<F>(
        &self,
        filters: impl IntoIterator<Item = F>,
        options: SubscribeOptions,
    ) -> Result<Messages, OpError>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
    {
        let filters = filters.into_iter().map(F::try_into).collect::<Result<_, _>>()?;
        self.subscribe_filters(filters, options).await
    }

    async fn subscribe_filters(
        &self,
        filters: Vec<TopicFilter>,
        options: SubscribeOptions,
    ) -> Result<Messages, OpError> {
        let permit = self.requests.reserve().await.map_err(|_| OpError::Closed)?;
        let first = self.shared.tickets.fetch_add(filters.len() as u64, Ordering::Relaxed);
        // Dropped after the reply's receiver: a request that is not begun yet is known to be given up then.
        let guards =
            (first..).zip(&filters).map(|(ticket, _)| Guard { ticket, signals: self.signals.clone() });
        let guards = guards.collect();
        let reader = Reader(Arc::new(Inbox::new(self.inbox, self.unaccepted, options.manual)));
        let (reply, outcome) = oneshot::channel();
        permit.send(Box::new(Request::Subscribe {
            filters: (first..).zip(filters.iter().cloned()).collect(),
            options: options.wire,
            inbox: Arc::clone(&reader.0),
            reply,
        }));
        let codes = outcome.await.unwrap_or(Err(OpError::Closed))?;
        let mut granted = filters.into_iter().zip(codes);
        let first = granted.next().ok_or(OpError::Unsupported("a SUBSCRIBE without a filter"))?;
        Ok(Messages::new(Granted { first, others: granted.collect() }, reader, guards))
    }

    /// Subscribes and calls `handler` with each message, one after another, on a task of its own: a slow or
    /// panicking handler harms nobody else. The handler may use the client.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe), and [`OpError::Unsupported`] outside of a tokio runtime.
    pub async fn on<F, H, Fut>(&self, filter: F, qos: QoS, handler: H) -> Result<Subscription, OpError>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
        H: FnMut(Message) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.on_with(filter, SubscribeOptions::new(qos), handler).await
    }

    /// Like [`on`](Self::on), with all that can be said. With manual acknowledgement a message is acknowledged once the
    /// handler has returned; if it panics, the message stays unacknowledged
    /// (see [`Acknowledge`](super::Acknowledge) for what that means).
    ///
    /// # Errors
    /// As [`on`](Self::on).
    pub async fn on_with<F, H, Fut>(
        &self,
        filter: F,
        options: SubscribeOptions,
        handler: H,
    ) -> Result<Subscription, OpError>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
        H: FnMut(Message) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let runtime = runtime()?;
        let messages = self.subscribe_with(filter, options).await?;
        Ok(messages.handle(&runtime, Arc::clone(&self.shared), handler))
    }

    /// Unsubscribes a filter and ends every stream and handler of it. Returns at UNSUBACK.
    ///
    /// # Errors
    /// The filter is not valid, no answer came in time; there is no connection and nothing keeps subscriptions.
    ///
    /// # Cancellation
    /// The unsubscribe goes on.
    pub async fn unsubscribe<F>(&self, filter: F) -> Result<ReasonCode, OpError>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
    {
        let filter = filter.try_into()?;
        let (reply, outcome) = oneshot::channel();
        self.requests
            .send(Box::new(Request::Unsubscribe(filter, reply)))
            .await
            .map_err(|_| OpError::Closed)?;
        outcome.await.unwrap_or(Err(OpError::Closed))
    }

    // --- to look at ---

    /// Where the connection stands, to look at and to wait for changes from now on.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        let mut status = self.status.clone();
        status.mark_unchanged();
        status
    }

    /// What happens from now on besides the operations.
    #[must_use]
    pub fn notices(&self) -> Notices {
        self.shared.board.read()
    }

    /// Calls `handler` with each notice from now on, one after another, on a task of its own, as long as what is returned
    /// is there. A panic in it is counted ([`Stats::handler_panics`]), and the next notice follows.
    ///
    /// ```
    /// use iot_session::{Client, OpError, stage::Notice};
    ///
    /// fn watch(client: &Client) -> Result<iot_session::NoticeHandler, OpError> {
    ///     client.on_notice(async |notice| match notice {
    ///         Notice::Online(_) => println!("online"),
    ///         Notice::Offline { error, .. } => println!("offline: {error}"),
    ///         _ => {}
    ///     })
    /// }
    /// ```
    ///
    /// # Errors
    /// [`OpError::Unsupported`] outside of a tokio runtime.
    pub fn on_notice<H, Fut>(&self, mut handler: H) -> Result<NoticeHandler, OpError>
    where
        H: FnMut(Notice) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let mut notices = self.notices();
        let shared = Arc::clone(&self.shared);
        let task = runtime()?.spawn(async move {
            while let Some(notice) = notices.next().await {
                if contained(&mut handler, notice).await.is_err() {
                    shared.counters.handler_panics.add(1);
                }
            }
        });
        Ok(NoticeHandler(task.abort_handle()))
    }

    /// Counters since the client was made, and what is under way at present.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.counters.snapshot()
    }
}

fn runtime() -> Result<tokio::runtime::Handle, OpError> {
    let none = OpError::Unsupported("a handler needs a tokio runtime to run on: there is none here");
    tokio::runtime::Handle::try_current().map_err(|_| none)
}
