//! The power goes at every step that the database takes, with each of the ways in which a disk may have kept what was not
//! synchronised.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Change, Step, Storage, Tape, apply, content, delete, on, put};
use crate::stage::{EntryId, StoreErrorKind};

/// What a run did: after how many steps each commit had returned, and the content then.
struct Run {
    steps: Vec<Step>,
    commits: Vec<(usize, bool, BTreeMap<EntryId, Bytes>)>,
}

fn change(content: &mut BTreeMap<EntryId, Bytes>, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Put(id, record) => drop(content.insert(*id, record.clone())),
            Change::Delete(id) => drop(content.remove(id)),
        }
    }
}

fn run() -> Run {
    let tape = Tape::default();
    let mut store = on(&tape).unwrap();
    let mut now = BTreeMap::new();
    let mut commits = vec![(tape.steps().len(), true, now.clone())];
    let workload: [(&[Change], bool); 6] = [
        (&[put(1, 10), put(2, 3000)], true),
        (&[put(3, 100), put(4, 5000), delete(1)], false),
        (&[put(5, 20)], true),
        (&[delete(2), delete(3)], false),
        (&[put(6, 9000), delete(4)], true),
        (&[delete(5), put(7, 1)], true),
    ];
    for (changes, sync) in workload {
        store.commit(changes, sync).unwrap();
        change(&mut now, changes);
        commits.push((tape.steps().len(), sync, now.clone()));
    }
    // As a kill leaves it: without the orderly end.
    let steps = tape.steps();
    drop(store);
    Run { steps, commits }
}

impl Run {
    /// What a disk may hold whose power goes after `at` steps: what was synchronised, and of the rest what `keeps` says.
    fn image(&self, at: usize, keeps: &mut dyn FnMut(usize, &Step) -> Option<Step>) -> Vec<u8> {
        let done = &self.steps[..at];
        let synced = done.iter().rposition(|step| matches!(step, Step::Sync)).map_or(0, |at| at + 1);
        let mut image = Vec::new();
        done[..synced].iter().for_each(|step| apply(&mut image, step));
        for (n, step) in done[synced..].iter().enumerate() {
            if let Some(step) = keeps(n, step) {
                apply(&mut image, &step);
            }
        }
        image
    }

    /// What was promised by then is there, and what else there is, is a later commit as a whole.
    fn check(&self, at: usize, how: &str, image: Vec<u8>) {
        let promised = self.commits.iter().rposition(|(by, sync, _)| *by <= at && *sync);
        let Some(promised) = promised else { return };
        let mut store = on(&Tape::with(image))
            .unwrap_or_else(|error| panic!("after {at} steps, {how}: does not open: {error}"));
        let found = content(&mut store).unwrap();
        let possible = self.commits[promised..].iter().any(|(_, _, content)| *content == found);
        assert!(possible, "after {at} steps, {how}: holds {:?}", found.keys().collect::<Vec<_>>());
    }
}

#[test]
fn whatever_a_disk_keeps_of_unsynchronised_writes_nothing_that_was_promised_is_lost_or_torn() {
    let run = run();
    let mut seed = 1_u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    };
    let torn = |step: &Step, sector: usize| match step {
        Step::Write(at, bytes) => Some(Step::Write(
            *at,
            bytes[..(bytes.len() / 2).next_multiple_of(sector).min(bytes.len())].to_vec(),
        )),
        other => Some(other.clone()),
    };
    for at in 0..=run.steps.len() {
        run.check(at, "all kept", run.image(at, &mut |_, step| Some(step.clone())));
        run.check(at, "none kept", run.image(at, &mut |_, _| None));
        run.check(at, "torn at sectors", run.image(at, &mut |_, step| torn(step, 512)));
        run.check(at, "torn anywhere", run.image(at, &mut |_, step| torn(step, 1)));
        for n in 0..2 {
            let but = run.image(at, &mut |which, step| (which != n).then(|| step.clone()));
            run.check(at, "all but one kept", but);
        }
        for _ in 0..3 {
            let some = run.image(at, &mut |_, step| match random() % 3 {
                0 => None,
                1 => Some(step.clone()),
                _ => torn(step, 512),
            });
            run.check(at, "some kept", some);
        }
    }
}

#[test]
fn a_disk_that_is_full_at_any_step_refuses_the_commit_as_a_whole_and_serves_on() {
    let (mut refused, mut done_and_refused) = (0, 0);
    for steps in 0..40 {
        let tape = Tape::default();
        let mut store = on(&tape).unwrap();
        store.commit(&[put(1, 100), put(2, 100)], true).unwrap();
        let before = content(&mut store).unwrap();
        tape.full_after(Some(steps));
        let outcome = store.commit(&[put(3, 5000), delete(1)], true);
        tape.full_after(None);
        let found = content(&mut store).unwrap();
        match outcome {
            Ok(()) => assert!(found.contains_key(&EntryId(3)) && !found.contains_key(&EntryId(1))),
            Err(error) => {
                refused += 1;
                assert_eq!(error.kind(), StoreErrorKind::Full, "{error}");
                assert!(error.to_string().contains("make room"), "{error}");
                // The very last synchronisation: all of it may be there.
                let done = found.contains_key(&EntryId(3)) && !found.contains_key(&EntryId(1));
                assert!(done || found == before, "after {steps} steps: {:?}", found.keys());
                done_and_refused += usize::from(done);
            }
        }
        store.commit(&[put(4, 100)], true).unwrap();
        assert!(content(&mut store).unwrap().contains_key(&EntryId(4)));
    }
    assert!(refused >= 3, "only {refused} of the steps were refused");
    assert!(done_and_refused <= 2, "{done_and_refused} refused commits were made");
}
