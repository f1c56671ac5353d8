//! Where a durable outbox keeps its entries: the trait for it, and the task that carries out what a stage wishes.

mod channel;
mod memory;
mod opening;
#[cfg(feature = "outbox")]
mod redb;
mod serve;

use bytes::Bytes;

pub use channel::{Disk, DiskServer, channel};
pub use memory::{DiskCounts, MemoryDisk, MemoryStorage};
pub use opening::{open, read_all};
#[cfg(feature = "outbox")]
#[cfg_attr(docsrs, doc(cfg(feature = "outbox")))]
pub use redb::Redb;
pub use serve::{Durability, WriteOptions, serve, spawn};

use crate::stage::{EntryId, StoreError};

/// One change of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Write this entry.
    Put(EntryId, Bytes),
    /// Forget this entry. That there is none is no error.
    Delete(EntryId),
}

/// A place for entries by number: a database, a file, a flash partition. Its calls may block; they are made on a thread
/// that does nothing else.
///
/// # What is asked of it
/// - A [`commit`](Self::commit) is taken as a whole or not at all, whenever the process is killed or the power goes.
/// - Once a commit with `sync` has returned, it and every commit before it are there after a loss of power.
/// - After an error either all of it was done or nothing, and the store can be used on.
/// - That an entry to be deleted is not there is no error.
pub trait Storage: Send + 'static {
    /// Carries out all of these changes, in order, as one. With `sync` it returns once they survive a loss of power.
    ///
    /// # Errors
    /// All of the changes were made or none; perhaps nobody can know which, as when the last synchronisation fails.
    fn commit(&mut self, changes: &[Change], sync: bool) -> Result<(), StoreError>;

    /// Entries from this number on, in order: at most `entries`, and of together at most `bytes` but one at least.
    ///
    /// # Errors
    /// They could not be read.
    fn load(
        &mut self,
        from: EntryId,
        entries: usize,
        bytes: usize,
    ) -> Result<Vec<(EntryId, Bytes)>, StoreError>;
}
