//! The innermost stage: one MQTT session over one link at a time.

mod keeping;
mod operations;
mod received;
mod server;

use std::collections::VecDeque;
use std::sync::Arc;

use mqtt_codec::packet::{Ack, ConnAck, Disconnect, Publish};
use mqtt_codec::{Codec, DecodeError, ErrorKind, Limits, Packet, QoS, ReasonCode, Text};

use super::aliases::{FromServer, ToServer};
use super::incoming::{Answer, Incoming};
use super::keep_alive::{Due, KeepAlive};
use super::options::ConnectOptions;
use super::outgoing::{Ended, Next, Outgoing};
use super::saved::SavedSession;
use keeping::Keeping;
use server::{Server, text};

use crate::error::{ConnectionError, OpError};
use crate::stage::{
    Disconnected, Event, Gauges, Input, Link, LinkUp, Notice, OpId, Output, Receipt, Stage, Stored,
};
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

    /// Sends what makes the server remember or forget a packet identifier, once that is on disk if anything is.
    fn send_kept(&mut self, now: Now, packet: Packet) {
        self.note();
        let packet = match &mut self.keeping {
            Some(keeping) => keeping.hold(packet),
            None => Some(packet),
        };
        if let Some(packet) = packet {
            self.send(now, packet);
        }
    }

    /// Notes which packet identifiers are in use.
    fn note(&mut self) {
        if let Some(keeping) = &mut self.keeping {
            keeping.in_use(self.outgoing.sent_exactly_once(), self.incoming.received());
        }
    }

    /// What the store says of what was to be written.
    fn stored(&mut self, now: Now, stored: Stored) {
        let Some(keeping) = &mut self.keeping else { return };
        match stored {
            Stored::Kept { version } => keeping.kept(version),
            Stored::NotKept { version, error } => {
                if let Some(error) = keeping.not_kept(now.mono, version, error) {
                    self.event(Event::Notice(Notice::Storage { error }));
                }
                return;
            }
            Stored::Closed(_) => keeping.closed(),
            _ => return,
        }
        while let Some(packet) = self.keeping.as_mut().and_then(|keeping| keeping.release()) {
            self.send(now, packet);
        }
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

    // --- the link ---

    fn link_up(&mut self, now: Now, link: LinkUp) {
        if self.state != State::Down {
            return;
        }
        // A session that was opened here is taken up again if it lasts.
        let clean_start = self.options.clean_start && !(self.had_session && self.server.session_lasts());
        let Ok(connect) = self.options.connect(self.client_id.as_ref(), clean_start) else {
            let what = "the options make no CONNECT; ConnectOptions::validate says why";
            return self.fail(now, ConnectionError::Protocol(what));
        };
        let own = now.mono.after(self.options.connect_timeout);
        let deadline = link.deadline.map_or(own, |deadline| deadline.min(own));
        self.state = State::Connecting { deadline };
        self.clean_start = clean_start;
        self.incoming.restart();
        self.from_server.restart();
        match &mut self.keeping {
            Some(keeping) if keeping.is_in_use() => {
                keeping.doubtful(true);
                self.send_kept(now, connect.into());
            }
            _ => self.send(now, connect),
        }
    }

    /// Hangs up and tells why.
    fn fail(&mut self, now: Now, error: ConnectionError) {
        self.out.push_back(Output::Hangup);
        self.lost(now, error);
    }

    /// The link is gone, by our hand or another's.
    fn lost(&mut self, now: Now, error: ConnectionError) {
        let was = std::mem::replace(&mut self.state, State::Down);
        let was_up = was == State::Up;
        // A refusal is an answer.
        let refused = matches!(error, ConnectionError::Refused { .. });
        self.unanswered |= matches!(was, State::Connecting { .. }) && !refused;
        self.keep_alive = KeepAlive::off();
        let lasts = self.server.session_lasts();
        if !lasts {
            self.incoming.session_lost();
        }
        let by_server = was_up && may_be_the_fault_of_a_message(&error);
        let ended = self.outgoing.link_lost(now.mono, by_server, lasts);
        self.tell(ended);
        if let Some(keeping) = &mut self.keeping {
            keeping.link_lost();
            keeping.doubtful(self.unanswered);
            self.note();
        }
        self.event(Event::Disconnected(Disconnected::new(error.clone())));
        if let Some(op) = self.connect.take() {
            self.done(op, Err(OpError::Connect(error)));
        }
    }

    fn connack(&mut self, now: Now, connack: &ConnAck) {
        if connack.reason != ReasonCode::Success {
            let says = connack.properties.as_ref();
            return self.fail(
                now,
                ConnectionError::Refused {
                    reason: connack.reason,
                    message: text(says.reason_string()),
                    server_reference: says.server_reference().map(Arc::from),
                },
            );
        }
        if connack.session_present && self.clean_start {
            // [MQTT-3.2.2-2]
            return self.fail(
                now,
                ConnectionError::Protocol("a session is present although a clean start was asked for"),
            );
        }
        let keep_alive = connack.properties.as_ref().server_keep_alive().unwrap_or(self.options.keep_alive);
        self.server = Server::new(connack, &self.options);
        self.keep_alive = KeepAlive::new(keep_alive, now.mono);
        self.state = State::Up;
        self.had_session = true;
        let assigned = text(connack.properties.as_ref().assigned_client_identifier());
        self.client_id = assigned.or(self.client_id.take());
        if let Some(keeping) = &mut self.keeping {
            let client_id = self.client_id.clone().or_else(|| Text::try_from(self.options.client_id()).ok());
            keeping.session(client_id);
            keeping.doubtful(false);
            if !connack.session_present {
                keeping.session_lost();
            }
        }
        self.to_server.restart(self.server.topic_aliases);
        let certain = !std::mem::take(&mut self.unanswered);
        let connected = self.server.connected(connack, keep_alive, certain);
        if connack.session_present {
            if !certain {
                let ended = self.outgoing.session_doubted();
                self.tell(ended);
            }
            self.outgoing.session_resumed();
        } else {
            // Before the news of the connection: whoever issues them again knows by then what there is.
            self.incoming.session_lost();
            let ended = self.outgoing.session_lost(now.mono);
            self.tell(ended);
        }
        self.note();
        self.event(Event::Connected(connected.clone()));
        if let Some(op) = self.connect.take() {
            self.done(op, Ok(Receipt::Connected(connected)));
        }
        self.send_publications(now);
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

/// Whether a server that ends the connection like this may have meant something that it was sent.
fn may_be_the_fault_of_a_message(error: &ConnectionError) -> bool {
    match error {
        ConnectionError::Link(error) => error.is_by_peer(),
        ConnectionError::Server { reason, .. } => !matches!(
            reason,
            // The server says that it has other reasons.
            ReasonCode::SessionTakenOver
                | ReasonCode::ServerShuttingDown
                | ReasonCode::KeepAliveTimeout
                | ReasonCode::UseAnotherServer
                | ReasonCode::ServerMoved
                | ReasonCode::MaximumConnectTime
        ),
        _ => false,
    }
}
