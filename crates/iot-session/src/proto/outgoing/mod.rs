//! Operations that wait for the server's answer, by packet identifier.

mod containment;
mod left;
mod slot;

use std::collections::VecDeque;
use std::num::NonZeroU8;
use std::time::Duration;

use mqtt_codec::packet::Publish;
use mqtt_codec::{PacketId, QoS, ReasonCode};

use crate::stage::OpId;
use crate::time::Nanos;
use containment::Containment;
use left::Left;
pub(super) use left::TakenUp;
pub(super) use slot::{Ended, Slot, Waiting};

/// All of it: at most 65,535 operations. Identifiers are the slots' numbers plus one; one is free again only after its
/// answer or the session's end, so that a late answer never meets another operation.
#[derive(Debug)]
pub(super) struct Outgoing {
    slots: Vec<Option<Slot>>,
    free: VecDeque<u16>,
    next_seq: u64,
    /// Publications handed to the present link and not answered to the end.
    in_flight: usize,
    /// Whether the one that was sent last must stay alone.
    alone: bool,
    /// When the last publication was handed to a link.
    last_sent: Nanos,
    /// When a QoS 0 message was last handed to the present link.
    last_qos_0: Option<Nanos>,
    /// Publications to hand to the present link, in order: those of the connections before, and what is just issued.
    queue: VecDeque<u16>,
    /// In the order of the first sending, which is the order of their instants.
    timeouts: VecDeque<(Nanos, u16, u64)>,
    timeout: Duration,
    containment: Containment,
    left: Left,
}

/// What goes to the link next.
#[derive(Debug)]
pub(super) enum Next {
    Publish(Publish),
    Release(PacketId),
}

/// There are so many packet identifiers.
const MAX_SLOTS: usize = 65_535;

impl Outgoing {
    /// Nothing waits. An answer is waited for for `timeout`; `limit` strikes are too many.
    pub(super) fn new(timeout: Duration, limit: Option<NonZeroU8>) -> Self {
        Self {
            slots: Vec::new(),
            free: VecDeque::new(),
            next_seq: 0,
            in_flight: 0,
            alone: false,
            last_sent: Nanos::ZERO,
            last_qos_0: None,
            queue: VecDeque::new(),
            timeouts: VecDeque::new(),
            timeout,
            containment: Containment { limit, soon: timeout },
            left: Left::default(),
        }
    }

    /// Publications on the link that were not answered.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// A QoS 0 message goes out.
    pub(super) fn sent_qos_0(&mut self, now: Nanos) {
        self.last_qos_0 = Some(now);
    }

    /// Whether what is on the link must stay alone.
    pub(super) fn is_alone(&self) -> bool {
        self.alone
    }

    /// Whether a publication issued now goes out now.
    pub(super) fn has_room(&self, window: usize) -> bool {
        self.in_flight < window && self.queue.is_empty() && !self.alone
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

    /// Notes an operation. Publications go out by [`next_to_send`](Self::next_to_send), all else at once.
    pub(super) fn insert(&mut self, id: PacketId, op: OpId, waiting: Waiting, now: Nanos) {
        let number = index(id);
        let seq = self.next_seq;
        self.next_seq = self.next_seq.saturating_add(1);
        let is_publication = matches!(waiting, Waiting::Publish(_));
        let slot = Slot { seq, op: Some(op), waiting, issued: now, sent: None, was_sent: false };
        if let Some(entry) = self.slots.get_mut(usize::from(number)) {
            *entry = Some(slot);
        }
        if is_publication {
            self.queue.push_back(number);
        } else {
            self.sent(number, now);
        }
    }

    /// The next publication to hand to the link, while fewer than `window` are out.
    pub(super) fn next_to_send(&mut self, now: Nanos, window: usize) -> Option<Next> {
        while let Some(&number) = self.queue.front() {
            let id = id(number)?;
            let slot = self.slots.get(usize::from(number)).and_then(Option::as_ref);
            let (next, alone) = match slot.map(|slot| (&slot.waiting, slot.was_sent)) {
                // It needs no room: the server counts its publication already (section 4.9).
                Some((Waiting::Release { .. }, _)) => (Next::Release(id), self.alone),
                Some((Waiting::Publish(op), was_sent)) => {
                    let alone = self.containment.goes_alone(op.strikes);
                    let in_company = self.in_flight > 0 && now < self.company_leaves();
                    if self.in_flight >= window || self.alone || (alone && in_company) {
                        return None;
                    }
                    (Next::Publish(op.publish.clone().with_dup(was_sent)), alone) // [MQTT-3.3.1-1]
                }
                _ => {
                    self.queue.pop_front();
                    continue;
                }
            };
            self.queue.pop_front();
            self.in_flight = self.in_flight.saturating_add(1);
            (self.alone, self.last_sent) = (alone, now);
            self.sent(number, now);
            return Some(next);
        }
        None
    }

    /// When what is in flight was sent too long ago to be struck together with something sent then.
    fn company_leaves(&self) -> Nanos {
        self.last_sent.after(self.containment.soon)
    }

    /// Lets go of what was alone for long enough: it is not what the server minds.
    pub(super) fn leave_alone(&mut self, now: Nanos) {
        self.alone &= now < self.company_leaves();
    }

    /// Handed to the link: the first time, the answer's time begins to run.
    fn sent(&mut self, number: u16, now: Nanos) {
        let Some(slot) = self.slots.get_mut(usize::from(number)).and_then(Option::as_mut) else { return };
        slot.sent = Some(now);
        if std::mem::replace(&mut slot.was_sent, true) || slot.is_patient() {
            return;
        }
        let seq = slot.seq;
        if self.timeouts.len() > self.slots.len().saturating_mul(2).saturating_add(64) {
            // One slow answer at the front holds the answered ones behind it: sweep them out now and then.
            let slots = &self.slots;
            self.timeouts.retain(|(_, slot, seq)| {
                slots.get(usize::from(*slot)).and_then(Option::as_ref).is_some_and(|slot| slot.seq == *seq)
            });
        }
        self.timeouts.push_back((now.after(self.timeout), number, seq));
    }

    /// What waits under `id`.
    pub(super) fn get(&self, id: PacketId) -> Found<'_> {
        match self.slots.get(usize::from(index(id))).and_then(Option::as_ref) {
            None => Found::Nothing,
            Some(slot) if slot.sent.is_none() => Found::Elsewhere,
            Some(slot) => Found::Here(&slot.waiting),
        }
    }

    /// PUBREC came for a publication: the message itself need not be kept any longer.
    pub(super) fn release(&mut self, id: PacketId, reason: ReasonCode) {
        let order = self.next_seq;
        self.next_seq = self.next_seq.saturating_add(1);
        if let Some(slot) = self.slots.get_mut(usize::from(index(id))).and_then(Option::as_mut) {
            slot.waiting = Waiting::Release { order, reason, patient: slot.is_patient() };
            // If it was alone: whatever the server minds, it is not this message.
            self.alone = false;
        }
    }

    /// Ends what waits under `id` on this connection. Gives the waiter.
    pub(super) fn answered(&mut self, id: PacketId) -> Option<OpId> {
        let slot = self.slots.get_mut(usize::from(index(id)))?.take()?;
        if let Waiting::Release { reason, .. } = slot.waiting {
            self.left.completed(id, reason);
        }
        self.free.push_back(index(id));
        if slot.sent.is_some() && slot.is_publication() {
            self.in_flight = self.in_flight.saturating_sub(1);
            self.alone &= self.in_flight > 0;
        }
        self.drop_stale_timeouts();
        slot.op
    }

    /// When the oldest operation times out, or what waits to be alone may go.
    pub(super) fn deadline(&self, window: usize) -> Option<Nanos> {
        let timeout = self.timeouts.front().map(|(at, ..)| *at);
        let leaves = (self.alone || self.waits_to_be_alone(window)).then(|| self.company_leaves());
        timeout.into_iter().chain(leaves).min()
    }

    /// Whether the next publication would go out if nothing else were in flight.
    fn waits_to_be_alone(&self, window: usize) -> bool {
        let next = self.queue.front().and_then(|number| self.slots.get(usize::from(*number))?.as_ref());
        match next.map(|slot| &slot.waiting) {
            Some(Waiting::Publish(op)) => self.in_flight < window && self.containment.goes_alone(op.strikes),
            _ => false,
        }
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

    /// The link is gone, `by_server` or otherwise: publications stay if the session lives on and they have not too many
    /// strikes, all else ends.
    pub(super) fn link_lost(&mut self, now: Nanos, by_server: bool, session_lives: bool) -> Vec<Ended> {
        self.queue.clear();
        (self.in_flight, self.alone) = (0, false);
        let containment = self.containment;
        let is_soon = |sent: Option<Nanos>| sent.is_some_and(|sent| containment.is_soon(sent, now));
        let in_company = is_soon(self.last_qos_0.take())
            || self.slots.iter().flatten().any(|slot| slot.is_request() && is_soon(slot.sent));
        if !session_lives {
            self.left.session_lost();
        }
        self.end(|slot| {
            let poisoned = by_server && containment.strike(now, slot, in_company);
            slot.sent = None;
            let keep = session_lives && !slot.is_request();
            match (poisoned, keep) {
                (true, _) => containment::poisoned(slot, session_lives),
                (false, true) => Fate::Stays(None),
                (false, false) => Fate::Over(now),
            }
        })
    }

    /// The server has forgotten the session: nothing can be taken up again.
    pub(super) fn session_lost(&mut self, now: Nanos) -> Vec<Ended> {
        self.left.session_lost();
        self.end(|_| Fate::Over(now))
    }

    /// Lets go of all waiters but the patient ones. What was sent is kept for a later connection, without them; what was not
    /// is handed back.
    pub(super) fn detach(&mut self, now: Nanos) -> Vec<Ended> {
        self.queue.clear();
        self.end(|slot| match slot.was_sent {
            true if slot.is_patient() => Fate::Stays(None),
            true => Fate::Stays(slot.op.take().map(Ended::Interrupted)),
            false => Fate::Over(now),
        })
    }

    /// The server has a session, and nobody knows whether it is the one that was left: a QoS 2 message that was sent and not
    /// taken over by PUBREC might arrive twice if it went out again. Its identifier stays taken, in case it is the old one. A
    /// message that was taken over is released once more; had it not been passed on before its session was lost, it went with
    /// that, and PUBCOMP means nothing.
    pub(super) fn session_doubted(&mut self) -> Vec<Ended> {
        self.left.session_lost();
        self.end(|slot| match &slot.waiting {
            Waiting::Left => {
                slot.waiting = Waiting::Abandoned;
                Fate::Stays(None)
            }
            Waiting::Publish(publish) if slot.was_sent && publish.qos == QoS::ExactlyOnce => {
                slot.waiting = Waiting::Abandoned;
                Fate::Stays(slot.op.take().map(Ended::Interrupted))
            }
            Waiting::Release { .. } => Fate::Stays(slot.op.take().map(Ended::Interrupted)),
            _ => Fate::Stays(None),
        })
    }

    /// The server kept the session: everything goes out once more.
    pub(super) fn session_resumed(&mut self) {
        self.queue = self.in_order().into();
    }

    fn slot_mut(&mut self, slot: u16, seq: u64) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(slot))?.as_mut().filter(|slot| slot.seq == seq)
    }

    /// Slots in use, in the order in which they are sent again.
    fn in_order(&self) -> Vec<u16> {
        // The slots come first: behind the last of all the identifiers, no number is asked for.
        let mut used: Vec<((bool, u64), u16)> = self
            .slots
            .iter()
            .zip(0u16..)
            .filter_map(|(slot, number)| slot.as_ref().map(|slot| (slot.order(), number)))
            .collect();
        used.sort_unstable();
        used.into_iter().map(|(_, number)| number).collect()
    }

    /// Asks for the fate of every slot, in order. Gives what is to be told.
    fn end(&mut self, mut fate: impl FnMut(&mut Slot) -> Fate) -> Vec<Ended> {
        let mut ended = Vec::new();
        for number in self.in_order() {
            let Some(entry) = self.slots.get_mut(usize::from(number)) else { continue };
            let Some(slot) = entry else { continue };
            let told = match fate(slot) {
                Fate::Stays(told) => {
                    ended.extend(told);
                    continue;
                }
                Fate::Ends(told) => {
                    *entry = None;
                    told
                }
                Fate::Over(now) => entry.take().and_then(|slot| slot.ended(now)),
            };
            ended.extend(told);
            self.free.push_back(number);
        }
        self.drop_stale_timeouts();
        ended
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

/// What is found under an identifier.
pub(super) enum Found<'a> {
    /// It is free.
    Nothing,
    /// It was not sent on this connection.
    Elsewhere,
    /// It was.
    Here(&'a Waiting),
}

/// What becomes of a slot, and what is told of it.
enum Fate {
    /// The identifier stays taken.
    Stays(Option<Ended>),
    /// The identifier is free.
    Ends(Option<Ended>),
    /// The same, and the waiter is told what such a waiter is told at this instant.
    Over(Nanos),
}

/// The slot behind an identifier.
fn index(id: PacketId) -> u16 {
    id.value().saturating_sub(1)
}

/// The identifier of a slot.
fn id(number: u16) -> Option<PacketId> {
    PacketId::new(number.checked_add(1)?)
}
