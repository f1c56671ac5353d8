//! Taking up what an earlier run of the program left.

use bytes::Bytes;

use super::Storage;
use super::channel::Disk;
use super::serve::{WriteOptions, spawn};
use crate::layers::Found;
use crate::stage::{EntryId, StoreError, StoreErrorKind};

/// Reads what a store holds, and serves it from then on, on a thread of its own: the index for
/// [`Outbox::new`](crate::layers::Outbox::new), the disk for [`Driver::with_disk`](crate::Driver::with_disk).
///
/// # Errors
/// The store cannot be read, a newer version of this crate wrote it, the system makes no further thread.
pub fn open<S: Storage>(mut storage: S, options: WriteOptions) -> Result<(Found, Disk), StoreError> {
    let mut found = Found::default();
    read_all(&mut storage, |id, record| found.add(id, record))?;
    Ok((found, spawn(storage, options)?))
}

/// Reads everything that a store holds, in order.
///
/// # Errors
/// What the store, or `each`, says.
pub fn read_all<S: Storage>(
    storage: &mut S,
    mut each: impl FnMut(EntryId, &Bytes) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    const ENTRIES: usize = 256;
    const BYTES: usize = 1024 * 1024;
    let mut from = EntryId::default();
    loop {
        let page = storage.load(from, ENTRIES, BYTES)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        if *last < from {
            return Err(StoreError::new(StoreErrorKind::Corrupted, "the store gives entries out of order"));
        }
        from = last.next();
        for (id, record) in &page {
            each(*id, record)?;
        }
    }
}
