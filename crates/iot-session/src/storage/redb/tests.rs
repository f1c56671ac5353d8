//! The file at its worst: power cuts at every write, full disks, damage, two owners.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "tests say what they expect by panicking"
)]

mod files;
mod power;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ::redb::{Builder, StorageBackend};
use bytes::Bytes;

use super::Redb;
use super::open::{Refusal, Source, database};
use crate::stage::{EntryId, StoreError};
use crate::storage::{Change, Storage, read_all};

/// What was done to a file.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Write(u64, Vec<u8>),
    Length(u64),
    Sync,
}

/// A file in memory that remembers how it came to be, and fails when it is told to.
#[derive(Debug, Clone, Default)]
pub(super) struct Tape(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    content: Vec<u8>,
    steps: Vec<Step>,
    /// Steps until nothing works any more; and of which kind that is.
    fails_after: Option<usize>,
}

impl Tape {
    pub(super) fn with(content: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { content, ..State::default() })))
    }

    pub(super) fn steps(&self) -> Vec<Step> {
        self.0.lock().unwrap().steps.clone()
    }

    /// After so many more steps the disk is full; `None`: there is room again.
    pub(super) fn full_after(&self, steps: Option<usize>) {
        self.0.lock().unwrap().fails_after = steps;
    }

    fn step(&self, step: Step) -> std::io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if let Some(left) = &mut state.fails_after {
            if *left == 0 {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            *left -= 1;
        }
        apply(&mut state.content, &step);
        state.steps.push(step);
        Ok(())
    }
}

pub(super) fn apply(content: &mut Vec<u8>, step: &Step) {
    match step {
        Step::Write(at, bytes) => {
            let end = *at as usize + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*at as usize..end].copy_from_slice(bytes);
        }
        Step::Length(length) => content.resize(*length as usize, 0),
        Step::Sync => {}
    }
}

impl StorageBackend for Tape {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.0.lock().unwrap().content.len() as u64)
    }

    fn read(&self, offset: u64, len: usize) -> std::io::Result<Vec<u8>> {
        let state = self.0.lock().unwrap();
        let range = offset as usize..offset as usize + len;
        state.content.get(range).map(<[u8]>::to_vec).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.step(Step::Length(len))
    }

    fn sync_data(&self, _eventual: bool) -> std::io::Result<()> {
        self.step(Step::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.step(Step::Write(offset, data.to_vec()))
    }
}

/// A store on a tape.
pub(super) fn on(tape: &Tape) -> Result<Redb, String> {
    let open = {
        let tape = tape.clone();
        move || {
            let opened = database(|builder: &Builder| builder.create_with_backend(tape.clone()));
            opened.map_err(|refusal| match refusal {
                Refusal::Redb(::redb::Error::Io(error)) => ::redb::DatabaseError::from(error),
                Refusal::Redb(error) => ::redb::StorageError::Corrupted(error.to_string()).into(),
                Refusal::Foreign(_) | Refusal::Newer(_) => panic!("not ours"),
            })
        }
    };
    let database = open().map_err(|error| error.to_string())?;
    let source = Source::Memory(Box::new(open));
    Ok(Redb { source, database: Some(database), set_aside: None, unsynced: 0 })
}

pub(super) fn content(store: &mut Redb) -> Result<BTreeMap<EntryId, Bytes>, StoreError> {
    let mut content = BTreeMap::new();
    read_all(store, |id, record| {
        content.insert(id, record.clone());
        Ok(())
    })?;
    Ok(content)
}

pub(super) fn put(id: u64, size: usize) -> Change {
    Change::Put(EntryId(id), Bytes::from(vec![id as u8; size]))
}

pub(super) fn delete(id: u64) -> Change {
    Change::Delete(EntryId(id))
}

#[test]
fn entries_come_in_order_in_pages_of_bounded_number_and_size() {
    let mut store = on(&Tape::default()).unwrap();
    let changes: Vec<Change> = (1..=10).map(|id| put(id, 100)).collect();
    store.commit(&changes, true).unwrap();
    let ids = |page: Vec<(EntryId, Bytes)>| page.iter().map(|(id, _)| id.0).collect::<Vec<_>>();
    assert_eq!(ids(store.load(EntryId(3), 4, 10_000).unwrap()), [3, 4, 5, 6]);
    assert_eq!(ids(store.load(EntryId(3), 4, 250).unwrap()), [3, 4]);
    assert_eq!(ids(store.load(EntryId(3), 4, 1).unwrap()), [3], "one at least");
    assert_eq!(ids(store.load(EntryId(11), 4, 1).unwrap()), [0_u64; 0]);
    store.commit(&[delete(4), delete(99)], true).unwrap();
    assert_eq!(ids(store.load(EntryId(3), 2, 10_000).unwrap()), [3, 5]);
}
