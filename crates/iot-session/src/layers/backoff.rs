//! How long to wait before the next attempt.

use std::time::Duration;

/// Progressive backoff, `min(2^n · base, max)`, as the AWS IoT Device SDK for Python documents it: `n` grows with
/// each disconnect and failed attempt and falls back to 0 only after a connection has been stable for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    stable: Duration,
}

impl Default for Backoff {
    /// 1 s, at most 32 s, stable after 20 s.
    fn default() -> Self {
        Self { base: Duration::from_secs(1), max: Duration::from_secs(32), stable: Duration::from_secs(20) }
    }
}

impl Backoff {
    /// The shortest base delay: what is below would be a busy loop.
    pub const MIN_BASE: Duration = Duration::from_millis(1);

    /// From `base` to `max` (at least `base`), starting over after `stable`. A base below [`Self::MIN_BASE`] is
    /// raised to it.
    #[must_use]
    pub fn new(base: Duration, max: Duration, stable: Duration) -> Self {
        let base = base.max(Self::MIN_BASE);
        Self { base, max: max.max(base), stable }
    }

    /// The delay after `failures` disconnects and failed attempts in a row before this one.
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        2u32.checked_pow(failures)
            .and_then(|factor| self.base.checked_mul(factor))
            .map_or(self.max, |d| d.min(self.max))
    }

    /// The first delay, and the least time between two attempts.
    #[must_use]
    pub fn base(&self) -> Duration {
        self.base
    }

    /// The longest delay.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    /// How long a connection must last for the delays to start over.
    #[must_use]
    pub fn stable(&self) -> Duration {
        self.stable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_from_base_to_max() {
        let backoff = Backoff::default();
        let delays: Vec<u64> = (0..8).map(|n| backoff.delay(n).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 32, 32]);
        assert_eq!(backoff.delay(u32::MAX), Duration::from_secs(32));
    }

    #[test]
    fn the_first_delay_is_the_base_and_a_zero_base_is_raised() {
        let backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(100), Duration::from_secs(20));
        assert_eq!(backoff.delay(0), Duration::from_secs(5));
        let backoff = Backoff::new(Duration::ZERO, Duration::ZERO, Duration::ZERO);
        assert_eq!(backoff.delay(0), Backoff::MIN_BASE);
        assert_eq!(backoff.delay(40), Backoff::MIN_BASE);
    }
}
