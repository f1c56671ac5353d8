//! The one place that reads the time.

use std::time::Duration;

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
