//! Which deltas are news: shared by all streams of a shadow, and by its requests.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::document::Shadow;

/// A version, and when it was made, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) version: u64,
    pub(super) timestamp: Option<u64>,
}

impl Mark {
    /// A document is dated by what was set last in it: the answer itself is later than the version that it has, and one answer
    /// later than another with the same.
    pub(super) fn of_document<T>(document: &Shadow<T>) -> Self {
        let set = newest(&document.metadata.0);
        Self { version: document.version, timestamp: set.or(document.timestamp) }
    }

    /// Whether this was said later, of a shadow that was made anew and is numbered anew.
    pub(super) fn is_renumbered(self, before: Self) -> bool {
        let is_later = matches!((self.timestamp, before.timestamp), (Some(own), Some(other)) if own > other);
        self.version <= before.version && is_later
    }
}

/// The last of the timestamps in metadata.
fn newest(metadata: &Value) -> Option<u64> {
    match metadata {
        Value::Object(members) => match members.get("timestamp") {
            Some(Value::Number(timestamp)) => timestamp.as_u64(),
            _ => members.values().filter_map(newest).max(),
        },
        Value::Array(items) => items.iter().filter_map(newest).max(),
        _ => None,
    }
}

/// What the answers to the device's own requests have told.
#[derive(Debug, Default)]
pub(super) struct Versions(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The newest version that an answer named.
    accepted: Option<Mark>,
    /// Counts the answers that named one.
    answers: u64,
    /// Counts how often there was found to be no shadow.
    resets: u64,
}

/// What one stream has delivered.
#[derive(Debug, Default)]
pub(super) struct Seen {
    last: Option<Mark>,
    /// The last one before the shadow was deleted, or found to be missing: what was said until then may still come.
    before: Option<Mark>,
    resets: u64,
}

impl Seen {
    fn follow(&mut self, known: &Known) {
        if self.resets != known.resets {
            self.before = self.last.take().or(self.before);
            self.resets = known.resets;
        }
    }
}

impl Versions {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shadow had this version when a request was accepted.
    pub(super) fn accepted(&self, mark: Mark) {
        let mut known = self.lock();
        known.answers += 1;
        let is_newer = |before: Mark| mark.version >= before.version || mark.is_renumbered(before);
        if known.accepted.is_none_or(is_newer) {
            known.accepted = Some(mark);
        }
    }

    /// How many answers there were: what an answer to a request that is made now is compared with.
    pub(super) fn answers(&self) -> u64 {
        self.lock().answers
    }

    /// There is no shadow, as an answer said: numbering may begin anew. Not so if there were others since the request was made:
    /// nobody knows which of them the service has made first.
    pub(super) fn reset(&self, answers_before: u64) {
        let mut known = self.lock();
        if known.answers == answers_before {
            known.accepted = None;
            known.resets += 1;
        }
    }

    /// The shadow had this version, and the device has deleted it: what is made next may be numbered anew. Streams hear of it
    /// by themselves.
    pub(super) fn gone(&self, mark: Mark) {
        let mut known = self.lock();
        if known.accepted.is_some_and(|accepted| accepted.version <= mark.version) {
            known.accepted = None;
        }
    }

    /// The same, as a stream heard it: the shadow had this version when it was deleted. Not so if a later version has been
    /// delivered already, from a document that overtook this; whether it counts. Other streams hear of it by themselves,
    /// perhaps later than of the next shadow.
    pub(super) fn deleted(&self, mark: Mark, seen: &mut Seen) -> bool {
        let mut known = self.lock();
        seen.follow(&known);
        let is_overtaken = |last: Mark| last.version > mark.version && !mark.is_renumbered(last);
        if [seen.last, seen.before].into_iter().flatten().any(is_overtaken) {
            return false;
        }
        known.accepted = known.accepted.filter(|accepted| is_overtaken(*accepted));
        *seen = Seen { last: None, before: Some(mark), resets: known.resets };
        true
    }

    /// Whether a delta is newer than the last one that was delivered, and not older than the last version that was accepted.
    /// It is the last one from now on then.
    pub(super) fn takes(&self, mark: Mark, seen: &mut Seen) -> bool {
        let known = self.lock();
        seen.follow(&known);
        let is_news = seen.last.is_none_or(|last| mark.version > last.version)
            && known
                .accepted
                .is_none_or(|accepted| mark.version >= accepted.version || mark.is_renumbered(accepted))
            && seen.before.is_none_or(|before| {
                let is_dated = mark.timestamp.is_some() && before.timestamp.is_some();
                mark.version > before.version || mark.is_renumbered(before) || !is_dated
            });
        if is_news {
            seen.last = Some(mark);
        }
        is_news
    }

    /// A document that was asked for has this version: if that is a lower one and was said later, what is known of higher
    /// ones is of an earlier shadow.
    pub(super) fn document(&self, mark: Mark, seen: &mut Seen) {
        let known = self.lock();
        seen.follow(&known);
        if seen.last.is_some_and(|last| mark.version < last.version && mark.is_renumbered(last)) {
            seen.last = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(version: u64, timestamp: u64) -> Mark {
        Mark { version, timestamp: Some(timestamp) }
    }

    fn undated(version: u64) -> Mark {
        Mark { version, timestamp: None }
    }

    #[test]
    fn a_delta_is_taken_once_and_in_order() {
        let (versions, mut seen) = (Versions::default(), Seen::default());
        let mut takes = |version| versions.takes(undated(version), &mut seen);
        assert_eq!([5, 5, 4, 6, 8, 7].map(&mut takes), [true, false, false, true, true, false]);
    }

    #[test]
    fn one_that_is_as_new_as_the_last_accepted_version_is_taken_an_older_one_is_not() {
        let (versions, mut seen) = (Versions::default(), Seen::default());
        versions.accepted(undated(7));
        versions.accepted(undated(3));
        assert_eq!([6, 7].map(|version| versions.takes(undated(version), &mut seen)), [false, true]);
    }

    #[test]
    fn without_a_shadow_numbers_begin_anew_for_every_stream() {
        let (versions, mut one, mut other) = (Versions::default(), Seen::default(), Seen::default());
        versions.accepted(at(9, 100));
        assert!(versions.takes(at(9, 100), &mut one) && versions.takes(at(9, 100), &mut other));
        assert!(versions.deleted(at(9, 100), &mut one));
        assert!(!versions.takes(at(8, 99), &mut one), "late, of the shadow that was deleted");
        assert!(versions.deleted(at(9, 100), &mut other), "it hears of it by itself");
        assert!(versions.takes(at(1, 101), &mut one) && versions.takes(at(2, 101), &mut other));
        assert!(!versions.takes(at(1, 102), &mut one));
    }

    #[test]
    fn what_was_said_before_the_shadow_was_missing_does_not_come_after_it() {
        let (versions, mut seen) = (Versions::default(), Seen::default());
        assert!(versions.takes(at(6, 100), &mut seen));
        versions.reset(versions.answers());
        assert!(!versions.takes(at(5, 99), &mut seen), "it waited to be read");
        assert!(versions.takes(at(1, 200_000), &mut seen), "of a shadow that was made anew");
        versions.reset(versions.answers());
        assert!(versions.takes(undated(1), &mut seen), "nobody knows");
    }

    #[test]
    fn the_end_of_an_earlier_shadow_is_overtaken_by_a_document_of_the_next_one() {
        let (versions, mut seen) = (Versions::default(), Seen::default());
        assert!(versions.takes(at(6, 100), &mut seen));
        assert!(!versions.deleted(at(3, 100), &mut seen));
        assert!(!versions.takes(at(5, 100), &mut seen));
        assert!(versions.deleted(at(2, 200_000), &mut seen));
    }

    #[test]
    fn a_document_that_is_older_than_a_delta_makes_nothing_new_one_that_is_numbered_anew_does() {
        let (versions, mut seen) = (Versions::default(), Seen::default());
        assert!(versions.takes(at(6, 100), &mut seen));
        versions.document(at(5, 100), &mut seen);
        assert!(!versions.takes(at(5, 100), &mut seen));
        versions.accepted(at(6, 100));
        versions.accepted(at(2, 200_000));
        versions.document(at(2, 200_000), &mut seen);
        assert!(versions.takes(at(2, 200_000), &mut seen));
    }

    #[test]
    fn an_answer_that_there_is_no_shadow_does_not_undo_one_that_came_meanwhile() {
        let (versions, mut seen) = (Versions::default(), Seen::default());
        let before = versions.answers();
        versions.accepted(at(2, 100));
        versions.reset(before);
        assert!(!versions.takes(at(1, 100), &mut seen));
    }

    #[test]
    fn a_deletion_that_one_stream_hears_late_is_nothing_new_to_another() {
        let (versions, mut one, mut slow) = (Versions::default(), Seen::default(), Seen::default());
        versions.accepted(at(6, 101));
        assert!(versions.deleted(at(3, 100), &mut one) && versions.takes(at(6, 101), &mut one));
        assert!(versions.deleted(at(3, 100), &mut slow));
        assert!(!versions.takes(at(6, 101), &mut one), "it has that one");
        assert!(!versions.takes(at(5, 101), &mut slow), "6 was accepted");
        assert!(versions.takes(at(6, 101), &mut slow));
    }

    #[test]
    fn a_document_is_as_old_as_what_was_set_last_in_it() {
        let document = |timestamp: u64| -> Shadow {
            let set = |timestamp: u64| serde_json::json!({"timestamp": timestamp});
            let metadata = serde_json::json!({"desired": {"a": [set(90), set(100)], "timestamp": set(95)}, "reported": {}});
            let document = serde_json::json!({"version": 6, "metadata": metadata, "timestamp": timestamp});
            serde_json::from_value(document).unwrap()
        };
        assert_eq!([120, 130].map(|at| Mark::of_document(&document(at))), [at(6, 100); 2]);
        let (versions, mut seen) = (Versions::default(), Seen::default());
        assert!(versions.takes(Mark::of_document(&document(120)), &mut seen));
        versions.reset(versions.answers());
        assert!(!versions.takes(Mark::of_document(&document(130)), &mut seen), "the same once more");
        let bare: Shadow = serde_json::from_str(r#"{"version":6,"timestamp":120}"#).unwrap();
        assert_eq!(Mark::of_document(&bare), at(6, 120));
    }
}
