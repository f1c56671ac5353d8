//! Dials again after every disconnect.

use std::collections::VecDeque;
use std::time::Duration;

use super::backoff::Backoff;
use super::jitter::{Delays, Jitter, Random};
use crate::error::{ConnectionError, OpError};
use crate::stage::{
    ConnectOp, Connected, Disconnected, Event, Gauges, Input, Layer, Link, Op, OpId, Output, Receipt, Stage,
};
use crate::time::{Nanos, Now};

/// The layer that keeps a session connected, from [`Op::Connect`] to [`Op::Disconnect`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reconnect {
    backoff: Backoff,
    jitter: Jitter,
    random: Random,
    retry_first: bool,
    give_up: GiveUp,
    connect_interval: Duration,
}

/// When an error that trying again does not heal ([`ConnectionError::is_retryable`]) ends the attempts: a refused client
/// identifier, bad credentials, a certificate that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum GiveUp {
    /// Before the first connection since [`Op::Connect`]: such an error then is one of the configuration, and whoever
    /// connects should hear of it. Later ones are reported and the attempts go on: a certificate that worked once may
    /// be in the middle of its rotation, and a device that stops would need a visit.
    #[default]
    BeforeFirst,
    /// At any time, for programs that get themselves new credentials when theirs are refused. Only
    /// [`ConnectOp::retry`] goes on all the same, up to the first connection.
    Always,
    /// At no time, for what becomes right by itself: just-in-time registration refuses the very connection that
    /// registers the certificate. The first attempt is repeated only with [`Reconnect::retry_first`] or
    /// [`ConnectOp::retry`].
    Never,
}

impl Reconnect {
    /// With these delays.
    #[must_use]
    pub fn new(backoff: Backoff) -> Self {
        Self { backoff, ..Self::default() }
    }

    /// Whether the very first attempt is repeated, too, unless [`GiveUp`] says that this cannot help. Default: no;
    /// [`Op::Connect`] ends with its error then. [`ConnectOp::retry`] repeats it whatever is set here.
    #[must_use]
    pub fn retry_first(mut self, retry: bool) -> Self {
        self.retry_first = retry;
        self
    }

    /// How the delays are spread, by numbers from `random`. Default: not at all.
    #[must_use]
    pub fn jitter(mut self, jitter: Jitter, random: Random) -> Self {
        (self.jitter, self.random) = (jitter, random);
        self
    }

    /// When an error that cannot heal ends the attempts. Default: [`GiveUp::BeforeFirst`].
    #[must_use]
    pub fn give_up(mut self, give_up: GiveUp) -> Self {
        self.give_up = give_up;
        self
    }

    /// The least time from one dial to the next, whoever asks for it. Default: none. AWS IoT Core takes one CONNECT per
    /// second and client identifier.
    #[must_use]
    pub fn connect_interval(mut self, interval: Duration) -> Self {
        self.connect_interval = interval;
        self
    }
}

impl<S: Stage> Layer<S> for Reconnect {
    type Stage = ReconnectStage<S>;

    fn layer(self, inner: S) -> Self::Stage {
        ReconnectStage {
            inner,
            delays: Delays::new(self.backoff, self.jitter, self.random.clone()),
            config: self,
            state: State::Idle,
            was_connected: false,
            last_dial: None,
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
///    ▲ │                    ▲   │                  │                     │
///    │ │ Op::Connect,       │   └──────────────────┴─────────────────────┤ Disconnected
///    │ │ but too early      │ the delay is over: Dial                    ▼
///    │ └────────────────────┼──────────────────────────────────────► Waiting(until)
///    │ Op::Disconnect       └────────────────────────────────────────────┘ │
///    └─────────────── (from anywhere) ─────────────────────────────────────┘
/// ```
#[derive(Debug)]
pub struct ReconnectStage<S> {
    inner: S,
    config: Reconnect,
    delays: Delays,
    state: State,
    /// Whether a connection was up since the last [`Op::Connect`] in [`State::Idle`].
    was_connected: bool,
    /// When the last attempt began.
    last_dial: Option<Nanos>,
    /// Who waits for the connection.
    waiters: Vec<Waiter>,
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

#[derive(Debug, Clone, Copy)]
struct Waiter {
    op: OpId,
    /// Waits on, whatever an attempt brings.
    retry: bool,
}

impl<S: Stage> ReconnectStage<S> {
    fn connect(&mut self, now: Now, op: OpId, ConnectOp { retry }: ConnectOp) {
        match &mut self.state {
            State::Idle => {
                self.was_connected = false;
                self.waiters.push(Waiter { op, retry });
                let earliest = self.earliest(self.config.connect_interval);
                self.dial_at(now, earliest);
            }
            State::Waiting { until } => {
                let until = *until;
                self.waiters.push(Waiter { op, retry });
                // Not sooner than the base delay after the attempt before, however often it is asked for.
                let earliest = self.earliest(self.config.backoff.base().max(self.config.connect_interval));
                self.dial_at(now, earliest.min(until));
            }
            State::Dialing | State::Handshaking => self.waiters.push(Waiter { op, retry }),
            State::Connected { connected, .. } => {
                let receipt = Receipt::Connected(connected.clone());
                self.out.push_back(Output::Event(Event::Done(op, Ok(receipt))));
            }
        }
    }

    /// The first instant that is `interval` after the last dial.
    fn earliest(&self, interval: Duration) -> Nanos {
        self.last_dial.map_or(Nanos::ZERO, |last| last.after(interval))
    }

    /// Dials at `at`: now, if that has come.
    fn dial_at(&mut self, now: Now, at: Nanos) {
        if at > now.mono {
            self.state = State::Waiting { until: at };
            return;
        }
        self.last_dial = Some(now.mono);
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
        self.delays.start_over();
        self.out.push_back(Output::Event(Event::Disconnected(Disconnected::new(ConnectionError::Requested))));
        self.settle(&Err(OpError::Connect(ConnectionError::Requested)), |_| true);
    }

    /// Tells those who wait for the connection and meet `which`.
    fn settle(&mut self, result: &Result<Receipt, OpError>, which: impl Fn(&Waiter) -> bool) {
        for waiter in self.waiters.extract_if(.., |waiter| which(waiter)) {
            self.out.push_back(Output::Event(Event::Done(waiter.op, result.clone())));
        }
    }

    /// The inner stage says that the attempt or the connection has ended: decides what comes next.
    fn disconnected(&mut self, now: Now, mut disconnected: Disconnected) -> Disconnected {
        if let State::Connected { since, .. } = self.state
            && now.mono.since(since) >= self.config.backoff.stable()
        {
            self.delays.start_over();
        }
        let error = &disconnected.error;
        let result = Err(OpError::Connect(error.clone()));
        let over = matches!(self.state, State::Idle) || matches!(error, ConnectionError::Requested);
        if over || !self.goes_on(error) {
            self.state = State::Idle;
            self.delays.start_over();
            self.settle(&result, |_| true);
            return disconnected;
        }
        // Who asked during an outage, or for one attempt, is told of this one; the layer goes on.
        let repeats = !self.was_connected && self.repeats_first(error);
        self.settle(&result, |waiter| !waiter.retry && !repeats);
        let earliest = self.earliest(self.config.connect_interval);
        let until = now.mono.after(self.delays.next()).max(earliest);
        self.state = State::Waiting { until };
        disconnected.retry_at = Some(until);
        disconnected
    }

    fn goes_on(&self, error: &ConnectionError) -> bool {
        if self.was_connected {
            return error.is_retryable() || self.config.give_up != GiveUp::Always;
        }
        self.repeats_first(error) || self.waiters.iter().any(|waiter| waiter.retry)
    }

    /// Whether an attempt before the first connection is repeated for those who did not say so themselves.
    fn repeats_first(&self, error: &ConnectionError) -> bool {
        self.config.retry_first && (error.is_retryable() || self.config.give_up == GiveUp::Never)
    }
}

impl<S: Stage> Stage for ReconnectStage<S> {
    fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Op(op, Op::Connect(connect)) => return self.connect(now, op, connect),
            Input::Op(_, Op::Disconnect) => self.disconnect(),
            Input::Link(Link::Up(_)) => {
                if !matches!(self.state, State::Dialing) {
                    // Given up before it came; the driver was told.
                    return;
                }
                self.state = State::Handshaking;
            }
            Input::Timeout => {
                if let State::Waiting { until } = self.state {
                    self.dial_at(now, until);
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
        // Most pass as they are, and are not to be moved about.
        match &output {
            Output::Event(Event::Connected(connected)) => {
                self.state = State::Connected { since: now.mono, connected: connected.clone() };
                self.was_connected = true;
                self.settle(&Ok(Receipt::Connected(connected.clone())), |_| true);
                Some(output)
            }
            Output::Event(Event::Disconnected(disconnected)) => {
                let disconnected = self.disconnected(now, disconnected.clone());
                Some(Output::Event(Event::Disconnected(disconnected)))
            }
            _ => Some(output),
        }
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
