//! A store in one file, by the database redb.
#![expect(clippy::result_large_err, reason = "the errors of redb are large, and rare")]

mod open;
#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use ::redb::{Database, Durability, TableDefinition};
use bytes::Bytes;

use super::{Change, Storage};
use crate::stage::{EntryId, StoreError, StoreErrorKind};
use open::Source;

const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("outbox");
/// So many commits in a row without a synchronisation; redb frees no space before one.
const UNSYNCED: u32 = 512;

/// A store in one file: a [redb](https://www.redb.org) database. What is written survives a kill of the process and a loss
/// of power at any moment; checksums tell damage.
///
/// The file is readable and writable by its owner only (on Unix). It holds topics and payloads as they are: encrypt the
/// disk, or the payloads, where that matters. It belongs to one process at a time.
///
/// ```
/// use iot_session::layers::{Found, Outbox};
/// use iot_session::storage::{Redb, WriteOptions};
///
/// # let directory = std::env::temp_dir().join(format!("iot-session-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// # let path = directory.join("outbox.redb");
/// let (found, disk) = iot_session::storage::open(Redb::open(&path)?, WriteOptions::default())?;
/// println!("{} messages are left", found.messages());
/// let layer = Outbox::new(found); // into the stack
/// // and `disk` to the driver, by `Driver::with_disk`
/// # drop((layer, disk));
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Redb {
    source: Source,
    /// `None`: it has to be opened again, after an error of the file system.
    database: Option<Database>,
    set_aside: Option<PathBuf>,
    unsynced: u32,
}

impl Redb {
    /// Opens the file, or makes it. All of it is checked, which takes a moment for each 10 MiB.
    ///
    /// A file that is damaged is set aside under its name with `.damaged-` and a number behind it, and a new one is begun;
    /// [`set_aside`](Self::set_aside) says so. What it holds is not sent.
    ///
    /// # Errors
    /// - [`InUse`](StoreErrorKind::InUse): another process, or this one, has it open;
    /// - [`Denied`](StoreErrorKind::Denied): the file or its directory is not ours to write;
    /// - [`Full`](StoreErrorKind::Full): no room for it;
    /// - [`Io`](StoreErrorKind::Io): the directory is not there, it is no file, it is a database of something else.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let (database, set_aside) = open::file(&path)?;
        Ok(Self { source: Source::File(path), database: Some(database), set_aside, unsynced: 0 })
    }

    /// Where the file that was found is now, if it was damaged.
    #[must_use]
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }

    /// Does something with the database. Whatever goes wrong in it, it is opened again next time.
    fn with<T>(
        &mut self,
        what: &str,
        work: impl FnOnce(&Database) -> Result<T, ::redb::Error>,
    ) -> Result<T, StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => self.source.open()?,
        };
        // A damaged file may make redb panic; this thread serves on.
        match catch_unwind(AssertUnwindSafe(|| work(&database))) {
            Ok(Ok(result)) => {
                self.database = Some(database);
                Ok(result)
            }
            Ok(Err(error)) => {
                drop(database);
                Err(self.source.error(what, &error))
            }
            Err(_) => {
                drop(database);
                Err(self.source.damaged(what, "the database panicked"))
            }
        }
    }
}

impl Storage for Redb {
    fn commit(&mut self, changes: &[Change], sync: bool) -> Result<(), StoreError> {
        let sync = sync || self.unsynced >= UNSYNCED;
        self.with("writing", |database| {
            let mut transaction = database.begin_write()?;
            transaction.set_durability(if sync { Durability::Immediate } else { Durability::None });
            {
                let mut entries = transaction.open_table(ENTRIES)?;
                for change in changes {
                    match change {
                        Change::Put(id, record) => drop(entries.insert(id.0, record.as_ref())?),
                        Change::Delete(id) => drop(entries.remove(id.0)?),
                    }
                }
            }
            transaction.commit()?;
            Ok(())
        })?;
        self.unsynced = if sync { 0 } else { self.unsynced.saturating_add(1) };
        Ok(())
    }

    fn load(
        &mut self,
        from: EntryId,
        entries: usize,
        bytes: usize,
    ) -> Result<Vec<(EntryId, Bytes)>, StoreError> {
        self.with("reading", |database| {
            let table = database.begin_read()?.open_table(ENTRIES)?;
            let (mut page, mut size) = (Vec::new(), 0_usize);
            for entry in table.range(from.0..)?.take(entries) {
                let (id, record) = entry?;
                let record = record.value();
                size = size.saturating_add(record.len());
                if size > bytes && !page.is_empty() {
                    break;
                }
                page.push((EntryId(id.value()), Bytes::copy_from_slice(record)));
            }
            Ok(page)
        })
    }
}

impl fmt::Debug for Redb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redb")
            .field("source", &self.source)
            .field("set_aside", &self.set_aside)
            .finish_non_exhaustive()
    }
}

/// What kind of error it is.
fn kind(error: &::redb::Error) -> StoreErrorKind {
    use std::io::ErrorKind;
    match error {
        ::redb::Error::DatabaseAlreadyOpen => StoreErrorKind::InUse,
        ::redb::Error::Corrupted(_) | ::redb::Error::UpgradeRequired(_) => StoreErrorKind::Corrupted,
        ::redb::Error::Io(error) => match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                StoreErrorKind::Full
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreErrorKind::Denied,
            // What redb says of a file that is none of its own, or is cut short.
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => StoreErrorKind::Corrupted,
            _ => StoreErrorKind::Io,
        },
        _ => StoreErrorKind::Io,
    }
}
