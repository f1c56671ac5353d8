//! Delays that differ from device to device.

use std::time::Duration;

use super::backoff::Backoff;

/// How a [`Backoff`]'s delays are spread, so that a fleet that lost its server does not come back in step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Jitter {
    /// Not at all: the delays are exactly the backoff's.
    #[default]
    None,
    /// Anything from [`Backoff::MIN_BASE`] up to the backoff's delay, each as likely as the other. For fleets.
    Full,
    /// Anything from the base to three times the delay before, at most the backoff's maximum. Grows on average, but
    /// each delay depends on the last one rather than on a count.
    Decorrelated,
}

/// A small generator of numbers that look random (SplitMix64): the same seed gives the same numbers. It spreads delays;
/// it keeps no secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Starts from `seed`. Devices of one fleet take different ones: the hash of a serial number, a few bytes from the
    /// system's random source.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A duration in `from..=to`, to the nanosecond; `from` if `to` is not above it. Beyond 584 years all are alike.
    pub fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let span = u64::try_from(to.saturating_sub(from).as_nanos()).unwrap_or(u64::MAX);
        let scaled = u128::from(self.next_u64()).saturating_mul(u128::from(span).saturating_add(1)) >> 64;
        from.saturating_add(Duration::from_nanos(u64::try_from(scaled).unwrap_or(span)))
    }
}

/// The delays of one session, one after the other.
#[derive(Debug)]
pub(super) struct Delays {
    backoff: Backoff,
    jitter: Jitter,
    random: Random,
    /// Delays since the start or the last stable connection.
    failures: u32,
    /// The last of them, for [`Jitter::Decorrelated`].
    previous: Duration,
}

impl Delays {
    pub(super) fn new(backoff: Backoff, jitter: Jitter, random: Random) -> Self {
        Self { backoff, jitter, random, failures: 0, previous: backoff.base() }
    }

    /// From the beginning, as after a stable connection.
    pub(super) fn start_over(&mut self) {
        self.failures = 0;
        self.previous = self.backoff.base();
    }

    /// The delay before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        let delay = match self.jitter {
            Jitter::None => self.backoff.delay(self.failures),
            Jitter::Full => {
                let at_most = self.backoff.delay(self.failures);
                self.random.between(Duration::ZERO, at_most).max(Backoff::MIN_BASE)
            }
            Jitter::Decorrelated => {
                let at_most = self.previous.saturating_mul(3);
                self.random.between(self.backoff.base(), at_most).min(self.backoff.max())
            }
        };
        self.failures = self.failures.saturating_add(1);
        self.previous = delay;
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_generator_gives_the_numbers_of_splitmix64() {
        let mut random = Random::seeded(1_234_567);
        let numbers: Vec<u64> = (0..5).map(|_| random.next_u64()).collect();
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(numbers, published);
    }

    #[test]
    fn durations_are_spread_evenly_over_the_whole_range() {
        let mut random = Random::seeded(1);
        let mut tenths = [0; 10];
        for _ in 0..10_000 {
            let duration = random.between(SECOND, 2 * SECOND);
            assert!((SECOND..=2 * SECOND).contains(&duration));
            tenths[(duration - SECOND).as_millis().min(999) as usize / 100] += 1;
        }
        assert!(tenths.iter().all(|n| (850..1150).contains(n)), "{tenths:?}");
        assert_eq!(random.between(SECOND, SECOND), SECOND);
        assert_eq!(random.between(2 * SECOND, SECOND), 2 * SECOND);
        let ends: Vec<_> =
            (0..100).map(|_| random.between(Duration::ZERO, Duration::from_nanos(1))).collect();
        assert!(ends.contains(&Duration::ZERO) && ends.contains(&Duration::from_nanos(1)));
        assert!(random.between(Duration::ZERO, Duration::MAX) > Duration::ZERO);
    }

    #[test]
    fn full_jitter_stays_between_the_least_base_and_the_backoffs_delay() {
        let backoff = Backoff::default();
        for seed in 0..1000 {
            let mut delays = Delays::new(backoff, Jitter::Full, Random::seeded(seed));
            for n in 0..8 {
                let delay = delays.next();
                assert!((Backoff::MIN_BASE..=backoff.delay(n)).contains(&delay), "{delay:?}");
            }
        }
    }

    #[test]
    fn decorrelated_jitter_stays_between_base_and_three_times_the_one_before() {
        let backoff = Backoff::default();
        for seed in 0..1000 {
            let mut delays = Delays::new(backoff, Jitter::Decorrelated, Random::seeded(seed));
            let mut previous = SECOND;
            for _ in 0..8 {
                let delay = delays.next();
                assert!((SECOND..=(3 * previous).min(32 * SECOND)).contains(&delay), "{delay:?}");
                previous = delay;
            }
            delays.start_over();
            assert!(delays.next() <= 3 * SECOND);
        }
    }

    #[test]
    fn devices_with_different_seeds_wait_differently_and_with_the_same_seed_alike() {
        for jitter in [Jitter::Full, Jitter::Decorrelated] {
            let first = |seed| Delays::new(Backoff::default(), jitter, Random::seeded(seed)).next();
            assert_eq!(first(7), first(7));
            assert_ne!(first(7), first(8));
        }
    }
}
