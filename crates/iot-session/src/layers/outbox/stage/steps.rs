//! Handing messages on, in order and at the rate.

use super::super::entry::{State, Waiter};
use super::{Keeper, topic};
use crate::layers::draining::{Drain, Phase, Place};
use crate::stage::{EntryId, Input, Notice, Op, OpId, Owner, Resend, Stage, StoreOp};
use crate::time::{Nanos, Now};

/// How many messages that are to be taken out of the store may be on their way out of it: at the rate of a drain one, else
/// these, so that one write of the disk serves them all.
const TAKING: usize = 32;
/// How much is read back from the store at once.
const LOAD: usize = 64;
const LOAD_BYTES: usize = 256 * 1024;

/// What is to be done about the message in front.
enum Turn {
    /// Nothing now.
    Wait,
    /// Its content is missing.
    Load(EntryId),
    /// It has to leave the store first, and perhaps those behind it.
    Take,
    HandOn(EntryId),
}

impl Keeper {
    /// The inner stage has no more to say, so it is known whether there is a connection: takes one step. `false`: there is
    /// none to take.
    pub(super) fn step<S: Stage>(&mut self, now: Now, inner: &mut S) -> bool {
        match &self.phase {
            Phase::Offline => return false,
            Phase::Fresh => {
                let queued = self.book.waiting();
                if queued == 0 {
                    self.phase = Phase::Steady;
                    return false;
                }
                self.drained = self.next;
                let drain = Drain::new(self.config.drain_rate, Place(self.next.0), now.mono);
                self.phase = Phase::Draining(drain);
                self.notice(Notice::Draining { queued });
            }
            Phase::Draining(_) if self.book.front().is_none_or(|(id, _)| id >= self.drained) => {
                self.phase = Phase::Steady;
                self.notice(Notice::Drained);
            }
            Phase::Draining(_) | Phase::Steady => {}
        }
        match self.turn(now, inner.ready()) {
            Turn::Wait => false,
            Turn::Load(from) => {
                self.loading = Some(from);
                self.store(StoreOp::Load { from, entries: LOAD, bytes: LOAD_BYTES });
                true
            }
            Turn::Take => {
                self.take();
                true
            }
            Turn::HandOn(id) => {
                self.hand_on(now, id, inner);
                true
            }
        }
    }

    /// When the message may go by the rate; `None`: as soon as it is taken.
    fn due(&self, id: EntryId) -> Option<Nanos> {
        match &self.phase {
            Phase::Draining(drain) => drain.due(Place(id.0)),
            _ => None,
        }
    }

    fn turn(&self, now: Now, inner_is_ready: bool) -> Turn {
        let Some((id, front)) = self.book.front().filter(|_| !self.hold && inner_is_ready) else {
            return Turn::Wait;
        };
        if self.due(id).is_some_and(|at| now.mono < at) {
            return Turn::Wait;
        }
        match (front.entry.state, front.entry.lasts, &front.content) {
            (State::Appending | State::Taking, ..) => Turn::Wait,
            (State::Stored, _, None) if self.can_load() => Turn::Load(id),
            (_, _, None) => Turn::Wait,
            (State::Stored, false, Some(_)) if self.closed.is_some() || self.again.is_some() => Turn::Wait,
            (State::Stored, false, Some(_)) => Turn::Take,
            (State::Stored | State::Taken, _, Some(_)) => Turn::HandOn(id),
        }
    }

    fn can_load(&self) -> bool {
        self.loading.is_none() && self.again.is_none() && self.closed.is_none()
    }

    /// Has the message in front leave the store, and what is like it behind it if the rate allows.
    fn take(&mut self) {
        let is_like_it = |waiter: &Waiter| {
            waiter.entry.state == State::Stored && !waiter.entry.lasts && waiter.content.is_some()
        };
        let ids: Vec<EntryId> = self
            .book
            .iter()
            .take_while(|(_, waiter)| is_like_it(waiter))
            .take(TAKING)
            .map(|(id, _)| id)
            .enumerate()
            .take_while(|(at, id)| *at == 0 || self.due(*id).is_none())
            .map(|(_, id)| id)
            .collect();
        for id in ids {
            self.book.set(id, State::Taking);
            self.store(StoreOp::Take(id));
        }
    }

    fn hand_on<S: Stage>(&mut self, now: Now, id: EntryId, inner: &mut S) {
        let Some(Waiter { entry, content: Some(content) }) = self.book.remove(id) else { return };
        if let Phase::Draining(drain) = &mut self.phase {
            drain.went(now.mono);
        }
        let (_, mut op) = content.let_go(now.mono);
        if entry.lasts {
            op.resend = Resend::UntilAnswered;
        }
        let topic = if entry.waiter.is_none() { topic(&op) } else { None };
        self.book.issue(id, entry, topic);
        inner.handle(now, Input::Op(OpId::new(Owner::OUTBOX, id.0), Op::Publish(op)));
    }

    pub(super) fn deadline(&self, inner_is_ready: bool) -> Option<Nanos> {
        // While the inner stage has no room, or the store is at work, its turn comes with whatever ends that.
        let tick = self.book.front().filter(|(_, front)| {
            let settled = matches!(front.entry.state, State::Stored | State::Taken);
            let needs_store =
                front.content.is_none() || (front.entry.state == State::Stored && !front.entry.lasts);
            !self.hold && inner_is_ready && settled && (!needs_store || self.can_load())
        });
        let tick = tick.and_then(|(id, _)| self.due(id));
        let waits = matches!(self.phase, Phase::Draining(_) | Phase::Steady);
        let again = self.again.filter(|_| waits);
        // What was left knows its time only once it is known what time it is.
        let begin = (!self.left.is_empty()).then_some(Nanos::ZERO);
        [begin, tick, again, self.book.next_expiry()].into_iter().flatten().min()
    }
}
