//! A subscription that is being made, for all who wait for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::RequestError;
use super::desk::Desk;

type Subscribing = Pin<Box<dyn Future<Output = Result<Arc<Desk>, RequestError>> + Send>>;

/// The one future behind what any number of requests wait for. Whoever is polled drives it, so one that is not polled for a
/// while holds up no other; it is given up with the last of them.
pub(super) struct Opening {
    state: Mutex<State>,
    bell: Arc<Bell>,
    /// Rings the bell.
    ring: Waker,
}

enum State {
    Subscribing(Subscribing),
    Done(Result<Arc<Desk>, RequestError>),
}

/// Wakes up everyone who waits.
#[derive(Default)]
struct Bell(Mutex<Vec<Waker>>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while it is held could only come from the future, which is not polled again then.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Opening {
    pub(super) fn new(
        subscribing: impl Future<Output = Result<Arc<Desk>, RequestError>> + Send + 'static,
    ) -> Self {
        let bell = Arc::<Bell>::default();
        let state = Mutex::new(State::Subscribing(Box::pin(subscribing)));
        Self { state, ring: Waker::from(Arc::clone(&bell)), bell }
    }

    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<Result<Arc<Desk>, RequestError>> {
        {
            let mut waiting = lock(&self.bell.0);
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
        }
        let mut state = lock(&self.state);
        match &mut *state {
            State::Done(result) => Poll::Ready(result.clone()),
            State::Subscribing(subscribing) => {
                let polled = subscribing.as_mut().poll(&mut Context::from_waker(&self.ring));
                if let Poll::Ready(result) = &polled {
                    *state = State::Done(result.clone());
                    drop(state);
                    // The others have it too.
                    self.ring.wake_by_ref();
                }
                polled
            }
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waiting = std::mem::take(&mut *lock(&self.0));
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").finish_non_exhaustive()
    }
}
