//! QoS 2 to the server (section 4.3.3 of both standards), cut after each of its steps, on a virtual clock.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::time::Duration;

use iot_session::proto::ConnectOptions;
use iot_session::stage::{Op, OpId, Receipt};
use iot_session::{ConnectionError, OpError, QoS, Version};
use mqtt_codec::packet::{Ack, ConnAck};
use mqtt_codec::{Packet, Properties, Property, ReasonCode};
use support::{Rig, id, lasting, message, options, puback, pubcomp, pubrec, secs};

const BOTH: [Version; 2] = [Version::V3_1_1, Version::V5];

fn patient(version: Version) -> ConnectOptions {
    lasting(version).operation_timeout(secs(600))
}

fn twice(rig: &mut Rig, payload: &'static str) -> OpId {
    rig.op(message("a", payload, QoS::ExactlyOnce))
}

#[test]
fn a_qos_2_message_goes_through_four_packets() {
    // [MQTT-4.3.3-1] to [MQTT-4.3.3-7]
    for version in BOTH {
        let mut rig = Rig::new(options(version));
        rig.connect();
        let op = twice(&mut rig, "x");
        let first = rig.sent();
        assert!(matches!(&first[..], [Packet::Publish(p)] if p.qos() == QoS::ExactlyOnce && !p.dup()));
        rig.receive(pubrec(1));
        assert_eq!(rig.sent_names(), ["PUBREL 1"]);
        assert!(rig.is_pending(op));
        rig.receive(pubrec(1));
        assert_eq!(rig.sent_names(), ["PUBREL 1"], "asked again, answered again");
        rig.receive(pubcomp(1));
        assert_eq!(rig.done(op).unwrap(), Receipt::Acked(ReasonCode::Success));
        assert_eq!(rig.machine.gauges().in_flight, 0);
        rig.receive(pubcomp(1));
        assert!(rig.hangups.is_empty() && rig.sent_names().is_empty());
    }
}

#[test]
fn a_qos_2_message_is_taken_up_after_each_of_its_steps() {
    // [MQTT-4.4.0-1]
    for version in BOTH {
        let mut rig = Rig::new(patient(version));
        rig.connect();
        let op = twice(&mut rig, "x");
        assert_eq!(rig.sent_names(), ["PUBLISH 1"]);
        for _ in 0..2 {
            rig.cut(true);
            assert_eq!(rig.sent_names(), ["PUBLISH 1 again"], "before PUBREC");
        }
        rig.receive(pubrec(1));
        assert_eq!(rig.sent_names(), ["PUBREL 1"]);
        for _ in 0..2 {
            rig.cut(true);
            assert_eq!(rig.sent_names(), ["PUBREL 1"], "after PUBREC, never the message again");
        }
        rig.receive(pubcomp(1));
        assert!(rig.done(op).is_ok());
        rig.cut(true);
        assert!(rig.sent_names().is_empty(), "after PUBCOMP");
    }
}

#[test]
fn releases_go_out_again_in_the_order_of_their_pubrecs_and_before_messages() {
    // [MQTT-4.6.0-4]
    let mut rig = Rig::new(patient(Version::V5));
    rig.connect();
    for payload in ["1", "2", "3", "4"] {
        twice(&mut rig, payload);
    }
    rig.receive(pubrec(4));
    rig.receive(pubrec(2));
    rig.sent();
    rig.link_down();
    rig.advance(secs(1));
    let mut connack = ConnAck::new(true, ReasonCode::Success);
    connack.properties = Properties::new().with(Property::ReceiveMaximum(3)).unwrap();
    rig.accept_with(connack);
    assert_eq!(rig.sent_names(), ["PUBREL 4", "PUBREL 2", "PUBLISH 1 again"]);
    rig.receive(pubcomp(4));
    assert_eq!(rig.sent_names(), ["PUBLISH 3 again"]);
}

#[test]
fn a_refused_qos_2_message_ends_at_pubrec() {
    let mut rig = Rig::new(options(Version::V5).window(1));
    rig.connect();
    let op = twice(&mut rig, "x");
    rig.sent();
    rig.receive(Packet::PubRec(Ack::with_reason(id(1), ReasonCode::QuotaExceeded)));
    assert!(matches!(rig.done(op), Err(OpError::Refused { reason: ReasonCode::QuotaExceeded, .. })));
    assert!(rig.sent_names().is_empty(), "no PUBREL");
    assert!(rig.machine.ready(), "the identifier and the window are free again");
}

#[test]
fn the_receipt_has_the_words_of_pubrec() {
    let mut rig = Rig::new(options(Version::V5));
    rig.connect();
    let op = twice(&mut rig, "x");
    rig.receive(Packet::PubRec(Ack::with_reason(id(1), ReasonCode::NoMatchingSubscribers)));
    rig.receive(Packet::PubComp(Ack::with_reason(id(1), ReasonCode::PacketIdentifierNotFound)));
    assert_eq!(rig.done(op).unwrap(), Receipt::Acked(ReasonCode::NoMatchingSubscribers));
}

#[test]
fn a_pubrec_for_nothing_is_answered_so_that_the_server_forgets_it() {
    for version in BOTH {
        let mut rig = Rig::new(options(version));
        rig.connect();
        rig.receive(pubrec(7));
        let expected =
            if version.is_v5() { ReasonCode::PacketIdentifierNotFound } else { ReasonCode::Success };
        assert_eq!(rig.sent(), [Packet::PubRel(Ack::with_reason(id(7), expected))]);
        rig.receive(pubcomp(7));
        assert!(rig.hangups.is_empty());
    }
}

#[test]
fn answers_of_the_wrong_kind_end_the_connection() {
    for (qos, answers) in [
        (QoS::AtLeastOnce, vec![pubrec(1)]),
        (QoS::AtLeastOnce, vec![pubcomp(1)]),
        (QoS::ExactlyOnce, vec![puback(1)]),
        (QoS::ExactlyOnce, vec![pubcomp(1)]),
        (QoS::ExactlyOnce, vec![pubrec(1), puback(1)]),
    ] {
        let mut rig = Rig::new(options(Version::V5));
        rig.connect();
        rig.op(message("a", "x", qos));
        for answer in answers {
            rig.receive(answer);
        }
        assert!(matches!(rig.why(), ConnectionError::Protocol(_)));
    }
}

#[test]
fn a_qos_2_message_takes_its_room_in_the_window_until_pubcomp() {
    let mut rig = Rig::new(options(Version::V3_1_1).window(2));
    rig.connect();
    twice(&mut rig, "x");
    rig.op(message("a", "y", QoS::AtLeastOnce));
    assert!(!rig.machine.ready());
    rig.receive(pubrec(1));
    assert!(!rig.machine.ready());
    rig.receive(pubcomp(1));
    assert!(rig.machine.ready());
}

#[test]
fn a_qos_2_message_of_a_lost_session_may_or_may_not_have_arrived() {
    for version in BOTH {
        for released in [false, true] {
            let mut rig = Rig::new(patient(version));
            rig.connect();
            let op = twice(&mut rig, "x");
            if released {
                rig.receive(pubrec(1));
            }
            rig.cut(false);
            assert!(matches!(rig.done(op), Err(OpError::Interrupted)));
            assert!(rig.sent_names().len() <= 1 && rig.machine.gauges().in_flight == 0);

            let mut rig = Rig::new(options(version));
            rig.connect();
            let op = twice(&mut rig, "x");
            rig.link_down();
            assert!(matches!(rig.done(op), Err(OpError::Interrupted)));
        }
    }
}

#[test]
fn nobody_gets_the_identifier_of_a_poisoned_qos_2_message_while_the_session_lives() {
    let mut rig = Rig::new(patient(Version::V3_1_1).containment(Some(1)).keep_alive(Duration::ZERO));
    rig.connect();
    let op = twice(&mut rig, "x");
    rig.server_closes();
    assert!(matches!(rig.done(op), Err(OpError::Poisoned { .. })));
    rig.advance(secs(1));
    rig.accept(true);
    assert!(rig.sent_names().is_empty());
    rig.op(message("a", "y", QoS::AtLeastOnce));
    assert_eq!(rig.sent_names(), ["PUBLISH 2"]);
    rig.cut(false);
    rig.op(message("a", "y", QoS::AtLeastOnce));
    rig.op(message("a", "y", QoS::AtLeastOnce));
    assert_eq!(rig.machine.gauges().in_flight, 1);
    let all = rig.sent_names();
    assert!(all == ["PUBLISH 1"] || all == ["PUBLISH 2"], "{all:?}");
}

#[test]
fn a_server_may_take_less_than_qos_2() {
    let mut rig = Rig::new(options(Version::V5));
    rig.op(Op::CONNECT);
    let mut connack = ConnAck::new(false, ReasonCode::Success);
    connack.properties = Properties::new().with(Property::MaximumQoS(true)).unwrap();
    rig.accept_with(connack);
    let op = twice(&mut rig, "x");
    assert!(matches!(
        rig.done(op),
        Err(OpError::Unsupported("the server takes messages of QoS 0 and 1 only"))
    ));
}
