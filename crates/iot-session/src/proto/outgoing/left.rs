//! QoS 2 messages that an earlier run of the program sent, until their contents are issued here.

use std::collections::HashMap;

use mqtt_codec::{PacketId, QoS, ReasonCode};

use super::super::saved::Sent;
use super::slot::{Slot, Waiting};
use super::{Outgoing, index};
use crate::stage::{EntryId, OpId, Owner, PublishOp};
use crate::time::Nanos;

/// How far each of them is, by the entry that has its content.
#[derive(Debug, Default)]
pub(super) struct Left(HashMap<EntryId, State>);

#[derive(Debug, Clone, Copy)]
enum State {
    /// The server may know it by this identifier.
    Under(PacketId),
    /// It was completed, with this code in PUBREC.
    Completed(ReasonCode),
    /// Its session is lost: nobody knows whether it arrived.
    Lost,
}

/// What became of a message that was issued.
#[derive(Debug)]
pub(in crate::proto) enum TakenUp {
    /// It goes on where it was.
    GoesOn,
    /// It had been completed.
    Completed(ReasonCode),
    /// Nobody knows whether it arrived.
    Lost,
    /// It was never sent.
    New(PublishOp),
}

impl Left {
    /// PUBCOMP came.
    pub(super) fn completed(&mut self, id: PacketId, reason: ReasonCode) {
        for state in self.0.values_mut().filter(|state| matches!(state, State::Under(under) if *under == id))
        {
            *state = State::Completed(reason);
        }
    }

    pub(super) fn session_lost(&mut self) {
        for state in self.0.values_mut().filter(|state| matches!(state, State::Under(_))) {
            *state = State::Lost;
        }
    }

    /// The entries of those that go on, by identifier.
    fn entries(&self) -> HashMap<PacketId, EntryId> {
        let under = |(entry, state): (&EntryId, &State)| match state {
            State::Under(id) => Some((*id, *entry)),
            State::Completed(_) | State::Lost => None,
        };
        self.0.iter().filter_map(under).collect()
    }
}

impl Outgoing {
    /// Takes up what an earlier run had sent.
    pub(in crate::proto) fn take_up(&mut self, sent: &[Sent]) {
        for Sent { id, entry, released } in sent {
            let Some(id) = id else {
                let state = released.map_or(State::Lost, State::Completed);
                self.left.0.extend(entry.map(|entry| (entry, state)));
                continue;
            };
            let number = usize::from(index(*id));
            while self.slots.len() <= number {
                self.free.extend(u16::try_from(self.slots.len()).ok());
                self.slots.push(None);
            }
            self.free.retain(|free| usize::from(*free) != number);
            let seq = self.next_seq;
            self.next_seq = self.next_seq.saturating_add(1);
            let waiting = match (released, entry) {
                (Some(reason), _) => Waiting::Release { order: seq, reason: *reason, patient: true },
                (None, Some(_)) => Waiting::Left,
                (None, None) => Waiting::Abandoned,
            };
            if let Some(entry) = entry {
                self.left.0.insert(*entry, State::Under(*id));
            }
            if let Some(slot) = self.slots.get_mut(number) {
                *slot =
                    Some(Slot { seq, op: None, waiting, issued: Nanos::ZERO, sent: None, was_sent: true });
            }
        }
    }

    /// A QoS 2 message is issued: perhaps it was sent before.
    pub(in crate::proto) fn issued(&mut self, op: OpId, publish: PublishOp, now: Nanos) -> TakenUp {
        let entry = EntryId(op.seq());
        let state = if op.owner() == Owner::OUTBOX { self.left.0.remove(&entry) } else { None };
        match state {
            None => TakenUp::New(publish),
            Some(State::Completed(reason)) => TakenUp::Completed(reason),
            Some(State::Lost) => TakenUp::Lost,
            Some(State::Under(id)) => {
                let number = index(id);
                let slot = self.slots.get_mut(usize::from(number)).and_then(Option::as_mut);
                let Some(slot) = slot else { return TakenUp::Lost };
                (slot.op, slot.issued) = (Some(op), now);
                if matches!(slot.waiting, Waiting::Left) {
                    let message = publish.publish.exactly_once(id);
                    slot.waiting = Waiting::Publish(PublishOp { publish: message, ..publish });
                    self.queue.push_back(number);
                }
                TakenUp::GoesOn
            }
        }
    }

    /// The QoS 2 messages that the server knows, and those of an earlier run that are settled and were not issued yet.
    pub(in crate::proto) fn sent_exactly_once(&self) -> Vec<Sent> {
        let left = self.left.entries();
        let entry = |slot: &Slot, id| match slot.op {
            Some(op) => Some(EntryId(op.seq())).filter(|_| op.owner() == Owner::OUTBOX),
            None => left.get(&id).copied(),
        };
        let sent = |number: u16| {
            let id = super::id(number)?;
            let slot = self.slots.get(usize::from(number))?.as_ref()?;
            let released = match &slot.waiting {
                Waiting::Publish(publish) if publish.qos == QoS::ExactlyOnce && slot.was_sent => None,
                Waiting::Left | Waiting::Abandoned => None,
                Waiting::Release { reason, .. } => Some(*reason),
                _ => return None,
            };
            Some(Sent { id: Some(id), entry: entry(slot, id), released })
        };
        let settled = |(entry, state): (&EntryId, &State)| {
            let released = match state {
                State::Under(_) => return None,
                State::Completed(reason) => Some(*reason),
                State::Lost => None,
            };
            Some(Sent { id: None, entry: Some(*entry), released })
        };
        let mut settled: Vec<Sent> = self.left.0.iter().filter_map(settled).collect();
        settled.sort_unstable_by_key(|sent| sent.entry);
        self.in_order().into_iter().filter_map(sent).chain(settled).collect()
    }
}
