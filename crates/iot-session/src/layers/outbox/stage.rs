//! The running outbox.

mod steps;
mod store;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mqtt_codec::{QoS, Text};

use super::book::Book;
use super::entry::{Entry, State, Waiter};
use super::found::Left;
use super::{Found, Outbox, record};
use crate::error::{Dropped, OpError};
use crate::layers::DropPolicy;
use crate::layers::draining::Phase;
use crate::layers::waiting::Waiting;
use crate::stage::{
    EntryId, Event, Gauges, Input, Notice, Op, OpId, Output, Owner, PublishOp, Receipt, Resend, Stage,
    StoreError, StoreOp, Stored,
};
use crate::time::{Nanos, Now};

/// So many messages may be on their way to the store, and so many bytes.
const APPENDING: usize = 1024;
const APPENDING_BYTES: usize = 1024 * 1024;
/// With a connection and nothing left of the drain so many messages may wait before publishers have to.
const ROOM: usize = 256;
const ROOM_BYTES: usize = 1024 * 1024;

/// The running [`Outbox`]; without one everything passes.
#[derive(Debug)]
pub struct OutboxStage<S> {
    inner: S,
    keeper: Option<Keeper>,
}

/// What the outbox knows.
#[derive(Debug)]
struct Keeper {
    config: Outbox,
    phase: Phase,
    book: Book,
    next: EntryId,
    /// What an earlier run left, until its age can be told.
    left: Vec<Left>,
    /// On their way to the store, in order, with their sizes; some may be gone by now.
    appending: VecDeque<(EntryId, usize)>,
    appending_bytes: usize,
    /// Not known to survive a loss of power, and who would like to know.
    unsynced: VecDeque<(EntryId, OpId)>,
    /// Contents are being read, from this entry on.
    loading: Option<EntryId>,
    /// After a failure to read or to take: when the store may be asked again.
    again: Option<Nanos>,
    /// Something below had no room or no connection although it seemed so: not before the next input.
    hold: bool,
    /// Messages with lower numbers are part of the drain.
    drained: EntryId,
    closed: Option<StoreError>,
    out: VecDeque<Output>,
}

impl<S: Stage> OutboxStage<S> {
    pub(super) fn new(config: Option<Outbox>, inner: S) -> Self {
        Self { inner, keeper: config.map(Keeper::new) }
    }
}

impl Keeper {
    fn new(mut config: Outbox) -> Self {
        let Found { mut entries, damaged, next, session, session_error, .. } =
            std::mem::take(&mut config.found);
        let sent: HashSet<EntryId> = session.entries().collect();
        for left in entries.iter_mut().filter(|left| sent.contains(&left.id)) {
            left.limit = None;
        }
        let mut book = Book::default();
        for Left { id, size, qos, resend, .. } in &entries {
            let entry = Entry {
                state: State::Stored,
                lasts: config.lasts(*qos, *resend),
                once: *qos == QoS::ExactlyOnce,
                sent: sent.contains(id),
                size: *size,
                waiter: None,
                since: Nanos::ZERO,
                age: Duration::ZERO,
                expiry: None,
            };
            book.insert(*id, entry, None);
        }
        let mut keeper = Self {
            config,
            phase: Phase::Offline,
            book,
            // No number comes twice, nor one that the record of the session still has.
            next: sent.iter().map(|id| id.next()).fold(next.max(EntryId(1)), EntryId::max),
            left: entries,
            appending: VecDeque::new(),
            appending_bytes: 0,
            unsynced: VecDeque::new(),
            loading: None,
            again: None,
            hold: false,
            drained: EntryId::default(),
            closed: None,
            out: VecDeque::new(),
        };
        for id in damaged {
            keeper.damaged(id, None);
        }
        if let Some(error) = session_error {
            keeper.notice(Notice::Storage { error });
        }
        keeper
    }

    /// With the first input it is known what time it is.
    fn begin(&mut self, now: Now) {
        for Left { id, written, limit, .. } in std::mem::take(&mut self.left) {
            let Some(limit) = limit else { continue };
            let age = match (written, now.wall) {
                (Some(written), Some(wall)) => Duration::from_millis(wall.0.saturating_sub(written.0)),
                _ => Duration::ZERO,
            };
            self.book.age(id, now.mono, age, now.mono.after(limit.saturating_sub(age)));
        }
    }

    fn expire(&mut self, now: Now) {
        while let Some((id, waiter)) = self.book.pop_expired(now.mono) {
            self.give_up(id, &waiter, OpError::Dropped(Dropped::Expired));
        }
    }

    // --- who is told ---

    fn notice(&mut self, notice: Notice) {
        self.out.push_back(Output::Event(Event::Notice(notice)));
    }

    fn store(&mut self, op: StoreOp) {
        if self.closed.is_none() {
            self.out.push_back(Output::Store(op));
        }
    }

    fn tell(&mut self, waiter: Option<OpId>, topic: Option<Text>, result: Result<Receipt, OpError>) {
        match (waiter, result) {
            (Some(id), result) => self.out.push_back(Output::Event(Event::Done(id, result))),
            (None, Ok(_)) => {}
            (None, Err(error)) => {
                let topic = topic.or(match &error {
                    OpError::Poisoned { topic, .. } => Some(topic.clone()),
                    _ => None,
                });
                self.notice(Notice::Undelivered { topic, why: Arc::from(error.to_string()) });
            }
        }
    }

    /// A waiting message that was taken out ends, here and on disk.
    fn give_up(&mut self, id: EntryId, waiter: &Waiter, error: OpError) {
        if !matches!(waiter.entry.state, State::Taking | State::Taken) {
            self.store(StoreOp::Remove(id));
        }
        let topic = waiter.content.as_ref().and_then(|waiting| topic(waiting.op()));
        self.tell(waiter.entry.waiter, topic, Err(error));
    }

    // --- publishing ---

    /// Whether a new message goes straight to the inner stage.
    fn passes(&self, op: &PublishOp, inner_is_ready: bool) -> bool {
        let has_connection = matches!(self.phase, Phase::Draining(_) | Phase::Steady);
        !op.queue
            || (!self.config.lasts(op.qos, op.resend)
                && has_connection
                && self.book.waiting() == 0
                && inner_is_ready)
    }

    /// Has a new message written, if bounds and policy allow it.
    fn keep(&mut self, now: Now, waiter: OpId, op: PublishOp) {
        if let Err(error) = self.append(now, waiter, op) {
            self.tell(Some(waiter), None, Err(error));
        }
    }

    fn append(&mut self, now: Now, waiter: OpId, op: PublishOp) -> Result<(), OpError> {
        if let Some(error) = &self.closed {
            return Err(OpError::Store(error.clone()));
        }
        let (lasts, once) = (self.config.lasts(op.qos, op.resend), op.qos == QoS::ExactlyOnce);
        let record = record::encode(&op, now.wall)?;
        let waiting = Waiting::new(now.mono, waiter, op).detached();
        let (size, expiry) = (waiting.size(), waiting.expiry());
        if expiry.is_some_and(|at| at <= now.mono) {
            return Err(OpError::Dropped(Dropped::Expired));
        }
        self.make_room(size)?;
        let id = self.next;
        self.next = id.next();
        let entry = Entry {
            state: State::Appending,
            lasts,
            once,
            sent: false,
            size,
            waiter: Some(waiter),
            since: now.mono,
            age: Duration::ZERO,
            expiry,
        };
        let content = self.book.has_window(size).then(|| Box::new(waiting));
        self.book.insert(id, entry, content);
        self.appending.push_back((id, size));
        self.appending_bytes = self.appending_bytes.saturating_add(size);
        self.unsynced.push_back((id, waiter));
        self.store(StoreOp::Append(id, record));
        Ok(())
    }

    fn make_room(&mut self, size: usize) -> Result<(), OpError> {
        if !self.config.bounds.holds(1, size) {
            return Err(OpError::Dropped(Dropped::TooLarge));
        }
        while !self
            .config
            .bounds
            .holds(self.book.len().saturating_add(1), self.book.bytes().saturating_add(size))
        {
            let oldest = match self.config.when_full {
                DropPolicy::DropNewest => None,
                DropPolicy::DropOldest => self.book.oldest(),
            };
            let Some((id, waiter)) = oldest.and_then(|id| Some((id, self.book.remove(id)?))) else {
                return Err(OpError::Dropped(Dropped::Newest));
            };
            self.give_up(id, &waiter, OpError::Dropped(Dropped::Oldest));
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.config.bounds.is_full(self.book.len(), self.book.bytes())
    }

    /// Whether the store keeps up.
    fn is_written(&self) -> bool {
        self.appending.len() < APPENDING && self.appending_bytes < APPENDING_BYTES
    }

    fn ready(&self) -> bool {
        match &self.phase {
            // The policy decides.
            Phase::Offline | Phase::Fresh => self.is_written(),
            Phase::Draining(_) => self.is_written() && !self.is_full(),
            Phase::Steady => {
                let has_room = self.book.waiting() < ROOM && self.book.waiting_bytes() < ROOM_BYTES;
                self.is_written() && has_room && !self.is_full()
            }
        }
    }

    // --- what was handed on ---

    /// What was handed on under this number has ended below.
    fn ended(&mut self, op: OpId, result: Result<Receipt, OpError>) {
        let id = EntryId(op.seq());
        let Some((entry, topic)) = self.book.answered(id) else { return };
        match result {
            // It never went out, or nobody knows and it may arrive twice: it is still in the store.
            Err(ref error) if entry.lasts && may_go_again(error, entry.once) => {
                self.hold = true;
                self.book.insert(id, Entry { state: State::Stored, ..entry }, None);
            }
            result => {
                if entry.lasts {
                    self.store(StoreOp::Remove(id));
                }
                self.tell(entry.waiter, topic, result);
            }
        }
    }

    /// It comes back with its content.
    fn came_back(&mut self, now: Now, op: OpId, publish: PublishOp) {
        let id = EntryId(op.seq());
        let Some((entry, _)) = self.book.answered(id) else { return };
        let state = if entry.lasts { State::Stored } else { State::Taken };
        let waiting = Box::new(Waiting::new(now.mono, op, publish).detached());
        let entry = Entry { state, since: now.mono, age: Duration::ZERO, expiry: waiting.expiry(), ..entry };
        self.book.insert(id, entry, Some(waiting));
    }
}

impl<S: Stage> Stage for OutboxStage<S> {
    fn handle(&mut self, now: Now, input: Input) {
        let Some(keeper) = &mut self.keeper else { return self.inner.handle(now, input) };
        keeper.hold = false;
        keeper.begin(now);
        keeper.expire(now);
        keeper.again = keeper.again.filter(|at| now.mono < *at);
        match input {
            Input::Op(id, Op::Publish(op)) if !keeper.passes(&op, self.inner.ready()) => {
                keeper.keep(now, id, op);
            }
            // Of these the inner stages have wishes of their own.
            Input::Stored(stored @ (Stored::Kept { .. } | Stored::NotKept { .. })) => {
                self.inner.handle(now, Input::Stored(stored));
            }
            Input::Stored(stored) => {
                if let Stored::Closed(error) = &stored {
                    self.inner.handle(now, Input::Stored(Stored::Closed(error.clone())));
                }
                keeper.stored(now, stored);
            }
            input => self.inner.handle(now, input),
        }
    }

    fn poll(&mut self, now: Now) -> Option<Output> {
        let Some(keeper) = &mut self.keeper else { return self.inner.poll(now) };
        loop {
            if let Some(output) = keeper.out.pop_front() {
                return Some(output);
            }
            match self.inner.poll(now) {
                Some(Output::Event(Event::Done(id, result))) if id.owner() == Owner::OUTBOX => {
                    keeper.ended(id, result);
                }
                Some(Output::Event(Event::Returned(id, op))) if id.owner() == Owner::OUTBOX => {
                    keeper.came_back(now, id, *op);
                }
                Some(output) => {
                    match &output {
                        Output::Event(Event::Connected(_)) => keeper.phase = Phase::Fresh,
                        Output::Event(Event::Disconnected(_)) => keeper.phase = Phase::Offline,
                        _ => {}
                    }
                    return Some(output);
                }
                None => {
                    if !keeper.step(now, &mut self.inner) && keeper.out.is_empty() {
                        return None;
                    }
                }
            }
        }
    }

    fn deadline(&self) -> Option<Nanos> {
        let own = self.keeper.as_ref().and_then(|keeper| keeper.deadline(self.inner.ready()));
        own.into_iter().chain(self.inner.deadline()).min()
    }

    fn ready(&self) -> bool {
        self.keeper.as_ref().map_or_else(|| self.inner.ready(), Keeper::ready)
    }

    fn gauges(&self, gauges: &mut Gauges) {
        if let Some(Keeper { book, .. }) = &self.keeper {
            gauges.queued = gauges.queued.saturating_add(book.waiting());
            gauges.queued_bytes = gauges.queued_bytes.saturating_add(book.waiting_bytes());
        }
        self.inner.gauges(gauges);
    }
}

impl Outbox {
    /// Whether a message stays in the store until it is answered.
    fn lasts(&self, qos: QoS, resend: Resend) -> bool {
        match qos {
            QoS::AtMostOnce => false,
            QoS::AtLeastOnce => resend != Resend::Never,
            QoS::ExactlyOnce => self.exactly_once,
        }
    }
}

/// Whether what ended like this is issued again.
fn may_go_again(error: &OpError, once: bool) -> bool {
    matches!(error, OpError::Offline | OpError::Busy) || (matches!(error, OpError::Interrupted) && !once)
}

fn topic(op: &PublishOp) -> Option<Text> {
    Text::try_from(op.publish.topic()).ok()
}
