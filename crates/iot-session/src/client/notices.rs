//! What happens besides the operations, told to whoever listens.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::trace;
use crate::stage::Notice;

/// How many notices wait for a reader.
const CAPACITY: usize = 64;

/// Where notices are put up; each reader has a queue of its own.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<Listeners>);

#[derive(Debug, Default)]
struct Listeners {
    readers: Vec<Weak<Reader>>,
    /// The driver has ended.
    closed: bool,
}

#[derive(Debug, Default)]
struct Reader(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Notice>,
    /// How many had no room since the last one in the queue.
    missed: u64,
    waker: Option<Waker>,
    closed: bool,
}

/// A panic while a lock is held is impossible by construction; should one happen, the content is still sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board {
    pub(super) fn read(&self) -> Notices {
        let mut listeners = lock(&self.0);
        let reader = Arc::new(Reader::default());
        lock(&reader.0).closed = listeners.closed;
        listeners.readers.retain(|reader| reader.strong_count() > 0);
        listeners.readers.push(Arc::downgrade(&reader));
        Notices(reader)
    }

    pub(super) fn post(&self, notice: &Notice) {
        trace::notice(notice);
        for reader in lock(&self.0).readers.iter().filter_map(Weak::upgrade) {
            reader.push(notice);
        }
    }

    /// No more notices; those that wait can still be read.
    pub(super) fn close(&self) {
        let mut listeners = lock(&self.0);
        listeners.closed = true;
        for reader in listeners.readers.drain(..).filter_map(|reader| reader.upgrade()) {
            let mut state = lock(&reader.0);
            state.closed = true;
            wake(state);
        }
    }
}

impl Reader {
    fn push(&self, notice: &Notice) {
        let mut state = lock(&self.0);
        if state.queue.len() >= CAPACITY {
            state.missed = state.missed.saturating_add(1);
            return;
        }
        state.close_gap();
        state.queue.push_back(notice.clone());
        wake(state);
    }
}

impl State {
    /// Says at this place of the queue what is missing.
    fn close_gap(&mut self) {
        let count = std::mem::take(&mut self.missed);
        if count > 0 {
            self.queue.push_back(Notice::Missed { count });
        }
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// What happens besides the operations, and to the connection: a [`Stream`], and [`next`](Self::next) without one.
///
/// It begins when it is asked for and ends when the client is closed. It holds 64 notices for its reader; when more
/// come, the newest are lost, and [`Notice::Missed`] stands in their place.
///
/// ```
/// use iot_session::{Client, stage::Notice};
///
/// async fn watch(client: &Client) {
///     let mut notices = client.notices();
///     while let Some(notice) = notices.next().await {
///         match notice {
///             Notice::Online(connected) => println!("online, MQTT {}", connected.version),
///             Notice::Offline { error, retry_in } => println!("offline: {error}; next attempt in {retry_in:?}"),
///             Notice::Quarantined { filter, why } => println!("{filter}: given up: {why:?}"),
///             other => println!("{other:?}"),
///         }
///     }
/// }
/// ```
pub struct Notices(Arc<Reader>);

impl Notices {
    /// The next notice; `None` at the end. Cancelling loses nothing.
    pub async fn next(&mut self) -> Option<Notice> {
        poll_fn(|context| self.poll_one(context)).await
    }

    fn poll_one(&self, context: &mut Context<'_>) -> Poll<Option<Notice>> {
        let mut state = lock(&self.0.0);
        if state.queue.is_empty() {
            state.close_gap();
        }
        match state.queue.pop_front() {
            Some(notice) => Poll::Ready(Some(notice)),
            None if state.closed => Poll::Ready(None),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Stream for Notices {
    type Item = Notice;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Notice>> {
        self.poll_one(context)
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices").finish_non_exhaustive()
    }
}

/// Ends a handler of notices when it is dropped.
#[derive(Debug)]
#[must_use = "dropped, the handler ends"]
pub struct NoticeHandler(pub(super) tokio::task::AbortHandle);

impl Drop for NoticeHandler {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_slow_reader_misses_is_told_at_its_place() {
        let board = Board::default();
        let notices = board.read();
        let post = |queued| board.post(&Notice::Draining { queued });
        (0..CAPACITY + 3).for_each(post);
        let mut context = Context::from_waker(Waker::noop());
        let mut next = || notices.poll_one(&mut context);
        assert_eq!(next(), Poll::Ready(Some(Notice::Draining { queued: 0 })));
        post(99);
        for queued in 1..CAPACITY {
            assert_eq!(next(), Poll::Ready(Some(Notice::Draining { queued })));
        }
        assert_eq!(next(), Poll::Ready(Some(Notice::Missed { count: 3 })));
        assert_eq!(next(), Poll::Ready(Some(Notice::Draining { queued: 99 })));
        assert_eq!(next(), Poll::Pending);
        (0..CAPACITY + 2).for_each(post);
        for _ in 0..CAPACITY {
            next().is_ready();
        }
        assert_eq!(next(), Poll::Ready(Some(Notice::Missed { count: 2 })));
        board.close();
        assert_eq!(next(), Poll::Ready(None));
        let late = board.read();
        assert_eq!(late.poll_one(&mut context), Poll::Ready(None));
    }
}
