//! Keeps subscriptions in force.

mod book;
mod entry;
mod pending;

use std::collections::VecDeque;

use book::{Book, Rules};
use entry::Session;

use crate::error::{LinkError, OpError};
use crate::stage::{
    Connected, Disconnected, Event, Gauges, Input, Layer, Link, Notice, Op, OpId, Output, Owner, Receipt,
    Stage,
};
use crate::time::{Nanos, Now};

/// The layer that keeps the set of desired subscriptions and makes the server's agree with it.
///
/// [`Op::Subscribe`] and [`Op::Unsubscribe`] end here; it sends packets of its own, so that an operation may have more
/// filters than a server takes at once. Each filter's answer is checked.
///
/// - With a connection they go out at once, also for a filter that is in force: the server sends its retained messages
///   anew. About one filter, one packet is under way at a time; of what is asked meanwhile, the last wins. A subscribe
///   that an unsubscribe overtakes before it was sent ends with [`OpError::Interrupted`], an unsubscribe that a subscribe
///   overtakes counts as done.
/// - Without one they change the set and end when they take effect: by the server's answer on the next connection, or
///   for an unsubscribe, when the server turns out to have lost the session. [`Op::Disconnect`] ends them with
///   [`OpError::Interrupted`]; what was never acknowledged leaves the set then.
/// - [`Event::Connected`], and with it the end of [`Op::Connect`], is held back until every desired filter has its
///   answer. In a session that the server kept, only what differs from what it has acknowledged is sent: nothing is
///   known of it after a restart of the process. A server that does not answer is left.
/// - A refused filter leaves the set: the one who subscribed reads it in [`Granted`](crate::stage::Granted), and if it
///   had been in force, a [`Notice::Quarantined`] says so. It is not asked for again unless somebody subscribes.
/// - A filter that is not answered because the server ends the connection gets a strike; see
///   [`containment`](Self::containment).
/// - An operation ends with an error if one of its filters does; the others stay in force. A subscribe that timed out
///   leaves the set unless it only renewed what was in force; what the server made of it is cleared up by the next
///   connection.
///
/// The set is as large as the application makes it. It outlives [`Op::Disconnect`], not the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resubscribe {
    rules: Rules,
}

impl Default for Resubscribe {
    /// At most 8 filters in a packet, as AWS IoT Core takes them; 3 strikes.
    fn default() -> Self {
        Self { rules: Rules { max_filters: 8, containment: Some(3) } }
    }
}

impl Resubscribe {
    /// How many filters a SUBSCRIBE or UNSUBSCRIBE has at most; at least 1.
    #[must_use]
    pub fn max_filters(mut self, filters: usize) -> Self {
        self.rules.max_filters = filters.max(1);
        self
    }

    /// How often in a row the server may end the connection instead of answering for a filter before that is given up
    /// with [`Notice::Quarantined`]; who waits for it gets [`OpError::Poisoned`]. AWS IoT Core ends MQTT 3.1.1 connections
    /// that way when the policy does not allow the filter. One strike before the limit the filter goes out with nothing
    /// else, so that the others come in and the right one is found. `None`: never; 0 counts as 1.
    #[must_use]
    pub fn containment(mut self, strikes: Option<u8>) -> Self {
        self.rules.containment = strikes.map(|strikes| strikes.max(1));
        self
    }
}

impl<S: Stage> Layer<S> for Resubscribe {
    type Stage = ResubscribeStage<S>;

    fn layer(self, inner: S) -> Self::Stage {
        ResubscribeStage {
            inner,
            rules: self.rules,
            state: State::Down,
            book: Book::default(),
            held: Vec::new(),
            hang_up: None,
            out: VecDeque::new(),
        }
    }
}

/// The running [`Resubscribe`].
///
/// ```text
///          Connected                    every filter has its answer: Connected passes up
///   Down ────────────► Recovering(held) ────────────────────────────────────────────────► Up
///    ▲                     │  an answer does not come: Hangup                              │
///    └─────────────────────┴───────────────────────────────────────────────────────────────┘
///                                       Disconnected
/// ```
#[derive(Debug)]
pub struct ResubscribeStage<S> {
    inner: S,
    rules: Rules,
    state: State,
    book: Book,
    /// Connect operations that are done but for the subscriptions.
    held: Vec<OpId>,
    /// Why the link is given up once the inner stage has nothing more to say.
    hang_up: Option<LinkError>,
    out: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    Down,
    Recovering(Connected),
    Up,
}

impl<S: Stage> ResubscribeStage<S> {
    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    /// Takes what came from below, and gives back what concerns others.
    fn take(&mut self, output: Output) -> Option<Output> {
        match output {
            Output::Event(Event::Connected(connected)) => {
                let session = match (connected.session_present, connected.session_certain) {
                    (false, _) => Session::Lost,
                    (true, true) => Session::Kept,
                    (true, false) => Session::Doubtful,
                };
                self.book.connected(session, self.rules);
                self.state = State::Recovering(connected);
            }
            Output::Event(Event::Disconnected(disconnected)) => self.disconnected(&disconnected),
            Output::Event(Event::Done(id, result)) if id.owner() == Owner::RESUBSCRIBE => {
                self.answered(id.seq(), result);
            }
            Output::Event(Event::Done(id, Ok(Receipt::Connected(_))))
                if matches!(self.state, State::Recovering(_)) =>
            {
                self.held.push(id);
            }
            output => return Some(output),
        }
        None
    }

    fn disconnected(&mut self, disconnected: &Disconnected) {
        self.state = State::Down;
        self.hang_up = None;
        self.event(Event::Disconnected(disconnected.clone()));
        self.book.disconnected(disconnected.error.is_by_peer(), self.rules);
        if disconnected.retry_at.is_none() {
            for op in std::mem::take(&mut self.held) {
                self.event(Event::Done(op, Err(OpError::Connect(disconnected.error.clone()))));
            }
        }
    }

    /// The end of an operation of this layer.
    fn answered(&mut self, number: u64, result: Result<Receipt, OpError>) {
        let recovering = matches!(self.state, State::Recovering(_));
        match result {
            Ok(Receipt::Subscribed(granted) | Receipt::Unsubscribed(granted)) => {
                self.book.answered(number, &granted);
            }
            // The connection is gone, and the inner stage is about to say so.
            Err(OpError::Interrupted | OpError::Offline) => {}
            Err(OpError::TimedOut) if recovering => {
                let what = "the server did not answer SUBSCRIBE or UNSUBSCRIBE within the operation timeout";
                self.hang_up = Some(LinkError::new(what, true));
            }
            Err(OpError::Busy) if recovering => {
                let what = "no packet identifier is left to subscribe with";
                self.hang_up = Some(LinkError::new(what, true));
            }
            Err(OpError::TimedOut) => self.book.unanswered(number),
            Err(error) => self.book.unsent(number, &error),
            Ok(_) => self.book.unsent(number, &OpError::Unsupported("the answer is no SUBACK")),
        }
    }

    /// One step of this layer's own, with nothing more to hear from below; `false`: there is nothing to do.
    fn step(&mut self, now: Now) -> bool {
        if let Some(error) = self.hang_up.take() {
            self.out.push_back(Output::Hangup);
            self.inner.handle(now, Input::Link(Link::Down(error)));
            return true;
        }
        if matches!(self.state, State::Down) {
            return false;
        }
        if let Some((number, op)) = self.book.next(self.rules) {
            self.inner.handle(now, Input::Op(OpId::new(Owner::RESUBSCRIBE, number), op));
            return true;
        }
        self.recovered()
    }

    /// Lets the connection pass up once every filter has its answer.
    fn recovered(&mut self) -> bool {
        let State::Recovering(connected) = &self.state else { return false };
        let recovery = self.book.recovery;
        if recovery.left > 0 {
            return false;
        }
        let connected = connected.clone();
        self.state = State::Up;
        self.event(Event::Notice(Notice::Resubscribed { sent: recovery.sent, kept: recovery.kept }));
        self.event(Event::Connected(connected.clone()));
        for op in std::mem::take(&mut self.held) {
            self.event(Event::Done(op, Ok(Receipt::Connected(connected.clone()))));
        }
        true
    }
}

impl<S: Stage> Stage for ResubscribeStage<S> {
    fn handle(&mut self, now: Now, input: Input) {
        let up = !matches!(self.state, State::Down);
        match input {
            Input::Op(id, Op::Subscribe(op)) => {
                if op.filters.is_empty() {
                    // [MQTT-3.8.3-2]
                    return self
                        .book
                        .pending
                        .done(id, Err(OpError::Unsupported("a SUBSCRIBE without a filter")));
                }
                self.book.subscribe(id, op.filters, up);
            }
            Input::Op(id, Op::Unsubscribe(op)) => {
                if op.filters.is_empty() {
                    // [MQTT-3.10.3-2]
                    return self
                        .book
                        .pending
                        .done(id, Err(OpError::Unsupported("an UNSUBSCRIBE without a filter")));
                }
                self.book.unsubscribe(id, op.filters, up);
            }
            Input::Op(id, Op::Disconnect) => {
                self.book.interrupt_all();
                self.inner.handle(now, Input::Op(id, Op::Disconnect));
            }
            input => self.inner.handle(now, input),
        }
    }

    fn poll(&mut self, now: Now) -> Option<Output> {
        loop {
            if let Some(output) = self.out.pop_front() {
                return Some(output);
            }
            if let Some(event) = self.book.pending.events.pop_front() {
                return Some(Output::Event(event));
            }
            match self.inner.poll(now) {
                // Nothing of this layer's own waits: it is the next.
                Some(output) => {
                    if let Some(output) = self.take(output) {
                        return Some(output);
                    }
                }
                None if self.step(now) => {}
                None => return None,
            }
        }
    }

    fn deadline(&self) -> Option<Nanos> {
        self.inner.deadline()
    }

    /// Not before the subscriptions are in force.
    fn ready(&self) -> bool {
        !matches!(self.state, State::Recovering(_)) && self.inner.ready()
    }

    fn gauges(&self, gauges: &mut Gauges) {
        gauges.subscriptions = gauges.subscriptions.saturating_add(self.book.acknowledged());
        self.inner.gauges(gauges);
    }
}
