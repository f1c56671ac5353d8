//! A store in memory that can lose its power: for tests and simulators.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Change, Storage};
use crate::stage::{EntryId, StoreError, StoreErrorKind};

/// What a [`MemoryStorage`] writes to. Clones share it; it outlives the storage as a disk outlives a process.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

/// Counts what was done to a [`MemoryDisk`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DiskCounts {
    /// Commits that were made.
    pub commits: u64,
    /// Of these, those that were synchronised.
    pub syncs: u64,
    /// Bytes of contents that were written.
    pub bytes: u64,
}

#[derive(Debug, Default)]
struct State {
    /// Survives a loss of power.
    synced: BTreeMap<EntryId, Bytes>,
    /// Commits since, in order.
    unsynced: Vec<Vec<Change>>,
    /// With them.
    entries: BTreeMap<EntryId, Bytes>,
    used: usize,
    capacity: Option<usize>,
    fails: Option<StoreError>,
    counts: DiskCounts,
}

impl MemoryDisk {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Its power goes: what was not synchronised is lost.
    pub fn crash(&self) {
        self.crash_keeping(0);
    }

    /// The same, but the first `commits` of what was not synchronised had reached it.
    pub fn crash_keeping(&self, commits: usize) {
        let mut state = self.state();
        let mut entries = std::mem::take(&mut state.synced);
        for commit in state.unsynced.drain(..).take(commits) {
            apply(&mut entries, &commit);
        }
        state.used = entries.values().map(Bytes::len).sum();
        state.entries.clone_from(&entries);
        state.synced = entries;
    }

    /// How many commits were not synchronised.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.state().unsynced.len()
    }

    /// From now on every call fails like this; `None`: no more.
    pub fn fail_with(&self, error: Option<StoreError>) {
        self.state().fails = error;
    }

    /// From now on it takes this many bytes of contents; `None`: any number. A commit that removes as much as it adds is
    /// always taken.
    pub fn capacity(&self, bytes: Option<usize>) {
        self.state().capacity = bytes;
    }

    /// What was done to it.
    #[must_use]
    pub fn counts(&self) -> DiskCounts {
        self.state().counts
    }

    /// What is on it, synchronised or not.
    #[must_use]
    pub fn entries(&self) -> BTreeMap<EntryId, Bytes> {
        self.state().entries.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn apply(entries: &mut BTreeMap<EntryId, Bytes>, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Put(id, record) => drop(entries.insert(*id, record.clone())),
            Change::Delete(id) => drop(entries.remove(id)),
        }
    }
}

/// A store on a [`MemoryDisk`].
#[derive(Debug)]
pub struct MemoryStorage(MemoryDisk);

impl MemoryStorage {
    /// On this disk.
    #[must_use]
    pub fn new(disk: &MemoryDisk) -> Self {
        Self(disk.clone())
    }
}

impl Storage for MemoryStorage {
    fn commit(&mut self, changes: &[Change], sync: bool) -> Result<(), StoreError> {
        let mut state = self.0.state();
        let state = &mut *state;
        if let Some(error) = &state.fails {
            return Err(error.clone());
        }
        let mut used = state.used;
        for change in changes {
            match change {
                Change::Put(_, record) => used = used.saturating_add(record.len()),
                Change::Delete(id) => {
                    used = used.saturating_sub(state.entries.get(id).map_or(0, Bytes::len));
                }
            }
        }
        if used > state.used && state.capacity.is_some_and(|capacity| used > capacity) {
            let message = format!("the disk in memory is full: {used} bytes do not fit");
            return Err(StoreError::new(StoreErrorKind::Full, message));
        }
        let written = |change: &Change| if let Change::Put(_, record) = change { record.len() } else { 0 };
        let bytes: usize = changes.iter().map(written).sum();
        state.counts.commits = state.counts.commits.saturating_add(1);
        state.counts.bytes = state.counts.bytes.saturating_add(bytes as u64);
        apply(&mut state.entries, changes);
        state.used = state.entries.values().map(Bytes::len).sum();
        if sync {
            state.counts.syncs = state.counts.syncs.saturating_add(1);
            for commit in state.unsynced.drain(..) {
                apply(&mut state.synced, &commit);
            }
            apply(&mut state.synced, changes);
        } else {
            state.unsynced.push(changes.to_vec());
        }
        Ok(())
    }

    fn load(
        &mut self,
        from: EntryId,
        entries: usize,
        bytes: usize,
    ) -> Result<Vec<(EntryId, Bytes)>, StoreError> {
        let state = self.0.state();
        if let Some(error) = &state.fails {
            return Err(error.clone());
        }
        let mut size = 0_usize;
        let page = state.entries.range(from..).take(entries).enumerate().take_while(|(at, (_, record))| {
            size = size.saturating_add(record.len());
            *at == 0 || size <= bytes
        });
        Ok(page.map(|(_, (id, record))| (*id, record.clone())).collect())
    }
}
