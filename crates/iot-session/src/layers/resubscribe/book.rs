//! The desired set, what the server has of it, and the packets between the two.

use std::collections::{BTreeMap, VecDeque};

use mqtt_codec::packet::SubscriptionOptions;
use mqtt_codec::{ReasonCode, Text, TopicFilter};

use super::entry::{Entry, Kind, Server, Session, Turn};
use super::pending::{Pending, Waiter};
use crate::error::OpError;
use crate::stage::{Granted, Notice, Op, OpId, Quarantine, SubscribeOp, UnsubscribeOp};

/// So often a filter is asked for again on a connection on which the server does not answer.
const SILENCES: u8 = 3;

#[derive(Debug, Default)]
pub(super) struct Book {
    filters: BTreeMap<TopicFilter, Entry>,
    next_order: u64,
    /// Filters whose turn is [`Turn::Due`], and some whose turn has passed.
    queue: VecDeque<TopicFilter>,
    /// Packets under way, by the number of their operation.
    flights: BTreeMap<u64, Flight>,
    next_flight: u64,
    /// Filters that the server has acknowledged.
    acknowledged: usize,
    pub(super) recovery: Tally,
    pub(super) pending: Pending,
}

/// How recovery stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// Filters without an answer.
    pub(super) left: usize,
    /// Filters subscribed anew.
    pub(super) sent: usize,
    /// Filters that the server has as they are wanted.
    pub(super) kept: usize,
}

/// A SUBSCRIBE or UNSUBSCRIBE under way.
#[derive(Debug)]
pub(super) struct Flight {
    kind: Kind,
    parts: Vec<Part>,
    /// Whether nothing else may be under way.
    suspect: bool,
}

#[derive(Debug)]
struct Part {
    filter: TopicFilter,
    /// As they were sent; means nothing for UNSUBSCRIBE.
    options: SubscriptionOptions,
    waiters: Vec<Waiter>,
}

/// How the packets are made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) max_filters: usize,
    /// Strikes after which a filter is given up.
    pub(super) containment: Option<u8>,
}

impl Rules {
    fn is_suspect(&self, strikes: u8) -> bool {
        self.containment.is_some_and(|limit| strikes.saturating_add(1) >= limit)
    }

    fn is_out(&self, strikes: u8) -> bool {
        self.containment.is_some_and(|limit| strikes >= limit)
    }
}

impl Book {
    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    // --- what the application asks for ---

    pub(super) fn subscribe(&mut self, id: OpId, filters: Vec<(TopicFilter, SubscriptionOptions)>, up: bool) {
        let waiters = self.pending.begin(id, Kind::Subscribe, filters.len());
        for ((filter, options), waiter) in filters.into_iter().zip(waiters) {
            self.request(filter, Some(options), waiter, up);
        }
    }

    pub(super) fn unsubscribe(&mut self, id: OpId, filters: Vec<TopicFilter>, up: bool) {
        let waiters = self.pending.begin(id, Kind::Unsubscribe, filters.len());
        for (filter, waiter) in filters.into_iter().zip(waiters) {
            self.request(filter, None, waiter, up);
        }
    }

    fn request(
        &mut self,
        filter: TopicFilter,
        wanted: Option<SubscriptionOptions>,
        waiter: Waiter,
        up: bool,
    ) {
        let order = self.next_order;
        let entry = self.filters.entry(filter.clone()).or_insert_with(|| Entry::new(order));
        if entry.order == order {
            self.next_order = order.saturating_add(1);
        }
        let kind = entry.kind();
        entry.wanted = wanted;
        if entry.kind() != kind {
            self.pending.overtaken(kind, entry.waiters.drain(..));
        }
        if wanted.is_none() {
            entry.confirmed = false;
        }
        entry.waiters.push(waiter);
        match entry.turn {
            Turn::Rest if up => {
                entry.turn = Turn::Due;
                self.queue.push_back(filter);
            }
            Turn::Sent => entry.turn = Turn::SentAndDue,
            Turn::Rest | Turn::Due | Turn::SentAndDue => {}
        }
    }

    /// Everyone who waits is told that it is over. What was in force stays wanted, what was not leaves the set.
    pub(super) fn interrupt_all(&mut self) {
        self.queue.clear();
        self.filters.retain(|_, entry| {
            entry.waiters.clear();
            entry.turn = match entry.turn {
                Turn::Rest | Turn::Due => Turn::Rest,
                Turn::Sent | Turn::SentAndDue => Turn::Sent,
            };
            if !entry.confirmed {
                entry.wanted = None;
            }
            !entry.is_over()
        });
        self.pending.interrupt_all();
    }

    // --- the connection ---

    /// The server has accepted a connection: finds out what there is to do.
    pub(super) fn connected(&mut self, session: Session, rules: Rules) {
        self.queue.clear();
        self.recovery = Tally::default();
        let mut due = Vec::new();
        let Self { filters, pending, acknowledged, recovery, .. } = self;
        filters.retain(|filter, entry| {
            if session == Session::Doubtful {
                set_server(entry, Server::Unknown, acknowledged);
            }
            if session == Session::Lost {
                set_server(entry, Server::Nothing, acknowledged);
                if entry.wanted.is_none() {
                    for waiter in entry.waiters.drain(..) {
                        pending.end(waiter, Ok(ReasonCode::NoSubscriptionExisted), None);
                    }
                }
            }
            entry.recovering = entry.differs();
            if entry.recovering {
                entry.turn = Turn::Due;
                // Suspects last: the others come in before the connection may end.
                due.push((rules.is_suspect(entry.strikes), entry.kind(), entry.order, filter.clone()));
            } else if entry.wanted.is_some() {
                recovery.kept = recovery.kept.saturating_add(1);
            }
            !entry.is_over()
        });
        due.sort_unstable();
        self.recovery.left = due.len();
        self.queue.extend(due.into_iter().map(|(.., filter)| filter));
    }

    /// The connection is gone: what is under way has no answer. With `by_peer`, what it asked for may be the reason.
    pub(super) fn disconnected(&mut self, by_peer: bool, rules: Rules) {
        for Flight { kind, parts, .. } in std::mem::take(&mut self.flights).into_values() {
            for part in parts {
                let Some(entry) = self.filters.get_mut(&part.filter) else { continue };
                set_server(entry, Server::Unknown, &mut self.acknowledged);
                if by_peer {
                    entry.strikes = entry.strikes.saturating_add(1);
                }
                if by_peer && rules.is_out(entry.strikes) {
                    poisoned(entry, kind, part, &mut self.pending);
                } else {
                    give_back(entry, kind, part.waiters, &mut self.pending);
                }
            }
        }
        self.queue.clear();
        self.recovery = Tally::default();
        self.filters.retain(|_, entry| {
            entry.turn = Turn::Rest;
            entry.recovering = false;
            !entry.is_over()
        });
    }

    // --- packets ---

    /// The next packet, as the operation with this number.
    pub(super) fn next(&mut self, rules: Rules) -> Option<(u64, Op)> {
        let flight = self.gather(rules)?;
        let filters = flight.parts.iter().map(|part| part.filter.clone());
        let op = match flight.kind {
            Kind::Subscribe => {
                let filters = flight.parts.iter().map(|part| (part.filter.clone(), part.options)).collect();
                Op::Subscribe(SubscribeOp { filters })
            }
            Kind::Unsubscribe => Op::Unsubscribe(UnsubscribeOp { filters: filters.collect() }),
        };
        let number = self.next_flight;
        self.next_flight = self.next_flight.saturating_add(1);
        self.flights.insert(number, flight);
        Some((number, op))
    }

    /// Takes what goes into one packet from the front of the queue.
    fn gather(&mut self, rules: Rules) -> Option<Flight> {
        if self.queue.is_empty() {
            return None;
        }
        if self.flights.values().any(|flight| flight.suspect) {
            return None;
        }
        let mut flight = Flight { kind: Kind::Subscribe, parts: Vec::new(), suspect: false };
        while let Some(filter) = self.queue.pop_front() {
            let Some(entry) = self.filters.get_mut(&filter).filter(|entry| entry.turn == Turn::Due) else {
                continue;
            };
            let suspect = rules.is_suspect(entry.strikes);
            let first = flight.parts.is_empty();
            if suspect && !(first && self.flights.is_empty())
                || !first && (entry.alone || entry.kind() != flight.kind)
            {
                self.queue.push_front(filter);
                break;
            }
            entry.turn = Turn::Sent;
            (flight.kind, flight.suspect) = (entry.kind(), suspect);
            flight.parts.push(Part {
                filter,
                options: entry.wanted.unwrap_or_default(),
                waiters: std::mem::take(&mut entry.waiters),
            });
            if suspect || entry.alone || flight.parts.len() >= rules.max_filters {
                break;
            }
        }
        (!flight.parts.is_empty()).then_some(flight)
    }

    /// The server's answer to a packet.
    pub(super) fn answered(&mut self, number: u64, granted: &Granted) {
        let Some(Flight { kind, parts, .. }) = self.flights.remove(&number) else { return };
        // MQTT 3.1.1 has no codes in UNSUBACK.
        let reasons = granted.reasons.iter().copied().chain(std::iter::repeat(ReasonCode::Success));
        for (part, reason) in parts.into_iter().zip(reasons) {
            self.landed(kind, part, reason, granted.message.as_ref());
        }
    }

    fn landed(&mut self, kind: Kind, part: Part, reason: ReasonCode, message: Option<&Text>) {
        let Some(entry) = self.filters.get_mut(&part.filter) else { return };
        (entry.strikes, entry.silences, entry.alone) = (0, 0, false);
        match (kind, reason.is_error()) {
            (Kind::Subscribe, false) => {
                set_server(entry, Server::Has(part.options), &mut self.acknowledged);
                entry.confirmed = entry.wanted.is_some();
                self.recovery.sent = self.recovery.sent.saturating_add(usize::from(entry.recovering));
            }
            (Kind::Subscribe, true) => {
                if entry.server != Server::Nothing {
                    // Whether it keeps what it had, nobody knows.
                    set_server(entry, Server::Unknown, &mut self.acknowledged);
                }
                if entry.turn == Turn::Sent && entry.give_up() {
                    let why = Quarantine::Refused(reason);
                    self.pending.notice(Notice::Quarantined { filter: part.filter.clone(), why });
                }
            }
            (Kind::Unsubscribe, false) => set_server(entry, Server::Nothing, &mut self.acknowledged),
            (Kind::Unsubscribe, true) => {}
        }
        self.over(part, &Ok(reason), message);
    }

    /// The server does not answer a packet, but the connection lives on: what it made of the filters, nobody knows. Those that the
    /// application believes to have are asked for again, a few times: a late refusal would go unnoticed.
    pub(super) fn unanswered(&mut self, number: u64) {
        let Some(Flight { kind, parts, .. }) = self.flights.remove(&number) else { return };
        for part in parts {
            let Some(entry) = self.filters.get_mut(&part.filter) else { continue };
            set_server(entry, Server::Unknown, &mut self.acknowledged);
            if entry.turn == Turn::Sent && !entry.confirmed {
                entry.wanted = None;
            }
            let again = kind == Kind::Subscribe && entry.wanted.is_some() && entry.silences < SILENCES;
            if again && entry.turn == Turn::Sent {
                entry.silences = entry.silences.saturating_add(1);
                entry.turn = Turn::SentAndDue;
            }
            self.over(part, &Err(OpError::TimedOut), None);
        }
    }

    /// A packet could not be sent. One of several filters may be the reason: each is tried alone.
    pub(super) fn unsent(&mut self, number: u64, error: &OpError) {
        let Some(Flight { kind, mut parts, .. }) = self.flights.remove(&number) else { return };
        if parts.len() > 1 {
            for part in parts.into_iter().rev() {
                let Some(entry) = self.filters.get_mut(&part.filter) else { continue };
                give_back(entry, kind, part.waiters, &mut self.pending);
                (entry.turn, entry.alone) = (Turn::Due, true);
                self.queue.push_front(part.filter);
            }
            return;
        }
        let Some(part) = parts.pop() else { return };
        let Some(entry) = self.filters.get_mut(&part.filter) else { return };
        entry.alone = false;
        let passes = matches!(error, OpError::Busy) && entry.confirmed;
        if kind == Kind::Subscribe && entry.turn == Turn::Sent && !passes && entry.give_up() {
            let why = Quarantine::Refused(ReasonCode::ImplementationSpecificError);
            self.pending.notice(Notice::Quarantined { filter: part.filter.clone(), why });
        }
        self.over(part, &Err(error.clone()), None);
    }

    /// A filter has its answer, or will have none: tells who waits and sees what comes next.
    fn over(&mut self, part: Part, result: &Result<ReasonCode, OpError>, message: Option<&Text>) {
        for waiter in part.waiters {
            self.pending.end(waiter, result.clone(), message);
        }
        let Some(entry) = self.filters.get_mut(&part.filter) else { return };
        if std::mem::take(&mut entry.recovering) {
            self.recovery.left = self.recovery.left.saturating_sub(1);
        }
        if entry.turn == Turn::SentAndDue {
            entry.turn = Turn::Due;
            self.queue.push_back(part.filter);
            return;
        }
        entry.turn = Turn::Rest;
        if entry.is_over() {
            self.filters.remove(&part.filter);
        }
    }
}

/// Notes what the server has, and counts.
fn set_server(entry: &mut Entry, server: Server, acknowledged: &mut usize) {
    let has = |server| usize::from(matches!(server, Server::Has(_)));
    *acknowledged = acknowledged.saturating_add(has(server)).saturating_sub(has(entry.server));
    entry.server = server;
}

/// What was sent has no answer: its waiters wait on, unless something else is wanted by now.
fn give_back(entry: &mut Entry, kind: Kind, mut waiters: Vec<Waiter>, pending: &mut Pending) {
    if entry.kind() == kind {
        waiters.append(&mut entry.waiters);
        entry.waiters = waiters;
    } else {
        pending.overtaken(kind, waiters);
    }
}

/// The server ends the connection whenever it is asked for this: it is not asked again.
fn poisoned(entry: &mut Entry, kind: Kind, mut part: Part, pending: &mut Pending) {
    let strikes = std::mem::take(&mut entry.strikes);
    if entry.kind() == kind {
        part.waiters.append(&mut entry.waiters);
        entry.give_up();
    }
    match kind {
        Kind::Subscribe => {
            let why = Quarantine::ClosesConnection;
            pending.notice(Notice::Quarantined { filter: part.filter.clone(), why });
        }
        // As good as gone, or recovery would ask for ever. It had no answer, so it is not counted.
        Kind::Unsubscribe => entry.server = Server::Nothing,
    }
    for waiter in part.waiters {
        let topic = part.filter.text().clone();
        pending.end(waiter, Err(OpError::Poisoned { topic, strikes }), None);
    }
}
