//! The one place that reads the time.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Time since the emulator was started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the server drives the broker, which is handed its time")]
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    #[expect(clippy::disallowed_methods, reason = "the server drives the broker, which is handed its time")]
    pub(super) fn now(&self) -> Duration {
        Instant::now().saturating_duration_since(self.0)
    }

    /// Waits for a deadline, or for ever without one.
    pub(super) async fn sleep_until(&self, deadline: Option<Duration>) {
        match deadline.and_then(|deadline| self.0.checked_add(deadline)) {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

/// The date, which signatures and certificates are measured by.
#[derive(Clone)]
pub(super) struct WallClock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl WallClock {
    pub(super) fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(super) fn now(&self) -> SystemTime {
        (self.0)()
    }
}

impl Default for WallClock {
    #[expect(clippy::disallowed_methods, reason = "the emulator's own date, unless it is handed another")]
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WallClock").field(&self.now()).finish()
    }
}
