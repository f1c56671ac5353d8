//! What CONNECT asks for and what CONNACK grants, on a virtual clock.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::time::Duration;

use iot_session::proto::ConnectOptions;
use iot_session::stage::{Connected, Op, SubscribeOp};
use iot_session::{ConnectionError, OpError, QoS, TopicFilter, TopicName, Version, Will};
use mqtt_codec::packet::{ConnAck, Connect, Disconnect, SubscriptionOptions};
use mqtt_codec::{EncodeError, Packet, Properties, Property, ReasonCode};
use support::{Rig, id, lasting, message, options, publish, secs};

const BOTH: [Version; 2] = [Version::V3_1_1, Version::V5];

fn properties(all: &[Property<'_>]) -> Properties {
    all.iter().fold(Properties::new(), |properties, property| properties.with(*property).unwrap())
}

fn connack(session_present: bool, all: &[Property<'_>]) -> ConnAck {
    let mut connack = ConnAck::new(session_present, ReasonCode::Success);
    connack.properties = properties(all);
    connack
}

/// The CONNECT that the options make.
fn connect(options: ConnectOptions) -> Connect {
    let mut rig = Rig::new(options);
    rig.op(Op::CONNECT);
    the_connect(&mut rig)
}

fn the_connect(rig: &mut Rig) -> Connect {
    rig.link_up();
    let mut sent = rig.sent();
    assert_eq!(sent.len(), 1, "{sent:?}");
    let Packet::Connect(connect) = sent.remove(0) else { panic!("{sent:?}") };
    connect
}

fn connected(options: ConnectOptions, all: &[Property<'_>]) -> (Rig, Connected) {
    let mut rig = Rig::new(options);
    rig.op(Op::CONNECT);
    rig.accept_with(connack(false, all));
    let connected = rig.connections()[0].clone();
    rig.events.clear();
    (rig, connected)
}

#[test]
fn connect_carries_what_mqtt_5_can_ask_for() {
    let all = options(Version::V5)
        .user_property("fleet", "north")
        .unwrap()
        .user_property("fleet", "east")
        .unwrap()
        .request_response_information(true)
        .request_problem_information(false);
    assert!(!format!("{all:?}").contains("north"));
    let connect = connect(all);
    let properties = connect.properties();
    assert_eq!(properties.user_properties().collect::<Vec<_>>(), [("fleet", "north"), ("fleet", "east")]);
    assert_eq!(properties.request_response_information(), Some(true));
    assert_eq!(properties.request_problem_information(), Some(false));
    let default = self::connect(options(Version::V5));
    assert_eq!(default.properties().request_response_information(), None);
    assert_eq!(default.properties().request_problem_information(), None);
    assert!(options(Version::V5).user_property("a\0", "b").is_err());
}

#[test]
fn what_mqtt_3_1_1_cannot_ask_for_is_an_error() {
    let base = || options(Version::V3_1_1);
    for options in [
        base().user_property("a", "b").unwrap(),
        base().request_response_information(true),
        base().request_problem_information(false),
        base().session_expiry(secs(1)),
    ] {
        assert!(options.validate().is_err());
    }
    assert!(base().validate().is_ok());
}

#[test]
fn a_will_has_properties_a_delay_and_any_quality_of_service() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut will = Will::new(TopicName::try_from("gone").unwrap(), "bye");
        will.qos = qos;
        will.retain = true;
        will.properties = properties(&[
            Property::WillDelayInterval(30),
            Property::MessageExpiryInterval(60),
            Property::UserProperty("why", "unknown"),
        ]);
        assert_eq!(connect(options(Version::V5).will(will.clone())).will(), Some(will));
    }
}

#[test]
fn connected_tells_what_the_server_takes() {
    let (_, told) = connected(
        lasting(Version::V5),
        &[
            Property::SessionExpiryInterval(90),
            Property::ReceiveMaximum(7),
            Property::MaximumQoS(true),
            Property::RetainAvailable(false),
            Property::MaximumPacketSize(1000),
            Property::TopicAliasMaximum(8),
            Property::WildcardSubscriptionAvailable(false),
            Property::SubscriptionIdentifierAvailable(false),
            Property::SharedSubscriptionAvailable(false),
            Property::ServerKeepAlive(20),
            Property::ResponseInformation("replies/device"),
            Property::ServerReference("b.example"),
            Property::ReasonString("welcome"),
        ],
    );
    assert_eq!((told.session_expiry, told.window, told.keep_alive), (90, 7, 20));
    assert_eq!((told.max_packet_size, told.max_qos, told.topic_alias_maximum), (1000, QoS::AtLeastOnce, 8));
    assert!(!told.retain && !told.wildcards && !told.shared && !told.subscription_identifiers);
    let info = told.info.unwrap();
    assert_eq!(info.response_information.as_ref().unwrap().as_str(), "replies/device");
    assert_eq!(info.server_reference.as_ref().unwrap().as_str(), "b.example");
    assert_eq!(info.message.as_ref().unwrap().as_str(), "welcome");
}

#[test]
fn connected_tells_what_holds_when_the_server_says_nothing() {
    for (version, expiry) in [(Version::V3_1_1, u32::MAX), (Version::V5, 600)] {
        let (_, told) = connected(lasting(version), &[]);
        assert_eq!((told.session_expiry, told.window, told.keep_alive), (expiry, 100, 30));
        assert_eq!((told.max_packet_size, told.max_qos), (u32::MAX, QoS::ExactlyOnce));
        assert!(told.retain && told.wildcards && told.shared && told.subscription_identifiers);
        assert_eq!((told.topic_alias_maximum, told.info), (0, None));
        assert_eq!(connected(options(version), &[]).1.session_expiry, 0);
    }
}

#[test]
fn a_session_that_the_server_does_not_let_last_ends_with_its_connection() {
    let (mut rig, told) = connected(lasting(Version::V5), &[Property::SessionExpiryInterval(0)]);
    assert_eq!(told.session_expiry, 0);
    let op = rig.op(message("a", "x", QoS::AtLeastOnce));
    rig.link_down();
    assert!(matches!(rig.done(op), Err(OpError::Interrupted)), "at once");
    rig.advance(secs(1));
    let connect = the_connect(&mut rig);
    assert!(connect.clean_start(), "there is nothing to take up");
    assert_eq!(connect.properties().session_expiry_interval(), Some(600), "this time it may be granted");
    rig.receive(connack(false, &[]));
    let op = rig.op(message("a", "x", QoS::AtLeastOnce));
    rig.link_down();
    assert!(rig.is_pending(op));
    rig.advance(secs(2));
    assert!(!the_connect(&mut rig).clean_start());
}

#[test]
fn a_session_expiry_is_rounded_up_to_whole_seconds() {
    for (millis, seconds) in [(1, 1), (1000, 1), (1001, 2)] {
        let options = options(Version::V5).session_expiry(Duration::from_millis(millis));
        let mut rig = Rig::new(options);
        rig.op(Op::CONNECT);
        let connect = the_connect(&mut rig);
        assert_eq!(connect.properties().session_expiry_interval(), Some(seconds), "{millis} ms");
    }
}

#[test]
fn a_client_identifier_that_the_server_made_up_is_used_again() {
    let nameless = || ConnectOptions::new(Version::V5, "").unwrap().session_expiry(secs(600));
    let (mut rig, told) = connected(nameless(), &[Property::AssignedClientIdentifier("auto-1")]);
    assert_eq!(told.info.unwrap().assigned_client_id.as_ref().unwrap().as_str(), "auto-1");
    for wait in [1, 2] {
        rig.link_down();
        rig.advance(secs(wait));
        assert_eq!(the_connect(&mut rig).client_id(), "auto-1");
        rig.receive(connack(true, &[]));
    }
}

#[test]
fn a_refusal_tells_the_servers_words_and_where_to_go() {
    let mut rig = Rig::new(options(Version::V5));
    rig.op(Op::CONNECT);
    let mut refusal = ConnAck::new(false, ReasonCode::UseAnotherServer);
    refusal.properties =
        properties(&[Property::ServerReference("b.example\u{1b}"), Property::ReasonString("moving")]);
    rig.accept_with(refusal);
    let error = rig.why();
    let shown = error.to_string();
    assert!(shown.contains("moving") && shown.contains("b.example") && !shown.contains('\u{1b}'), "{shown}");
    let ConnectionError::Refused { server_reference: Some(server), .. } = error else { panic!("{error:?}") };
    assert_eq!(&*server, "b.example\u{1b}");
}

#[test]
fn a_servers_disconnect_tells_where_to_go() {
    let (mut rig, _) = connected(options(Version::V5), &[]);
    let mut disconnect = Disconnect::new(ReasonCode::ServerMoved);
    disconnect.properties = properties(&[Property::ServerReference("b.example")]);
    rig.receive(disconnect);
    let ConnectionError::Server { reason, server_reference: Some(server), .. } = rig.why() else { panic!() };
    assert_eq!((reason, &*server), (ReasonCode::ServerMoved, "b.example"));
}

#[test]
fn a_packet_that_is_too_large_for_the_server_is_refused_with_both_sizes() {
    let (mut rig, _) = connected(options(Version::V5), &[Property::MaximumPacketSize(20)]);
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let op = rig.op(message("topic", "a payload of more", qos));
        let Err(OpError::Invalid(error)) = rig.done(op) else { panic!() };
        let size = if qos == QoS::AtMostOnce { 27 } else { 29 };
        assert_eq!(error, EncodeError::PacketTooLarge { size, max: 20 });
    }
    assert!(rig.sent().is_empty() && rig.machine.ready());
}

fn subscribe(rig: &mut Rig, filter: &str, qos: QoS) -> iot_session::stage::OpId {
    let filters = vec![(TopicFilter::try_from(filter).unwrap(), SubscriptionOptions::at(qos))];
    rig.op(Op::Subscribe(SubscribeOp { filters }))
}

#[test]
fn shared_subscriptions_pass_unless_the_server_knows_none() {
    for version in BOTH {
        let (mut rig, _) = connected(options(version), &[]);
        subscribe(&mut rig, "$share/group/a/#", QoS::ExactlyOnce);
        let sent = rig.sent();
        let [Packet::Subscribe(subscribe)] = &sent[..] else { panic!("{sent:?}") };
        let filters: Vec<_> =
            subscribe.filters().map(|(filter, options)| (filter.as_str().to_owned(), options.qos)).collect();
        assert_eq!(filters, [("$share/group/a/#".to_owned(), QoS::ExactlyOnce)]);
    }
    let (mut rig, _) = connected(options(Version::V5), &[Property::SharedSubscriptionAvailable(false)]);
    let op = subscribe(&mut rig, "$share/group/a", QoS::AtLeastOnce);
    assert!(matches!(rig.done(op), Err(OpError::Unsupported(_))));
}

#[test]
fn subscription_identifiers_come_up_untouched() {
    let (mut rig, _) = connected(options(Version::V5), &[]);
    let all =
        properties(&[Property::SubscriptionIdentifier(1), Property::SubscriptionIdentifier(268_435_455)]);
    let sent = publish("a", "x").at_least_once(id(1)).with_properties(&all).unwrap();
    rig.receive(sent.clone());
    assert_eq!(rig.accept_messages(), [sent]);
}
