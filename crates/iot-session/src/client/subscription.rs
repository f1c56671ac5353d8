//! The two forms of a subscription: a stream and a handler.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use mqtt_codec::{ReasonCode, TopicFilter};
use tokio::sync::mpsc;

use super::inbox::{Inbox, Signal};
use super::stats::SharedCounters;
use crate::message::Message;

/// Keeps a route alive; dropping it unsubscribes when nobody else holds the filter.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) route: u64,
    pub(super) signals: mpsc::UnboundedSender<Signal>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Without a driver there is nothing left to unsubscribe from.
        let _ = self.signals.send(Signal::Released(self.route));
    }
}

/// The messages of a subscription: a [`Stream`], and [`next`](Self::next) without one.
///
/// Dropping it unsubscribes. It ends when the client is closed or the filter was unsubscribed. A subscription lives as
/// long as the server's session does: when a reconnect finds that the session is gone
/// ([`Connected::session_present`](crate::stage::Connected::session_present) is false), subscribe again.
pub struct Messages {
    filter: TopicFilter,
    granted: ReasonCode,
    reader: Reader,
    guard: Guard,
}

/// The reading end of an inbox; what waits in it when it is dropped counts as taken.
struct Reader(Arc<Inbox>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Messages {
    pub(super) fn new(filter: TopicFilter, granted: ReasonCode, inbox: Arc<Inbox>, guard: Guard) -> Self {
        Self { filter, granted, reader: Reader(inbox), guard }
    }

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

    /// The next message; `None` at the end. Cancelling loses nothing.
    pub async fn next(&mut self) -> Option<Message> {
        poll_fn(|context| self.reader.0.poll_next(context)).await
    }

    /// Calls `handler` with each message, one after another, on a task of its own. The guard is what is left.
    pub(super) fn handle<F, Fut>(
        self,
        runtime: &tokio::runtime::Handle,
        counters: SharedCounters,
        mut handler: F,
    ) -> Subscription
    where
        F: FnMut(Message) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let Self { filter, granted, reader, guard } = self;
        runtime.spawn(async move {
            while let Some(message) = poll_fn(|context| reader.0.poll_next(context)).await {
                // A panic in the handler must not end the subscription: it is counted, the next message follows.
                let outcome = match catch_unwind(AssertUnwindSafe(|| handler(message))) {
                    Ok(future) => caught(future).await,
                    Err(_) => Err(Panicked),
                };
                if outcome.is_err() {
                    counters.handler_panics.add(1);
                }
            }
        });
        Subscription { filter, granted, _guard: guard }
    }
}

struct Panicked;

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
        self.reader.0.poll_next(context)
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages")
            .field("filter", &self.filter)
            .field("granted", &self.granted)
            .finish_non_exhaustive()
    }
}

/// A subscription whose messages go to a handler. Dropping it unsubscribes; the handler ends with the message that it
/// is busy with and those that wait.
#[derive(Debug)]
pub struct Subscription {
    filter: TopicFilter,
    granted: ReasonCode,
    _guard: Guard,
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
}
