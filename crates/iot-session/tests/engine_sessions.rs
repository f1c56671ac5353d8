//! What becomes of messages in flight when the link is lost: resumed, handed back, reported.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::cell::RefCell;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use iot_session::proto::{ConnectOptions, Engine};
use iot_session::stage::{Event, Gauges, Input, Op, OpId, Output, PublishOp, Resend};
use iot_session::{Nanos, Now, OpError, QoS, Stage, Version};
use mqtt_codec::packet::ConnAck;
use mqtt_codec::{Packet, Properties, Property, ReasonCode};
use support::{Rig, id, lasting, message, op_of, options, puback, pubcomp, pubrec, secs};

const BOTH: [Version; 2] = [Version::V3_1_1, Version::V5];

/// What came back: each message under its name.
type Caught = Rc<RefCell<Vec<(OpId, PublishOp)>>>;

/// A layer that catches what comes back.
struct Catch {
    engine: Engine,
    caught: Caught,
}

impl Stage for Catch {
    fn handle(&mut self, now: Now, input: Input) {
        self.engine.handle(now, input);
    }

    fn poll(&mut self, now: Now) -> Option<Output> {
        loop {
            match self.engine.poll(now)? {
                Output::Event(Event::Returned(id, publish)) => self.caught.borrow_mut().push((id, *publish)),
                output => return Some(output),
            }
        }
    }

    fn deadline(&self) -> Option<Nanos> {
        self.engine.deadline()
    }

    fn ready(&self) -> bool {
        self.engine.ready()
    }

    fn gauges(&self, gauges: &mut Gauges) {
        self.engine.gauges(gauges);
    }
}

/// An engine under a [`Catch`], connected.
fn catching(options: ConnectOptions) -> (Rig, Caught) {
    let engine = Engine::new(options);
    let codec = engine.codec();
    let caught = Caught::default();
    let mut rig = Rig::around(Box::new(Catch { engine, caught: Rc::clone(&caught) }), codec);
    rig.connect();
    (rig, caught)
}

fn numbered(n: u8) -> PublishOp {
    op_of(message("a", ["0", "1", "2", "3", "4"][usize::from(n)], QoS::AtLeastOnce))
}

fn payloads(caught: &Caught) -> Vec<Vec<u8>> {
    caught.borrow().iter().map(|(_, op)| op.publish.payload().to_vec()).collect()
}

#[test]
fn a_session_that_ends_with_its_connection_hands_its_messages_back_when_the_link_is_lost() {
    for version in BOTH {
        let (mut rig, caught) = catching(options(version));
        let ops: Vec<_> = (0..4).map(|n| rig.op(Op::Publish(numbered(n)))).collect();
        rig.receive(puback(2));
        assert!(rig.done(ops[1]).is_ok());
        rig.link_down();
        let expected: Vec<_> = [0, 2, 3].map(|n| (ops[usize::from(n)], numbered(n))).into();
        assert_eq!(*caught.borrow(), expected, "as they were issued, in their order");
        assert!(rig.is_pending(ops[0]), "whoever caught it ends it");
    }
}

#[test]
fn a_lasting_session_hands_its_messages_back_once_the_server_says_that_it_is_lost() {
    for version in BOTH {
        let (mut rig, caught) = catching(lasting(version));
        for n in 0..4 {
            rig.op(Op::Publish(numbered(n)));
        }
        rig.receive(puback(1));
        rig.link_down();
        assert!(caught.borrow().is_empty(), "it may still be there");
        rig.advance(secs(1));
        rig.op(Op::CONNECT);
        rig.events.clear();
        rig.accept(false);
        assert_eq!(payloads(&caught), [b"1", b"2", b"3"]);
        assert!(rig.sent().is_empty());
        // Issued again under the same names, they are new messages of a new session.
        let again: Vec<_> = caught.borrow_mut().drain(..).collect();
        for (op, publish) in again {
            rig.machine.handle_op(Now::mono(rig.now), op, Op::Publish(publish));
        }
        rig.settle();
        let sent = rig.sent();
        assert!(sent.iter().all(|packet| matches!(packet, Packet::Publish(p) if !p.dup())), "{sent:?}");
        assert_eq!(sent.len(), 3);
    }
}

#[test]
fn what_may_not_be_issued_again_is_reported_as_interrupted() {
    for version in BOTH {
        let (mut rig, caught) = catching(options(version));
        let once = rig.op(Op::Publish(PublishOp { resend: Resend::Never, ..numbered(0) }));
        let again = rig.op(Op::Publish(numbered(1)));
        rig.link_down();
        assert!(matches!(rig.done(once), Err(OpError::Interrupted)));
        assert_eq!(caught.borrow().len(), 1);
        assert_eq!(caught.borrow()[0].0, again);
    }
}

#[test]
fn a_message_whose_waiter_was_told_otherwise_does_not_come_back() {
    for version in BOTH {
        let (mut rig, caught) = catching(options(version).keep_alive(Duration::ZERO));
        let late = rig.op(Op::Publish(numbered(0)));
        rig.advance(secs(5));
        assert!(matches!(rig.done(late), Err(OpError::TimedOut)));
        rig.op(Op::Publish(numbered(1)));
        rig.link_down();
        assert_eq!(payloads(&caught), [b"1"]);

        let (mut rig, caught) = catching(lasting(version));
        let left = rig.op(Op::Publish(numbered(0)));
        rig.op(Op::Disconnect);
        assert!(matches!(rig.done(left), Err(OpError::Interrupted)));
        rig.op(Op::CONNECT);
        rig.accept(false);
        assert!(caught.borrow().is_empty());
    }
}

#[test]
fn what_was_never_sent_comes_back_at_any_quality_of_service() {
    for version in BOTH {
        let (mut rig, caught) = catching(lasting(version));
        let sent = rig.op(Op::Publish(PublishOp { qos: QoS::ExactlyOnce, ..numbered(0) }));
        // Suspects wait until they are alone.
        let waits = rig.op(Op::Publish(PublishOp { qos: QoS::ExactlyOnce, strikes: 2, ..numbered(1) }));
        rig.link_down();
        rig.op(Op::CONNECT);
        rig.accept(false);
        assert!(matches!(rig.done(sent), Err(OpError::Interrupted)), "it may have arrived");
        assert_eq!(caught.borrow().len(), 1);
        assert_eq!(caught.borrow()[0].0, waits);

        let (mut rig, caught) = catching(lasting(version));
        rig.op(Op::Publish(numbered(0)));
        let waits = rig.op(Op::Publish(PublishOp { strikes: 2, ..numbered(1) }));
        rig.op(Op::Disconnect);
        assert_eq!(caught.borrow()[0].0, waits, "a disconnect hands it back, too");
    }
}

#[test]
fn a_message_that_comes_back_after_it_was_sent_has_no_time_to_live_any_more() {
    let (mut rig, caught) = catching(options(Version::V5));
    let ttl = NonZeroU32::new(3000);
    rig.op(Op::Publish(PublishOp { ttl, ..numbered(0) }));
    rig.advance(Duration::from_millis(1200));
    rig.op(Op::Publish(PublishOp { ttl, ..numbered(1) }));
    rig.advance(Duration::from_millis(2500));
    rig.link_down();
    let left: Vec<_> = caught.borrow().iter().map(|(_, op)| op.ttl).collect();
    assert_eq!(left, [None, None], "it may have arrived: that it expired would say that it was not sent");
}

#[test]
fn a_message_that_was_never_sent_comes_back_with_what_is_left_of_its_time_to_live() {
    for (passed, left) in [(1_200, 1_800), (3_000, 1), (4_500, 1)] {
        let (mut rig, caught) = catching(options(Version::V5));
        rig.op(Op::Publish(numbered(0)));
        let ttl = NonZeroU32::new(3_000);
        // A suspect waits until it is alone.
        rig.op(Op::Publish(PublishOp { ttl, strikes: 2, ..numbered(1) }));
        rig.advance(Duration::from_millis(passed));
        rig.link_down();
        let came_back: Vec<_> = caught.borrow().iter().map(|(_, op)| op.ttl).collect();
        assert_eq!(came_back, [None, NonZeroU32::new(left)], "after {passed} ms");
    }
}

#[test]
fn in_flight_messages_go_out_again_in_order_when_the_session_is_present() {
    for version in BOTH {
        let mut rig = Rig::new(lasting(version).operation_timeout(secs(600)));
        rig.connect();
        let ops: Vec<_> = ["1", "2", "3"].map(|n| rig.op(message("a", n, QoS::AtLeastOnce))).into();
        rig.sent();
        rig.receive(puback(2));
        rig.link_down();
        assert!(rig.is_pending(ops[0]) && rig.is_pending(ops[2]), "{version}");
        rig.advance(secs(1));
        rig.accept(true);
        let sent = rig.sent();
        let [Packet::Publish(first), Packet::Publish(third)] = sent.as_slice() else { panic!("{sent:?}") };
        assert!(first.dup() && third.dup());
        assert_eq!((first.payload(), third.payload()), (&b"1"[..], &b"3"[..]));
        assert_eq!((first.packet_id(), third.packet_id()), (Some(id(1)), Some(id(3))));
        rig.receive(puback(1));
        rig.receive(puback(3));
        for op in ops {
            assert!(rig.done(op).is_ok());
        }
    }
}

#[test]
fn a_resumed_session_respects_a_smaller_window() {
    let mut rig = Rig::new(options(Version::V5).session_expiry(secs(600)));
    rig.connect();
    for _ in 0..3 {
        rig.op(message("a", "x", QoS::AtLeastOnce));
    }
    rig.link_down();
    rig.advance(secs(1));
    rig.link_up();
    rig.sent();
    let mut connack = ConnAck::new(true, ReasonCode::Success);
    connack.properties = Properties::new().with(Property::ReceiveMaximum(2)).unwrap();
    rig.receive(connack);
    assert_eq!(rig.sent().len(), 2);
    assert!(!rig.machine.ready());
    rig.receive(puback(1));
    assert_eq!(rig.sent().len(), 1);
}

#[test]
fn in_flight_messages_of_a_lost_session_are_reported() {
    for version in BOTH {
        // The server says so at the next CONNACK.
        let mut rig = Rig::new(lasting(version));
        rig.connect();
        let op = rig.op(message("a", "x", QoS::AtLeastOnce));
        rig.link_down();
        rig.advance(secs(1));
        rig.accept(false);
        assert!(matches!(rig.done(op), Err(OpError::Interrupted)));
        assert!(rig.sent().is_empty());
        // A session that ends with its connection needs no CONNACK to be known lost.
        let mut rig = Rig::new(options(version));
        rig.connect();
        let op = rig.op(message("a", "x", QoS::AtLeastOnce));
        rig.link_down();
        assert!(matches!(rig.done(op), Err(OpError::Interrupted)));
    }
}

#[test]
fn with_every_packet_identifier_taken_a_lost_link_loses_nothing() {
    let mut rig = Rig::new(lasting(Version::V5).window(u16::MAX).operation_timeout(secs(600)));
    rig.connect();
    for _ in 0..u16::MAX {
        rig.op(message("t", "x", QoS::AtLeastOnce));
    }
    assert_eq!(rig.sent().len(), usize::from(u16::MAX));
    rig.cut(true);
    let again = rig.sent();
    assert_eq!(again.len(), usize::from(u16::MAX));
    assert!(again.iter().all(|packet| matches!(packet, Packet::Publish(publish) if publish.dup())));
}

#[test]
fn after_an_unanswered_connect_a_session_is_in_doubt_and_no_qos_2_message_can_arrive_twice() {
    for version in BOTH {
        let (mut rig, _) = catching(lasting(version));
        let once = rig.op(message("a", "once", QoS::ExactlyOnce));
        let often = rig.op(message("a", "often", QoS::AtLeastOnce));
        rig.sent();
        rig.link_down();
        // CONNECT goes out, and its answer is lost: the server may have begun a new session by it.
        rig.link_up();
        rig.link_down();
        rig.link_up();
        rig.sent();
        rig.events.clear();
        rig.receive(ConnAck::new(true, ReasonCode::Success));
        assert!(matches!(rig.done(once), Err(OpError::Interrupted)));
        let connections = rig.connections();
        assert!(connections[0].session_present && !connections[0].session_certain);
        assert_eq!(rig.sent_names(), ["PUBLISH 2 again"], "only what may arrive twice");
        rig.receive(puback(2));
        assert!(rig.done(often).is_ok());
        // The identifier of the one is not used again in this session.
        rig.op(message("a", "next", QoS::AtLeastOnce));
        assert_ne!(rig.sent_names(), ["PUBLISH 1"]);
        // The next resumption is beyond doubt.
        rig.link_down();
        rig.link_up();
        rig.sent();
        rig.events.clear();
        rig.receive(ConnAck::new(true, ReasonCode::Success));
        assert!(rig.connections()[0].session_certain);
    }
}

#[test]
fn a_message_that_was_taken_over_by_a_session_in_doubt_is_released_and_told_as_interrupted() {
    for version in BOTH {
        let (mut rig, _) = catching(lasting(version));
        let op = rig.op(message("a", "once", QoS::ExactlyOnce));
        rig.sent();
        rig.receive(pubrec(1));
        assert_eq!(rig.sent_names(), ["PUBREL 1"]);
        rig.link_down();
        rig.link_up();
        rig.link_down();
        rig.link_up();
        rig.sent();
        rig.receive(ConnAck::new(true, ReasonCode::Success));
        // PUBCOMP of a new session says nothing of a message that the old one may not have passed on.
        assert!(matches!(rig.done(op), Err(OpError::Interrupted)));
        assert_eq!(rig.sent_names(), ["PUBREL 1"]);
        rig.receive(pubcomp(1));
        rig.op(message("a", "next", QoS::ExactlyOnce));
        assert_eq!(rig.sent_names(), ["PUBLISH 1"], "the identifier is free again");
    }
}

#[test]
fn an_answer_to_what_was_not_sent_on_this_connection_yet_ends_nothing() {
    let mut rig = Rig::new(lasting(Version::V5).window(2));
    rig.connect();
    for payload in ["1", "2"] {
        rig.op(message("a", payload, QoS::AtLeastOnce));
    }
    rig.sent();
    rig.link_down();
    rig.advance(secs(1));
    let mut connack = ConnAck::new(true, ReasonCode::Success);
    connack.properties = Properties::new().with(Property::ReceiveMaximum(1)).unwrap();
    rig.accept_with(connack);
    assert_eq!(rig.sent_names(), ["PUBLISH 1 again"]);
    rig.receive(puback(2));
    rig.receive(puback(1));
    assert_eq!(rig.sent_names(), ["PUBLISH 2 again"]);
}
