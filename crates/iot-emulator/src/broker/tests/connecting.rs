//! CONNECT, CONNACK, and what ends a connection for its own fault.

use super::*;

#[test]
fn the_first_packet_has_to_be_connect() {
    // [MQTT-3.1.0-1]
    let mut world = World::new();
    world.open(1);
    world.send(1, Packet::PingReq);
    assert!(world.open.is_empty() && world.sent.is_empty());
}

#[test]
fn a_second_connect_closes_the_connection() {
    // [MQTT-3.1.0-2]
    for version in BOTH {
        let mut world = World::new();
        world.client(1, version, "a");
        world.send(1, hello(version, "a").build().unwrap());
        world.assert_ended(1, version, ReasonCode::ProtocolError);
    }
}

#[test]
fn a_connection_without_connect_is_closed_in_time() {
    let mut world = World::new();
    world.open(1);
    world.pass(Duration::from_millis(9_999));
    assert!(world.open.contains(&1));
    world.pass(Duration::from_millis(1));
    assert!(world.open.is_empty());
    assert_eq!(world.broker.deadline(), None);
}

#[test]
fn connack_announces_what_there_is() {
    let mut world = World::new();
    let ack = world.connect(1, hello(Version::V5, "a"));
    let properties = ack.properties.as_ref();
    assert_eq!(properties.maximum_qos(), Some(true));
    assert_eq!(properties.receive_maximum(), Some(100));
    assert_eq!(properties.topic_alias_maximum(), Some(8));
    assert_eq!(properties.maximum_packet_size(), Some(149_504));
    assert_eq!(properties.subscription_identifiers_available(), Some(false));
    assert_eq!(properties.shared_subscription_available(), Some(true));
    assert_eq!(properties.session_expiry_interval(), None);
    assert_eq!(properties.server_keep_alive(), None);
    assert!(world.connect(2, hello(Version::V3_1_1, "b")).properties.is_empty());
}

#[test]
fn an_unknown_version_is_refused_in_the_words_of_3_1_1() {
    // [MQTT-3.1.2-2]
    let mut world = World::new();
    world.open(1);
    world.broker.malformed(world.now, ConnectionId(1), DecodeError::ProtocolLevel(3));
    let output = world.broker.poll();
    let refusal = Packet::ConnAck(ConnAck::new(false, ReasonCode::UnsupportedProtocolVersion));
    let (connection, version) = (ConnectionId(1), Version::V3_1_1);
    assert_eq!(output, Some(Output::Send { connection, version, packet: refusal }));
    assert_eq!(world.broker.poll(), Some(Output::Close(ConnectionId(1))));
}

#[test]
fn an_empty_identifier_without_a_clean_session_is_refused() {
    // MQTT 3.1.1 [MQTT-3.1.3-8]
    let mut world = World::new();
    world.open(1);
    world.broker.malformed(world.now, ConnectionId(1), DecodeError::EmptyClientId);
    world.drain();
    let refusal = ConnAck::new(false, ReasonCode::ClientIdentifierNotValid);
    assert_eq!(world.next(1), Some(refusal.into()));
    assert!(world.open.is_empty());
}

#[test]
fn an_empty_identifier_is_replaced_and_mqtt_5_told() {
    // [MQTT-3.1.3-6], [MQTT-3.1.3-7], [MQTT-3.2.2-16]
    let mut world = World::new();
    let ack = world.connect(1, hello(Version::V5, ""));
    let assigned = ack.properties.as_ref().assigned_client_identifier().unwrap().to_owned();
    world.client(2, Version::V3_1_1, "");
    let connected: Vec<_> = world.broker.connected_clients().map(ToString::to_string).collect();
    assert_eq!(connected.len(), 2);
    assert!(connected.contains(&assigned));
    // The identifier can be used to come back with.
    world.client(3, Version::V5, &assigned);
    assert!(!world.open.contains(&1));
}

#[test]
fn malformed_packets_are_answered_with_their_reason() {
    for version in BOTH {
        let mut world = World::new();
        world.client(1, version, "a");
        world.broker.malformed(world.now, ConnectionId(1), DecodeError::InvalidFlags);
        world.drain();
        world.assert_ended(1, version, ReasonCode::MalformedPacket);
    }
}

#[test]
fn enhanced_authentication_is_refused() {
    // [MQTT-4.12.0-1]
    let mut world = World::new();
    let mut connect = hello(Version::V5, "a");
    connect.properties = with(Property::AuthenticationMethod("SCRAM"));
    assert_eq!(world.connect(1, connect).reason, ReasonCode::BadAuthenticationMethod);
    assert!(world.open.is_empty());
}

#[test]
fn a_will_at_qos_2_is_refused() {
    // [MQTT-3.2.2-12]
    let mut world = World::new();
    for version in BOTH {
        let mut connect = hello(version, "a");
        connect.will = Some(Will { qos: QoS::ExactlyOnce, ..will("w") });
        world.open(1);
        world.send(1, connect.build().unwrap());
        let refusal = ConnAck::new(false, ReasonCode::QoSNotSupported);
        assert_eq!(world.next(1), version.is_v5().then(|| refusal.into()));
        assert!(world.open.is_empty());
    }
    assert_eq!(world.broker.session_count(), 0);
}

#[test]
fn a_client_that_takes_no_connack_is_refused() {
    let mut world = World::new();
    let mut connect = hello(Version::V5, "a");
    connect.properties = with(Property::MaximumPacketSize(10));
    assert_eq!(world.connect(1, connect).reason, ReasonCode::PacketTooLarge);
    assert_eq!((world.open.len(), world.broker.session_count()), (0, 0));
}

#[test]
fn refused_connects_get_the_code_and_leave_nothing() {
    for version in BOTH {
        let mut world = World::new();
        world.broker.policy_mut().refuse_connects = Some(ReasonCode::ServerUnavailable);
        assert_eq!(world.connect(1, hello(version, "a")).reason, ReasonCode::ServerUnavailable);
        assert_eq!((world.open.len(), world.broker.session_count()), (0, 0));
        assert_eq!(world.broker.deadline(), None);
        world.broker.policy_mut().refuse_connects = None;
        world.client(2, version, "a");
    }
}

#[test]
fn sessions_are_bounded() {
    let mut world = World::with(Behaviour { max_sessions: 1, ..Behaviour::default() });
    world.client(1, Version::V5, "a");
    assert_eq!(world.connect(2, hello(Version::V5, "b")).reason, ReasonCode::QuotaExceeded);
    world.client(3, Version::V5, "a");
}

#[test]
fn on_aws_identifiers_are_limited_and_keep_alives_clamped() {
    let mut world = World::with(Behaviour::aws());
    for name in ["$GEN/a".to_owned(), "a".repeat(129)] {
        let ack = world.connect(1, hello(Version::V5, &name));
        assert_eq!(ack.reason, ReasonCode::ClientIdentifierNotValid);
    }
    let mut connect = hello(Version::V5, &"a".repeat(128));
    connect.keep_alive = 0;
    let ack = world.connect(2, connect);
    assert_eq!(ack.properties.as_ref().server_keep_alive(), Some(1_200));
}

#[test]
fn silence_for_one_and_a_half_keep_alives_ends_the_connection() {
    // [MQTT-3.1.2-22]
    for version in BOTH {
        let mut world = World::new();
        let mut connect = hello(version, "a");
        connect.keep_alive = 10;
        world.connect(1, connect);
        world.pass(secs(14));
        world.send(1, Packet::PingReq);
        assert_eq!(world.next(1), Some(Packet::PingResp));
        world.pass(Duration::from_millis(14_999));
        assert!(world.open.contains(&1));
        world.pass(Duration::from_millis(1));
        world.assert_ended(1, version, ReasonCode::KeepAliveTimeout);
    }
}

#[test]
fn a_keep_alive_of_zero_never_ends_the_connection() {
    let mut world = World::new();
    let mut connect = hello(Version::V3_1_1, "a");
    connect.keep_alive = 0;
    world.connect(1, connect);
    assert_eq!(world.broker.deadline(), None);
}

#[test]
fn packets_that_only_servers_send_end_the_connection() {
    for version in BOTH {
        let mut world = World::new();
        world.client(1, version, "a");
        world.send(1, Packet::PingResp);
        world.assert_ended(1, version, ReasonCode::ProtocolError);
    }
}

#[test]
fn what_comes_after_the_end_is_ignored() {
    let mut world = World::new();
    world.client(1, Version::V5, "a");
    world.send(1, Disconnect::default());
    assert!(world.open.is_empty());
    world.send(1, Packet::PingReq);
    world.broker.malformed(world.now, ConnectionId(1), DecodeError::Empty);
    world.lose(1);
    assert!(world.sent.values().all(VecDeque::is_empty));
}
