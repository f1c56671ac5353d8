//! The one place of the driver that reads the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::time::{Nanos, Now, UnixMillis};

/// tokio's clock, which tests pause, counted from the driver's start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    origin: Instant,
    calendar: fn() -> Option<UnixMillis>,
}

impl Clock {
    pub(super) fn start(calendar: fn() -> Option<UnixMillis>) -> Self {
        Self { origin: instant(), calendar }
    }

    pub(super) fn now(&self) -> Now {
        let mono = Nanos::from_duration(instant().saturating_duration_since(self.origin));
        Now { mono, wall: (self.calendar)() }
    }

    pub(super) fn nanos(&self, at: Instant) -> Nanos {
        Nanos::from_duration(at.saturating_duration_since(self.origin))
    }

    pub(crate) fn instant(&self, at: Nanos) -> Instant {
        after(self.origin, at.to_duration())
    }
}

/// The instant `duration` later; what the clock cannot say is half a century away.
pub(crate) fn after(instant: Instant, duration: Duration) -> Instant {
    let far = Duration::from_secs(50 * 365 * 86_400);
    instant.checked_add(duration.min(far)).unwrap_or(instant)
}

#[expect(clippy::disallowed_methods, reason = "the driver is where time enters")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the driver is where time enters")]
pub(super) fn system_calendar() -> Option<UnixMillis> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok().map(UnixMillis)
}
