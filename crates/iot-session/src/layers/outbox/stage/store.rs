//! What the store says.

use std::time::Duration;

use bytes::Bytes;

use super::super::entry::State;
use super::super::record;
use super::Keeper;
use crate::error::OpError;
use crate::layers::waiting::Waiting;
use crate::stage::{
    EntryId, Event, Notice, OpId, Output, Owner, StoreError, StoreErrorKind, StoreOp, Stored,
};
use crate::time::Now;

/// From a failed attempt to read or to take to the next one.
const AGAIN: Duration = Duration::from_secs(1);

impl Keeper {
    pub(super) fn stored(&mut self, now: Now, stored: Stored) {
        match stored {
            Stored::Appended { through, durable } => self.appended(through, durable),
            Stored::NotAppended(id, error) => {
                self.unsynced.retain(|(unsynced, _)| *unsynced != id);
                self.is_appended(id);
                self.lost(id, OpError::Store(error));
            }
            Stored::Taken(id) => {
                self.book.set(id, State::Taken);
            }
            Stored::NotTaken(id, error) => {
                if !self.book.set(id, State::Stored) {
                    // It ended meanwhile.
                    self.store(StoreOp::Remove(id));
                }
                if self.again.is_none() {
                    self.notice(Notice::Storage { error });
                }
                self.again = Some(now.mono.after(AGAIN));
            }
            Stored::Loaded(page) => self.loaded(page),
            Stored::NotLoaded(error) => {
                self.loading = None;
                self.again = Some(now.mono.after(AGAIN));
                self.notice(Notice::Storage { error });
            }
            Stored::NotRemoved(error) => self.notice(Notice::Storage { error }),
            Stored::Closed(error) => self.closed(&error),
            // Not of this layer's wishes.
            Stored::Kept { .. } | Stored::NotKept { .. } => {}
        }
    }

    fn appended(&mut self, through: EntryId, durable: bool) {
        while let Some(&(id, _)) = self.appending.front().filter(|(id, _)| *id <= through) {
            self.is_appended(id);
            if self.book.entry(id).is_some_and(|entry| entry.state == State::Appending) {
                self.book.set(id, State::Stored);
            }
        }
        while durable && let Some(&(_, op)) = self.unsynced.front().filter(|(id, _)| *id <= through) {
            self.unsynced.pop_front();
            self.out.push_back(Output::Event(Event::Stored(op)));
        }
    }

    /// It is not on its way to the store any more.
    fn is_appended(&mut self, id: EntryId) {
        if let Some(at) = self.appending.iter().position(|(appending, _)| *appending == id)
            && let Some((_, size)) = self.appending.remove(at)
        {
            self.appending_bytes = self.appending_bytes.saturating_sub(size);
        }
    }

    /// A waiting message ends here; what is on disk stays there.
    fn lost(&mut self, id: EntryId, error: OpError) {
        if let Some(waiter) = self.book.remove(id) {
            self.tell(waiter.entry.waiter, None, Err(error));
        }
    }

    /// Contents that were asked for. What was to be among them and is not is lost.
    fn loaded(&mut self, page: Vec<(EntryId, Bytes)>) {
        let Some(from) = self.loading.take() else { return };
        let through = page.last().map_or(from, |(id, _)| *id);
        for (id, bytes) in page {
            let filled = self.book.fill(id, |entry| {
                let op = record::decode(&bytes).ok()?.op;
                let own = OpId::new(Owner::OUTBOX, id.0);
                Some(Waiting::new(entry.since, entry.waiter.unwrap_or(own), op).aged(entry.age))
            });
            if !filled {
                let waiter = self.book.remove(id);
                self.damaged(id, waiter.and_then(|waiter| waiter.entry.waiter));
            }
        }
        let missing: Vec<EntryId> = self
            .book
            .iter()
            .skip_while(|(id, _)| *id < from)
            .take_while(|(id, _)| *id <= through)
            .filter(|(_, waiter)| waiter.content.is_none() && waiter.entry.state == State::Stored)
            .map(|(id, _)| id)
            .collect();
        for id in missing {
            let message = format!("entry {} of the outbox is not in its store any more", id.0);
            self.lost(id, OpError::Store(StoreError::new(StoreErrorKind::Corrupted, message)));
        }
    }

    /// An entry on disk cannot be read.
    pub(super) fn damaged(&mut self, id: EntryId, waiter: Option<OpId>) {
        let message = format!("entry {} of the outbox is damaged and was removed", id.0);
        let error = StoreError::new(StoreErrorKind::Corrupted, message);
        self.store(StoreOp::Remove(id));
        self.tell(waiter, None, Err(OpError::Store(error)));
    }

    /// The store is gone. What is in memory still goes out; what is not stays on disk.
    fn closed(&mut self, error: &StoreError) {
        self.closed = Some(error.clone());
        (self.loading, self.again) = (None, None);
        (self.appending_bytes, self.unsynced) = (0, Default::default());
        self.appending.clear();
        let gone: Vec<EntryId> = self
            .book
            .iter()
            .filter(|(_, waiter)| {
                let under_way = matches!(waiter.entry.state, State::Appending | State::Taking);
                let unreachable =
                    waiter.entry.state == State::Stored && (waiter.content.is_none() || !waiter.entry.lasts);
                under_way || unreachable
            })
            .map(|(id, _)| id)
            .collect();
        for id in gone {
            self.lost(id, OpError::Store(error.clone()));
        }
        self.notice(Notice::Storage { error: error.clone() });
    }
}
