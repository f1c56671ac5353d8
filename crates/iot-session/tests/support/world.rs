//! The whole stack without subscriptions, and a server that answers when it is told to.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use iot_session::layers::{Backoff, OfflineQueue, Pacing, Reconnect, Retry};
use iot_session::proto::{ConnectOptions, Engine};
use iot_session::stage::{Event, Op, OpId, PublishOp, Receipt};
use iot_session::{Nanos, OpError, QoS, stack};
use mqtt_codec::packet::{Ack, ConnAck};
use mqtt_codec::{Packet, PacketId, ReasonCode};

use super::{Rig, script, secs};

/// A stack and a server that answers when it is told to.
pub struct World {
    pub rig: Rig,
    link: Link,
    dials: usize,
    hangups: usize,
    /// What the server got, first deliveries and repeated ones.
    pub arrived: Vec<(Nanos, String)>,
    /// Answers it has not given yet.
    answers: VecDeque<Packet>,
    /// QoS 2 messages of the session that are not released yet.
    unreleased: HashSet<u16>,
    /// Whether the server has a session to go on with.
    session: bool,
    pub ops: Vec<(OpId, PublishOp)>,
    pub ends: HashMap<OpId, Result<Receipt, OpError>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Down,
    Dialing,
    Up,
}

pub fn patient(options: ConnectOptions) -> ConnectOptions {
    options.operation_timeout(secs(1_000_000)).keep_alive(Duration::ZERO)
}

impl World {
    pub fn new(options: ConnectOptions, queue: OfflineQueue, pacing: Pacing) -> Self {
        let engine = Engine::new(options);
        let codec = engine.codec();
        let reconnect = Reconnect::new(Backoff::new(secs(1), secs(2), secs(20))).retry_first(true);
        let stage =
            stack(engine).layer(pacing).layer(reconnect).layer(Retry::new()).layer(queue).into_stage();
        Self {
            rig: Rig::around(Box::new(stage), codec),
            link: Link::Down,
            dials: 0,
            hangups: 0,
            arrived: Vec::new(),
            answers: VecDeque::new(),
            unreleased: HashSet::new(),
            session: false,
            ops: Vec::new(),
            ends: HashMap::new(),
        }
    }

    /// Sees what the stack did.
    pub fn look(&mut self) {
        if self.rig.hangups.len() > self.hangups {
            self.hangups = self.rig.hangups.len();
            self.read();
            self.gone();
        }
        if self.rig.dials.len() > self.dials {
            self.dials = self.rig.dials.len();
            self.link = Link::Dialing;
        }
        self.rig.events.retain(|event| {
            assert!(!matches!(event, Event::Returned(..)));
            if let Event::Done(id, result) = event {
                assert!(self.ends.insert(*id, result.clone()).is_none(), "{id:?} ended twice");
            }
            matches!(event, Event::Notice(_))
        });
    }

    pub fn gone(&mut self) {
        self.link = Link::Down;
        self.answers.clear();
    }

    pub fn publish(&mut self, op: PublishOp) -> OpId {
        let id = self.rig.op(Op::Publish(op.clone()));
        self.ops.push((id, op));
        self.look();
        id
    }

    pub fn op(&mut self, op: Op) {
        self.rig.op(op);
        self.look();
    }

    /// The dial succeeds and the server lets the client in.
    pub fn accept(&mut self, keep_session: bool) {
        if self.link != Link::Dialing {
            return;
        }
        self.link = Link::Up;
        self.rig.link_up();
        let sent = self.rig.sent();
        let [Packet::Connect(connect)] = sent.as_slice() else { panic!("{sent:?}") };
        let present = self.session && keep_session && !connect.clean_start();
        if !present {
            self.unreleased.clear();
        }
        self.session = true;
        self.rig.receive(ConnAck::new(present, ReasonCode::Success));
        self.look();
    }

    /// The server reads what was written.
    pub fn read(&mut self) {
        if self.link != Link::Up {
            return;
        }
        for packet in self.rig.sent() {
            match packet {
                Packet::Publish(publish) => {
                    let id = publish.packet_id().map(PacketId::value);
                    let ack = publish.packet_id().map(Ack::new);
                    let answer = match publish.qos() {
                        QoS::ExactlyOnce => ack.map(Packet::PubRec),
                        _ => ack.map(Packet::PubAck),
                    };
                    let is_known =
                        publish.qos() == QoS::ExactlyOnce && !id.is_some_and(|id| self.unreleased.insert(id));
                    if !is_known {
                        let payload = String::from_utf8(publish.payload().to_vec()).unwrap();
                        self.arrived.push((self.rig.now, payload));
                    }
                    self.answers.extend(answer);
                }
                Packet::PubRel(ack) => {
                    self.unreleased.remove(&ack.packet_id.value());
                    self.answers.push_back(Packet::PubComp(Ack::new(ack.packet_id)));
                }
                _ => {}
            }
        }
    }

    pub fn answer(&mut self, messages: usize) {
        for _ in 0..messages {
            let Some(answer) = self.answers.pop_front() else { return };
            self.rig.receive(answer);
            self.look();
        }
    }

    pub fn cut(&mut self) {
        if self.link != Link::Down {
            self.gone();
            self.rig.link_down();
            self.look();
        }
    }

    pub fn pass(&mut self, duration: Duration) {
        self.rig.advance(duration);
        self.look();
    }

    /// A server that reads and answers at once, for this long.
    pub fn serve(&mut self, duration: Duration) {
        let end = self.rig.now.after(duration);
        loop {
            self.accept(true);
            self.read();
            while !self.answers.is_empty() {
                self.answer(usize::MAX);
                self.read();
            }
            let next = self.rig.machine.poll_timeout().filter(|at| *at <= end);
            let Some(next) = next else { break };
            self.pass(next.since(self.rig.now));
        }
        self.pass(end.since(self.rig.now));
    }

    /// The place of each message among the first deliveries.
    pub fn first_deliveries(&self) -> Vec<String> {
        let mut seen = Vec::new();
        for (_, payload) in &self.arrived {
            if !seen.contains(payload) {
                seen.push(payload.clone());
            }
        }
        seen
    }

    pub fn times_arrived(&self, payload: &str) -> usize {
        self.arrived.iter().filter(|(_, arrived)| arrived == payload).count()
    }

    /// What holds at the end, whatever happened before.
    pub fn check(&self) {
        let first = self.first_deliveries();
        let mut at_least_once = Vec::new();
        for (id, op) in &self.ops {
            let payload = script::text(op);
            let times = self.times_arrived(&payload);
            let Some(end) = self.ends.get(id) else { panic!("{payload} has not ended") };
            match (op.qos, end) {
                (QoS::AtMostOnce, Ok(Receipt::Sent)) | (QoS::ExactlyOnce, Err(OpError::Interrupted)) => {
                    assert!(times <= 1, "{payload} came twice");
                }
                (QoS::ExactlyOnce, Ok(Receipt::Acked(_))) => assert_eq!(times, 1, "{payload}"),
                (QoS::AtLeastOnce, Ok(Receipt::Acked(_))) => assert!(times >= 1, "{payload} is lost"),
                (QoS::AtLeastOnce, Err(OpError::Interrupted)) => {}
                (_, Err(OpError::Offline | OpError::Busy | OpError::Dropped(_))) => {
                    assert_eq!(times, 0, "{payload} was not sent, they say");
                }
                other => panic!("{payload}: {other:?}"),
            }
            if op.qos != QoS::AtMostOnce && op.queue && times > 0 {
                at_least_once.push(payload);
            }
        }
        let first: Vec<&String> = first.iter().filter(|payload| at_least_once.contains(payload)).collect();
        assert_eq!(first, at_least_once.iter().collect::<Vec<_>>(), "the order of first deliveries");
    }
}
