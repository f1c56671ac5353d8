//! What waits in the offline queue, in order, counted and charged.

use std::collections::{BTreeMap, BTreeSet};

use crate::layers::draining::Place;
use crate::layers::waiting::Waiting;
use crate::time::Nanos;

/// The messages in their order. All else knows them by number, size and what is in front, so that another store may
/// take the place of this one: one that keeps the messages elsewhere.
#[derive(Debug)]
pub(super) struct Backlog {
    entries: BTreeMap<Place, Waiting>,
    expiries: BTreeSet<(Nanos, Place)>,
    bytes: usize,
    end: Place,
}

impl Default for Backlog {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), expiries: BTreeSet::new(), bytes: 0, end: Place::MIDDLE }
    }
}

impl Backlog {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Topics, properties and payloads.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The place of the next message that comes.
    pub(super) fn end(&self) -> Place {
        self.end
    }

    /// The place of the message in front.
    pub(super) fn front(&self) -> Option<Place> {
        self.entries.first_key_value().map(|(place, _)| *place)
    }

    pub(super) fn push_back(&mut self, waiting: Waiting) {
        let place = self.end;
        self.end = Place(place.0.saturating_add(1));
        self.insert(place, waiting);
    }

    pub(super) fn push_front(&mut self, waiting: Waiting) {
        let front = self.front().unwrap_or(self.end);
        self.insert(Place(front.0.saturating_sub(1)), waiting);
    }

    pub(super) fn pop_front(&mut self) -> Option<Waiting> {
        let place = self.front()?;
        self.remove(place)
    }

    /// When the first message expires.
    pub(super) fn next_expiry(&self) -> Option<Nanos> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// Takes the next message whose time is over, wherever it stands.
    pub(super) fn pop_expired(&mut self, now: Nanos) -> Option<Waiting> {
        let (at, place) = *self.expiries.first()?;
        if at > now {
            return None;
        }
        self.remove(place)
    }

    fn insert(&mut self, place: Place, waiting: Waiting) {
        self.bytes = self.bytes.saturating_add(waiting.size());
        if let Some(at) = waiting.expiry() {
            self.expiries.insert((at, place));
        }
        self.entries.insert(place, waiting);
    }

    fn remove(&mut self, place: Place) -> Option<Waiting> {
        let waiting = self.entries.remove(&place)?;
        self.bytes = self.bytes.saturating_sub(waiting.size());
        if let Some(at) = waiting.expiry() {
            self.expiries.remove(&(at, place));
        }
        Some(waiting)
    }
}
