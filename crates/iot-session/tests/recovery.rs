//! Queue, retry, reconnect, pacing and engine together, cut at every point: nothing that was accepted is lost, nothing at
//! QoS 0 comes twice, the order stays.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

use iot_session::layers::{Backoff, DrainRate, DropPolicy, OfflineQueue, Pacing, Reconnect, Retry};
use iot_session::proto::{ConnectOptions, Engine};
use iot_session::stage::{Event, Notice, Op, OpId, PublishOp, Receipt};
use iot_session::{Dropped, Message, Nanos, OpError, QoS, Version, stack};
use mqtt_codec::packet::ConnAck;
use mqtt_codec::{Packet, PacketId, ReasonCode};
use proptest::prelude::*;
use support::script::millis;
use support::{Rig, lasting, options, puback, secs};

/// A stack and a server that answers when it is told to.
struct World {
    rig: Rig,
    link: Link,
    dials: usize,
    hangups: usize,
    /// What the server got, first deliveries and repeated ones.
    arrived: Vec<(Nanos, String)>,
    unacknowledged: VecDeque<u16>,
    /// Whether the server has a session to go on with.
    session: bool,
    ops: Vec<(OpId, PublishOp)>,
    ends: HashMap<OpId, Result<Receipt, OpError>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Down,
    Dialing,
    Up,
}

fn patient(options: ConnectOptions) -> ConnectOptions {
    options.operation_timeout(secs(1_000_000)).keep_alive(Duration::ZERO)
}

impl World {
    fn new(options: ConnectOptions, queue: OfflineQueue, pacing: Pacing) -> Self {
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
            unacknowledged: VecDeque::new(),
            session: false,
            ops: Vec::new(),
            ends: HashMap::new(),
        }
    }

    /// Sees what the stack did.
    fn look(&mut self) {
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

    fn gone(&mut self) {
        self.link = Link::Down;
        self.unacknowledged.clear();
    }

    fn publish(&mut self, op: PublishOp) -> OpId {
        let id = self.rig.op(Op::Publish(op.clone()));
        self.ops.push((id, op));
        self.look();
        id
    }

    fn op(&mut self, op: Op) {
        self.rig.op(op);
        self.look();
    }

    /// The dial succeeds and the server lets the client in.
    fn accept(&mut self, keep_session: bool) {
        if self.link != Link::Dialing {
            return;
        }
        self.link = Link::Up;
        self.rig.link_up();
        let sent = self.rig.sent();
        let [Packet::Connect(connect)] = sent.as_slice() else { panic!("{sent:?}") };
        let present = self.session && keep_session && !connect.clean_start();
        self.session = true;
        self.rig.receive(ConnAck::new(present, ReasonCode::Success));
        self.look();
    }

    /// The server reads what was written.
    fn read(&mut self) {
        if self.link != Link::Up {
            return;
        }
        for packet in self.rig.sent() {
            if let Packet::Publish(publish) = packet {
                let payload = String::from_utf8(publish.payload().to_vec()).unwrap();
                self.arrived.push((self.rig.now, payload));
                self.unacknowledged.extend(publish.packet_id().map(PacketId::value));
            }
        }
    }

    fn acknowledge(&mut self, messages: usize) {
        for _ in 0..messages {
            let Some(id) = self.unacknowledged.pop_front() else { return };
            self.rig.receive(puback(id));
            self.look();
        }
    }

    fn cut(&mut self) {
        if self.link != Link::Down {
            self.gone();
            self.rig.link_down();
            self.look();
        }
    }

    fn pass(&mut self, duration: Duration) {
        self.rig.advance(duration);
        self.look();
    }

    /// A server that reads and answers at once, for this long.
    fn serve(&mut self, duration: Duration) {
        let end = self.rig.now.after(duration);
        loop {
            self.accept(true);
            self.read();
            while !self.unacknowledged.is_empty() {
                self.acknowledge(usize::MAX);
                self.read();
            }
            let next = self.rig.machine.poll_timeout().filter(|at| *at <= end);
            let Some(next) = next else { break };
            self.pass(next.since(self.rig.now));
        }
        self.pass(end.since(self.rig.now));
    }

    /// The place of each message among the first deliveries.
    fn first_deliveries(&self) -> Vec<String> {
        let mut seen = Vec::new();
        for (_, payload) in &self.arrived {
            if !seen.contains(payload) {
                seen.push(payload.clone());
            }
        }
        seen
    }

    fn times_arrived(&self, payload: &str) -> usize {
        self.arrived.iter().filter(|(_, arrived)| arrived == payload).count()
    }

    /// What holds at the end, whatever happened before.
    fn check(&self) {
        let first = self.first_deliveries();
        let mut at_least_once = Vec::new();
        for (id, op) in &self.ops {
            let payload = support::script::text(op);
            let times = self.times_arrived(&payload);
            let Some(end) = self.ends.get(id) else { panic!("{payload} has not ended") };
            match (op.qos, end) {
                (QoS::AtMostOnce, Ok(Receipt::Sent)) => assert!(times <= 1, "{payload} came twice"),
                (QoS::AtLeastOnce, Ok(Receipt::Acked(_))) => assert!(times >= 1, "{payload} is lost"),
                (QoS::AtLeastOnce, Err(OpError::Dropped(Dropped::Expired) | OpError::Interrupted)) => {}
                (_, Err(OpError::Offline | OpError::Busy | OpError::Dropped(_))) => {
                    assert_eq!(times, 0, "{payload} was not sent, they say");
                }
                other => panic!("{payload}: {other:?}"),
            }
            if op.qos == QoS::AtLeastOnce && op.queue && times > 0 {
                at_least_once.push(payload);
            }
        }
        let first: Vec<&String> = first.iter().filter(|payload| at_least_once.contains(payload)).collect();
        assert_eq!(first, at_least_once.iter().collect::<Vec<_>>(), "the order of first deliveries");
    }
}

fn op(n: usize, qos: QoS) -> PublishOp {
    Message::new("topic", n.to_string()).unwrap().qos(qos).into_op()
}

#[test]
fn a_cut_at_each_message_of_a_drain_loses_nothing_and_doubles_no_qos_0() {
    const MESSAGES: usize = 8;
    for version in [Version::V3_1_1, Version::V5] {
        for lasts in [false, true] {
            for (cut_after, last_is_read, answered) in
                (1..=MESSAGES).flat_map(|n| [(n, false, false), (n, true, false), (n, true, true)])
            {
                let options = patient(if lasts { lasting(version) } else { options(version) });
                let mut world = World::new(options, OfflineQueue::default(), Pacing::off());
                for n in 0..MESSAGES {
                    world.publish(op(n, if n % 2 == 0 { QoS::AtLeastOnce } else { QoS::AtMostOnce }));
                }
                world.op(Op::CONNECT);
                world.accept(true);
                for n in 1..cut_after {
                    world.read();
                    if answered {
                        world.acknowledge(n);
                    }
                    world.pass(Duration::from_millis(500));
                }
                if last_is_read {
                    world.read();
                }
                world.cut();
                let last = (cut_after - 1).to_string();
                let read = world.arrived.len();
                assert_eq!(read, cut_after - usize::from(!last_is_read));
                // Something new comes in during the outage and during the next drain.
                world.publish(op(MESSAGES, QoS::AtLeastOnce));
                world.serve(Duration::from_millis(1200));
                world.publish(op(MESSAGES + 1, QoS::AtMostOnce));
                world.serve(secs(20));
                world.check();
                for (id, op) in &world.ops {
                    let payload = support::script::text(op);
                    assert!(world.ends[id].is_ok(), "{payload}: {:?}", world.ends[id]);
                    // On its way when the link was cut: nobody can know, and QoS 0 is not sent again.
                    let lost = op.qos == QoS::AtMostOnce && payload == last && !last_is_read;
                    assert_eq!(world.times_arrived(&payload) > 0, !lost, "{payload}");
                }
            }
        }
    }
}

#[test]
fn a_producer_at_10_per_second_against_a_drain_of_2_per_second_reaches_the_steady_state() {
    let mut world = World::new(patient(options(Version::V5)), OfflineQueue::unbounded(), Pacing::off());
    for n in 0..3 {
        world.publish(op(n, QoS::AtLeastOnce));
    }
    world.op(Op::CONNECT);
    let mut expected = vec![0, 500, 1000];
    for n in 3..40 {
        world.serve(Duration::from_millis(100));
        world.publish(op(n, QoS::AtLeastOnce));
        expected.push((n as u64 - 2) * 100);
    }
    world.serve(secs(10));
    for at in &mut expected[3..] {
        *at = (*at).max(1000);
    }
    let arrived: Vec<u64> = world.arrived.iter().map(|(at, _)| millis(*at)).collect();
    assert_eq!(arrived, expected);
    let notices: Vec<&Event> = world.rig.events.iter().collect();
    let [Event::Notice(Notice::Draining { queued: 3 }), Event::Notice(Notice::Drained)] = notices.as_slice()
    else {
        panic!("{notices:?}")
    };
    world.check();
}

#[test]
fn messages_of_a_lost_session_go_before_the_queue_and_outside_its_rate() {
    let mut world = World::new(patient(options(Version::V5)), OfflineQueue::default(), Pacing::off());
    world.op(Op::CONNECT);
    world.accept(true);
    for n in 0..3 {
        world.publish(op(n, QoS::AtLeastOnce));
    }
    world.cut();
    for n in 3..6 {
        world.publish(op(n, QoS::AtLeastOnce));
    }
    assert_eq!(world.rig.machine.gauges().queued, 6);
    world.serve(secs(10));
    let arrived: Vec<(u64, &str)> =
        world.arrived.iter().map(|(at, payload)| (millis(*at), payload.as_str())).collect();
    let expected = [(1000, "0"), (1000, "1"), (1000, "2"), (1000, "3"), (1500, "4"), (2000, "5")];
    assert_eq!(arrived, expected);
    world.check();
}

#[test]
fn what_waits_for_its_turn_to_be_sent_stays_in_order_behind_what_was_sent() {
    let pacing = Pacing::off().publishes_per_second(2);
    let options = patient(lasting(Version::V5));
    let mut world = World::new(options, OfflineQueue::default(), pacing);
    world.op(Op::CONNECT);
    world.accept(true);
    for n in 0..5 {
        world.publish(op(n, QoS::AtLeastOnce));
    }
    world.cut();
    world.pass(secs(1));
    // The server has forgotten the session: the two that were sent come back after the one that was not.
    world.accept(false);
    world.serve(secs(10));
    let arrived: Vec<&str> = world.arrived.iter().map(|(_, payload)| payload.as_str()).collect();
    assert_eq!(arrived, ["0", "1", "2", "3", "4"]);
    world.check();
}

#[test]
fn a_disconnect_leaves_what_waits_for_the_next_connect() {
    let mut world = World::new(patient(options(Version::V5)), OfflineQueue::default(), Pacing::off());
    world.op(Op::CONNECT);
    world.accept(true);
    world.cut();
    let waits = world.publish(op(0, QoS::AtLeastOnce));
    world.op(Op::Disconnect);
    world.pass(secs(3600));
    assert!(!world.ends.contains_key(&waits));
    world.op(Op::CONNECT);
    world.serve(secs(10));
    assert!(matches!(world.ends[&waits], Ok(Receipt::Acked(_))));
}

#[derive(Debug, Clone)]
enum Step {
    Publish { qos: QoS, queue: bool, ttl: Option<u16>, size: usize },
    Accept { keep_session: bool },
    Read,
    Acknowledge(usize),
    Cut,
    Connect,
    Disconnect,
    Pass(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let qos = prop_oneof![1 => Just(QoS::AtMostOnce), 2 => Just(QoS::AtLeastOnce)];
    let publish = (qos, prop::bool::weighted(0.9), prop::option::weighted(0.2, 1..5000u16), 0..40usize);
    prop_oneof![
        8 => publish.prop_map(|(qos, queue, ttl, size)| Step::Publish { qos, queue, ttl, size }),
        4 => any::<bool>().prop_map(|keep_session| Step::Accept { keep_session }),
        4 => Just(Step::Read),
        3 => (1..4usize).prop_map(Step::Acknowledge),
        2 => Just(Step::Cut),
        1 => Just(Step::Connect),
        1 => Just(Step::Disconnect),
        4 => (0..3000u16).prop_map(Step::Pass),
    ]
}

const WINDOW: u16 = 3;
const QUEUE: usize = 4;
const BYTES: usize = 100;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_happens_every_message_ends_once_within_bounds_and_in_order(
        steps in prop::collection::vec(step(), 1..80),
        drop_oldest in any::<bool>(),
        connected in any::<bool>(),
        lasts in any::<bool>(),
        v5 in any::<bool>(),
        paced in any::<bool>(),
        unlimited in any::<bool>(),
    ) {
        let version = if v5 { Version::V5 } else { Version::V3_1_1 };
        let options = patient(if lasts { lasting(version) } else { options(version) }).window(WINDOW);
        let policy = if drop_oldest { DropPolicy::DropOldest } else { DropPolicy::DropNewest };
        let rate = if unlimited { DrainRate::unlimited() } else { DrainRate::default() };
        let queue = OfflineQueue::bounded(QUEUE).max_bytes(BYTES).when_full(policy).drain_rate(rate);
        let pacing = if paced { Pacing::off().publishes_per_second(3).bytes_per_second(80) } else { Pacing::off() };
        let mut world = World::new(options, queue, pacing);
        let mut impatient = 0;
        if connected {
            world.op(Op::CONNECT);
            world.accept(true);
        }
        for step in steps {
            match step {
                Step::Publish { qos, queue, ttl, size } => {
                    if world.rig.machine.ready() {
                        let payload = format!("{}{}", world.ops.len(), "-".repeat(size));
                        let op = Message::new("topic", payload).unwrap().qos(qos).queue(queue).into_op();
                        impatient += usize::from(!queue);
                        world.publish(PublishOp { ttl: ttl.and_then(|ttl| NonZeroU32::new(ttl.into())), ..op });
                    }
                }
                Step::Accept { keep_session } => world.accept(keep_session),
                Step::Read => world.read(),
                Step::Acknowledge(messages) => world.acknowledge(messages),
                Step::Cut => world.cut(),
                Step::Connect => world.op(Op::CONNECT),
                Step::Disconnect => world.op(Op::Disconnect),
                Step::Pass(millis) => world.pass(Duration::from_millis(millis.into())),
            }
            // The queue's own bound, what the layers inside had when they gave it back, and what passes both.
            let inside = usize::from(WINDOW) + 1 + impatient;
            let gauges = world.rig.machine.gauges();
            prop_assert!(gauges.queued <= QUEUE + inside, "{gauges:?}");
            prop_assert!(gauges.queued_bytes <= BYTES + inside * 50, "{gauges:?}");
            prop_assert!(gauges.in_flight <= usize::from(WINDOW));
        }
        world.op(Op::CONNECT);
        world.serve(secs(3600));
        world.check();
        prop_assert_eq!(world.rig.machine.gauges().queued, 0);
        prop_assert!(world.rig.machine.ready());
    }
}
