//! The queue between the driver and one subscriber.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::mpsc;

use crate::message::Message;
use crate::stage::AckToken;

/// What subscribers tell the driver. Each subscription releases its route once, and each token is accepted once, so
/// the channel is bounded by what exists.
#[derive(Debug)]
pub(super) enum Signal {
    /// Everyone took the message.
    Accepted(AckToken),
    /// The subscriber of this route went away.
    Released(u64),
}

/// A message that waits beyond an inbox's capacity; the last of its holders to take or drop it accepts it.
#[derive(Debug)]
pub(super) struct Unaccepted {
    pub(super) token: AckToken,
    pub(super) signals: mpsc::UnboundedSender<Signal>,
}

impl Drop for Unaccepted {
    fn drop(&mut self) {
        // Without a driver there is no connection to acknowledge on.
        let _ = self.signals.send(Signal::Accepted(self.token));
    }
}

#[derive(Debug)]
struct State {
    queue: VecDeque<(Message, Option<Arc<Unaccepted>>)>,
    waker: Option<Waker>,
    /// No more messages will come.
    closed: bool,
}

/// One subscriber's queue.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<State>,
    capacity: usize,
    /// How many that wait outlive the session that delivered them.
    waiting: usize,
}

impl Inbox {
    pub(super) fn new(capacity: usize, waiting: usize) -> Self {
        let state = State { queue: VecDeque::new(), waker: None, closed: false };
        Self { state: Mutex::new(state), capacity: capacity.max(1), waiting }
    }

    /// A panic while the lock is held is impossible by construction; should one happen, the queue is still sound.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message in; `unaccepted` is asked for when it has to wait beyond the capacity, and is `None` for QoS 0.
    /// `false`: there was no room for a QoS 0 message.
    #[must_use]
    pub(super) fn push(
        &self,
        message: Message,
        unaccepted: Option<impl FnOnce() -> Arc<Unaccepted>>,
    ) -> bool {
        let mut state = self.lock();
        if state.closed {
            return true;
        }
        let waiting = if state.queue.len() < self.capacity {
            None
        } else if let Some(unaccepted) = unaccepted {
            Some(unaccepted())
        } else {
            return false;
        };
        state.queue.push_back((message, waiting));
        wake(state);
        true
    }

    /// The next message; `None` after [`close`](Self::close) and the last one.
    pub(super) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<Message>> {
        let mut state = self.lock();
        let Some((message, _)) = state.queue.pop_front() else {
            if state.closed {
                return Poll::Ready(None);
            }
            state.waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        // What moved up to within the capacity is taken now.
        let accepted = state
            .queue
            .get_mut(self.capacity.saturating_sub(1))
            .and_then(|(_, unaccepted)| unaccepted.take());
        drop(state);
        drop(accepted);
        Poll::Ready(Some(message))
    }

    /// Lets go of what waits beyond the capacity and was not taken.
    pub(super) fn forget_waiting(&self) {
        let mut state = self.lock();
        let at =
            state.queue.iter().position(|(_, unaccepted)| unaccepted.is_some()).unwrap_or(state.queue.len());
        let waiting = state.queue.split_off(at);
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

    /// No more messages; those that wait can still be read.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        wake(state);
    }

    /// Nobody will read any more: lets go of all messages, which accepts them.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        let queue = std::mem::take(&mut state.queue);
        drop(state);
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
