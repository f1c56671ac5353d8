//! Reading may have to write, and then two tasks may wait for one thing: the stream underneath knows one of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// Who polls.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    Reader,
    Writer,
}

/// The tasks that read and write.
pub(super) struct Wakers {
    both: Arc<Both>,
    waker: Waker,
}

#[derive(Default)]
struct Both {
    reader: Mutex<Option<Waker>>,
    writer: Mutex<Option<Waker>>,
}

impl Default for Wakers {
    fn default() -> Self {
        let both = Arc::<Both>::default();
        Self { waker: Waker::from(Arc::clone(&both)), both }
    }
}

impl Wakers {
    /// Notes the task of this side.
    pub(super) fn register(&self, side: Side, waker: &Waker) {
        let slot = match side {
            Side::Reader => &self.both.reader,
            Side::Writer => &self.both.writer,
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    /// Wakes whoever is noted then.
    pub(super) fn both(&self) -> &Waker {
        &self.waker
    }
}

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        for slot in [&self.reader, &self.writer] {
            let waker = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}
