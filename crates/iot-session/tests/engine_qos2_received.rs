//! QoS 2 from the server (section 4.3.3 of both standards), cut after each of its steps, on a virtual clock.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use iot_session::proto::ConnectOptions;
use iot_session::stage::{AckToken, Event};
use iot_session::{ConnectionError, Now, Version};
use mqtt_codec::packet::{Ack, Publish};
use mqtt_codec::{Packet, ReasonCode};
use support::{Rig, id, lasting, options, pubcomp, publish, pubrel, secs};

const BOTH: [Version; 2] = [Version::V3_1_1, Version::V5];

fn patient(version: Version) -> ConnectOptions {
    lasting(version).operation_timeout(secs(600))
}

/// Takes the token of the one message that came.
fn token(rig: &mut Rig) -> AckToken {
    let mut tokens: Vec<_> = rig
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Message(_, token) => Some(token.unwrap()),
            _ => None,
        })
        .collect();
    rig.events.retain(|event| !matches!(event, Event::Message(..)));
    assert_eq!(tokens.len(), 1, "delivered once");
    tokens.remove(0)
}

fn nothing_delivered(rig: &Rig) {
    assert!(!rig.events.iter().any(|event| matches!(event, Event::Message(..))), "{:?}", rig.events);
}

fn accept(rig: &mut Rig, token: AckToken) {
    rig.machine.handle_accepted(Now::mono(rig.now), token);
    rig.settle();
}

fn incoming(n: u16) -> Publish {
    publish("a", "x").exactly_once(id(n))
}

#[test]
fn a_received_qos_2_message_is_acknowledged_once_it_was_taken() {
    // [MQTT-4.3.3-8] to [MQTT-4.3.3-11]
    for version in BOTH {
        let mut rig = Rig::new(options(version));
        rig.connect();
        rig.receive(incoming(5));
        assert!(rig.sent_names().is_empty());
        let token = token(&mut rig);
        assert!(token.is_exactly_once());
        rig.receive(incoming(5).with_dup(true));
        nothing_delivered(&rig);
        accept(&mut rig, token);
        assert_eq!(rig.sent_names(), ["PUBREC 5"]);
        rig.receive(incoming(5).with_dup(true));
        nothing_delivered(&rig);
        assert_eq!(rig.sent_names(), ["PUBREC 5"], "sent again, answered again");
        rig.receive(pubrel(5));
        assert_eq!(rig.sent(), [pubcomp(5)]);
        rig.receive(incoming(5));
        self::token(&mut rig);
    }
}

#[test]
fn a_received_qos_2_message_is_delivered_once_wherever_the_link_is_cut() {
    for version in BOTH {
        // After PUBLISH; taken before the message comes again, or after.
        for taken_early in [true, false] {
            let mut rig = Rig::new(patient(version));
            rig.connect();
            rig.receive(incoming(5));
            let token = token(&mut rig);
            rig.link_down();
            if taken_early {
                accept(&mut rig, token);
            }
            rig.advance(secs(1));
            rig.accept(true);
            assert!(rig.sent_names().is_empty(), "the server does not wait for anything yet");
            rig.receive(incoming(5).with_dup(true));
            nothing_delivered(&rig);
            if !taken_early {
                assert!(rig.sent_names().is_empty());
                accept(&mut rig, token);
            }
            assert_eq!(rig.sent_names(), ["PUBREC 5"]);
            // After PUBREC.
            rig.cut(true);
            rig.receive(incoming(5).with_dup(true));
            nothing_delivered(&rig);
            assert_eq!(rig.sent_names(), ["PUBREC 5"]);
            rig.cut(true);
            rig.receive(pubrel(5));
            assert_eq!(rig.sent(), [pubcomp(5)]);
            // After PUBCOMP, which the server did not get.
            rig.cut(true);
            rig.receive(pubrel(5));
            assert_eq!(rig.sent_names(), ["PUBCOMP 5"]);
            rig.receive(incoming(5));
            self::token(&mut rig);
        }
    }
}

#[test]
fn what_a_lost_session_has_received_is_forgotten() {
    for version in BOTH {
        for (options, present) in [(patient(version), false), (options(version), false)] {
            let mut rig = Rig::new(options);
            rig.connect();
            rig.receive(incoming(5));
            let old = token(&mut rig);
            rig.cut(present);
            rig.receive(incoming(5));
            let new = token(&mut rig);
            accept(&mut rig, old);
            assert!(rig.sent_names().is_empty(), "a token of another session acknowledges nothing");
            accept(&mut rig, new);
            assert_eq!(rig.sent_names(), ["PUBREC 5"]);
        }
    }
}

#[test]
fn a_token_acknowledges_no_later_message_of_the_same_identifier() {
    for version in BOTH {
        let mut rig = Rig::new(options(version));
        rig.connect();
        rig.receive(incoming(5));
        let first = token(&mut rig);
        accept(&mut rig, first);
        rig.receive(pubrel(5));
        assert_eq!(rig.sent_names(), ["PUBREC 5", "PUBCOMP 5"]);
        rig.receive(incoming(5));
        let second = token(&mut rig);
        accept(&mut rig, first);
        assert!(rig.sent_names().is_empty());
        accept(&mut rig, second);
        assert_eq!(rig.sent_names(), ["PUBREC 5"]);
    }
}

#[test]
fn a_release_of_nothing_is_answered() {
    for version in BOTH {
        let mut rig = Rig::new(options(version));
        rig.connect();
        rig.receive(pubrel(9));
        let expected =
            if version.is_v5() { ReasonCode::PacketIdentifierNotFound } else { ReasonCode::Success };
        assert_eq!(rig.sent(), [Packet::PubComp(Ack::with_reason(id(9), expected))]);
    }
}

#[test]
fn acknowledgements_of_both_kinds_leave_in_arrival_order() {
    // [MQTT-4.6.0-2], [MQTT-4.6.0-3]
    let mut rig = Rig::new(options(Version::V3_1_1));
    rig.connect();
    rig.receive(incoming(3));
    let first = token(&mut rig);
    rig.receive(publish("a", "x").at_least_once(id(2)));
    rig.receive(incoming(1));
    rig.accept_messages();
    assert!(rig.sent_names().is_empty());
    accept(&mut rig, first);
    assert_eq!(rig.sent_names(), ["PUBREC 3", "PUBACK 2", "PUBREC 1"]);
}

#[test]
fn receive_maximum_counts_qos_2_until_pubcomp() {
    // [MQTT-3.3.4-9]
    let mut rig = Rig::new(patient(Version::V5).receive_maximum(2));
    rig.connect();
    rig.receive(incoming(1));
    rig.receive(publish("a", "x").at_least_once(id(2)));
    rig.accept_messages();
    rig.receive(publish("a", "x").at_least_once(id(3)));
    rig.receive(incoming(1).with_dup(true));
    assert!(rig.hangups.is_empty(), "one of QoS 2 and one of QoS 1; the same again is no other");
    rig.receive(pubrel(1));
    rig.receive(incoming(4));
    assert!(rig.hangups.is_empty());
    rig.receive(incoming(5));
    assert!(matches!(rig.why(), ConnectionError::Protocol(_)));
    // What the server did before counts no more on another connection.
    rig.advance(secs(1));
    rig.accept(true);
    rig.receive(incoming(6));
    rig.receive(incoming(7));
    assert_eq!(rig.hangups.len(), 1);
}
