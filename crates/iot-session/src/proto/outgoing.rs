//! Operations that wait for the server's answer, by packet identifier.

use std::collections::VecDeque;
use std::time::Duration;

use mqtt_codec::PacketId;
use mqtt_codec::packet::Publish;

use crate::stage::OpId;
use crate::time::Nanos;

/// What waits under a packet identifier.
#[derive(Debug)]
pub(super) enum Waiting {
    /// For PUBACK; kept to be sent again on the next connection.
    Publish(Publish),
    /// For a SUBACK with this many codes.
    Subscribe(usize),
    /// For UNSUBACK.
    Unsubscribe,
}

#[derive(Debug)]
pub(super) struct Slot {
    /// When it was issued, among all.
    seq: u64,
    /// Who waits; `None` once they were told otherwise. The identifier stays taken.
    pub(super) op: Option<OpId>,
    pub(super) waiting: Waiting,
    /// Handed to the present link.
    sent: bool,
}

/// All of it: at most 65,535 operations. Identifiers are the slots' numbers plus one; one is free again only after its
/// answer or the session's end, so that a late answer never meets another operation.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    slots: Vec<Option<Slot>>,
    free: VecDeque<u16>,
    next_seq: u64,
    /// Publications handed to the present link and not answered.
    in_flight: usize,
    /// Slots to send again on this connection, in the order of the first time.
    resend: VecDeque<u16>,
    /// In the order of issue, which is the order of their instants.
    timeouts: VecDeque<(Nanos, u16, u64)>,
}

/// A packet identifier is at hand for this many operations beyond the window of publications.
const MAX_SLOTS: usize = 65_535;

impl Outgoing {
    /// Publications on the link that were not answered.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether publications of the connection before still have to be sent.
    pub(super) fn is_resending(&self) -> bool {
        !self.resend.is_empty()
    }

    /// A free identifier.
    pub(super) fn allocate(&mut self) -> Option<PacketId> {
        let slot = match self.free.pop_front() {
            Some(slot) => slot,
            None if self.slots.len() < MAX_SLOTS => {
                self.slots.push(None);
                u16::try_from(self.slots.len().saturating_sub(1)).ok()?
            }
            None => return None,
        };
        PacketId::new(slot.checked_add(1)?)
    }

    /// Gives an identifier back that was not used.
    pub(super) fn give_back(&mut self, id: PacketId) {
        self.free.push_back(index(id));
    }

    /// Notes an operation that goes out now and must be answered within `timeout`.
    pub(super) fn insert(&mut self, id: PacketId, op: OpId, waiting: Waiting, now: Nanos, timeout: Duration) {
        let seq = self.next_seq;
        self.next_seq = self.next_seq.saturating_add(1);
        self.in_flight = self.in_flight.saturating_add(usize::from(matches!(waiting, Waiting::Publish(_))));
        if self.timeouts.len() > self.slots.len().saturating_mul(2).saturating_add(64) {
            // One slow answer at the front holds the answered ones behind it: sweep them out now and then.
            let slots = &self.slots;
            self.timeouts.retain(|(_, slot, seq)| {
                slots.get(usize::from(*slot)).and_then(Option::as_ref).is_some_and(|slot| slot.seq == *seq)
            });
        }
        self.timeouts.push_back((now.after(timeout), index(id), seq));
        if let Some(slot) = self.slots.get_mut(usize::from(index(id))) {
            *slot = Some(Slot { seq, op: Some(op), waiting, sent: true });
        }
    }

    /// What waits under `id` on this connection.
    pub(super) fn get(&self, id: PacketId) -> Option<&Slot> {
        self.slots.get(usize::from(index(id)))?.as_ref().filter(|slot| slot.sent)
    }

    /// Ends what waits under `id`.
    pub(super) fn remove(&mut self, id: PacketId) -> Option<Slot> {
        let slot = self.slots.get_mut(usize::from(index(id)))?.take()?;
        self.free.push_back(index(id));
        if slot.sent && matches!(slot.waiting, Waiting::Publish(_)) {
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        self.drop_stale_timeouts();
        Some(slot)
    }

    /// When the oldest operation times out.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        self.timeouts.front().map(|(at, ..)| *at)
    }

    /// Takes the waiter from the next operation whose time is up. Its identifier stays taken.
    pub(super) fn pop_timed_out(&mut self, now: Nanos) -> Option<OpId> {
        while let Some(&(at, slot, seq)) = self.timeouts.front() {
            if at > now {
                return None;
            }
            self.timeouts.pop_front();
            let op = self.slot_mut(slot, seq).and_then(|slot| slot.op.take());
            self.drop_stale_timeouts();
            if op.is_some() {
                return op;
            }
        }
        None
    }

    /// The link is gone: subscriptions end, publications stay if the session may live on. Gives the waiters of all
    /// that ended.
    pub(super) fn link_lost(&mut self, keep_publications: bool) -> Vec<OpId> {
        self.resend.clear();
        self.in_flight = 0;
        for slot in self.slots.iter_mut().flatten() {
            slot.sent = false;
        }
        self.end(|slot| !keep_publications || !matches!(slot.waiting, Waiting::Publish(_)))
    }

    /// The server has forgotten the session: nothing can be taken up again.
    pub(super) fn session_lost(&mut self) -> Vec<OpId> {
        self.end(|_| true)
    }

    /// Lets go of all waiters, keeping the publications for a later connection.
    pub(super) fn detach(&mut self) -> Vec<OpId> {
        let mut waiters = Vec::new();
        for slot in self.in_order() {
            waiters.extend(
                self.slots.get_mut(usize::from(slot)).and_then(Option::as_mut).and_then(|s| s.op.take()),
            );
        }
        self.drop_stale_timeouts();
        waiters
    }

    /// The server kept the session: everything goes out once more.
    pub(super) fn session_resumed(&mut self) {
        self.resend = self.in_order().into();
    }

    /// The next publication to send again, while fewer than `window` are out.
    pub(super) fn pop_resend(&mut self, window: usize) -> Option<Publish> {
        while self.in_flight < window {
            let slot = self.resend.pop_front()?;
            if let Some(slot) = self.slots.get_mut(usize::from(slot)).and_then(Option::as_mut)
                && let Waiting::Publish(publish) = &slot.waiting
            {
                slot.sent = true;
                self.in_flight = self.in_flight.saturating_add(1);
                return Some(publish.clone().with_dup(true)); // [MQTT-3.3.1-1]
            }
        }
        None
    }

    fn slot_mut(&mut self, slot: u16, seq: u64) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(slot))?.as_mut().filter(|slot| slot.seq == seq)
    }

    /// Slots in use, oldest first.
    fn in_order(&self) -> Vec<u16> {
        let mut used: Vec<(u64, u16)> = (0u16..)
            .zip(&self.slots)
            .filter_map(|(number, slot)| slot.as_ref().map(|slot| (slot.seq, number)))
            .collect();
        used.sort_unstable();
        used.into_iter().map(|(_, number)| number).collect()
    }

    fn end(&mut self, which: impl Fn(&Slot) -> bool) -> Vec<OpId> {
        let mut waiters = Vec::new();
        for number in self.in_order() {
            let Some(entry) = self.slots.get_mut(usize::from(number)) else { continue };
            if entry.as_ref().is_some_and(&which) {
                waiters.extend(entry.take().and_then(|slot| slot.op));
                self.free.push_back(number);
            }
        }
        self.drop_stale_timeouts();
        waiters
    }

    /// The front of the queue is an operation that somebody waits for, so that no timer fires in vain.
    fn drop_stale_timeouts(&mut self) {
        while let Some(&(_, slot, seq)) = self.timeouts.front() {
            if self.slot_mut(slot, seq).is_some_and(|slot| slot.op.is_some()) {
                return;
            }
            self.timeouts.pop_front();
        }
    }
}

/// The slot behind an identifier.
fn index(id: PacketId) -> u16 {
    id.value().saturating_sub(1)
}
