//! A bucket of tokens, exact to the nanosecond.

use crate::time::Nanos;

/// Holds one second's worth of tokens and fills at an even rate. Counts in billionths of a token, of which each nanosecond
/// brings as many as each second brings tokens: whole numbers, so nothing drifts.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    /// Tokens per second.
    rate: u32,
    /// Billionths of a token at `at`; below zero what was overdrawn.
    level: i64,
    at: Nanos,
}

const BILLION: i64 = 1_000_000_000;

impl Bucket {
    /// Full.
    pub(super) fn new(rate: u32) -> Self {
        let mut bucket = Self { rate, level: 0, at: Nanos::ZERO };
        bucket.fill();
        bucket
    }

    pub(super) fn fill(&mut self) {
        self.level = self.capacity();
    }

    /// Adds what came in until now.
    pub(super) fn advance(&mut self, now: Nanos) {
        let passed = i64::try_from(now.0.saturating_sub(self.at.0)).unwrap_or(i64::MAX);
        let gained = passed.saturating_mul(self.rate.into());
        self.level = self.level.saturating_add(gained).min(self.capacity());
        self.at = self.at.max(now);
    }

    /// Whether `tokens` are there; of more than it can hold: whether it is full.
    pub(super) fn has(&self, tokens: usize) -> bool {
        self.level >= self.need(tokens)
    }

    /// When they will be.
    pub(super) fn when(&self, tokens: usize) -> Nanos {
        let missing = u64::try_from(self.need(tokens).saturating_sub(self.level)).unwrap_or(0);
        Nanos(self.at.0.saturating_add(missing.div_ceil(self.rate.max(1).into())))
    }

    /// Takes them, whether they are there or not.
    pub(super) fn take(&mut self, tokens: usize) {
        let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
        self.level = self.level.saturating_sub(tokens.saturating_mul(BILLION));
    }

    fn need(&self, tokens: usize) -> i64 {
        let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
        tokens.saturating_mul(BILLION).min(self.capacity())
    }

    /// At most 2^32 billions: far from the end of the numbers.
    fn capacity(&self) -> i64 {
        i64::from(self.rate).saturating_mul(BILLION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_a_second_is_rounded_up_once_and_never_adds_up() {
        let mut bucket = Bucket::new(3);
        bucket.take(3);
        for n in 1..=3_000u64 {
            let at = bucket.when(1);
            assert_eq!(at.0, (n * 1_000_000_000).div_ceil(3));
            bucket.advance(Nanos(at.0 - 1));
            assert!(!bucket.has(1));
            bucket.advance(at);
            assert!(bucket.has(1));
            bucket.take(1);
        }
    }

    #[test]
    fn it_never_holds_more_than_a_second_and_can_be_overdrawn() {
        let mut bucket = Bucket::new(10);
        bucket.advance(Nanos(u64::MAX));
        assert!(bucket.has(10));
        assert!(bucket.has(11), "more than it holds: when it is full");
        bucket.take(11);
        assert!(!bucket.has(1));
        let mut bucket = Bucket::new(u32::MAX);
        bucket.take(usize::MAX);
        bucket.take(usize::MAX);
        bucket.advance(Nanos(u64::MAX));
        assert!(bucket.when(usize::MAX) >= bucket.at);
    }
}
