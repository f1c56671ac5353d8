//! The queue between the driver and one subscriber.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::mpsc;

use super::subscription::Ended;
use crate::message::Message;
use crate::stage::AckToken;
use crate::time::Nanos;

/// What subscribers tell the driver. Each subscription releases its route once, and each token is accepted or withheld
/// once, so the channel is bounded by what exists.
#[derive(Debug)]
pub(super) enum Signal {
    /// Everyone took the message.
    Accepted(AckToken),
    /// Somebody wants this QoS 2 message to stay unacknowledged.
    Withheld(Box<Message>, AckToken),
    /// The subscriber of this route went away.
    Released(u64),
}

/// A message that somebody has not taken yet; the last of its holders to take or drop it accepts it.
#[derive(Debug)]
pub(super) struct Unaccepted {
    token: AckToken,
    /// Since when.
    since: Nanos,
    /// Some holder wants it to stay unacknowledged.
    withheld: AtomicBool,
    /// At QoS 2 the message: the server will not send it again for us to deliver.
    again: Option<Message>,
    signals: mpsc::UnboundedSender<Signal>,
}

impl Unaccepted {
    pub(super) fn new(
        message: &Message,
        token: AckToken,
        since: Nanos,
        signals: mpsc::UnboundedSender<Signal>,
    ) -> Self {
        let again = token.is_exactly_once().then(|| message.clone());
        Self { token, since, withheld: AtomicBool::new(false), again, signals }
    }

    /// Nobody accepts it any more: it comes again with the session's next connection. At QoS 1 the server sends it, at
    /// QoS 2 the router keeps it.
    pub(super) fn withhold(&self) {
        self.withheld.store(true, Ordering::Release);
    }
}

impl Drop for Unaccepted {
    fn drop(&mut self) {
        let signal = match (*self.withheld.get_mut(), self.again.take()) {
            (false, _) => Signal::Accepted(self.token),
            (true, Some(message)) => Signal::Withheld(Box::new(message), self.token),
            (true, None) => return,
        };
        // Without a driver there is no connection to acknowledge on.
        let _ = self.signals.send(signal);
    }
}

/// A message in an inbox. With an [`Unaccepted`] it waits for its acknowledgement.
type Entry = (Message, Option<Arc<Unaccepted>>);

#[derive(Debug)]
struct State {
    queue: VecDeque<Entry>,
    waker: Option<Waker>,
    /// No more messages will come.
    closed: Option<Ended>,
    /// Messages waited for too long: until there is room, nothing waits beyond the capacity.
    lagging: bool,
    /// Nobody wants to know: what comes is taken and thrown away.
    muted: bool,
    /// Each message makes those before it obsolete: without room the oldest goes, and nothing waits beyond the capacity.
    newest: bool,
    /// How many went that way.
    skipped: u64,
}

/// One subscriber's queue.
///
/// QoS 1 and 2 messages within the capacity are taken at once, those beyond it wait unacknowledged until they move up. With
/// manual acknowledgement all of them wait until the subscriber says so.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<State>,
    capacity: usize,
    /// How many that wait outlive the session that delivered them.
    waiting: usize,
    manual: bool,
}

impl Inbox {
    pub(super) fn new(capacity: usize, waiting: usize, manual: bool) -> Self {
        let state = State {
            queue: VecDeque::new(),
            waker: None,
            closed: None,
            lagging: false,
            muted: false,
            newest: false,
            skipped: 0,
        };
        Self { state: Mutex::new(state), capacity: capacity.max(1), waiting, manual }
    }

    /// A panic while the lock is held is impossible by construction; should one happen, the queue is still sound.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message in; `unaccepted` is asked for when it has to wait for its acknowledgement, and is `None` for
    /// QoS 0. `false`: there was no room.
    #[must_use]
    pub(super) fn push(
        &self,
        message: Message,
        unaccepted: Option<impl FnOnce() -> Arc<Unaccepted>>,
    ) -> bool {
        let mut state = self.lock();
        if state.closed.is_some() || state.muted {
            return true;
        }
        if state.newest && state.queue.len() >= self.capacity {
            state.queue.pop_front();
            state.skipped += 1;
        }
        let has_room = state.queue.len() < self.capacity;
        let unaccepted = match unaccepted {
            _ if has_room && !self.manual => None,
            Some(unaccepted) if has_room || !state.lagging => Some(unaccepted()),
            None if has_room => None,
            _ => return false,
        };
        state.queue.push_back((message, unaccepted));
        wake(state);
        true
    }

    /// The next message; `None` after [`close`](Self::close) and the last one.
    pub(super) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<Entry>> {
        let mut state = self.lock();
        let Some(entry) = state.queue.pop_front() else {
            if state.closed.is_some() {
                return Poll::Ready(None);
            }
            state.waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        if state.queue.len() < self.capacity {
            state.lagging = false;
        }
        // What moved up to within the capacity is taken now.
        let last = self.capacity.saturating_sub(1);
        let accepted = match state.queue.get_mut(last) {
            Some((_, unaccepted)) if !self.manual => unaccepted.take(),
            _ => None,
        };
        drop(state);
        drop(accepted);
        Poll::Ready(Some(entry))
    }

    /// Whether the subscriber acknowledges by itself.
    pub(super) fn is_manual(&self) -> bool {
        self.manual
    }

    /// Since when the oldest message waits beyond the capacity. With manual acknowledgement nothing does: it takes what
    /// time it wants.
    pub(super) fn waits_since(&self) -> Option<Nanos> {
        if self.manual {
            return None;
        }
        let state = self.lock();
        state.queue.iter().skip(self.capacity).find_map(|(_, unaccepted)| Some(unaccepted.as_ref()?.since))
    }

    /// What waits has waited for too long: it is taken. How many these were.
    pub(super) fn lag(&self) -> usize {
        let mut state = self.lock();
        state.lagging = true;
        let tokens: Vec<_> = state.queue.iter_mut().filter_map(|(_, unaccepted)| unaccepted.take()).collect();
        drop(state);
        tokens.len()
    }

    /// Lets go of what waits, was not taken, and is not of the connection `present`. QoS 2 messages stay: they are
    /// delivered once only.
    pub(super) fn forget_waiting(&self, present: Option<NonZeroU32>) {
        let mut state = self.lock();
        let queue = std::mem::take(&mut state.queue);
        let comes_again = |token: AckToken| !token.is_exactly_once() && Some(token.epoch) != present;
        let (waiting, rest): (VecDeque<_>, VecDeque<_>) = queue
            .into_iter()
            .partition(|(_, unaccepted)| unaccepted.as_ref().is_some_and(|u| comes_again(u.token)));
        state.queue = rest;
        drop(state);
        drop(waiting);
    }

    /// The server will not send again what waits: it is taken for good, as far as there is room for it. How many were
    /// dropped.
    pub(super) fn keep_waiting(&self) -> usize {
        let mut state = self.lock();
        let room = self.capacity.saturating_add(self.waiting).min(state.queue.len());
        let beyond = state.queue.split_off(room);
        let tokens: Vec<_> = state.queue.iter_mut().filter_map(|(_, unaccepted)| unaccepted.take()).collect();
        drop(state);
        drop(tokens);
        beyond.len()
    }

    /// Takes and throws away what waits and what comes, or no longer.
    pub(super) fn mute(&self, muted: bool) {
        let mut state = self.lock();
        state.muted = muted;
        let queue = if muted { std::mem::take(&mut state.queue) } else { VecDeque::new() };
        drop(state);
        drop(queue);
    }

    /// From now on the oldest message goes when there is no room.
    pub(super) fn keep_newest(&self) {
        self.lock().newest = true;
    }

    /// How many went.
    pub(super) fn skipped(&self) -> u64 {
        self.lock().skipped
    }

    /// No more messages; those that wait can still be read.
    pub(super) fn close(&self, why: Ended) {
        let mut state = self.lock();
        state.closed.get_or_insert(why);
        wake(state);
    }

    /// Why no more messages come.
    pub(super) fn ended(&self) -> Option<Ended> {
        self.lock().closed
    }

    /// Nobody will read any more: lets go of all messages, which accepts them unless that is for the subscriber to say.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.closed.get_or_insert(Ended::Unsubscribed);
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        if self.manual {
            queue.iter().filter_map(|(_, unaccepted)| unaccepted.as_ref()).for_each(|u| u.withhold());
        }
        drop(queue);
    }
}

/// Wakes the reader, if one waits, once the lock is given back.
fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}
