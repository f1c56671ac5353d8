//! Faults to order, and the side of the service.

use super::*;

#[test]
fn a_denied_topic_is_refused_as_the_version_can_say() {
    for (version, qos_1_survives) in [(Version::V5, true), (Version::V3_1_1, false)] {
        let mut world = World::new();
        world.broker.policy_mut().deny_publish.push(TopicFilter::try_from("secret/#").unwrap());
        world.client(1, version, "a");
        world.subscribe(1, "#", at(QoS::AtMostOnce));
        world.send(1, message("secret/x", "x").at_least_once(packet_id(1)));
        if qos_1_survives {
            let refused = Ack::with_reason(packet_id(1), ReasonCode::NotAuthorized);
            assert_eq!(world.next(1), Some(Packet::PubAck(refused)));
            world.send(1, message("secret/x", "x"));
        }
        world.assert_ended(1, version, ReasonCode::NotAuthorized);
    }
}

#[test]
fn a_will_on_a_denied_topic_refuses_the_connection() {
    let mut world = World::new();
    world.broker.policy_mut().deny_publish.push(TopicFilter::try_from("secret").unwrap());
    let mut connect = hello(Version::V5, "a");
    connect.will = Some(will("secret"));
    assert_eq!(world.connect(1, connect).reason, ReasonCode::NotAuthorized);
}

#[test]
fn a_denied_filter_fails_in_suback_and_closes_3_1_1_on_aws() {
    for version in BOTH {
        let mut world = World::new();
        world.broker.policy_mut().deny_subscribe.push(TopicFilter::try_from("secret/#").unwrap());
        world.client(1, version, "a");
        let reason = world.subscribe(1, "secret/+", at(QoS::AtMostOnce));
        let expected = if version.is_v5() { ReasonCode::NotAuthorized } else { ReasonCode::UnspecifiedError };
        assert_eq!(reason, expected);
        assert_eq!(world.subscribe(1, "public/+", at(QoS::AtMostOnce)), ReasonCode::Success);
    }
    let mut world = World::with(Behaviour::aws());
    world.broker.policy_mut().deny_subscribe.push(TopicFilter::try_from("secret").unwrap());
    world.client(1, Version::V3_1_1, "a");
    let filter = TopicFilter::try_from("secret").unwrap();
    world.send(1, Subscribe::new(packet_id(1), [(&filter, at(QoS::AtMostOnce))]));
    world.assert_ended(1, Version::V3_1_1, ReasonCode::NotAuthorized);
}

#[test]
fn held_acks_come_when_released() {
    let mut world = World::new();
    world.broker.hold_acks(true);
    world.client(1, Version::V5, "a");
    world.subscribe(1, "t", at(QoS::AtMostOnce));
    for id in [5, 6] {
        world.send(1, message("t", "x").at_least_once(packet_id(id)));
    }
    assert_eq!(world.received(1).len(), 2);
    world.broker.hold_acks(false);
    world.drain();
    assert_eq!(world.next(1), Some(Packet::PubAck(Ack::new(packet_id(5)))));
    assert_eq!(world.next(1), Some(Packet::PubAck(Ack::new(packet_id(6)))));
}

#[test]
fn more_than_receive_maximum_unacknowledged_ends_the_connection() {
    // [MQTT-3.3.4-7]
    let mut world = World::with(Behaviour { receive_maximum: 2, ..Behaviour::default() });
    world.broker.hold_acks(true);
    world.client(1, Version::V5, "a");
    for id in [1, 2, 2] {
        world.send(1, message("t", "x").at_least_once(packet_id(id)));
    }
    assert!(world.open.contains(&1));
    world.send(1, message("t", "x").at_least_once(packet_id(3)));
    world.assert_ended(1, Version::V5, ReasonCode::ReceiveMaximumExceeded);
}

#[test]
fn a_kick_cuts_without_a_word_and_publishes_the_will() {
    for version in BOTH {
        let mut world = World::new();
        world.client(2, version, "watch");
        world.subscribe(2, "will", at(QoS::AtMostOnce));
        let mut connect = hello(version, "a");
        connect.will = Some(will("will"));
        world.connect(1, connect);
        assert!(world.broker.kick(world.now, "a"));
        world.drain();
        assert!(world.aborted.contains(&1));
        assert_eq!(world.next(1), None);
        assert_eq!(world.received(2), ["will=gone"]);
        assert!(!world.broker.kick(world.now, "a"));
        assert_eq!(world.broker.kick_all(world.now), 1);
        world.drain();
        assert!(world.open.is_empty());
    }
}

#[test]
fn the_service_publishes_and_sees_who_is_connected() {
    let mut world = World::new();
    world.client(1, Version::V3_1_1, "b");
    world.client(2, Version::V5, "a");
    world.subscribe(1, "t", at(QoS::AtLeastOnce));
    world.broker.publish(world.now, &TopicName::try_from("t").unwrap(), b"x", QoS::ExactlyOnce, true);
    world.drain();
    assert_eq!(world.publishes(1)[0].qos(), QoS::AtLeastOnce);
    let clients: Vec<_> = world.broker.connected_clients().map(Text::as_str).collect();
    assert_eq!(clients, ["a", "b"]);
}
