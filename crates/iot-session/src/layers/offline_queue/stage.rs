//! The running offline queue.

use std::collections::VecDeque;

use super::backlog::Backlog;
use super::{DropPolicy, OfflineQueue};
use crate::error::{Dropped, OpError};
use crate::layers::draining::{Drain, Phase};
use crate::layers::waiting::Waiting;
use crate::stage::{Event, Gauges, Input, Notice, Op, OpId, Output, PublishOp, Stage};
use crate::time::{Nanos, Now};

/// The running [`OfflineQueue`].
///
/// With a connection and nothing kept, messages pass straight through. A message leaves the queue only for an inner
/// stage that is connected and ready, so a cut loses and doubles nothing of what is kept. What a drain has not brought
/// out when the connection goes is, in order, the beginning of the next one.
///
/// Whoever goes by [`ready`](Stage::ready) waits while the queue is full during a drain, and, once what piled up is out,
/// until the messages behind it are, too: so a publisher that never rests cannot keep the drain from ending.
#[derive(Debug)]
pub struct OfflineQueueStage<S> {
    inner: S,
    config: OfflineQueue,
    phase: Phase,
    backlog: Backlog,
    /// Came back from below, not yet put in front of the backlog.
    returned: Vec<Waiting>,
    out: VecDeque<Output>,
}

impl<S: Stage> OfflineQueueStage<S> {
    pub(super) fn new(config: OfflineQueue, inner: S) -> Self {
        Self {
            inner,
            config,
            phase: Phase::Offline,
            backlog: Backlog::default(),
            returned: Vec::new(),
            out: VecDeque::new(),
        }
    }

    fn done(&mut self, id: OpId, error: OpError) {
        self.out.push_back(Output::Event(Event::Done(id, Err(error))));
    }

    fn notice(&mut self, notice: Notice) {
        self.out.push_back(Output::Event(Event::Notice(notice)));
    }

    /// Whether a new message goes straight to the inner stage.
    fn passes(&self, op: &PublishOp) -> bool {
        match self.phase {
            Phase::Offline | Phase::Fresh => false,
            Phase::Draining(_) | Phase::Steady => {
                let overtakes = !op.queue || self.config.is_disabled();
                let is_empty = self.backlog.is_empty() && self.returned.is_empty();
                overtakes || (is_empty && self.inner.ready())
            }
        }
    }

    /// Keeps a new message, if the bounds and the policy allow it.
    fn keep(&mut self, now: Now, id: OpId, op: PublishOp) {
        if !op.queue || self.config.is_disabled() {
            return self.done(id, OpError::Offline);
        }
        let waiting = Waiting::new(now.mono, id, op);
        let size = waiting.size();
        if waiting.expiry().is_some_and(|at| at <= now.mono) {
            return self.done(id, OpError::Dropped(Dropped::Expired));
        }
        if !self.config.bounds.holds(1, size) {
            return self.done(id, OpError::Dropped(Dropped::TooLarge));
        }
        while !self
            .config
            .bounds
            .holds(self.backlog.len().saturating_add(1), self.backlog.bytes().saturating_add(size))
        {
            let oldest = match self.config.when_full {
                DropPolicy::DropNewest => None,
                DropPolicy::DropOldest => self.backlog.pop_front(),
            };
            let Some(oldest) = oldest else {
                return self.done(id, OpError::Dropped(Dropped::Newest));
            };
            self.done(oldest.id(), OpError::Dropped(Dropped::Oldest));
        }
        self.backlog.push_back(waiting.detached());
    }

    fn expire(&mut self, now: Now) {
        while let Some(waiting) = self.backlog.pop_expired(now.mono) {
            self.done(waiting.id(), OpError::Dropped(Dropped::Expired));
        }
    }

    /// Puts what came back in front: whatever is below was handed on before all that is here. It was taken before and
    /// is taken again, beyond the bounds if need be; it is no more than the layers inside had.
    fn put_back(&mut self, now: Now) {
        if self.returned.is_empty() {
            return;
        }
        for waiting in self.returned.drain(..).rev() {
            self.backlog.push_front(waiting.detached());
        }
        self.expire(now);
    }

    /// The inner stage has no more to say, so it is known whether there is a connection: takes one step. `false`: there
    /// is none to take.
    fn step(&mut self, now: Now) -> bool {
        match (&mut self.phase, self.backlog.front()) {
            (Phase::Offline, _) | (Phase::Steady, None) => false,
            (Phase::Fresh, None) => {
                self.phase = Phase::Steady;
                false
            }
            (Phase::Fresh, Some(_)) => {
                let drain = Drain::new(self.config.drain_rate, self.backlog.end(), now.mono);
                self.phase = Phase::Draining(drain);
                self.notice(Notice::Draining { queued: self.backlog.len() });
                true
            }
            (Phase::Draining(_), None) => {
                self.phase = Phase::Steady;
                self.notice(Notice::Drained);
                true
            }
            (Phase::Draining(drain), Some(place)) => {
                if drain.due(place).is_some_and(|at| now.mono < at) || !self.inner.ready() {
                    return false;
                }
                drain.went(now.mono);
                self.hand_on(now)
            }
            (Phase::Steady, Some(_)) => self.inner.ready() && self.hand_on(now),
        }
    }

    fn hand_on(&mut self, now: Now) -> bool {
        let Some(waiting) = self.backlog.pop_front() else { return false };
        let (id, op) = waiting.let_go(now.mono);
        self.inner.handle(now, Input::Op(id, Op::Publish(op)));
        true
    }
}

impl<S: Stage> Stage for OfflineQueueStage<S> {
    fn handle(&mut self, now: Now, input: Input) {
        self.expire(now);
        match input {
            Input::Op(id, Op::Publish(op)) if !self.passes(&op) => self.keep(now, id, op),
            input => self.inner.handle(now, input),
        }
    }

    fn poll(&mut self, now: Now) -> Option<Output> {
        loop {
            if let Some(output) = self.out.pop_front() {
                return Some(output);
            }
            match self.inner.poll(now) {
                Some(Output::Event(Event::Returned(id, op))) if !self.config.is_disabled() => {
                    self.returned.push(Waiting::new(now.mono, id, *op));
                }
                Some(output) => {
                    match &output {
                        Output::Event(Event::Connected(_)) => {
                            self.put_back(now);
                            self.phase = Phase::Fresh;
                        }
                        Output::Event(Event::Disconnected(_)) => {
                            self.put_back(now);
                            self.phase = Phase::Offline;
                        }
                        _ => {}
                    }
                    return Some(output);
                }
                None => {
                    self.put_back(now);
                    if !self.step(now) && self.out.is_empty() {
                        return None;
                    }
                }
            }
        }
    }

    fn deadline(&self) -> Option<Nanos> {
        let tick = match (&self.phase, self.backlog.front()) {
            // While the inner stage has no room, its turn comes with whatever makes room.
            (Phase::Draining(drain), Some(place)) if self.inner.ready() => drain.due(place),
            _ => None,
        };
        [tick, self.backlog.next_expiry(), self.inner.deadline()].into_iter().flatten().min()
    }

    fn ready(&self) -> bool {
        match (&self.phase, self.backlog.front()) {
            // The policy decides.
            (Phase::Offline | Phase::Fresh, _) => true,
            (Phase::Draining(drain), Some(place)) if drain.due(place).is_some() => {
                !self.config.bounds.is_full(self.backlog.len(), self.backlog.bytes())
            }
            (Phase::Draining(_) | Phase::Steady, front) => front.is_none() && self.inner.ready(),
        }
    }

    fn gauges(&self, gauges: &mut Gauges) {
        let returned: usize = self.returned.iter().map(Waiting::size).sum();
        gauges.queued = gauges.queued.saturating_add(self.backlog.len()).saturating_add(self.returned.len());
        gauges.queued_bytes =
            gauges.queued_bytes.saturating_add(self.backlog.bytes()).saturating_add(returned);
        self.inner.gauges(gauges);
    }
}
