//! Random histories: whatever a server and a network do, every operation ends once, no timer stands still, and a QoS 2
//! message of a session that lives is delivered once.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use iot_session::proto::ConnectOptions;
use iot_session::stage::{AckToken, Event, Op, OpId};
use iot_session::{Now, QoS, Version};
use mqtt_codec::packet::{Ack, Disconnect};
use mqtt_codec::{Packet, ReasonCode};
use proptest::prelude::*;
use support::{Rig, id, lasting, message, options, publish, secs};

#[derive(Debug, Clone, Copy)]
enum Step {
    Connect,
    Disconnect,
    Publish(QoS),
    /// The server answers the n-th packet that it has not answered, or one that never was.
    Answer(u16),
    Refuse(u16),
    Stray(u8, u16),
    /// A message from the server.
    Message(QoS, u16),
    Release(u16),
    /// The application takes the n-th message that it has not taken.
    Take(usize),
    Cut,
    Close,
    ServersDisconnect,
    Pass(u64),
}

fn qos() -> impl Strategy<Value = QoS> {
    prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Connect),
        1 => Just(Step::Disconnect),
        8 => qos().prop_map(Step::Publish),
        8 => (0..4u16).prop_map(Step::Answer),
        1 => (0..4u16).prop_map(Step::Refuse),
        1 => (0..4u8, 1..6u16).prop_map(|(kind, id)| Step::Stray(kind, id)),
        4 => (qos(), 1..4u16).prop_map(|(qos, id)| Step::Message(qos, id)),
        2 => (1..4u16).prop_map(Step::Release),
        4 => (0..4usize).prop_map(Step::Take),
        2 => Just(Step::Cut),
        3 => Just(Step::Close),
        1 => Just(Step::ServersDisconnect),
        4 => (0..3000u64).prop_map(Step::Pass),
    ]
}

/// A rig, a server that keeps its session or not, and what is known of both.
struct World {
    rig: Rig,
    version: Version,
    keeps: bool,
    up: bool,
    open: HashSet<OpId>,
    dials: usize,
    /// To be answered.
    unanswered: Vec<Packet>,
    /// To be taken.
    tokens: Vec<AckToken>,
    /// QoS 2 identifiers that the server has not released, and whether the message came up.
    held: HashMap<u16, bool>,
}

impl World {
    fn new(options: ConnectOptions, version: Version, keeps: bool) -> Self {
        let rig = Rig::new(options.window(3).containment(Some(2)).topic_aliases(2).receive_maximum(10));
        Self {
            rig,
            version,
            keeps,
            up: false,
            open: HashSet::new(),
            dials: 0,
            unanswered: Vec::new(),
            tokens: Vec::new(),
            held: HashMap::new(),
        }
    }

    fn op(&mut self, op: Op) {
        // The rig names operations by counting.
        let id = self.rig.op(op);
        assert!(self.open.insert(id));
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Connect => self.op(Op::CONNECT),
            Step::Disconnect => self.op(Op::Disconnect),
            Step::Publish(qos) => self.op(message("a/topic", "x", qos)),
            Step::Pass(millis) => {
                self.rig.advance(Duration::from_millis(millis));
            }
            Step::Take(n) => {
                if n < self.tokens.len() {
                    let token = self.tokens.remove(n);
                    self.rig.machine.handle_accepted(Now::mono(self.rig.now), token);
                    self.rig.settle();
                }
            }
            _ if !self.up => {}
            Step::Cut => self.ends(Rig::link_down),
            Step::Close => self.ends(Rig::server_closes),
            Step::ServersDisconnect if self.version.is_v5() => {
                self.rig.receive(Disconnect::new(ReasonCode::UnspecifiedError));
            }
            Step::ServersDisconnect => {}
            Step::Answer(n) => self.answer(n, ReasonCode::Success),
            Step::Refuse(n) if self.version.is_v5() => self.answer(n, ReasonCode::QuotaExceeded),
            Step::Refuse(_) => {}
            Step::Stray(kind, n) => {
                let ack = Ack::new(id(n));
                self.rig.receive(match kind {
                    0 => Packet::PubAck(ack),
                    1 => Packet::PubRec(ack),
                    2 => Packet::PubComp(ack),
                    _ => Packet::PingResp,
                });
            }
            Step::Message(QoS::AtMostOnce, _) => self.rig.receive(publish("b", "x")),
            Step::Message(QoS::AtLeastOnce, n) => self.rig.receive(publish("b", "x").at_least_once(id(n))),
            Step::Message(QoS::ExactlyOnce, n) => {
                self.held.entry(n).or_insert(false);
                self.rig.receive(publish("b", "2").exactly_once(id(n)));
                self.look();
                assert!(!self.up || self.held[&n], "it comes up");
            }
            Step::Release(n) => {
                self.held.remove(&n);
                self.rig.receive(Packet::PubRel(Ack::new(id(n))));
            }
        }
        self.look();
    }

    fn ends(&mut self, end: fn(&mut Rig)) {
        self.up = false;
        end(&mut self.rig);
    }

    fn answer(&mut self, n: u16, reason: ReasonCode) {
        if usize::from(n) >= self.unanswered.len() {
            return;
        }
        let answer = match self.unanswered.remove(usize::from(n)) {
            Packet::Publish(publish) => {
                let ack = Ack::with_reason(publish.packet_id().unwrap(), reason);
                if publish.qos() == QoS::AtLeastOnce { Packet::PubAck(ack) } else { Packet::PubRec(ack) }
            }
            Packet::PubRel(ack) => Packet::PubComp(Ack::new(ack.packet_id)),
            other => panic!("{other:?}"),
        };
        self.rig.receive(answer);
    }

    /// What the rig has to tell.
    fn look(&mut self) {
        loop {
            for event in std::mem::take(&mut self.rig.events) {
                match event {
                    Event::Done(id, _) => assert!(self.open.remove(&id), "{id:?} ended twice"),
                    Event::Message(publish, token) => {
                        self.tokens.extend(token);
                        if let Some(id) = publish.packet_id().filter(|_| publish.qos() == QoS::ExactlyOnce) {
                            let came_up = self.held.get_mut(&id.value()).unwrap();
                            assert!(!std::mem::replace(came_up, true), "delivered twice");
                        }
                    }
                    _ => {}
                }
            }
            if !self.rig.hangups.is_empty() {
                self.rig.hangups.clear();
                self.up = false;
            }
            for packet in self.rig.sent() {
                match &packet {
                    Packet::Publish(publish) if publish.packet_id().is_some() => self.unanswered.push(packet),
                    Packet::PubRel(_) => self.unanswered.push(packet),
                    _ => {}
                }
            }
            assert!(self.rig.machine.gauges().in_flight <= 2 * 3, "within the window, but for PUBRELs");
            if self.rig.dials.len() == self.dials || self.up {
                return;
            }
            self.dials = self.rig.dials.len();
            self.up = true;
            self.unanswered.clear();
            self.rig.link_up();
            let sent = self.rig.sent();
            let [Packet::Connect(connect)] = &sent[..] else { panic!("{sent:?}") };
            let present = self.keeps && !connect.clean_start();
            if !present {
                self.held.clear();
            }
            self.rig.receive(mqtt_codec::packet::ConnAck::new(present, ReasonCode::Success));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_operation_ends_once_and_every_qos_2_message_comes_up_once(
        steps in proptest::collection::vec(step(), 0..80),
        v5: bool,
        lasts: bool,
        keeps: bool,
    ) {
        let version = if v5 { Version::V5 } else { Version::V3_1_1 };
        let options = if lasts { lasting(version) } else { options(version) };
        let mut world = World::new(options, version, keeps);
        world.step(Step::Connect);
        for step in steps {
            world.step(step);
        }
        world.step(Step::Disconnect);
        world.rig.advance(secs(3600));
        world.look();
        assert!(world.open.is_empty(), "operations without an end: {:?}", world.open);
    }
}
