//! Dials again after every disconnect.

use std::collections::VecDeque;

use super::backoff::Backoff;
use crate::error::{ConnectionError, OpError};
use crate::stage::{
    Connected, Disconnected, Event, Gauges, Input, Layer, Link, Op, OpId, Output, Receipt, Stage,
};
use crate::time::{Nanos, Now};

/// The layer that keeps a session connected, from [`Op::Connect`] to [`Op::Disconnect`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reconnect {
    backoff: Backoff,
    retry_first: bool,
}

impl Reconnect {
    /// With these delays.
    #[must_use]
    pub fn new(backoff: Backoff) -> Self {
        Self { backoff, retry_first: false }
    }

    /// Whether the very first attempt is repeated, too, unless repeating cannot help
    /// ([`ConnectionError::is_retryable`]). Default: no; [`Op::Connect`] ends with its error then.
    #[must_use]
    pub fn retry_first(mut self, retry: bool) -> Self {
        self.retry_first = retry;
        self
    }
}

impl<S: Stage> Layer<S> for Reconnect {
    type Stage = ReconnectStage<S>;

    fn layer(self, inner: S) -> Self::Stage {
        ReconnectStage {
            inner,
            config: self,
            state: State::Idle,
            failures: 0,
            was_connected: false,
            last_dial: Nanos::ZERO,
            waiters: Vec::new(),
            out: VecDeque::new(),
        }
    }
}

/// The running [`Reconnect`].
///
/// ```text
///          Op::Connect: Dial        Link::Up              Connected
///   Idle ────────────────► Dialing ─────────► Handshaking ─────────► Connected(since)
///    ▲                      ▲   │                  │                     │
///    │ Op::Disconnect       │   └──────────────────┴─────────────────────┤ Disconnected
///    │ (from anywhere)      │ the delay is over: Dial                    ▼
///    └──────────────────────┴──────────────────────────────────────── Waiting(until)
/// ```
#[derive(Debug)]
pub struct ReconnectStage<S> {
    inner: S,
    config: Reconnect,
    state: State,
    /// Disconnects and failed attempts since the last stable connection.
    failures: u32,
    /// Whether a connection was up since the last [`Op::Connect`].
    was_connected: bool,
    /// When the last attempt began.
    last_dial: Nanos,
    /// Who waits for the connection.
    waiters: Vec<OpId>,
    out: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    Idle,
    Dialing,
    Handshaking,
    Connected { since: Nanos, connected: Connected },
    Waiting { until: Nanos },
}

impl<S: Stage> ReconnectStage<S> {
    fn connect(&mut self, now: Now, op: OpId) {
        match &mut self.state {
            State::Idle => {
                self.was_connected = false;
                self.waiters.push(op);
                self.dial(now);
            }
            State::Waiting { until } => {
                // Not sooner than the base delay after the attempt before, however often it is asked for.
                let earliest = self.last_dial.after(self.config.backoff.base());
                *until = earliest.min(*until);
                self.waiters.push(op);
                if earliest <= now.mono {
                    self.dial(now);
                }
            }
            State::Dialing | State::Handshaking => self.waiters.push(op),
            State::Connected { connected, .. } => {
                let receipt = Receipt::Connected(connected.clone());
                self.out.push_back(Output::Event(Event::Done(op, Ok(receipt))));
            }
        }
    }

    fn dial(&mut self, now: Now) {
        self.last_dial = now.mono;
        self.state = State::Dialing;
        self.out.push_back(Output::Dial);
    }

    /// Ends what this layer has under way; the link itself is the inner stage's.
    fn disconnect(&mut self) {
        match self.state {
            State::Dialing => {
                self.out.push_back(Output::Hangup);
                self.stopped();
            }
            State::Waiting { .. } => self.stopped(),
            // The inner stage will tell.
            State::Idle | State::Handshaking | State::Connected { .. } => {}
        }
    }

    fn stopped(&mut self) {
        self.state = State::Idle;
        self.failures = 0;
        self.out.push_back(Output::Event(Event::Disconnected(Disconnected::new(ConnectionError::Requested))));
        self.settle(&Err(OpError::Connect(ConnectionError::Requested)));
    }

    /// Tells everyone who waits for the connection.
    fn settle(&mut self, result: &Result<Receipt, OpError>) {
        for op in self.waiters.drain(..) {
            self.out.push_back(Output::Event(Event::Done(op, result.clone())));
        }
    }

    /// The inner stage says that the attempt or the connection has ended: decides what comes next.
    fn disconnected(&mut self, now: Now, mut disconnected: Disconnected) -> Disconnected {
        if let State::Connected { since, .. } = self.state
            && now.mono.since(since) >= self.config.backoff.stable()
        {
            self.failures = 0;
        }
        // Before the first connection: what cannot heal is not repeated even if repeating was asked for.
        let repeat = self.config.retry_first && disconnected.error.is_retryable();
        let give_up = !self.was_connected && !repeat;
        if matches!(disconnected.error, ConnectionError::Requested) || give_up {
            self.state = State::Idle;
            self.failures = 0;
            self.settle(&Err(OpError::Connect(disconnected.error.clone())));
            return disconnected;
        }
        if self.was_connected {
            // Who asked during an outage is told of this attempt; the layer goes on.
            self.settle(&Err(OpError::Connect(disconnected.error.clone())));
        }
        let until = now.mono.after(self.config.backoff.delay(self.failures));
        self.failures = self.failures.saturating_add(1);
        self.state = State::Waiting { until };
        disconnected.retry_at = Some(until);
        disconnected
    }
}

impl<S: Stage> Stage for ReconnectStage<S> {
    fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Op(op, Op::Connect(_)) => return self.connect(now, op),
            Input::Op(_, Op::Disconnect) => self.disconnect(),
            Input::Link(Link::Up(_)) => {
                if !matches!(self.state, State::Dialing) {
                    // Given up before it came; the driver was told.
                    return;
                }
                self.state = State::Handshaking;
            }
            Input::Timeout => {
                if let State::Waiting { until } = self.state
                    && now.mono >= until
                {
                    self.dial(now);
                }
            }
            _ => {}
        }
        self.inner.handle(now, input);
    }

    fn poll(&mut self, now: Now) -> Option<Output> {
        if let Some(output) = self.out.pop_front() {
            return Some(output);
        }
        let output = self.inner.poll(now)?;
        Some(match output {
            Output::Event(Event::Connected(connected)) => {
                self.state = State::Connected { since: now.mono, connected: connected.clone() };
                self.was_connected = true;
                self.settle(&Ok(Receipt::Connected(connected.clone())));
                Output::Event(Event::Connected(connected))
            }
            Output::Event(Event::Disconnected(disconnected)) => {
                Output::Event(Event::Disconnected(self.disconnected(now, disconnected)))
            }
            output => output,
        })
    }

    fn deadline(&self) -> Option<Nanos> {
        let own = match self.state {
            State::Waiting { until } => Some(until),
            _ => None,
        };
        [own, self.inner.deadline()].into_iter().flatten().min()
    }

    fn ready(&self) -> bool {
        self.inner.ready()
    }

    fn gauges(&self, gauges: &mut Gauges) {
        self.inner.gauges(gauges);
    }
}
