//! Time as stages see it: handed in, never read.

use std::time::Duration;

/// Nanoseconds on a clock that never goes back, from any zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The clock's zero.
    pub const ZERO: Self = Self(0);

    /// This long after zero; 584 years and more stand still at the end of the range.
    #[must_use]
    pub fn from_duration(since_zero: Duration) -> Self {
        Self(u64::try_from(since_zero.as_nanos()).unwrap_or(u64::MAX))
    }

    /// How long after the clock's zero.
    #[must_use]
    pub fn to_duration(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// The instant `duration` later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(Self::from_duration(duration).0))
    }

    /// How long after `earlier`; zero if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub u64);

/// What a driver knows of the time when it calls a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock.
    pub mono: Nanos,
    /// The calendar; `None` on a device without a clock.
    pub wall: Option<UnixMillis>,
}

impl Now {
    /// A time without a calendar, as tests use it.
    #[must_use]
    pub const fn mono(mono: Nanos) -> Self {
        Self { mono, wall: None }
    }
}
