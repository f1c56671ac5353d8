//! Opening the file: what may be wrong with it, and what is done about that.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use ::redb::{Builder, Database, ReadableTable, TableDefinition, TableError};

use super::{ENTRIES, kind};
use crate::stage::{StoreError, StoreErrorKind};

/// Pages in memory, in bytes.
const CACHE: usize = 1024 * 1024;
/// Says whose file it is, and in which form.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("outbox.meta");
const FORM: u64 = 1;
/// A file is made smaller when it has this many bytes more than it holds.
const SLACK: u64 = 8 * 1024 * 1024;
/// So many damaged files may lie about.
const ASIDE: u32 = 1000;

/// Where the database is.
pub(super) enum Source {
    File(PathBuf),
    #[cfg(test)]
    Memory(Box<dyn Fn() -> Result<Database, ::redb::DatabaseError> + Send>),
}

impl Source {
    /// Opens it once more: it was fine before.
    pub(super) fn open(&self) -> Result<Database, StoreError> {
        match self {
            Self::File(path) => match try_open(path) {
                Ok(Ok(database)) => Ok(database),
                Ok(Err(damage)) => Err(self.damaged("opening", &damage)),
                Err(error) => Err(error),
            },
            #[cfg(test)]
            Self::Memory(open) => open().map_err(|error| self.error("opening", &error.into())),
        }
    }

    pub(super) fn error(&self, what: &str, error: &::redb::Error) -> StoreError {
        let advice = match kind(error) {
            StoreErrorKind::Full => "; the disk is full: make room",
            StoreErrorKind::Denied => "; the file and its directory must be writable for this user",
            StoreErrorKind::InUse => "; another client has it open: each needs a file of its own",
            StoreErrorKind::Corrupted => "; it is damaged and is set aside when it is opened the next time",
            _ => "",
        };
        StoreError::new(kind(error), format!("{what} the outbox {self} failed: {error}{advice}"))
    }

    pub(super) fn damaged(&self, what: &str, how: &str) -> StoreError {
        let message = format!(
            "{what} the outbox {self} failed: {how}; it is damaged and is set aside when it is opened the next time"
        );
        StoreError::new(StoreErrorKind::Corrupted, message)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            #[cfg(test)]
            Self::Memory(_) => f.write_str("in memory"),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Opens or makes the file. A damaged one is set aside first; says where it is then.
pub(super) fn file(path: &Path) -> Result<(Database, Option<PathBuf>), StoreError> {
    match try_open(path)? {
        Ok(database) => Ok((database, None)),
        Err(_) => {
            let aside = set_aside(path)?;
            match try_open(path)? {
                Ok(database) => Ok((database, Some(aside))),
                Err(damage) => Err(Source::File(path.to_owned()).damaged("making", &damage)),
            }
        }
    }
}

/// The inner error is damage.
fn try_open(path: &Path) -> Result<Result<Database, String>, StoreError> {
    let source = || Source::File(path.to_owned());
    let file = open_file(path)?;
    // A damaged file may make redb panic.
    match catch_unwind(AssertUnwindSafe(|| database(|builder| builder.create_file(file)))) {
        Ok(Ok(mut database)) => {
            shrink(path, &mut database).map_err(|error| source().error("opening", &error))?;
            Ok(Ok(database))
        }
        Ok(Err(Refusal::Foreign(why))) => {
            Err(StoreError::new(StoreErrorKind::Io, format!("{} is no outbox: {why}", path.display())))
        }
        Ok(Err(Refusal::Newer(form))) => {
            let message = format!(
                "the outbox {} has the form {form}, which a newer version of this program wrote: use that one",
                path.display()
            );
            Err(StoreError::new(StoreErrorKind::Newer, message))
        }
        Ok(Err(Refusal::Redb(error))) if kind(&error) == StoreErrorKind::Corrupted => {
            Ok(Err(error.to_string()))
        }
        Ok(Err(Refusal::Redb(error))) => Err(source().error("opening", &error)),
        Err(_) => Ok(Err("the database panicked".to_owned())),
    }
}

/// Why a database is not used.
pub(super) enum Refusal {
    Redb(::redb::Error),
    Foreign(&'static str),
    Newer(u64),
}

impl<E: Into<::redb::Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Redb(error.into())
    }
}

/// Opens, checks and prepares a database.
pub(super) fn database(
    open: impl FnOnce(&Builder) -> Result<Database, ::redb::DatabaseError>,
) -> Result<Database, Refusal> {
    let mut builder = Builder::new();
    // The form that later versions of redb read, too.
    builder.set_cache_size(CACHE).create_with_file_format_v3(true);
    let mut database = open(&builder)?;
    database.check_integrity()?;
    let form = {
        let read = database.begin_read()?;
        match read.open_table(META) {
            Ok(meta) => meta.get("form")?.map(|form| form.value()),
            Err(TableError::TableDoesNotExist(_)) if read.list_tables()?.next().is_none() => {
                prepare(&database)?;
                Some(FORM)
            }
            Err(TableError::TableDoesNotExist(_)) => {
                return Err(Refusal::Foreign("it is a database of something else"));
            }
            Err(error) => return Err(error.into()),
        }
    };
    match form {
        Some(FORM) => Ok(database),
        Some(form) if form > FORM => Err(Refusal::Newer(form)),
        _ => Err(Refusal::Redb(::redb::Error::Corrupted("it does not say in which form it is".to_owned()))),
    }
}

/// Makes the tables, so that they can be read, and says whose they are.
fn prepare(database: &Database) -> Result<(), ::redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(META)?.insert("form", FORM)?;
    transaction.open_table(ENTRIES)?;
    transaction.commit()?;
    Ok(())
}

/// Gives back what the file takes beyond what it holds, after a backlog of long ago.
fn shrink(path: &Path, database: &mut Database) -> Result<(), ::redb::Error> {
    let held: u64 = {
        let table = database.begin_read()?.open_table(ENTRIES)?;
        let mut held = 0_u64;
        for entry in table.iter()? {
            held = held.saturating_add(entry?.1.value().len() as u64);
        }
        held
    };
    let length = fs::metadata(path).map_or(0, |file| file.len());
    if length > held.saturating_mul(2).saturating_add(SLACK) {
        // What is left of a compaction that fails is a file as large as before.
        let _ = database.compact();
    }
    Ok(())
}

fn open_file(path: &Path) -> Result<File, StoreError> {
    if path.is_dir() {
        let message = format!("the outbox {} is a directory: name a file in it", path.display());
        return Err(StoreError::new(StoreErrorKind::Io, message));
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !directory.is_dir() {
        let message =
            format!("the directory {} for the outbox does not exist: make it first", directory.display());
        return Err(StoreError::new(StoreErrorKind::Io, message));
    }
    let is_new = !path.exists();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let file = options.open(path).map_err(|error| io_error(path, "opening", error))?;
    if is_new {
        sync_directory(directory).map_err(|error| io_error(path, "making", error))?;
    }
    Ok(file)
}

/// The name of a new file survives a loss of power, too.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

fn io_error(path: &Path, what: &str, error: io::Error) -> StoreError {
    Source::File(path.to_owned()).error(what, &::redb::Error::Io(error))
}

/// Gives a damaged file another name.
fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let name = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{number}"));
        PathBuf::from(name)
    };
    let Some(aside) = (1..=ASIDE).map(name).find(|aside| !aside.exists()) else {
        let message = format!(
            "the outbox {} is damaged, and there are {ASIDE} damaged ones beside it already: look at the disk",
            path.display()
        );
        return Err(StoreError::new(StoreErrorKind::Corrupted, message));
    };
    fs::rename(path, &aside).map_err(|error| io_error(path, "setting aside", error))?;
    Ok(aside)
}
