//! What is desired and not so yet, in order, and what an outage has kept from coming.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use iot_session::{Messages, OpError, QoS, Status, SubscribeOptions};
use serde_json::Value;
use tokio::sync::watch;

use super::error::{ErrorKind, ShadowError, Strikes};
use super::versions::{Mark, Seen};
use super::{ShadowClient, wire};
use crate::document::{Deleted, Delta, Shadow};
use crate::topic::{Action, Reply, ShadowTopic};

/// How long the first wait is after a document could not be asked for, and the longest one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The deltas of a shadow, in order. Dropping it unsubscribes what nobody else uses. However slowly it is read, it holds up
/// nothing else: the oldest deltas go then, since each has all that is desired.
///
/// A delta is delivered if it is newer than the last one, and not older than the last version that was accepted; numbering
/// begins anew when the shadow is deleted or found to be missing. After a reconnect without a session, messages may have
/// been missed: the document is asked for, and what differs in it is delivered like any other delta.
///
/// What comes and cannot be read is passed over.
pub struct Deltas {
    shadow: ShadowClient,
    messages: Messages,
    status: watch::Receiver<Status>,
    /// How many connections there were when the last one was looked at.
    connects: u64,
    seen: Seen,
    catching_up: CatchingUp,
    wait: Duration,
    error: Option<ShadowError>,
    strikes: Strikes,
    /// It was refused in a way that trying again does not help.
    refused: bool,
    /// There was another connection since the document was asked for.
    stale: bool,
    /// How many messages had gone unread when that was looked at.
    skipped: u64,
    /// The client is closed: only what waits is left.
    closed: bool,
}

enum CatchingUp {
    Done,
    Due,
    Asking(Pin<Box<dyn Future<Output = Result<Shadow, ShadowError>> + Send>>),
    Waiting(Pin<Box<dyn Future<Output = ()> + Send>>),
}

/// What happens to a shadow, as far as its deltas tell.
#[derive(Debug)]
pub(super) enum Event {
    Delta(Delta),
    /// The document was asked for: what is reported in it, and its delta if that is news.
    Document(Option<Value>, Option<Delta>),
    /// It was deleted. The document is asked for: it may have been made anew since.
    Deleted,
    /// There is none.
    Missing,
    /// The document cannot be asked for, and trying again does not help.
    Refused(ShadowError),
}

/// What the select came to.
enum Step {
    Status,
    /// There is no client any more.
    Closed,
    /// No more messages.
    Ended,
    Document(Result<Shadow, ShadowError>),
    Again,
    Message(iot_session::Message),
}

impl ShadowClient {
    /// Subscribes to the deltas of the shadow, and to its end, and returns when the service has said yes.
    ///
    /// Only what comes from now on is delivered, unless [`Deltas::catch_up`] is called.
    ///
    /// ```
    /// use iot_shadow::{ShadowClient, ShadowError, Update};
    ///
    /// // Does what is desired and reports that it did.
    /// async fn echo(lamp: &ShadowClient) -> Result<(), ShadowError> {
    ///     let mut deltas = lamp.deltas().await?;
    ///     while let Some(delta) = deltas.next().await {
    ///         lamp.update(Update::new().reported(delta.state)).await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// Without a connection it waits for one.
    ///
    /// # Errors
    /// The topics are not allowed, or the client is closed.
    ///
    /// # Cancellation
    /// Leaves no subscription.
    pub async fn deltas(&self) -> Result<Deltas, ShadowError> {
        let inner = &*self.0;
        let filter = |topic| inner.id.topic_filter(topic).map_err(OpError::from);
        let deleted = ShadowTopic::Action(Action::Delete, Reply::Accepted);
        let status = inner.client.status();
        let connects = inner.client.stats().connections;
        let subscribed = async {
            let filters = [filter(ShadowTopic::Delta)?, filter(deleted)?];
            inner.client.subscribe_all(filters, SubscribeOptions::new(QoS::AtLeastOnce)).await
        };
        let messages = subscribed.await.map_err(ShadowError::of_subscription)?;
        // Each delta has all that is desired.
        messages.keep_newest();
        Ok(Deltas {
            shadow: self.clone(),
            messages,
            status,
            connects,
            seen: Seen::default(),
            catching_up: CatchingUp::Done,
            wait: FIRST_WAIT,
            error: None,
            strikes: Strikes::default(),
            refused: false,
            stale: false,
            skipped: 0,
            closed: false,
        })
    }
}

impl Deltas {
    /// The next delta; `None` at the end: the client is closed, or the subscription is not in force any more.
    ///
    /// # Cancellation
    /// Loses nothing.
    pub async fn next(&mut self) -> Option<Delta> {
        loop {
            if let Event::Delta(delta) | Event::Document(_, Some(delta)) = self.next_event().await? {
                return Some(delta);
            }
        }
    }

    /// Asks for the document too, as after an outage: what differs now is the next delta, if it was not delivered already.
    pub fn catch_up(&mut self) {
        self.wait = FIRST_WAIT;
        self.refused = false;
        self.strikes.clear();
        self.catching_up = CatchingUp::Due;
    }

    /// Why the document could not be asked for, the last time that it was needed; `None`: it could. What may succeed later is
    /// tried again after 1 s, and up to 60 s; the rest, such as a policy that does not allow it, only after
    /// [`catch_up`](Self::catch_up).
    #[must_use]
    pub fn catch_up_error(&self) -> Option<&ShadowError> {
        self.error.as_ref()
    }

    /// Whether no document is being asked for, or to be.
    pub(super) fn is_caught_up(&self) -> bool {
        matches!(self.catching_up, CatchingUp::Done)
    }

    /// The newest of the deltas that are there already, of which this one is the first, and whether the shadow was deleted
    /// among them: each has all that is desired, so the others are not needed.
    pub(super) fn newest(&mut self, mut newest: Delta) -> (Delta, bool) {
        let mut deleted = false;
        loop {
            let message = pin!(self.messages.next()).poll(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(Some(message)) = message else { return (newest, deleted) };
            match self.message(&message) {
                Some(Event::Delta(delta)) => newest = delta,
                Some(Event::Deleted) => deleted = true,
                _ => {}
            }
        }
    }

    pub(super) async fn next_event(&mut self) -> Option<Event> {
        loop {
            if matches!(self.catching_up, CatchingUp::Due) {
                self.strikes.begin(self.shadow.mqtt());
                let document = self.shadow.get();
                self.catching_up = CatchingUp::Asking(document.into_future());
            }
            match self.step().await {
                Step::Ended => return None,
                Step::Closed => self.closed = true,
                Step::Status => self.look_at_connection(),
                Step::Again => self.catching_up = CatchingUp::Due,
                Step::Document(outcome) => {
                    self.catching_up = CatchingUp::Done;
                    if let Some(event) = self.caught_up(outcome) {
                        return Some(event);
                    }
                }
                Step::Message(message) => {
                    if let Some(event) = self.message(&message) {
                        return Some(event);
                    }
                }
            }
        }
    }

    async fn step(&mut self) -> Step {
        let Self { messages, status, catching_up, closed, .. } = self;
        let progress = async {
            match catching_up {
                CatchingUp::Asking(document) => Step::Document(document.as_mut().await),
                CatchingUp::Waiting(wait) => {
                    wait.as_mut().await;
                    Step::Again
                }
                CatchingUp::Done | CatchingUp::Due => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            step = progress, if !*closed => step,
            changed = status.changed(), if !*closed => if changed.is_ok() { Step::Status } else { Step::Closed },
            message = messages.next() => message.map_or(Step::Ended, Step::Message),
        }
    }

    /// There may be a new connection, and messages may have been missed before it.
    fn look_at_connection(&mut self) {
        let client = self.shadow.mqtt();
        let Status::Connected(connected) = &*self.status.borrow_and_update() else { return };
        let connects = client.stats().connections;
        let new = connects.saturating_sub(self.connects);
        self.connects = connects;
        // What became of the session in between is not known when there was more than one.
        let is_certain = new == 1 && connected.session_present && connected.session_certain;
        if new == 0 || self.refused {
            return;
        }
        match self.catching_up {
            CatchingUp::Asking(_) | CatchingUp::Done if is_certain => {}
            // Its answer may be older than what was missed.
            CatchingUp::Asking(_) => self.stale = true,
            // The question itself may have cost the last connection.
            CatchingUp::Waiting(_) if !self.strikes.is_clear() => {}
            CatchingUp::Waiting(_) | CatchingUp::Due | CatchingUp::Done => {
                self.wait = FIRST_WAIT;
                self.catching_up = CatchingUp::Due;
            }
        }
    }

    fn caught_up(&mut self, outcome: Result<Shadow, ShadowError>) -> Option<Event> {
        if std::mem::take(&mut self.stale) && outcome.is_ok() {
            self.catching_up = CatchingUp::Due;
        }
        let error = match outcome {
            Ok(shadow) => {
                self.caught();
                let versions = &self.shadow.0.versions;
                let mark = Mark::of_document(&shadow);
                versions.document(mark, &mut self.seen);
                let reported = shadow.state.reported.clone();
                let delta = Option::<Delta>::from(shadow).filter(|delta| delta.state.is_object());
                let delta = delta.filter(|_| versions.takes(mark, &mut self.seen));
                return Some(Event::Document(reported, delta));
            }
            Err(error) => error,
        };
        // Whoever asked has noted that.
        if error.is_missing() {
            self.caught();
            return Some(Event::Missing);
        }
        self.error = Some(error.clone());
        let client = self.shadow.mqtt();
        // Somebody may repair a document that cannot be read.
        let is_retryable = error.is_retryable() || matches!(error.kind(), ErrorKind::Unreadable(_));
        if matches!(error.kind(), ErrorKind::Offline) {
            let client = client.clone();
            self.catching_up = CatchingUp::Waiting(Box::pin(async move {
                let _ = client.online().await;
            }));
            return None;
        }
        let refusal = match is_retryable {
            true => self.strikes.strike(&error, client),
            false => Some(error),
        };
        if let Some(refusal) = refusal {
            self.refused = true;
            self.error = Some(refusal.clone());
            return Some(Event::Refused(refusal));
        }
        self.catching_up = CatchingUp::Waiting(Box::pin(tokio::time::sleep(self.wait)));
        self.wait = self.wait.saturating_mul(2).min(LONGEST_WAIT);
        None
    }

    /// The document was had.
    fn caught(&mut self) {
        self.error = None;
        self.wait = FIRST_WAIT;
        self.strikes.clear();
    }

    fn message(&mut self, message: &iot_session::Message) -> Option<Event> {
        let skipped = self.messages.skipped();
        if skipped != self.skipped {
            self.skipped = skipped;
            // The end of the shadow may have been among them.
            if matches!(self.catching_up, CatchingUp::Done) && !self.refused {
                self.catching_up = CatchingUp::Due;
            }
        }
        if message.topic().ends_with("/delete/accepted") {
            let Deleted { version, timestamp, .. } = wire::parse(message.payload()).ok()?;
            let mark = Mark { version, timestamp };
            return self.shadow.0.versions.deleted(mark, &mut self.seen).then_some(Event::Deleted);
        }
        let delta: Delta =
            wire::parse(message.payload()).ok().filter(|delta: &Delta| delta.state.is_object())?;
        self.shadow.0.versions.takes(mark(&delta), &mut self.seen).then_some(Event::Delta(delta))
    }
}

fn mark(delta: &Delta) -> Mark {
    Mark { version: delta.version, timestamp: delta.timestamp }
}

impl fmt::Debug for Deltas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deltas").field("shadow", self.shadow.id()).finish_non_exhaustive()
    }
}
