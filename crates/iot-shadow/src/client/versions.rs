//! Which deltas are news: shared by all streams of a shadow, and by its requests.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the answers to the device's own requests have told.
#[derive(Debug, Default)]
pub(super) struct Versions(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The newest version that an answer named.
    accepted: Option<u64>,
    /// Counts how often there was found to be no shadow.
    resets: u64,
}

/// What one stream has delivered.
#[derive(Debug, Default)]
pub(super) struct Seen {
    last: Option<u64>,
    resets: u64,
}

impl Versions {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shadow had this version when a request was accepted.
    pub(super) fn accepted(&self, version: u64) {
        let mut known = self.lock();
        known.accepted = known.accepted.max(Some(version));
    }

    /// There is no shadow: numbering may begin anew.
    pub(super) fn reset(&self) {
        let mut known = self.lock();
        known.accepted = None;
        known.resets += 1;
    }

    /// Whether a delta of this version is newer than the last one that was delivered, and not older than the last version
    /// that was accepted. It is the last one from now on then.
    pub(super) fn takes(&self, version: u64, seen: &mut Seen) -> bool {
        let known = self.lock();
        if seen.resets != known.resets {
            *seen = Seen { last: None, resets: known.resets };
        }
        let is_news = seen.last.is_none_or(|last| version > last)
            && known.accepted.is_none_or(|accepted| version >= accepted);
        if is_news {
            seen.last = Some(version);
        }
        is_news
    }

    /// A document has this version, so whatever was known of higher ones is of an earlier shadow.
    pub(super) fn document(&self, version: u64, seen: &mut Seen) {
        let mut known = self.lock();
        if seen.last.is_some_and(|last| last > version) {
            seen.last = None;
        }
        known.accepted = Some(version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delta_is_taken_once_and_in_order() {
        let (versions, mut seen) = (Versions::default(), Seen::default());
        let mut takes = |version| versions.takes(version, &mut seen);
        assert_eq!([5, 5, 4, 6, 8, 7].map(&mut takes), [true, false, false, true, true, false]);
    }

    #[test]
    fn one_that_is_as_new_as_the_last_accepted_version_is_taken_an_older_one_is_not() {
        let (versions, mut seen) = (Versions::default(), Seen::default());
        versions.accepted(7);
        versions.accepted(3);
        assert_eq!([6, 7].map(|version| versions.takes(version, &mut seen)), [false, true]);
    }

    #[test]
    fn without_a_shadow_numbers_begin_anew_for_every_stream() {
        let (versions, mut one, mut other) = (Versions::default(), Seen::default(), Seen::default());
        versions.accepted(9);
        assert!(versions.takes(9, &mut one) && versions.takes(9, &mut other));
        versions.reset();
        assert!(versions.takes(1, &mut one) && versions.takes(2, &mut other));
        assert!(!versions.takes(1, &mut one));
    }
}
