//! Which messages there are, in order, counted and charged.

use std::collections::{BTreeMap, BTreeSet};

use mqtt_codec::Text;

use super::entry::{Entry, State, Waiter};
use crate::layers::waiting::Waiting;
use crate::stage::EntryId;
use crate::time::Nanos;

/// Contents of so many waiting messages are kept in memory, and of so many bytes.
const WINDOW: usize = 256;
const WINDOW_BYTES: usize = 1024 * 1024;

/// The messages that wait, and those that were handed on.
#[derive(Debug, Default)]
pub(super) struct Book {
    waiting: BTreeMap<EntryId, Waiter>,
    /// With the topic, where a notice would have to name it.
    issued: BTreeMap<EntryId, (Entry, Option<Text>)>,
    expiries: BTreeSet<(Nanos, EntryId)>,
    /// Of all messages.
    bytes: usize,
    /// Of those that wait.
    waiting_bytes: usize,
    /// Of those that wait and whose content is in memory.
    contents: usize,
    contents_bytes: usize,
}

impl Book {
    /// All messages.
    pub(super) fn len(&self) -> usize {
        self.waiting.len().saturating_add(self.issued.len())
    }

    /// Topics, properties and payloads of all.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// The message in front.
    pub(super) fn front(&self) -> Option<(EntryId, &Waiter)> {
        self.waiting.first_key_value().map(|(id, waiter)| (*id, waiter))
    }

    /// Waiting messages from the front on.
    pub(super) fn iter(&self) -> impl Iterator<Item = (EntryId, &Waiter)> {
        self.waiting.iter().map(|(id, waiter)| (*id, waiter))
    }

    pub(super) fn entry(&self, id: EntryId) -> Option<&Entry> {
        self.waiting.get(&id).map(|waiter| &waiter.entry)
    }

    /// Changes how far a waiting message is. `false`: there is none of this number.
    pub(super) fn set(&mut self, id: EntryId, state: State) -> bool {
        self.waiting.get_mut(&id).map(|waiter| waiter.entry.state = state).is_some()
    }

    /// Whether the content of a message that comes last may stay in memory: there is room, and those in front are there as
    /// well, so that what is read from the store later is of one piece.
    pub(super) fn has_window(&self, size: usize) -> bool {
        self.contents == self.waiting.len()
            && self.contents < WINDOW
            && self.contents_bytes.saturating_add(size) <= WINDOW_BYTES
    }

    pub(super) fn insert(&mut self, id: EntryId, entry: Entry, content: Option<Box<Waiting>>) {
        self.bytes = self.bytes.saturating_add(entry.size);
        self.waiting_bytes = self.waiting_bytes.saturating_add(entry.size);
        if content.is_some() {
            self.contents = self.contents.saturating_add(1);
            self.contents_bytes = self.contents_bytes.saturating_add(entry.size);
        }
        if let Some(at) = entry.expiry {
            self.expiries.insert((at, id));
        }
        self.waiting.insert(id, Waiter { entry, content });
    }

    /// The content came back from the store. `false`: nobody misses it.
    pub(super) fn fill(&mut self, id: EntryId, content: impl FnOnce(&Entry) -> Option<Waiting>) -> bool {
        let Some(waiter) = self.waiting.get_mut(&id).filter(|waiter| waiter.content.is_none()) else {
            return true;
        };
        waiter.content = content(&waiter.entry).map(Box::new);
        let filled = waiter.content.is_some();
        if filled {
            self.contents = self.contents.saturating_add(1);
            self.contents_bytes = self.contents_bytes.saturating_add(waiter.entry.size);
        }
        filled
    }

    /// Takes a waiting message out.
    pub(super) fn remove(&mut self, id: EntryId) -> Option<Waiter> {
        let waiter = self.waiting.remove(&id)?;
        let size = waiter.entry.size;
        self.bytes = self.bytes.saturating_sub(size);
        self.waiting_bytes = self.waiting_bytes.saturating_sub(size);
        if waiter.content.is_some() {
            self.contents = self.contents.saturating_sub(1);
            self.contents_bytes = self.contents_bytes.saturating_sub(size);
        }
        if let Some(at) = waiter.entry.expiry {
            self.expiries.remove(&(at, id));
        }
        Some(waiter)
    }

    /// The waiting message in front that is not between two states, and was not sent: who has to go when there is no room.
    pub(super) fn oldest(&self) -> Option<EntryId> {
        let settled = |entry: &Entry| !entry.sent && matches!(entry.state, State::Stored | State::Taken);
        self.iter().find(|(_, waiter)| settled(&waiter.entry)).map(|(id, _)| id)
    }

    // --- time ---

    /// When the first waiting message expires.
    pub(super) fn next_expiry(&self) -> Option<Nanos> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// Takes the next waiting message whose time is over, wherever it stands.
    pub(super) fn pop_expired(&mut self, now: Nanos) -> Option<(EntryId, Waiter)> {
        let (_, id) = *self.expiries.first().filter(|(at, _)| *at <= now)?;
        Some((id, self.remove(id)?))
    }

    /// Sets when a waiting message expires.
    pub(super) fn age(&mut self, id: EntryId, since: Nanos, age: std::time::Duration, expiry: Nanos) {
        if let Some(waiter) = self.waiting.get_mut(&id) {
            if let Some(at) = waiter.entry.expiry.replace(expiry) {
                self.expiries.remove(&(at, id));
            }
            (waiter.entry.since, waiter.entry.age) = (since, age);
            self.expiries.insert((expiry, id));
        }
    }

    // --- what was handed on ---

    /// It was handed on.
    pub(super) fn issue(&mut self, id: EntryId, entry: Entry, topic: Option<Text>) {
        self.bytes = self.bytes.saturating_add(entry.size);
        self.issued.insert(id, (entry, topic));
    }

    /// It was answered, or came back.
    pub(super) fn answered(&mut self, id: EntryId) -> Option<(Entry, Option<Text>)> {
        let issued = self.issued.remove(&id)?;
        self.bytes = self.bytes.saturating_sub(issued.0.size);
        Some(issued)
    }
}
