//! Carries out a stage's wishes of a store: many in one commit, off the path of the connection.

use std::thread;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::channel::{Disk, DiskServer, channel};
use super::{Change, Storage};
use crate::client::clock::{after, instant};
use crate::stage::{EntryId, StoreError, StoreErrorKind, StoreOp, Stored};

/// So many wishes, and so many bytes, make one commit at most.
const GROUP: usize = 1024;
const GROUP_BYTES: usize = 1024 * 1024;
/// So many removals are not put off any longer.
const REMOVALS: usize = 256;
/// From a failed attempt to remove to the next one.
const AGAIN: Duration = Duration::from_secs(1);

/// How soon what is written survives a loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Before it is sent: nothing that was published is ever lost. What is published at the same time shares one
    /// synchronisation of the disk.
    #[default]
    EachPublish,
    /// Within this time. It is sent before; a crash loses what was published since, of which the server may have some.
    /// Spares the disk.
    Interval(Duration),
    /// When the client is closed in order, and when the system likes.
    None,
}

/// How a store is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOptions {
    durability: Durability,
    removal_delay: Duration,
}

impl Default for WriteOptions {
    /// Each publish is durable; removals wait for company for at most 250 ms.
    fn default() -> Self {
        Self { durability: Durability::default(), removal_delay: Duration::from_millis(250) }
    }
}

impl WriteOptions {
    /// How soon what is written survives a loss of power. Default: before it is sent.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long the removal of an acknowledged message waits for something else to be written, so that one commit does for
    /// both. After a crash such a message is sent once more. Default: 250 ms.
    #[must_use]
    pub fn removal_delay(mut self, delay: Duration) -> Self {
        self.removal_delay = delay;
        self
    }
}

/// Serves a store on a thread of its own, until the driver has ended and everything is done.
///
/// # Errors
/// The system makes no further thread.
pub fn spawn<S: Storage>(storage: S, options: WriteOptions) -> Result<Disk, StoreError> {
    let no_thread = |error: std::io::Error| {
        StoreError::new(StoreErrorKind::Io, format!("no thread for the outbox could be started: {error}"))
    };
    let (disk, server) = channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(no_thread)?;
    thread::Builder::new()
        .name("outbox".to_owned())
        .spawn(move || runtime.block_on(serve(storage, server, options)))
        .map_err(no_thread)?;
    Ok(disk)
}

/// Serves a store on the present task, whose calls may block it: [`spawn`] is for ordinary use, this for a simulator whose
/// store does not block. Ends once the driver has closed its end and everything is done; by the time that the driver hears
/// of it, the store is dropped.
///
/// Wishes are gathered while a commit is under way, and the next one does for all of them.
pub async fn serve<S: Storage>(storage: S, mut server: DiskServer, options: WriteOptions) {
    let mut desk = Desk {
        storage,
        options,
        changes: Vec::new(),
        appended: Vec::new(),
        taken: Vec::new(),
        kept: None,
        removals: Vec::new(),
        remove_at: None,
        fails: false,
        unsynced: None,
        sync_at: None,
    };
    loop {
        let wish = match desk.deadline() {
            None => server.next().await,
            Some(at) => match timeout_at(at, server.next()).await {
                Ok(wish) => wish,
                Err(_) => {
                    desk.on_time(&mut server);
                    continue;
                }
            },
        };
        let Some(wish) = wish else { break };
        desk.serve(wish, &mut server);
        // Under load, too, what is due is done.
        desk.on_time(&mut server);
    }
    desk.finish(&mut server);
    // Whoever sees the end of the answers may open the store again.
    drop(desk);
    drop(server);
}

struct Desk<S> {
    storage: S,
    options: WriteOptions,
    /// The next commit, but for the removals.
    changes: Vec<Change>,
    /// Whom to answer once it is made.
    appended: Vec<EntryId>,
    taken: Vec<EntryId>,
    kept: Option<u64>,
    /// Put off. The stage bounds them by what it keeps.
    removals: Vec<EntryId>,
    remove_at: Option<Instant>,
    /// The last attempt to remove failed, and that was told.
    fails: bool,
    /// The last entry that was written and not synchronised.
    unsynced: Option<EntryId>,
    sync_at: Option<Instant>,
}

impl<S: Storage> Desk<S> {
    fn deadline(&self) -> Option<Instant> {
        [self.remove_at, self.sync_at].into_iter().flatten().min()
    }

    /// Gathers what else there is, and commits.
    fn serve(&mut self, first: StoreOp, server: &mut DiskServer) {
        let (mut wish, mut count, mut bytes) = (Some(first), 0_usize, 0_usize);
        while let Some(next) = wish {
            match next {
                StoreOp::Append(id, record) => {
                    bytes = bytes.saturating_add(record.len());
                    self.changes.push(Change::Put(id, record));
                    self.appended.push(id);
                }
                StoreOp::Take(id) => {
                    self.changes.push(Change::Delete(id));
                    self.taken.push(id);
                }
                StoreOp::Remove(id) => self.put_off(id),
                StoreOp::Keep { version, record } => {
                    bytes = bytes.saturating_add(record.len());
                    self.changes.push(Change::Put(EntryId::SESSION, record));
                    self.kept = Some(version);
                }
                StoreOp::Load { from, entries, bytes } => {
                    self.commit(server);
                    self.remove(false, server);
                    self.load(from, entries, bytes, server);
                }
            }
            count = count.saturating_add(1);
            // Asked for only where there is room: what is taken out is carried out.
            wish = if count < GROUP && bytes < GROUP_BYTES { server.try_next() } else { None };
        }
        self.commit(server);
        if self.removals.len() >= REMOVALS && !self.fails {
            self.remove(false, server);
        }
    }

    fn put_off(&mut self, id: EntryId) {
        self.removals.push(id);
        self.remove_at.get_or_insert(after(instant(), self.options.removal_delay));
    }

    /// Makes the commit that was gathered, if there is one. Removals ride along.
    fn commit(&mut self, server: &mut DiskServer) {
        if self.changes.is_empty() {
            return;
        }
        let own = self.changes.len();
        // They come last: what is removed was appended before, perhaps in this very commit.
        self.changes.extend(self.removals.iter().map(|id| Change::Delete(*id)));
        let each = self.options.durability == Durability::EachPublish;
        let sync = each || !self.taken.is_empty() || self.kept.is_some();
        match self.storage.commit(&self.changes, sync) {
            Ok(()) => {
                self.removed();
                self.committed(sync, server);
            }
            Err(error) => {
                self.changes.truncate(own);
                self.refused(&error, server);
            }
        }
        self.changes.clear();
        self.appended.clear();
        self.taken.clear();
    }

    fn committed(&mut self, sync: bool, server: &mut DiskServer) {
        let last = self.appended.last().copied();
        if sync {
            let through = last.or(self.unsynced);
            (self.unsynced, self.sync_at) = (None, None);
            if let Some(through) = through {
                server.answer(Stored::Appended { through, durable: true });
            }
        } else if let Some(through) = last {
            self.unsynced = Some(through);
            if let Durability::Interval(interval) = self.options.durability {
                self.sync_at.get_or_insert(after(instant(), interval));
            }
            server.answer(Stored::Appended { through, durable: false });
        }
        for id in self.taken.drain(..) {
            server.answer(Stored::Taken(id));
        }
        if let Some(version) = self.kept.take() {
            server.answer(Stored::Kept { version });
        }
    }

    /// The commit failed. What was to be removed still is: that may be what makes room. So is what was to be appended, since
    /// it may have been all the same.
    fn refused(&mut self, error: &StoreError, server: &mut DiskServer) {
        for id in self.appended.drain(..) {
            self.removals.push(id);
            server.answer(Stored::NotAppended(id, error.clone()));
        }
        for id in self.taken.drain(..) {
            server.answer(Stored::NotTaken(id, error.clone()));
        }
        if let Some(version) = self.kept.take() {
            server.answer(Stored::NotKept { version, error: error.clone() });
        }
        self.remove(false, server);
    }

    /// Makes a commit of removals only.
    fn remove(&mut self, sync: bool, server: &mut DiskServer) {
        if self.removals.is_empty() {
            self.remove_at = None;
            return;
        }
        let changes: Vec<Change> = self.removals.iter().map(|id| Change::Delete(*id)).collect();
        match self.storage.commit(&changes, sync) {
            Ok(()) => self.removed(),
            Err(error) => {
                self.remove_at = Some(after(instant(), AGAIN));
                if !std::mem::replace(&mut self.fails, true) {
                    server.answer(Stored::NotRemoved(error));
                }
            }
        }
    }

    fn removed(&mut self) {
        self.removals.clear();
        (self.remove_at, self.fails) = (None, false);
    }

    fn load(&mut self, from: EntryId, entries: usize, bytes: usize, server: &mut DiskServer) {
        server.answer(match self.storage.load(from, entries, bytes) {
            Ok(page) => Stored::Loaded(page),
            Err(error) => Stored::NotLoaded(error),
        });
    }

    /// Synchronises what was written.
    fn sync(&mut self, server: &mut DiskServer) {
        let Some(through) = self.unsynced else {
            self.sync_at = None;
            return;
        };
        let changes: Vec<Change> = self.removals.iter().map(|id| Change::Delete(*id)).collect();
        match self.storage.commit(&changes, true) {
            Ok(()) => {
                self.removed();
                (self.unsynced, self.sync_at) = (None, None);
                server.answer(Stored::Appended { through, durable: true });
            }
            Err(error) => {
                self.sync_at = Some(after(instant(), AGAIN));
                if !std::mem::replace(&mut self.fails, true) {
                    server.answer(Stored::NotRemoved(error));
                }
            }
        }
    }

    fn on_time(&mut self, server: &mut DiskServer) {
        let now = instant();
        if self.sync_at.is_some_and(|at| at <= now) {
            self.sync(server);
        }
        if self.remove_at.is_some_and(|at| at <= now) {
            self.remove(false, server);
        }
    }

    fn finish(&mut self, server: &mut DiskServer) {
        self.sync(server);
        self.remove(true, server);
    }
}
