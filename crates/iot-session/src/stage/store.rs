//! What a stage asks of a store on disk, and what it is told.
//!
//! A stage does no I/O: it puts out a [`StoreOp`] as [`Output::Store`](super::Output::Store), and whoever holds the stack has it carried
//! out, off the path of the connection, and hands the answer back as [`Input::Stored`](super::Input::Stored). Wishes are carried out
//! in the order in which they were put out, and answered in that order.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// Names an entry of a store. Later ones have higher numbers, and no number comes twice in the life of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EntryId(pub u64);

impl EntryId {
    /// No message's: what is kept of the session is under it.
    pub const SESSION: Self = Self(0);

    /// The one behind it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// What a stage wants of the store.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreOp {
    /// Write this entry. Answered by [`Stored::Appended`] or [`Stored::NotAppended`].
    Append(EntryId, Bytes),
    /// Forget this entry, when there is time for it. Not answered. A store that cannot tries again by itself and says
    /// [`Stored::NotRemoved`] once.
    Remove(EntryId),
    /// Forget this entry before anything else is done: it must not be there after a crash from the answer on. Answered by
    /// [`Stored::Taken`] or [`Stored::NotTaken`].
    Take(EntryId),
    /// Write this as what is kept of the session, in place of what was, so that it survives a loss of power. Answered by
    /// [`Stored::Kept`] or [`Stored::NotKept`]. What was to be removed is, in the same step.
    Keep {
        /// Later ones have higher numbers.
        version: u64,
        /// What is written.
        record: Bytes,
    },
    /// Give entries from this one on, in order, at most so many and, but for the first one, of together at most so many bytes.
    /// Answered by [`Stored::Loaded`] or [`Stored::NotLoaded`].
    Load {
        /// The first one that is wanted; if it is not there, the next one is.
        from: EntryId,
        /// At most so many entries.
        entries: usize,
        /// At most so many bytes of contents, but one entry at least.
        bytes: usize,
    },
}

impl fmt::Debug for StoreOp {
    /// The length of what is written, not its content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append(id, record) => write!(f, "Append({}, {} bytes)", id.0, record.len()),
            Self::Remove(id) => write!(f, "Remove({})", id.0),
            Self::Take(id) => write!(f, "Take({})", id.0),
            Self::Keep { version, record } => write!(f, "Keep({version}, {} bytes)", record.len()),
            Self::Load { from, entries, bytes } => write!(f, "Load({}, {entries}, {bytes} bytes)", from.0),
        }
    }
}

/// What the store says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stored {
    /// All entries up to and including this one that were to be appended are, but for those that were told as not appended.
    Appended {
        /// The last one.
        through: EntryId,
        /// Whether they survive a loss of power. If not, another `Appended` says so later.
        durable: bool,
    },
    /// This entry could not be written. Should it be there all the same, it is removed as soon as that can be done.
    NotAppended(EntryId, StoreError),
    /// The entry is gone for good.
    Taken(EntryId),
    /// The entry could not be removed: it may still be there after a crash.
    NotTaken(EntryId, StoreError),
    /// What is kept of the session is this version, or a later one.
    Kept {
        /// The version.
        version: u64,
    },
    /// What is kept of the session could not be written.
    NotKept {
        /// The version.
        version: u64,
        /// Why.
        error: StoreError,
    },
    /// The entries, in order; none: there are no more from there on.
    Loaded(Vec<(EntryId, Bytes)>),
    /// The entries could not be read.
    NotLoaded(StoreError),
    /// What was to be removed could not be, and is tried again later. Told once for each time that it begins.
    NotRemoved(StoreError),
    /// The store is gone: nothing that was asked for and not answered ever will be, and nothing further is taken.
    Closed(StoreError),
}

/// Why a store could not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreError {
    kind: StoreErrorKind,
    message: Arc<str>,
}

/// What kind of error it is, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The disk or its quota is full.
    Full,
    /// The file or its directory may not be written, or not read.
    Denied,
    /// Another process, or another part of this one, has the file open.
    InUse,
    /// The content is not what was written.
    Corrupted,
    /// A version of this crate that is newer wrote the file.
    Newer,
    /// Anything else that the system says.
    Io,
}

impl StoreError {
    /// A sentence about what happened, where, and what to do.
    #[must_use]
    pub fn new(kind: StoreErrorKind, message: impl Into<Arc<str>>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What kind of error it is.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for StoreError {}
