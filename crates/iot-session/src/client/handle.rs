//! What applications hold.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mqtt_codec::{QoS, ReasonCode, TopicFilter, packet::SubscriptionOptions};
use tokio::sync::{mpsc, oneshot, watch};

use super::Config;
use super::stats::{SharedCounters, Stats, Status};
use super::subscription::{Messages, Subscription};
use crate::error::OpError;
use crate::message::Message;
use crate::stage::Connected;

/// A handle to a session. Clones share it; dropping the last one disconnects in order.
///
/// Every future of it can be dropped at any time. A `publish` dropped before it resolves was never sent; a
/// `subscribe` dropped early leaves no subscription.
#[derive(Debug, Clone)]
pub struct Client {
    publishes: mpsc::Sender<Publish>,
    requests: mpsc::Sender<Request>,
    control: mpsc::Sender<Control>,
    status: watch::Receiver<Status>,
    counters: SharedCounters,
}

/// A message on its way to the session, which takes it while its window has room.
#[derive(Debug)]
pub(super) struct Publish(pub(super) Message, pub(super) oneshot::Sender<Result<Delivery, OpError>>);

/// What needs no room in the window, and so does not wait behind publishes.
#[derive(Debug)]
pub(super) enum Request {
    Subscribe(TopicFilter, SubscriptionOptions, oneshot::Sender<Result<Messages, OpError>>),
    Unsubscribe(TopicFilter, oneshot::Sender<Result<ReasonCode, OpError>>),
}

/// What goes past both.
#[derive(Debug)]
pub(super) enum Control {
    Connect(oneshot::Sender<Result<Connected, OpError>>),
    Disconnect(oneshot::Sender<()>),
}

/// The driver's ends of the handle's channels.
#[derive(Debug)]
pub(super) struct Channels {
    pub(super) publishes: mpsc::Receiver<Publish>,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) control: mpsc::Receiver<Control>,
    pub(super) status: watch::Sender<Status>,
    pub(super) counters: SharedCounters,
}

/// How a message went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// QoS 0: handed to the link. Whether it arrives, nobody knows.
    Sent,
    /// QoS 1: acknowledged by the server with this code.
    Acked(ReasonCode),
}

/// The client is closed: its driver has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosedError;

impl fmt::Display for ClosedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client is closed")
    }
}

impl std::error::Error for ClosedError {}

/// Why [`Client::try_publish`] gives the message back.
#[derive(Debug, Clone)]
pub enum TryPublishError {
    /// There is no room now.
    Full(Message),
    /// The client is closed.
    Closed(Message),
}

impl fmt::Display for TryPublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "no room for another message now",
            Self::Closed(_) => "the client is closed",
        })
    }
}

impl std::error::Error for TryPublishError {}

/// The outcome of a publish, still to come. It need not be awaited: the message goes out all the same.
#[derive(Debug)]
#[must_use = "await it to learn whether the message arrived, or drop it knowingly"]
pub struct Ack(oneshot::Receiver<Result<Delivery, OpError>>);

impl Future for Ack {
    type Output = Result<Delivery, OpError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|result| result.unwrap_or(Err(OpError::Closed)))
    }
}

impl Client {
    pub(super) fn new(config: &Config) -> (Self, Channels) {
        let (publishes, publishes_end) = mpsc::channel(config.commands.max(1));
        let (requests, requests_end) = mpsc::channel(config.commands.max(1));
        let (control, control_end) = mpsc::channel(8);
        let (status_end, status) = watch::channel(Status::Idle);
        let counters = SharedCounters::default();
        let channels = Channels {
            publishes: publishes_end,
            requests: requests_end,
            control: control_end,
            status: status_end,
            counters: Arc::clone(&counters),
        };
        (Self { publishes, requests, control, status, counters }, channels)
    }

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

    /// Hands a message over and gives a future of its outcome. Waits for room while the in-flight window is full, at any
    /// QoS, so that messages keep their order.
    ///
    /// While there is no connection the outcome is [`OpError::Offline`].
    ///
    /// # Errors
    /// The client is closed.
    ///
    /// # Cancellation
    /// Dropped before it resolves, the message was not sent.
    pub async fn publish(&self, message: Message) -> Result<Ack, ClosedError> {
        let permit = self.publishes.reserve().await.map_err(|_| ClosedError)?;
        let (reply, outcome) = oneshot::channel();
        permit.send(Publish(message, reply));
        Ok(Ack(outcome))
    }

    /// Like [`publish`](Self::publish), without waiting.
    ///
    /// # Errors
    /// Gives the message back when there is no room, or when the client is closed.
    pub fn try_publish(&self, message: Message) -> Result<Ack, TryPublishError> {
        match self.publishes.try_reserve() {
            Ok(permit) => {
                let (reply, outcome) = oneshot::channel();
                permit.send(Publish(message, reply));
                Ok(Ack(outcome))
            }
            Err(mpsc::error::TrySendError::Full(())) => Err(TryPublishError::Full(message)),
            Err(mpsc::error::TrySendError::Closed(())) => Err(TryPublishError::Closed(message)),
        }
    }

    /// Subscribes and returns at SUBACK with the stream of messages. `filter` is a [`TopicFilter`] or a string.
    ///
    /// # Errors
    /// The filter is not valid, the server refused it, there is no connection, no answer came in time.
    ///
    /// # Cancellation
    /// Leaves no subscription.
    pub async fn subscribe<F>(&self, filter: F, qos: QoS) -> Result<Messages, OpError>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
    {
        let filter = filter.try_into()?;
        let (reply, outcome) = oneshot::channel();
        let request = Request::Subscribe(filter, SubscriptionOptions::at(qos), reply);
        self.requests.send(request).await.map_err(|_| OpError::Closed)?;
        outcome.await.unwrap_or(Err(OpError::Closed))
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
        let no_runtime =
            OpError::Unsupported("a handler needs a tokio runtime to run on: there is none here");
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| no_runtime)?;
        let messages = self.subscribe(filter, qos).await?;
        Ok(messages.handle(&runtime, Arc::clone(&self.counters), handler))
    }

    /// Unsubscribes a filter and ends every stream and handler of it. Returns at UNSUBACK.
    ///
    /// # Errors
    /// The filter is not valid, there is no connection, no answer came in time.
    pub async fn unsubscribe<F>(&self, filter: F) -> Result<ReasonCode, OpError>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
    {
        let filter = filter.try_into()?;
        let (reply, outcome) = oneshot::channel();
        self.requests.send(Request::Unsubscribe(filter, reply)).await.map_err(|_| OpError::Closed)?;
        outcome.await.unwrap_or(Err(OpError::Closed))
    }

    /// Where the connection stands, to look at and to wait for changes from now on.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        let mut status = self.status.clone();
        status.mark_unchanged();
        status
    }

    /// Counters since the client was made.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.snapshot()
    }

    /// Sends what was handed over before as far as the window allows, then DISCONNECT, so that the server publishes
    /// no will, and closes. Outcomes of QoS 1 messages that were not acknowledged by then are
    /// [`OpError::Interrupted`]: await the acknowledgements that matter first. The client can
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
}
