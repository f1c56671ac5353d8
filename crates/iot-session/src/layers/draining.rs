//! How fast goes out what piled up without a connection.

use std::time::Duration;

use crate::time::Nanos;

/// How fast the messages go out that piled up without a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainRate {
    /// From one message to the next.
    interval: Duration,
}

impl Default for DrainRate {
    /// Two messages per second.
    fn default() -> Self {
        Self::every(Duration::from_millis(500))
    }
}

impl DrainRate {
    /// The longest interval; a slower rate is hardly meant.
    pub const MAX_INTERVAL: Duration = Duration::from_secs(3600);

    /// This many messages per second; 0.5 is one every two seconds. What is slower than one an hour, or is no positive
    /// number, is taken for one an hour.
    #[must_use]
    pub fn per_second(messages: f64) -> Self {
        let interval = if messages > 0.0 { Duration::try_from_secs_f64(1.0 / messages).ok() } else { None };
        Self::every(interval.unwrap_or(Self::MAX_INTERVAL))
    }

    /// One message in each interval, at most [`Self::MAX_INTERVAL`].
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        Self { interval: interval.min(Self::MAX_INTERVAL) }
    }

    /// As fast as the layers inside take them.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self { interval: Duration::ZERO }
    }

    /// From one message to the next; zero: unlimited.
    #[must_use]
    pub const fn interval(self) -> Duration {
        self.interval
    }
}

/// A place in a queue: who is in front has the lower one. Places never change and never come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(pub(super) u64);

impl Place {
    /// In front of all.
    const FIRST: Self = Self(0);
    /// As far from one end of the numbers as from the other.
    pub(super) const MIDDLE: Self = Self(1 << 63);
}

/// How far a layer that keeps messages is after a connection came.
///
/// ```text
///            Connected        inner stage has no more to say, something waits     nothing waits: Drained
///   Offline ───────────► Fresh ──────────────────────────────────────► Draining ────────► Steady
///      ▲                   │ nothing waits                                 │                 ▲ │
///      │                   └───────────────────────────────────────────────│─────────────────┘ │
///      └──────────────────────────────── Disconnected ─────────────────────┴───────────────────┘
/// ```
#[derive(Debug)]
pub(super) enum Phase {
    Offline,
    /// The connection has just come; what it brings back from below is not counted yet.
    Fresh,
    Draining(Drain),
    /// What the inner stage had no room for goes as soon as there is some.
    Steady,
}

/// One drain: the messages that had piled up when the connection came go at the rate, those behind them as fast as
/// they are taken. So it ends, however fast new ones come.
#[derive(Debug)]
pub(super) struct Drain {
    rate: DrainRate,
    /// The first place that is not held to the rate.
    until: Place,
    /// When the next message may go.
    next: Nanos,
}

impl Drain {
    /// Of what is in front of `until`. The first message may go at once.
    pub(super) fn new(rate: DrainRate, until: Place, now: Nanos) -> Self {
        let until = if rate == DrainRate::unlimited() { Place::FIRST } else { until };
        Self { rate, until, next: now }
    }

    /// When the message at `place` may go; `None`: as soon as it is taken.
    pub(super) fn due(&self, place: Place) -> Option<Nanos> {
        (place < self.until).then_some(self.next)
    }

    /// It went: the interval to the next one is counted from here, so that nothing is caught up on.
    pub(super) fn went(&mut self, now: Nanos) {
        self.next = now.after(self.rate.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_intervals() {
        let interval = |rate: f64| DrainRate::per_second(rate).interval();
        assert_eq!(DrainRate::default(), DrainRate::per_second(2.0));
        assert_eq!(interval(0.5), Duration::from_secs(2));
        assert_eq!(interval(4.0), Duration::from_millis(250));
        assert_eq!(DrainRate::per_second(f64::INFINITY), DrainRate::unlimited());
    }

    #[test]
    fn what_is_no_rate_is_the_slowest() {
        for odd in [0.0, -0.0, -1.0, f64::NAN, f64::NEG_INFINITY, f64::MIN_POSITIVE, 1e-300] {
            assert_eq!(DrainRate::per_second(odd).interval(), DrainRate::MAX_INTERVAL, "{odd}");
        }
    }
}
