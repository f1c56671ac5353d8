//! Waits for a future on the thread that asks.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::task::unconstrained;

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks until the future is done.
///
/// tokio's own way would panic on a thread that runs async code, such as the handlers'. The futures of the client need
/// no runtime around them. They are not held to the budget of the task that blocks here, if there is one: it would be
/// renewed by a scheduler that does not run meanwhile.
pub(super) fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(unconstrained(future));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

/// Blocks until the future is done, or for so long.
pub(super) fn wait_for<F: Future>(future: F, timeout: Duration) -> Option<F::Output> {
    // What the clock cannot say is for ever.
    let Some(deadline) = now().checked_add(timeout) else { return Some(wait(future)) };
    let mut future = pin!(unconstrained(future));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        let left = deadline.saturating_duration_since(now());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}

#[expect(clippy::disallowed_methods, reason = "a thread that waits looks at the clock itself")]
fn now() -> Instant {
    Instant::now()
}
