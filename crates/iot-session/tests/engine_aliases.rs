//! Topic aliases both ways (MQTT 5, section 3.3.2.3.4), on a virtual clock.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use bytes::BytesMut;
use iot_session::proto::ConnectOptions;
use iot_session::stage::{Event, Op};
use iot_session::{ConnectionError, Message, OpError, QoS, Version};
use mqtt_codec::packet::{ConnAck, Publish};
use mqtt_codec::{Packet, Properties, Property, ReasonCode};
use support::{Rig, id, lasting, message, options, puback, publish, secs};

/// A message from the server under an alias; with an empty topic, the alias stands alone.
fn aliased(topic: &str, alias: u16) -> Publish {
    let alias = std::num::NonZeroU16::new(alias).unwrap();
    match topic {
        "" => publish("x", "payload").with_topic_alias(alias, true),
        topic => publish(topic, "payload").with_topic_alias(alias, false),
    }
}

fn topics(rig: &mut Rig) -> Vec<String> {
    let messages = rig.accept_messages();
    assert!(messages.iter().all(|message| message.properties().topic_alias().is_none()), "{messages:?}");
    messages.iter().map(|message| message.topic().to_owned()).collect()
}

#[test]
fn connect_says_how_many_aliases_the_server_may_use() {
    for (options, expected) in [
        (options(Version::V5), Some(10)),
        (options(Version::V5).topic_alias_maximum(3), Some(3)),
        (options(Version::V5).topic_alias_maximum(0), None),
        (options(Version::V3_1_1), None),
    ] {
        let mut rig = Rig::new(options);
        rig.op(Op::CONNECT);
        rig.link_up();
        let sent = rig.sent();
        let [Packet::Connect(connect)] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!(connect.properties().topic_alias_maximum(), expected);
    }
}

#[test]
fn a_received_message_comes_up_under_its_topic_whatever_the_server_calls_it() {
    let mut rig = Rig::new(options(Version::V5));
    rig.connect();
    for publish in [
        aliased("first", 1),
        aliased("", 1),
        aliased("tenth", 10),
        aliased("", 1).at_least_once(id(4)),
        aliased("", 10),
        aliased("moved", 1),
        aliased("", 1).exactly_once(id(5)),
    ] {
        rig.receive(publish);
    }
    assert_eq!(topics(&mut rig), ["first", "first", "tenth", "first", "tenth", "moved", "moved"]);
    assert_eq!(rig.sent_names(), ["PUBACK 4", "PUBREC 5"]);
}

#[test]
fn the_other_properties_of_an_aliased_message_come_up_with_it() {
    let mut rig = Rig::new(options(Version::V5));
    rig.connect();
    let properties = Properties::new()
        .with(Property::SubscriptionIdentifier(7))
        .unwrap()
        .with(Property::UserProperty("unit", "K"))
        .unwrap();
    let publish = publish("a", "x").with_properties(&properties).unwrap();
    rig.receive(publish.with_topic_alias(std::num::NonZeroU16::MIN, false));
    rig.receive(publish.with_topic_alias(std::num::NonZeroU16::MIN, true));
    let messages = rig.accept_messages();
    assert_eq!(messages, [publish.clone(), publish]);
}

#[test]
fn an_alias_that_stands_for_nothing_ends_the_connection() {
    let cases = [
        (options(Version::V5), aliased("", 1)),
        (options(Version::V5), aliased("topic", 11)),
        (options(Version::V5).topic_alias_maximum(0), aliased("topic", 1)),
    ];
    for (options, publish) in cases {
        let mut rig = Rig::new(options);
        rig.connect();
        rig.receive(publish);
        assert!(matches!(rig.why(), ConnectionError::Protocol(_)));
        let sent = rig.sent();
        assert!(
            matches!(&sent[..], [Packet::Disconnect(d)] if d.reason == ReasonCode::TopicAliasInvalid),
            "{sent:?}"
        );
    }
    let mut rig = Rig::new(options(Version::V5));
    rig.connect();
    // Alias 0.
    rig.receive_bytes(&mut BytesMut::from(&b"\x30\x07\x00\x01a\x03\x23\x00\x00"[..]));
    assert!(matches!(rig.why(), ConnectionError::Malformed(_)));
    let sent = rig.sent();
    assert!(matches!(&sent[..], [Packet::Disconnect(d)] if d.reason == ReasonCode::TopicAliasInvalid));
}

#[test]
fn the_servers_aliases_end_with_the_connection() {
    let mut rig = Rig::new(lasting(Version::V5));
    rig.connect();
    rig.receive(aliased("topic", 1));
    rig.cut(true);
    rig.receive(aliased("", 1));
    assert_eq!(topics(&mut rig), ["topic"]);
    assert!(matches!(rig.disconnects().pop().unwrap().error, ConnectionError::Protocol(_)));
}

#[test]
fn an_alias_of_a_message_that_was_delivered_before_counts() {
    let mut rig = Rig::new(lasting(Version::V5));
    rig.connect();
    rig.receive(aliased("topic", 1).exactly_once(id(1)));
    rig.cut(true);
    rig.receive(aliased("topic", 1).exactly_once(id(1)).with_dup(true));
    rig.receive(aliased("", 1));
    assert_eq!(topics(&mut rig), ["topic", "topic"]);
}

// --- to the server ---

fn welcome(session_present: bool, aliases: u16) -> ConnAck {
    let mut connack = ConnAck::new(session_present, ReasonCode::Success);
    connack.properties = Properties::new().with(Property::TopicAliasMaximum(aliases)).unwrap();
    connack
}

fn connected(options: ConnectOptions, aliases: u16) -> Rig {
    let mut rig = Rig::new(options);
    rig.op(Op::CONNECT);
    rig.accept_with(welcome(false, aliases));
    rig.events.clear();
    rig
}

/// Topic and alias of each message sent.
fn sent(rig: &mut Rig) -> Vec<(String, Option<u16>)> {
    let read = |packet: Packet| match packet {
        Packet::Publish(p) => (p.topic().to_owned(), p.properties().topic_alias()),
        other => panic!("{other:?}"),
    };
    rig.sent().into_iter().map(read).collect()
}

fn plain(topic: &str) -> (String, Option<u16>) {
    (topic.to_owned(), None)
}

fn with(topic: &str, alias: u16) -> (String, Option<u16>) {
    (topic.to_owned(), Some(alias))
}

#[test]
fn nothing_goes_by_an_alias_unless_both_sides_want_it() {
    for (ours, servers) in [(0, 10), (10, 0)] {
        let mut rig = connected(options(Version::V5).topic_aliases(ours), servers);
        for _ in 0..2 {
            rig.op(message("a/long/topic", "x", QoS::AtLeastOnce));
        }
        assert_eq!(sent(&mut rig), [plain("a/long/topic"), plain("a/long/topic")]);
    }
}

#[test]
fn the_first_topics_of_a_connection_go_by_an_alias_from_their_second_message_on() {
    let mut rig = connected(options(Version::V5).topic_aliases(5), 2);
    for topic in ["topic/1", "topic/1", "topic/2", "topic/3", "topic/3", "topic/2", "a", "a"] {
        rig.op(message(topic, "x", QoS::AtMostOnce));
    }
    rig.op(message("topic/1", "x", QoS::AtLeastOnce));
    rig.op(message("topic/2", "x", QoS::ExactlyOnce));
    let expected = [
        with("topic/1", 1),
        with("", 1),
        with("topic/2", 2),
        plain("topic/3"), // there are two
        plain("topic/3"),
        with("", 2),
        plain("a"), // it would gain nothing
        plain("a"),
        with("", 1),
        with("", 2),
    ];
    assert_eq!(sent(&mut rig), expected);
}

#[test]
fn a_topic_of_four_bytes_goes_without_an_alias_and_one_of_five_has_one() {
    let mut rig = connected(options(Version::V5).topic_aliases(5), 5);
    for topic in ["1234", "1234", "12345", "12345", "123456", "123456"] {
        rig.op(message(topic, "x", QoS::AtMostOnce));
    }
    let expected =
        [plain("1234"), plain("1234"), with("12345", 1), with("", 1), with("123456", 2), with("", 2)];
    assert_eq!(sent(&mut rig), expected);
}

#[test]
fn what_goes_out_again_has_the_aliases_of_its_own_connection() {
    let mut rig = connected(lasting(Version::V5).topic_aliases(5), 5);
    for topic in ["topic/1", "topic/2", "topic/2"] {
        rig.op(message(topic, "x", QoS::AtLeastOnce));
    }
    rig.receive(puback(1));
    assert_eq!(sent(&mut rig), [with("topic/1", 1), with("topic/2", 2), with("", 2)]);
    rig.link_down();
    rig.advance(secs(1));
    rig.accept_with(welcome(true, 1));
    rig.op(message("topic/1", "x", QoS::AtMostOnce));
    assert_eq!(sent(&mut rig), [with("topic/2", 1), with("", 1), plain("topic/1")]);
    rig.link_down();
    rig.advance(secs(2));
    rig.accept_with(welcome(true, 0));
    assert_eq!(sent(&mut rig), [plain("topic/2"), plain("topic/2")]);
}

#[test]
fn an_alias_makes_no_message_too_large_for_the_server() {
    let mut rig = Rig::new(options(Version::V5).topic_aliases(5));
    rig.op(Op::CONNECT);
    let mut connack = welcome(false, 5);
    connack.properties = connack.properties.with(Property::MaximumPacketSize(20)).unwrap();
    rig.accept_with(connack);
    // 2 + 2 + 12 + 1 + 3: twenty bytes without the alias.
    rig.op(message("a/long/topic", "123", QoS::AtMostOnce));
    rig.op(message("a/long/topic", "", QoS::AtMostOnce));
    rig.op(message("a/long/topic", "123", QoS::AtMostOnce));
    assert_eq!(sent(&mut rig), [plain("a/long/topic"), with("a/long/topic", 1), with("", 1)]);
    // It must fit without: another connection may have no aliases.
    let op = rig.op(message("a/long/topic", "1234", QoS::AtMostOnce));
    assert!(matches!(rig.done(op), Err(OpError::Invalid(_))));
    assert!(rig.hangups.is_empty());
}

#[test]
fn an_alias_of_the_applications_own_is_refused() {
    let mut rig = connected(options(Version::V5).topic_aliases(5), 5);
    let message = Message::new("a/long/topic", "x").unwrap().property(Property::TopicAlias(1)).unwrap();
    let op = rig.op(Op::Publish(message.into_op()));
    assert!(matches!(rig.done(op), Err(OpError::Unsupported(_))));
    assert!(!rig.events.iter().any(|event| matches!(event, Event::Disconnected(_))));
}
