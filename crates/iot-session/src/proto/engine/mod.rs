//! The innermost stage: one MQTT session over one link at a time.

mod keeping;
mod link;
mod operations;
mod received;
mod server;

use std::collections::VecDeque;

use mqtt_codec::packet::{Ack, ConnAck, Disconnect, Publish};
use mqtt_codec::{Codec, DecodeError, ErrorKind, Limits, Packet, QoS, ReasonCode, Text};

use super::aliases::{FromServer, ToServer};
use super::incoming::{Answer, Incoming};
use super::keep_alive::{Due, KeepAlive};
use super::options::ConnectOptions;
use super::outgoing::{Ended, Next, Outgoing};
use super::saved::SavedSession;
use keeping::Keeping;
use server::Server;

use crate::error::{ConnectionError, OpError};
use crate::stage::{Event, Gauges, Input, Link, Notice, OpId, Output, Receipt, Stage};
use crate::time::{Nanos, Now};

/// The MQTT protocol, client side, both versions: CONNECT and CONNACK, keep-alive, QoS 0, 1 and 2 both ways within a
/// window, topic aliases, subscriptions, session resumption, operation timeouts.
///
/// ```text
///           Link::Up: CONNECT            CONNACK
///   Down ───────────────► Connecting ─────────────► Up
///     ▲                        │                     │
///     └────────────────────────┴─────────────────────┘
///       Link::Down, Op::Disconnect, refusal, timeout, protocol error
/// ```
/// It dials only for an [`Op::Connect`](crate::stage::Op::Connect) of its own, once; a
/// [`Reconnect`](crate::layers::Reconnect) around it does the rest. While it is down, operations end with
/// [`OpError::Offline`].
///
/// What is not acknowledged when the link goes is sent again once the server says that it kept the session. When it did
/// not, it is handed back by [`Event::Returned`], just before [`Event::Connected`], or when the link goes if the session
/// ends with its connection. A QoS 2 message that was sent ends with [`OpError::Interrupted`] then: issued again it might
/// arrive twice. A message for which the server ends the connection again and again is given up, see
/// [`ConnectOptions::containment`].
#[derive(Debug)]
pub struct Engine {
    options: ConnectOptions,
    state: State,
    /// Whether a session was opened before, so that later connections take it up.
    had_session: bool,
    /// The client identifier that the server made up, under which it finds the session again.
    client_id: Option<Text>,
    /// Whether the present CONNECT asked for a clean start.
    clean_start: bool,
    /// Whether a CONNECT was sent, since a session was last known, whose answer never came: it may have begun a new one.
    unanswered: bool,
    server: Server,
    keep_alive: KeepAlive,
    outgoing: Outgoing,
    incoming: Incoming,
    from_server: FromServer,
    to_server: ToServer,
    /// Who waits for CONNACK when no layer around takes care of that.
    connect: Option<OpId>,
    codec: Codec,
    /// Where what the next run must know is written, if anywhere.
    keeping: Option<Box<Keeping>>,
    out: VecDeque<Output>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Down,
    Connecting { deadline: Nanos },
    Up,
}

impl Engine {
    /// An engine that is down.
    #[must_use]
    pub fn new(options: ConnectOptions) -> Self {
        let codec =
            Codec::client(options.version).with_limits(Limits::with_max_packet_size(options.max_packet_size));
        Self {
            server: Server::new(&ConnAck::default(), &options),
            outgoing: Outgoing::new(options.operation_timeout, options.containment),
            options,
            state: State::Down,
            had_session: false,
            client_id: None,
            clean_start: false,
            unanswered: false,
            keep_alive: KeepAlive::off(),
            incoming: Incoming::default(),
            from_server: FromServer::default(),
            to_server: ToServer::default(),
            connect: None,
            codec,
            keeping: None,
            out: VecDeque::new(),
        }
    }

    /// Takes up the session of an earlier run of the program, and has written what the next run must know, by
    /// [`StoreOp::Keep`](crate::stage::StoreOp): so that QoS 2 holds across restarts, and a clean start is asked for once only.
    /// For sessions that outlive their connections. With an empty client identifier in the options the saved one is used; a session
    /// of another client identifier is not taken up, and its messages end with [`OpError::Interrupted`].
    ///
    /// While the record cannot be written QoS 2 messages wait, either way; all others go on, and so do attempts to connect. QoS 2
    /// messages go without topic aliases.
    ///
    /// The contents of messages are not in it: the [`Outbox`](crate::layers::Outbox) around has them, if it
    /// [keeps QoS 2](crate::layers::Outbox::exactly_once), and issues them again.
    #[must_use]
    pub fn keeping(mut self, saved: SavedSession) -> Self {
        let own = self.options.client_id();
        let saved = match saved.client_id() {
            Some(client_id) if own.is_empty() || own == client_id => saved,
            _ => saved.abandoned(),
        };
        if saved.client_id.is_some() {
            self.had_session = true;
            self.unanswered = saved.doubtful;
            self.client_id.clone_from(&saved.client_id);
        }
        self.outgoing.take_up(&saved.outgoing);
        self.incoming.take_up(&saved.incoming);
        self.keeping = Some(Box::new(Keeping::new(saved)));
        self
    }

    /// The codec for its connections.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec.clone()
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn done(&mut self, op: OpId, result: Result<Receipt, OpError>) {
        self.event(Event::Done(op, result));
    }

    fn send(&mut self, now: Now, packet: impl Into<Packet>) {
        self.keep_alive.sent(now.mono);
        self.out.push_back(Output::Send(packet.into()));
    }

    /// Sends a message, under its alias if its topic has one on this connection. Whoever keeps it keeps it without.
    fn send_publish(&mut self, now: Now, publish: Publish) {
        if self.keeping.is_some() && publish.qos() == QoS::ExactlyOnce {
            // It may be overtaken: without an alias.
            return self.send_kept(now, publish.into());
        }
        let (codec, max) = (&self.codec, self.server.max_packet_size);
        let fits =
            |publish: &Publish| codec.encoded_len(&publish.clone().into()).is_ok_and(|size| size <= max);
        let publish = self.to_server.shorten(publish, fits);
        self.send(now, publish);
    }

    /// Sends what may go out: first what the connection before left unacknowledged, in the original order
    /// (`[MQTT-4.4.0-1]`).
    fn send_publications(&mut self, now: Now) {
        while let Some(next) = self.outgoing.next_to_send(now.mono, self.server.window) {
            match next {
                Next::Publish(publish) => self.send_publish(now, publish),
                Next::Release(id) => self.send_kept(now, Packet::PubRel(Ack::new(id))),
            }
        }
    }

    /// Acknowledges what was taken, as far as its turn has come.
    fn acknowledge(&mut self, now: Now) {
        while let Some(answer) = self.incoming.pop_accepted() {
            match answer {
                Answer::PubAck(id) => self.send(now, Packet::PubAck(Ack::new(id))),
                Answer::PubRec(id) => self.send_kept(now, Packet::PubRec(Ack::new(id))),
            }
        }
    }

    /// Tells what has ended without an answer.
    fn tell(&mut self, ended: Vec<Ended>) {
        for ended in ended {
            match ended {
                Ended::Interrupted(op) => self.done(op, Err(OpError::Interrupted)),
                Ended::Returned(op, publish) => self.event(Event::Returned(op, publish)),
                Ended::Poisoned { op, topic, strikes } => {
                    self.event(Event::Notice(Notice::Poisoned { topic: topic.clone() }));
                    if let Some(op) = op {
                        self.done(op, Err(OpError::Poisoned { topic, strikes }));
                    }
                }
            }
        }
    }

    /// Answers with the reason where the version has words for it, then hangs up.
    fn protocol_error(&mut self, now: Now, what: &'static str) {
        self.say_why(ReasonCode::ProtocolError);
        self.fail(now, ConnectionError::Protocol(what));
    }

    fn say_why(&mut self, reason: ReasonCode) {
        if self.state == State::Up && self.options.version.is_v5() {
            self.out.push_back(Output::Send(Disconnect::new(reason).into()));
        }
    }

    fn malformed(&mut self, now: Now, error: DecodeError) {
        if self.state == State::Down {
            return;
        }
        let reason = match (error.kind(), error.reason()) {
            // Not words that DISCONNECT has.
            (_, ReasonCode::UnsupportedProtocolVersion | ReasonCode::ClientIdentifierNotValid) => {
                ReasonCode::ProtocolError
            }
            (ErrorKind::Malformed | ErrorKind::Protocol, reason) => reason,
        };
        self.say_why(reason);
        self.fail(now, ConnectionError::Malformed(error));
    }

    // --- time ---

    fn timeout(&mut self, now: Now) {
        self.send_released(now);
        while let Some(op) = self.outgoing.pop_timed_out(now.mono) {
            self.done(op, Err(OpError::TimedOut));
        }
        if self.state == State::Up {
            self.outgoing.leave_alone(now.mono);
            self.send_publications(now);
        }
        if let State::Connecting { deadline } = self.state
            && now.mono >= deadline
        {
            self.fail(now, ConnectionError::ConnAckTimeout);
        }
        match self.keep_alive.poll(now.mono) {
            Due::Nothing => {}
            Due::Ping => self.send(now, Packet::PingReq),
            Due::Dead => {
                let waited = self.keep_alive.patience();
                self.fail(now, ConnectionError::KeepAlive { waited });
            }
        }
    }
}

impl Stage for Engine {
    fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Op(id, op) => self.op(now, id, op),
            Input::Link(Link::Up(link)) => self.link_up(now, link),
            Input::Link(Link::Down(error)) => match self.state {
                State::Connecting { .. } => self.lost(now, ConnectionError::ClosedBeforeConnAck(error)),
                State::Down | State::Up => self.lost(now, ConnectionError::Link(error)),
            },
            Input::Packet(packet) => self.packet(now, packet),
            Input::Malformed(error) => self.malformed(now, error),
            Input::Accepted(token) => {
                self.incoming.accept(token);
                if self.state == State::Up {
                    self.acknowledge(now);
                }
            }
            Input::Timeout => self.timeout(now),
            Input::Stored(stored) => self.stored(now, stored),
        }
    }

    fn poll(&mut self, now: Now) -> Option<Output> {
        // Last: what an end of an operation makes others wish of the store comes before the record that knows of it.
        self.out.pop_front().or_else(|| self.keeping.as_mut()?.wish(now.mono).map(Output::Store))
    }

    fn deadline(&self) -> Option<Nanos> {
        let connack = match self.state {
            State::Connecting { deadline } => Some(deadline),
            State::Down | State::Up => None,
        };
        let again = self.keeping.as_ref().and_then(|keeping| keeping.deadline());
        [connack, again, self.keep_alive.deadline(), self.outgoing.deadline(self.server.window)]
            .into_iter()
            .flatten()
            .min()
    }

    fn ready(&self) -> bool {
        self.state != State::Up || self.has_room()
    }

    fn gauges(&self, gauges: &mut Gauges) {
        gauges.in_flight = gauges.in_flight.saturating_add(self.outgoing.in_flight());
    }
}
