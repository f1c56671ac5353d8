//! The protocol engine on a virtual clock.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::time::Duration;

use bytes::BytesMut;
use iot_session::stage::{Event, Op, Receipt, SubscribeOp, UnsubscribeOp};
use iot_session::{ConnectionError, OpError, QoS, TopicFilter, Version, Will};
use mqtt_codec::packet::{Ack, Auth, ConnAck, Disconnect, SubAck, SubscriptionOptions};
use mqtt_codec::{DecodeError, EncodeError, Packet, Properties, Property, ReasonCode, TopicName};
use support::{Rig, id, message, options, puback, publish, pubrec, secs};

const BOTH: [Version; 2] = [Version::V3_1_1, Version::V5];

fn subscribe(filter: &str) -> Op {
    let filter = TopicFilter::try_from(filter).unwrap();
    Op::Subscribe(SubscribeOp { filters: vec![(filter, SubscriptionOptions::at(QoS::AtLeastOnce))] })
}

fn with(property: Property<'_>) -> ConnAck {
    let mut connack = ConnAck::new(false, ReasonCode::Success);
    connack.properties = Properties::new().with(property).unwrap();
    connack
}

#[test]
fn connect_carries_the_options() {
    for version in BOTH {
        let mut will = Will::new(TopicName::try_from("gone").unwrap(), "bye");
        will.qos = QoS::AtLeastOnce;
        let options = options(version)
            .keep_alive(secs(45))
            .will(will.clone())
            .login("user", Some("secret".into()))
            .unwrap();
        assert!(!format!("{options:?}").contains("secret"));
        let mut rig = Rig::new(options);
        rig.op(Op::CONNECT);
        rig.link_up();
        let sent = rig.sent();
        let [Packet::Connect(connect)] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!(connect.version(), version);
        assert_eq!(connect.keep_alive(), 45);
        assert_eq!(connect.client_id(), "device");
        assert_eq!(connect.will(), Some(will));
        assert_eq!(connect.username(), Some("user"));
        assert!(connect.clean_start());
        assert_eq!(connect.properties().receive_maximum(), version.is_v5().then_some(100));
        assert!(!format!("{connect:?}").contains("secret"));
    }
}

#[test]
fn qos_0_is_done_when_sent_and_qos_1_when_acknowledged() {
    for version in BOTH {
        let mut rig = Rig::new(options(version));
        rig.connect();
        let zero = rig.op(message("a", "0", QoS::AtMostOnce));
        assert_eq!(rig.done(zero).unwrap(), Receipt::Sent);
        let one = rig.op(message("a", "1", QoS::AtLeastOnce));
        assert!(rig.is_pending(one));
        let sent = rig.sent();
        let [Packet::Publish(first), Packet::Publish(second)] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!((first.packet_id(), second.packet_id()), (None, Some(id(1))));
        rig.receive(puback(1));
        assert_eq!(rig.done(one).unwrap(), Receipt::Acked(ReasonCode::Success));
    }
}

#[test]
fn a_refused_publish_names_the_servers_reason() {
    let mut rig = Rig::new(options(Version::V5));
    rig.connect();
    let op = rig.op(message("forbidden", "x", QoS::AtLeastOnce));
    rig.receive(Packet::PubAck(Ack::with_reason(id(1), ReasonCode::NotAuthorized)));
    assert!(matches!(rig.done(op), Err(OpError::Refused { reason: ReasonCode::NotAuthorized, .. })));
}

#[test]
fn offline_operations_end_at_once() {
    let mut rig = Rig::new(options(Version::V5));
    let unsubscribe = Op::Unsubscribe(UnsubscribeOp { filters: vec![TopicFilter::try_from("a").unwrap()] });
    for op in [message("a", "x", QoS::AtLeastOnce), subscribe("a"), unsubscribe] {
        let op = rig.op(op);
        assert!(matches!(rig.done(op), Err(OpError::Offline)));
    }
}

#[test]
fn an_answer_to_a_subscribe_makes_no_room_in_the_window() {
    let mut rig = Rig::new(options(Version::V5).window(1));
    rig.connect();
    rig.op(message("a", "x", QoS::AtLeastOnce));
    rig.op(subscribe("f"));
    assert_eq!(rig.sent().len(), 2);
    rig.receive(Packet::SubAck(SubAck::new(id(2), [ReasonCode::GrantedQoS1])));
    assert!(!rig.machine.ready());
    rig.receive(puback(1));
    assert!(rig.machine.ready());
}

#[test]
fn the_window_is_the_smaller_of_ours_and_the_servers() {
    for (ours, servers, expected) in [(100, 3, 3), (2, 10, 2)] {
        let mut rig = Rig::new(options(Version::V5).window(ours));
        rig.op(Op::CONNECT);
        rig.accept_with(with(Property::ReceiveMaximum(servers)));
        for n in 0..expected {
            assert!(rig.machine.ready(), "room for message {n}");
            rig.op(message("a", "x", QoS::AtLeastOnce));
        }
        assert!(!rig.machine.ready());
        let busy = rig.op(message("a", "x", QoS::AtLeastOnce));
        assert!(matches!(rig.done(busy), Err(OpError::Busy)));
        rig.receive(puback(1));
        assert!(rig.machine.ready());
    }
}

#[test]
fn what_the_server_does_not_take_is_refused_here() {
    let mut rig = Rig::new(options(Version::V5));
    rig.op(Op::CONNECT);
    rig.accept_with(with(Property::MaximumPacketSize(20)));
    let op = rig.op(message("topic", "a payload of more than that", QoS::AtLeastOnce));
    assert!(matches!(rig.done(op), Err(OpError::Invalid(_))));
    let op = rig.op(message("t", "ok", QoS::AtLeastOnce));
    assert!(rig.is_pending(op));
    let sent = rig.sent();
    assert!(matches!(&sent[..], [Packet::Publish(p)] if p.topic() == "t"), "{sent:?}");

    let mut rig = Rig::new(options(Version::V5));
    rig.op(Op::CONNECT);
    rig.accept_with(with(Property::RetainAvailable(false)));
    let mut op = support::op_of(message("t", "x", QoS::AtMostOnce));
    op.publish = op.publish.with_retain(true);
    let op = rig.op(Op::Publish(op));
    assert!(matches!(rig.done(op), Err(OpError::Unsupported(_))));
    rig.op(message("t", "not to be kept", QoS::AtMostOnce));
    assert_eq!(rig.sent().len(), 1);

    let mut rig = Rig::new(options(Version::V5));
    rig.connect();
    let mut op = support::op_of(message("t", "to be kept", QoS::AtMostOnce));
    op.publish = op.publish.with_retain(true);
    rig.op(Op::Publish(op));
    assert_eq!(rig.sent().len(), 1);

    let mut rig = Rig::new(options(Version::V5));
    rig.op(Op::CONNECT);
    rig.accept_with(with(Property::MaximumQoS(false)));
    let op = rig.op(message("t", "x", QoS::AtLeastOnce));
    assert!(matches!(rig.done(op), Err(OpError::Unsupported("the server takes messages of QoS 0 only"))));

    for available in [false, true] {
        let mut rig = Rig::new(options(Version::V5));
        rig.op(Op::CONNECT);
        rig.accept_with(with(Property::WildcardSubscriptionAvailable(available)));
        for (filter, taken) in [("a/b", true), ("a/+", available), ("a/#", available)] {
            let op = rig.op(subscribe(filter));
            assert_eq!(rig.sent().len(), usize::from(taken), "{filter}");
            assert_eq!(rig.is_pending(op), taken, "{filter}");
        }
    }
}

#[test]
fn a_refusal_of_what_nobody_waits_for_is_not_answered() {
    let mut rig = Rig::new(options(Version::V5));
    rig.connect();
    rig.receive(Packet::PubRec(Ack::with_reason(id(5), ReasonCode::QuotaExceeded)));
    assert!(rig.sent().is_empty());
    rig.receive(pubrec(5));
    assert!(matches!(rig.sent()[..], [Packet::PubRel(_)]), "so that the server can forget it");
}

#[test]
fn disconnect_from_a_server_of_3_1_1_breaks_the_protocol() {
    let mut rig = Rig::new(options(Version::V3_1_1));
    rig.connect();
    rig.receive_bytes(&mut BytesMut::from(&[0xE0, 0][..]));
    assert!(matches!(rig.why(), ConnectionError::Malformed(_)));
}

#[test]
fn properties_are_an_error_in_3_1_1_and_never_dropped() {
    let mut rig = Rig::new(options(Version::V3_1_1));
    rig.connect();
    let message =
        iot_session::Message::new("a", "x").unwrap().property(Property::ContentType("text")).unwrap();
    let op = rig.op(Op::Publish(message.into_op()));
    assert!(matches!(rig.done(op), Err(OpError::Invalid(_))));
    assert!(rig.sent().is_empty());
}

#[test]
fn an_unanswered_operation_times_out_and_its_packet_id_stays_taken() {
    let mut rig = Rig::new(options(Version::V5).keep_alive(Duration::ZERO));
    rig.connect();
    let op = rig.op(message("a", "x", QoS::AtLeastOnce));
    rig.advance(secs(5) - Duration::from_nanos(1));
    assert!(rig.is_pending(op));
    rig.advance(Duration::from_nanos(1));
    assert!(matches!(rig.done(op), Err(OpError::TimedOut)));
    assert_eq!(rig.machine.poll_timeout(), None, "nothing more to wait for");
    rig.sent();
    rig.op(message("a", "y", QoS::AtLeastOnce));
    assert!(matches!(&rig.sent()[..], [Packet::Publish(p)] if p.packet_id() == Some(id(2))));
    rig.receive(puback(1));
    assert!(
        rig.events.iter().all(|event| !matches!(event, Event::Done(id, _) if *id == op)),
        "told once only"
    );
}

#[test]
fn a_subscription_is_done_at_suback_whatever_its_codes() {
    for version in BOTH {
        let mut rig = Rig::new(options(version));
        rig.connect();
        let op = rig.op(subscribe("a/#"));
        let sent = rig.sent();
        assert!(matches!(&sent[..], [Packet::Subscribe(s)] if s.packet_id == id(1)));
        rig.receive(Packet::SubAck(SubAck::new(id(1), [ReasonCode::UnspecifiedError])));
        let Ok(Receipt::Subscribed(ack)) = rig.done(op) else { panic!() };
        assert_eq!(ack.reasons, [ReasonCode::UnspecifiedError]);
    }
}

#[test]
fn an_answer_that_does_not_fit_ends_the_connection() {
    let mut rig = Rig::new(options(Version::V5));
    rig.connect();
    rig.op(subscribe("a"));
    rig.receive(Packet::SubAck(SubAck::new(id(1), [ReasonCode::Success, ReasonCode::Success])));
    assert!(matches!(rig.why(), ConnectionError::Protocol(_)));
    let sent = rig.sent();
    assert!(matches!(sent.last(), Some(Packet::Disconnect(d)) if d.reason == ReasonCode::ProtocolError));

    let mut rig = Rig::new(options(Version::V5));
    rig.connect();
    rig.op(subscribe("a"));
    rig.receive(puback(1));
    assert!(matches!(rig.why(), ConnectionError::Protocol(_)));
}

#[test]
fn acknowledgements_of_nothing_are_ignored() {
    let mut rig = Rig::new(options(Version::V5));
    rig.connect();
    rig.receive(puback(77));
    rig.receive(Packet::UnsubAck(SubAck::new(id(9), [ReasonCode::Success])));
    rig.receive(Packet::PingResp);
    assert!(rig.events.is_empty() && rig.hangups.is_empty());
}

#[test]
fn received_qos_1_is_acknowledged_in_arrival_order_once_taken() {
    // [MQTT-4.6.0-2]
    for version in BOTH {
        let mut rig = Rig::new(options(version));
        rig.connect();
        rig.receive(publish("a", "1").at_least_once(id(10)));
        rig.receive(publish("a", "2").at_least_once(id(5)));
        rig.receive(publish("a", "3"));
        assert!(rig.sent().is_empty(), "nothing before it was taken");
        assert_eq!(rig.accept_messages().len(), 3);
        let acked: Vec<_> = rig
            .sent()
            .into_iter()
            .map(|packet| if let Packet::PubAck(ack) = packet { ack.packet_id } else { panic!("{packet:?}") })
            .collect();
        assert_eq!(acked, [id(10), id(5)]);
    }
}

#[test]
fn a_message_of_a_lost_connection_acknowledges_nothing() {
    let mut rig = Rig::new(options(Version::V5).session_expiry(secs(600)));
    rig.connect();
    rig.receive(publish("a", "1").at_least_once(id(1)));
    rig.link_down();
    rig.advance(secs(1));
    rig.accept(true);
    rig.accept_messages();
    assert!(rig.sent().is_empty());
    rig.receive(publish("a", "1").at_least_once(id(1)).with_dup(true));
    rig.accept_messages();
    assert_eq!(rig.sent().len(), 1);
}

#[test]
fn more_messages_than_receive_maximum_end_the_connection() {
    let mut rig = Rig::new(options(Version::V5).receive_maximum(2));
    rig.connect();
    for n in 1..=3 {
        rig.receive(publish("a", "x").at_least_once(id(n)));
    }
    assert!(matches!(rig.why(), ConnectionError::Protocol(_)));
    let sent = rig.sent();
    assert!(
        matches!(sent.last(), Some(Packet::Disconnect(d)) if d.reason == ReasonCode::ReceiveMaximumExceeded)
    );
}

#[test]
fn malformed_bytes_are_answered_and_end_the_connection() {
    for version in BOTH {
        let mut rig = Rig::new(options(version));
        rig.connect();
        rig.receive_bytes(&mut BytesMut::from(&[0x40, 2, 0, 0][..]));
        assert!(matches!(rig.why(), ConnectionError::Malformed(_)));
        assert_eq!(rig.hangups.len(), 1);
        let said = rig
            .sent()
            .iter()
            .any(|p| matches!(p, Packet::Disconnect(d) if d.reason == ReasonCode::MalformedPacket));
        assert_eq!(said, version.is_v5());
    }
}

#[test]
fn server_packets_out_of_place_end_the_connection() {
    // What no server ever sends, the codec refuses already.
    let mut rig = Rig::new(options(Version::V5));
    rig.connect();
    rig.receive(Packet::PingReq);
    assert!(matches!(rig.why(), ConnectionError::Malformed(DecodeError::WrongDirection { .. })));
    for packet in [Packet::ConnAck(ConnAck::default()), Packet::Auth(Auth::default())] {
        let mut rig = Rig::new(options(Version::V5));
        rig.connect();
        rig.receive(packet);
        assert!(matches!(rig.why(), ConnectionError::Protocol(_)));
    }
    let mut rig = Rig::new(options(Version::V5));
    rig.op(Op::CONNECT);
    rig.link_up();
    rig.receive(Packet::PingResp);
    assert!(matches!(rig.why(), ConnectionError::Protocol("a packet before CONNACK")));
}

#[test]
fn a_servers_disconnect_gives_its_reason() {
    let mut rig = Rig::new(options(Version::V5));
    rig.connect();
    let mut disconnect = Disconnect::new(ReasonCode::SessionTakenOver);
    disconnect.properties = Properties::new().with(Property::ReasonString("bye\u{1b}[2J")).unwrap();
    rig.receive(disconnect);
    let error = rig.why();
    assert!(matches!(error, ConnectionError::Server { reason: ReasonCode::SessionTakenOver, .. }));
    assert!(!error.to_string().contains('\u{1b}'), "control characters of the server are escaped: {error}");
}

#[test]
fn disconnect_says_so_and_interrupts_what_waits() {
    for version in BOTH {
        let mut rig = Rig::new(options(version));
        rig.connect();
        let waiting = rig.op(message("a", "x", QoS::AtLeastOnce));
        rig.sent();
        let op = rig.op(Op::Disconnect);
        assert!(matches!(&rig.sent()[..], [Packet::Disconnect(d)] if d.reason == ReasonCode::Success));
        assert!(matches!(rig.done(waiting), Err(OpError::Interrupted)));
        assert_eq!(rig.done(op).unwrap(), Receipt::Disconnected);
        assert!(matches!(rig.why(), ConnectionError::Requested));
    }
}

#[test]
fn nothing_is_sent_before_connack() {
    let mut rig = Rig::new(options(Version::V5));
    rig.op(Op::CONNECT);
    rig.link_up();
    rig.sent();
    let publish = rig.op(message("a", "x", QoS::AtLeastOnce));
    assert!(matches!(rig.done(publish), Err(OpError::Offline)));
    rig.op(Op::Disconnect);
    assert!(rig.sent().is_empty(), "not even DISCONNECT");
    assert_eq!(rig.hangups.len(), 1);
}

#[test]
fn a_session_on_a_clean_start_is_a_protocol_error() {
    let mut rig = Rig::new(options(Version::V5));
    rig.op(Op::CONNECT);
    rig.accept(true);
    assert!(matches!(rig.why(), ConnectionError::Protocol(_)));
}

#[test]
fn a_bare_engine_dials_once_and_answers_connect() {
    let mut rig = Rig::bare(options(Version::V5));
    let op = rig.op(Op::CONNECT);
    assert_eq!(rig.dials.len(), 1);
    rig.accept(false);
    assert!(matches!(rig.done(op), Ok(Receipt::Connected(_))));
    rig.link_down();
    rig.advance(secs(100));
    assert_eq!(rig.dials.len(), 1);
}

#[test]
fn a_second_connect_is_refused_and_the_first_goes_on() {
    let mut rig = Rig::bare(options(Version::V5));
    let first = rig.op(Op::CONNECT);
    let second = rig.op(Op::CONNECT);
    assert!(matches!(rig.done(second), Err(OpError::Unsupported(_))));
    rig.accept(false);
    assert!(matches!(rig.done(first), Ok(Receipt::Connected(_))));
    let third = rig.op(Op::CONNECT);
    assert!(matches!(rig.done(third), Err(OpError::Unsupported(_))));
    assert_eq!((rig.dials.len(), rig.hangups.len()), (1, 0));
}

#[test]
fn a_disconnect_while_connecting_ends_the_connect_as_requested() {
    let mut rig = Rig::bare(options(Version::V5));
    let connect = rig.op(Op::CONNECT);
    rig.link_up();
    rig.op(Op::Disconnect);
    let ended = rig.done(connect);
    assert!(matches!(ended, Err(OpError::Connect(ConnectionError::Requested))), "{ended:?}");
}

#[test]
fn what_a_server_says_before_connack_ends_the_connection_in_words() {
    for (packet, words) in [
        (Packet::from(Auth::default()), "AUTH, although no enhanced authentication was asked for"),
        (Packet::from(Disconnect::new(ReasonCode::ServerBusy)), "DISCONNECT before CONNACK"),
        (Packet::PingResp, "a packet before CONNACK"),
    ] {
        let mut rig = Rig::new(options(Version::V5));
        rig.op(Op::CONNECT);
        rig.link_up();
        rig.sent();
        rig.receive(packet);
        assert!(rig.why().to_string().contains(words), "{}", rig.why());
        assert_eq!(rig.hangups.len(), 1);
    }
}

#[test]
fn a_suback_to_a_message_ends_the_connection() {
    for wrap in [Packet::SubAck, Packet::UnsubAck] {
        let mut rig = Rig::new(options(Version::V5));
        rig.connect();
        rig.op(message("a", "x", QoS::AtLeastOnce));
        rig.receive(wrap(SubAck::new(id(1), [ReasonCode::Success])));
        assert!(matches!(rig.why(), ConnectionError::Protocol(_)));
    }
}

#[test]
fn a_subscription_that_is_too_large_for_the_server_takes_no_packet_identifier() {
    let mut rig = Rig::new(options(Version::V5));
    rig.op(Op::CONNECT);
    rig.accept_with(with(Property::MaximumPacketSize(20)));
    rig.sent();
    let long = "a/very/long/filter/that/does/not/fit";
    let unsubscribe = Op::Unsubscribe(UnsubscribeOp { filters: vec![TopicFilter::try_from(long).unwrap()] });
    for op in [subscribe(long), unsubscribe] {
        let op = rig.op(op);
        assert!(matches!(rig.done(op), Err(OpError::Invalid(EncodeError::PacketTooLarge { max: 20, .. }))));
    }
    assert!(rig.sent().is_empty());
    rig.op(subscribe("a"));
    assert!(matches!(&rig.sent()[..], [Packet::Subscribe(s)] if s.packet_id == id(1)));
}

#[test]
fn a_slow_answer_in_front_of_many_quick_ones_times_out_at_its_instant() {
    let mut rig = Rig::new(options(Version::V5).keep_alive(Duration::ZERO));
    rig.connect();
    let slow = rig.op(message("a", "slow", QoS::AtLeastOnce));
    for _ in 0..1_000 {
        rig.advance(Duration::from_millis(1));
        let quick = rig.op(message("a", "quick", QoS::AtLeastOnce));
        let sent = rig.sent();
        let Some(Packet::Publish(publish)) = sent.last() else { panic!("{sent:?}") };
        rig.receive(puback(publish.packet_id().unwrap().value()));
        assert!(rig.done(quick).is_ok());
    }
    rig.advance(secs(4) - Duration::from_nanos(1));
    assert!(rig.is_pending(slow));
    rig.advance(Duration::from_nanos(1));
    assert!(matches!(rig.done(slow), Err(OpError::TimedOut)));
    assert_eq!(rig.machine.poll_timeout(), None, "nothing more to wait for");
}
