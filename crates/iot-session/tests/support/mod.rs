//! A stack on a virtual clock, with a server's codec at the other end.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by test files, each of which uses its part"
)]

pub mod disk;
#[cfg(feature = "tokio")]
pub mod link;
pub mod script;
#[cfg(feature = "tokio")]
pub mod stack;
pub mod subscriptions;
pub mod world;

use std::time::Duration;

use bytes::BytesMut;
use iot_session::layers::Reconnect;
use iot_session::proto::{ConnectOptions, Engine};
use iot_session::stage::{
    Connected, Disconnected, Event, LinkUp, Op, OpId, Owner, PublishOp, Receipt, Stage, StoreOp,
};
use iot_session::{
    ConnectionError, LinkError, Machine, MachineOutput, Message, Nanos, Now, OpError, QoS, stack,
};
use mqtt_codec::packet::{Ack, ConnAck, Publish};
use mqtt_codec::{Codec, Packet, PacketId, ReasonCode, TopicName, Version};

pub struct Rig {
    pub machine: Machine<Box<dyn Stage>>,
    pub now: Nanos,
    server: Codec,
    seq: u64,
    pub events: Vec<Event>,
    pub dials: Vec<Nanos>,
    pub hangups: Vec<Nanos>,
    /// What the stack wants of its store; the test answers.
    pub wishes: Vec<StoreOp>,
    wire: BytesMut,
}

pub fn options(version: Version) -> ConnectOptions {
    ConnectOptions::new(version, "device").unwrap()
}

pub fn message(topic: &str, payload: &'static str, qos: QoS) -> Op {
    Op::Publish(Message::new(topic, payload).unwrap().qos(qos).into_op())
}

pub fn publish(topic: &str, payload: &'static str) -> Publish {
    Publish::new(TopicName::try_from(topic).unwrap(), payload)
}

pub fn id(n: u16) -> PacketId {
    PacketId::new(n).unwrap()
}

pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl Rig {
    /// Engine and Reconnect.
    pub fn new(options: ConnectOptions) -> Self {
        Self::with_reconnect(options, Reconnect::default())
    }

    pub fn with_reconnect(options: ConnectOptions, reconnect: Reconnect) -> Self {
        options.validate().unwrap();
        let engine = Engine::new(options);
        let codec = engine.codec();
        Self::around(Box::new(stack(engine).layer(reconnect).into_stage()), codec)
    }

    /// The engine alone.
    pub fn bare(options: ConnectOptions) -> Self {
        let engine = Engine::new(options);
        let codec = engine.codec();
        Self::around(Box::new(engine), codec)
    }

    /// Any stage.
    pub fn around(stage: Box<dyn Stage>, codec: Codec) -> Self {
        Self {
            machine: Machine::new(stage, codec),
            now: Nanos::ZERO,
            server: Codec::server(),
            seq: 0,
            events: Vec::new(),
            dials: Vec::new(),
            hangups: Vec::new(),
            wishes: Vec::new(),
            wire: BytesMut::new(),
        }
    }

    fn now(&self) -> Now {
        Now::mono(self.now)
    }

    pub fn settle(&mut self) {
        while let Some(output) = self.machine.poll_output(self.now()) {
            match output {
                MachineOutput::Dial => self.dials.push(self.now),
                MachineOutput::Hangup => self.hangups.push(self.now),
                MachineOutput::Event(event) => self.events.push(event),
                MachineOutput::Store(op) => self.wishes.push(op),
                other => panic!("{other:?}"),
            }
        }
    }

    pub fn op(&mut self, op: Op) -> OpId {
        self.seq += 1;
        let id = OpId::new(Owner::APPLICATION, self.seq);
        self.machine.handle_op(self.now(), id, op);
        self.settle();
        id
    }

    pub fn link_up(&mut self) {
        self.server = Codec::server();
        self.wire.clear();
        self.machine.handle_link_up(self.now(), LinkUp::default());
        self.settle();
    }

    pub fn link_down(&mut self) {
        self.link_down_by(LinkError::new("cut", true));
    }

    pub fn link_down_by(&mut self, error: LinkError) {
        self.machine.handle_link_down(self.now(), error);
        self.settle();
    }

    /// The server ends the connection without a word.
    pub fn server_closes(&mut self) {
        self.link_down_by(LinkError::new("closed", true).by_peer());
    }

    /// What was written since the last look.
    pub fn sent(&mut self) -> Vec<Packet> {
        let bytes = self.machine.transmit().split();
        self.wire.extend_from_slice(&bytes);
        let mut packets = Vec::new();
        while let Some(packet) = self.server.decode(&mut self.wire).unwrap() {
            packets.push(packet);
        }
        packets
    }

    /// The same as names and identifiers.
    pub fn sent_names(&mut self) -> Vec<String> {
        let name = |packet: &Packet| match packet {
            Packet::Publish(p) => {
                let dup = if p.dup() { " again" } else { "" };
                format!("PUBLISH {}{dup}", p.packet_id().map_or(0, PacketId::value))
            }
            Packet::PubAck(ack) => format!("PUBACK {}", ack.packet_id.value()),
            Packet::PubRec(ack) => format!("PUBREC {}", ack.packet_id.value()),
            Packet::PubRel(ack) => format!("PUBREL {}", ack.packet_id.value()),
            Packet::PubComp(ack) => format!("PUBCOMP {}", ack.packet_id.value()),
            other => format!("{other:?}"),
        };
        self.sent().iter().map(name).collect()
    }

    /// The link is cut, the server takes the next connection.
    pub fn cut(&mut self, session_present: bool) {
        self.link_down();
        self.reconnect(session_present);
    }

    /// Waits for the next dial, and lets it succeed.
    pub fn reconnect(&mut self, session_present: bool) {
        let dials = self.dials.len();
        let gives_up = self.now.after(secs(3600));
        while self.dials.len() == dials {
            assert!(self.now < gives_up, "nobody dials");
            self.advance(Duration::from_millis(100));
        }
        self.accept(session_present);
    }

    pub fn receive(&mut self, packet: impl Into<Packet>) {
        // An observer's codec: some tests send what a server never sends.
        let codec = Codec::observer(self.server.version().unwrap_or(Version::V5));
        let mut bytes = BytesMut::new();
        codec.encode(&packet.into(), &mut bytes).unwrap();
        self.receive_bytes(&mut bytes);
    }

    pub fn receive_bytes(&mut self, bytes: &mut BytesMut) {
        self.machine.handle_input(self.now(), bytes);
        self.settle();
    }

    /// The link comes up and the server accepts.
    pub fn accept(&mut self, session_present: bool) {
        self.accept_with(ConnAck::new(session_present, ReasonCode::Success));
    }

    pub fn accept_with(&mut self, connack: ConnAck) {
        self.link_up();
        let sent = self.sent();
        assert!(matches!(sent.as_slice(), [Packet::Connect(_)]), "{sent:?}");
        self.receive(connack);
    }

    /// `Op::Connect` up to CONNACK.
    pub fn connect(&mut self) {
        let op = self.op(Op::CONNECT);
        self.accept(false);
        assert!(matches!(self.done(op), Ok(Receipt::Connected(_))));
        self.events.clear();
    }

    /// Lets time pass, firing every timeout at its instant. How often that was.
    pub fn advance(&mut self, duration: Duration) -> usize {
        let end = self.now.after(duration);
        let mut fired = 0;
        while let Some(deadline) = self.machine.poll_timeout().filter(|at| *at <= end) {
            assert!(deadline >= self.now, "a deadline in the past would spin");
            self.now = deadline;
            self.machine.handle_timeout(Now::mono(deadline));
            self.settle();
            fired += 1;
            assert!(
                self.machine.poll_timeout().is_none_or(|next| next > deadline),
                "the deadline stands still"
            );
        }
        self.now = end;
        fired
    }

    /// Takes the one outcome of an operation.
    pub fn done(&mut self, op: OpId) -> Result<Receipt, OpError> {
        let mut found = Vec::new();
        self.events.retain_mut(|event| match event {
            Event::Done(id, result) if *id == op => {
                found.push(std::mem::replace(result, Err(OpError::Closed)));
                false
            }
            _ => true,
        });
        assert_eq!(found.len(), 1, "an operation ends exactly once");
        found.remove(0)
    }

    /// Whether the operation still runs.
    pub fn is_pending(&self, op: OpId) -> bool {
        !self.events.iter().any(|event| matches!(event, Event::Done(id, _) if *id == op))
    }

    pub fn disconnects(&mut self) -> Vec<Disconnected> {
        let mut found = Vec::new();
        for event in std::mem::take(&mut self.events) {
            match event {
                Event::Disconnected(disconnected) => found.push(disconnected),
                other => self.events.push(other),
            }
        }
        found
    }

    pub fn connections(&self) -> Vec<&Connected> {
        self.events.iter().filter_map(|e| if let Event::Connected(c) = e { Some(c) } else { None }).collect()
    }

    /// The one disconnect since the last look.
    pub fn why(&mut self) -> ConnectionError {
        let mut all = self.disconnects();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0).error
    }

    pub fn accept_messages(&mut self) -> Vec<Publish> {
        let mut messages = Vec::new();
        for event in std::mem::take(&mut self.events) {
            match event {
                Event::Message(publish, token) => {
                    messages.push(publish);
                    if let Some(token) = token {
                        self.machine.handle_accepted(Now::mono(self.now), token);
                    }
                }
                other => self.events.push(other),
            }
        }
        self.settle();
        messages
    }
}

/// A session that outlives its connection.
pub fn lasting(version: Version) -> ConnectOptions {
    match version {
        Version::V3_1_1 => options(version).clean_start(false),
        Version::V5 => options(version).session_expiry(secs(600)),
    }
}

pub fn pubrec(n: u16) -> Packet {
    Packet::PubRec(Ack::new(id(n)))
}

pub fn pubrel(n: u16) -> Packet {
    Packet::PubRel(Ack::new(id(n)))
}

pub fn pubcomp(n: u16) -> Packet {
    Packet::PubComp(Ack::new(id(n)))
}

pub fn puback(n: u16) -> Packet {
    Packet::PubAck(Ack::new(id(n)))
}

pub fn op_of(op: Op) -> PublishOp {
    let Op::Publish(publish) = op else { panic!("not a publish") };
    publish
}
