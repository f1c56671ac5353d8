//! The two forms of a subscription: a stream and a handler.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use mqtt_codec::packet::{RetainHandling, SubscriptionOptions};
use mqtt_codec::{QoS, ReasonCode, TopicFilter};
use tokio::sync::mpsc;

use super::inbox::{Inbox, Signal, Unaccepted};
use super::stats::Shared;
use crate::message::Message;
use crate::stage::{Notice, Quarantine};

/// How messages are wanted.
///
/// ```
/// use iot_session::{QoS, RetainHandling, SubscribeOptions};
///
/// let options = SubscribeOptions::new(QoS::AtLeastOnce).retain_handling(RetainHandling::DoNotSend).manual_ack();
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubscribeOptions {
    pub(super) wire: SubscriptionOptions,
    pub(super) manual: bool,
}

impl SubscribeOptions {
    /// The highest QoS at which messages are delivered, everything else as in MQTT 3.1.1.
    #[must_use]
    pub const fn new(qos: QoS) -> Self {
        Self { wire: SubscriptionOptions::at(qos), manual: false }
    }

    /// The highest QoS at which messages are delivered.
    #[must_use]
    pub const fn quality(&self) -> QoS {
        self.wire.qos
    }

    /// MQTT 5: not what this client publishes itself.
    #[must_use]
    pub const fn no_local(mut self) -> Self {
        self.wire.no_local = true;
        self
    }

    /// MQTT 5: the RETAIN flag comes as it was published.
    #[must_use]
    pub const fn retain_as_published(mut self) -> Self {
        self.wire.retain_as_published = true;
        self
    }

    /// MQTT 5: when retained messages are sent. Default: at each SUBSCRIBE.
    #[must_use]
    pub const fn retain_handling(mut self, handling: RetainHandling) -> Self {
        self.wire.retain_handling = handling;
        self
    }

    /// Received messages of QoS 1 and 2 are acknowledged when the application says so, not when they are put into the
    /// subscriber's queue. See [`Acknowledge`].
    #[must_use]
    pub const fn manual_ack(mut self) -> Self {
        self.manual = true;
        self
    }
}

impl From<QoS> for SubscribeOptions {
    fn from(qos: QoS) -> Self {
        Self::new(qos)
    }
}

/// Why a subscription brings no more messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// Its filter was unsubscribed.
    Unsubscribed,
    /// The server does not let it live; it is not asked for again.
    Quarantined(Quarantine),
    /// The client is closed.
    Closed,
}

/// Keeps a route alive; dropping it unsubscribes when nobody else holds the filter.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) ticket: u64,
    pub(super) signals: mpsc::UnboundedSender<Signal>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Without a driver there is nothing left to unsubscribe from.
        let _ = self.signals.send(Signal::Released(self.ticket));
    }
}

/// The reading end of an inbox; see [`Inbox::abandon`] for what becomes of the rest when it is dropped.
pub(super) struct Reader(pub(super) Arc<Inbox>);

impl Reader {
    async fn next(&self) -> Option<(Message, Acknowledge)> {
        let (message, unaccepted) = poll_fn(|context| self.0.poll_next(context)).await?;
        Some((message, Acknowledge(unaccepted)))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// The acknowledgement of one message that was taken by
/// [`Messages::next_with_ack`] from a subscription [with manual acknowledgement](SubscribeOptions::manual_ack).
///
/// The server gets PUBACK, or PUBREC at QoS 2, once every subscriber of the message has taken or acknowledged it. Dropped
/// without [`ack`](Self::ack), the message stays unacknowledged until the connection ends, and comes again with the next
/// connection of the session, as a [duplicate](Message::is_duplicate). Until then the acknowledgements of all later messages wait behind it, since MQTT wants
/// them in order, and once the server's window is full (100 messages on AWS IoT Core, or the Receive Maximum) it sends
/// nothing more: a message that nobody will ever manage to process is best acknowledged, too.
///
/// An acknowledgement that comes after the connection has ended does nothing at QoS 1: the server sends the message again
/// if its session lives on. At QoS 2 it counts as long as the session lives, and the message does not come again meanwhile.
#[must_use = "dropped without `ack`, the message stays unacknowledged"]
pub struct Acknowledge(Option<Arc<Unaccepted>>);

impl Acknowledge {
    /// The message is processed: the server need not send it again.
    pub fn ack(mut self) {
        self.0 = None;
    }

    /// Whether there is anything to acknowledge: not at QoS 0, and not without manual acknowledgement.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Acknowledge {
    fn drop(&mut self) {
        if let Some(unaccepted) = &self.0 {
            unaccepted.withhold();
        }
    }
}

impl fmt::Debug for Acknowledge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acknowledge").field("is_needed", &self.is_needed()).finish()
    }
}

/// The messages of a subscription: a [`Stream`], and [`next`](Self::next) without one.
///
/// Dropping it unsubscribes when nobody else holds the filter, also in a session that outlives the connection. It ends
/// when the client is closed, the filter was unsubscribed or the server does not allow it any more: see
/// [`ended`](Self::ended). What keeps it in force when the server has lost the session is a layer's business; with
/// none, subscribe again when [`Connected::session_present`](crate::stage::Connected::session_present) is false.
pub struct Messages {
    filters: Granted,
    /// Before the guards: a message that comes between the two is nobody's.
    reader: Reader,
    guards: Vec<Guard>,
}

/// What was subscribed, and the server's answers.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) first: (TopicFilter, ReasonCode),
    pub(super) others: Vec<(TopicFilter, ReasonCode)>,
}

impl Messages {
    pub(super) fn new(filters: Granted, reader: Reader, guards: Vec<Guard>) -> Self {
        Self { filters, reader, guards }
    }

    /// What was subscribed, the first filter of [several](super::Client::subscribe_all).
    #[must_use]
    pub fn filter(&self) -> &TopicFilter {
        &self.filters.first.0
    }

    /// The server's answer for it: the granted QoS, which may be lower than what was asked for.
    #[must_use]
    pub fn granted(&self) -> ReasonCode {
        self.filters.first.1
    }

    /// All filters with the server's answers, in the order in which they were asked for.
    pub fn filters(&self) -> impl Iterator<Item = (&TopicFilter, ReasonCode)> {
        let Granted { first, others } = &self.filters;
        std::iter::once(first).chain(others).map(|(filter, reason)| (filter, *reason))
    }

    /// From now on messages are taken, acknowledged and thrown away, those that wait to be read as well, until
    /// [`unmute`](Self::unmute): for a subscription that is kept in force while nobody reads. Without it the messages of
    /// QoS 1 and 2 that nobody reads would hold back the others.
    pub fn mute(&self) {
        self.reader.0.mute(true);
    }

    /// Messages that come from now on are there to be read again.
    pub fn unmute(&self) {
        self.reader.0.mute(false);
    }

    /// From now on the oldest message goes when there is no room for one more, instead of the newest, and none waits
    /// unacknowledged: for messages each of which makes those before it obsolete. However slowly it is read, such a subscription
    /// holds up nothing else. Has no effect with manual acknowledgement.
    pub fn keep_newest(&self) {
        if !self.reader.0.is_manual() {
            self.reader.0.keep_newest();
        }
    }

    /// How many messages have gone that way.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.reader.0.skipped()
    }

    /// The next message, which is acknowledged by being taken; `None` at the end. Cancelling loses nothing.
    pub async fn next(&mut self) -> Option<Message> {
        poll_fn(|context| self.reader.0.poll_next(context)).await.map(|(message, _)| message)
    }

    /// The next message with its acknowledgement. Cancelling loses nothing.
    ///
    /// ```
    /// # async fn store(_: &iot_session::Message) -> Result<(), std::io::Error> { Ok(()) }
    /// use iot_session::{Client, OpError, QoS, SubscribeOptions};
    ///
    /// async fn collect(client: &Client) -> Result<(), OpError> {
    ///     let options = SubscribeOptions::new(QoS::AtLeastOnce).manual_ack();
    ///     let mut messages = client.subscribe_with("jobs/#", options).await?;
    ///     while let Some((message, acknowledge)) = messages.next_with_ack().await {
    ///         if store(&message).await.is_ok() {
    ///             acknowledge.ack();
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub async fn next_with_ack(&mut self) -> Option<(Message, Acknowledge)> {
        self.reader.next().await
    }

    /// Why no more messages come; `None` while they do. What still waits can be read all the same.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.reader.0.ended()
    }

    /// Calls `handler` with each message, one after another, on a task of its own. The guard is what is left.
    pub(super) fn handle<F, Fut>(
        self,
        runtime: &tokio::runtime::Handle,
        shared: Arc<Shared>,
        mut handler: F,
    ) -> Subscription
    where
        F: FnMut(Message) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let Self { filters: Granted { first: (filter, granted), .. }, reader, guards } = self;
        let inbox = Arc::clone(&reader.0);
        let handled = filter.clone();
        runtime.spawn(async move {
            while let Some((message, acknowledge)) = reader.next().await {
                // A panic in the handler must not end the subscription: it is counted and told, the next message follows.
                match contained(&mut handler, message).await {
                    Ok(()) => acknowledge.ack(),
                    Err(Panicked) => {
                        shared.counters.handler_panics.add(1);
                        shared.board.post(&Notice::HandlerPanicked { filter: handled.clone() });
                    }
                }
            }
        });
        Subscription { filter, granted, inbox, _guards: guards }
    }
}

pub(super) struct Panicked;

/// Calls a handler and runs what it gives to its end, or either's panic.
pub(super) async fn contained<A, Fut: Future<Output = ()>>(
    handler: &mut impl FnMut(A) -> Fut,
    argument: A,
) -> Result<(), Panicked> {
    match catch_unwind(AssertUnwindSafe(|| handler(argument))) {
        Ok(future) => caught(future).await,
        Err(_) => Err(Panicked),
    }
}

/// Runs a future to its end or its panic.
async fn caught(future: impl Future<Output = ()>) -> Result<(), Panicked> {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}

impl Stream for Messages {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        self.reader.0.poll_next(context).map(|entry| Some(entry?.0))
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").field("filters", &self.filters).finish_non_exhaustive()
    }
}

/// A subscription whose messages go to a handler. Dropping it unsubscribes; the handler ends with the message that it
/// is busy with and those that wait.
#[derive(Debug)]
pub struct Subscription {
    filter: TopicFilter,
    granted: ReasonCode,
    inbox: Arc<Inbox>,
    _guards: Vec<Guard>,
}

impl Subscription {
    /// What was subscribed.
    #[must_use]
    pub fn filter(&self) -> &TopicFilter {
        &self.filter
    }

    /// The server's answer: the granted QoS, which may be lower than what was asked for.
    #[must_use]
    pub fn granted(&self) -> ReasonCode {
        self.granted
    }

    /// Why no more messages come; `None` while they do.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.inbox.ended()
    }
}
