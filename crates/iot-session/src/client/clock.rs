//! The one place of the driver that reads the time.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::time::{Nanos, Now, UnixMillis};

/// tokio's clock, which tests pause, counted from the driver's start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { origin: instant() }
    }

    pub(super) fn now(&self) -> Now {
        let mono = Nanos::from_duration(instant().saturating_duration_since(self.origin));
        Now { mono, wall: wall() }
    }

    pub(super) fn nanos(&self, at: Instant) -> Nanos {
        Nanos::from_duration(at.saturating_duration_since(self.origin))
    }

    pub(super) fn instant(&self, at: Nanos) -> Instant {
        // Beyond what the clock can say is "not before the end of time"; half a century will do.
        let far = std::time::Duration::from_secs(50 * 365 * 86_400);
        self.origin.checked_add(at.to_duration().min(far)).unwrap_or(self.origin)
    }
}

#[expect(clippy::disallowed_methods, reason = "the driver is where time enters")]
fn instant() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the driver is where time enters")]
fn wall() -> Option<UnixMillis> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok().map(UnixMillis)
}
