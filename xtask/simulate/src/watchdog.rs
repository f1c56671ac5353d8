//! Notices a run that does not end: a client that spins stops the virtual clock for ever.

#![expect(
    clippy::disallowed_methods,
    reason = "it watches the machine's own clock, from outside of the runs"
)]

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A run takes milliseconds; a machine may be busy.
const LONGEST: Duration = Duration::from_secs(60);

/// Which seeds are under way, and since when.
#[derive(Debug, Default)]
pub struct Watchdog(Mutex<BTreeMap<u64, Instant>>);

impl Watchdog {
    /// The run of a seed begins.
    pub fn begins(&self, seed: u64) {
        self.lock().insert(seed, Instant::now());
    }

    /// It ends.
    pub fn ends(&self, seed: u64) {
        self.lock().remove(&seed);
    }

    /// Watches until the other end of `done` is gone. Gives the seed of a run that has taken too long.
    pub fn watch(&self, done: &Receiver<()>) -> Option<u64> {
        loop {
            if done.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Disconnected) {
                return None;
            }
            if let Some(seed) = self.overdue(Instant::now()) {
                return Some(seed);
            }
        }
    }

    fn overdue(&self, now: Instant) -> Option<u64> {
        let is_overdue = |since: Instant| now.saturating_duration_since(since) > LONGEST;
        self.lock().iter().find(|(_, since)| is_overdue(**since)).map(|(seed, _)| *seed)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_takes_too_long_is_named_and_one_that_has_ended_is_not() {
        let watchdog = Watchdog::default();
        watchdog.begins(7);
        watchdog.begins(8);
        watchdog.ends(7);
        let now = Instant::now();
        assert_eq!(watchdog.overdue(now), None);
        assert_eq!(watchdog.overdue(now + LONGEST + Duration::from_secs(1)), Some(8));
        let (done, is_done) = std::sync::mpsc::channel();
        drop(done);
        assert_eq!(watchdog.watch(&is_done), None);
    }
}
