//! Tokens that nobody else has.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Gives tokens: a random beginning for the whole, so that no other client has it, and a number.
#[derive(Debug)]
pub(super) struct Tokens {
    prefix: [u64; 2],
    next: AtomicU64,
}

impl Tokens {
    pub(super) fn new() -> Self {
        // Each has keys of its own, from the system's random numbers.
        let random = || RandomState::new().hash_one(0_u8);
        Self { prefix: [random(), random()], next: AtomicU64::new(1) }
    }

    pub(super) fn next(&self) -> String {
        let [high, low] = self.prefix;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{high:016x}{low:016x}-{number}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_are_the_same_and_none_is_too_long() {
        let makers = [Tokens::new(), Tokens::new()];
        let tokens: HashSet<String> =
            makers.iter().flat_map(|maker| (0..100).map(|_| maker.next())).collect();
        assert_eq!(tokens.len(), 200);
        let longest = Tokens { prefix: [u64::MAX; 2], next: AtomicU64::new(u64::MAX) };
        assert!(longest.next().len() <= super::super::wire::MAX_TOKEN);
    }
}
