//! How messages get from one client to another: acknowledgements, windows, aliases, sizes, expiry.

use super::*;

#[test]
fn qos_1_is_acknowledged_by_the_broker() {
    // [MQTT-4.3.2-4]
    for version in BOTH {
        let mut world = World::new();
        world.client(1, version, "a");
        world.send(1, message("t", "x").at_least_once(packet_id(9)));
        assert_eq!(world.next(1), Some(Packet::PubAck(Ack::new(packet_id(9)))));
    }
}

#[test]
fn qos_2_closes_the_connection() {
    // [MQTT-3.2.2-11]
    for version in BOTH {
        let mut world = World::new();
        world.client(1, version, "a");
        world.send(1, message("t", "x").exactly_once(packet_id(1)));
        world.assert_ended(1, version, ReasonCode::QoSNotSupported);
    }
}

#[test]
fn no_more_than_receive_maximum_are_in_flight() {
    // [MQTT-3.3.4-9]
    let mut world = World::new();
    let mut connect = hello(Version::V5, "a");
    connect.properties = with(Property::ReceiveMaximum(2));
    world.connect(1, connect);
    world.subscribe(1, "t", at(QoS::AtLeastOnce));
    world.client(2, Version::V5, "b");
    for n in 0..5 {
        world.publish(2, "t", &n.to_string());
    }
    let sent = world.publishes(1);
    assert_eq!(sent.iter().map(shown).collect::<Vec<_>>(), ["t=0", "t=1"]);
    world.send(2, message("t", "QoS 0 does not count"));
    assert_eq!(world.received(1), ["t=QoS 0 does not count"]);
    world.ack(1, sent[1].packet_id().unwrap());
    assert_eq!(world.received(1), ["t=2"]);
    world.ack(1, sent[1].packet_id().unwrap()); // not known any more
    assert!(world.received(1).is_empty());
}

#[test]
fn mqtt_3_1_1_clients_get_a_window_of_100() {
    let mut world = World::new();
    world.client(1, Version::V3_1_1, "a");
    world.subscribe(1, "t", at(QoS::AtLeastOnce));
    world.client(2, Version::V5, "b");
    for n in 0..150 {
        world.publish(2, "t", &n.to_string());
    }
    assert_eq!(world.received(1).len(), 100);
}

#[test]
fn packet_identifiers_wrap_and_pass_over_those_in_use() {
    let mut world = World::new();
    world.client(1, Version::V3_1_1, "a");
    world.subscribe(1, "t", at(QoS::AtLeastOnce));
    world.publish(1, "t", "never acknowledged");
    let held = world.publishes(1)[0].packet_id().unwrap();
    for _ in 0..70_000 {
        world.broker.publish(world.now, &TopicName::try_from("t").unwrap(), b"x", QoS::AtLeastOnce, false);
        world.drain();
        let id = world.publishes(1)[0].packet_id().unwrap();
        assert_ne!(id, held);
        world.ack(1, id);
    }
}

#[test]
fn what_waits_is_bounded_and_the_newest_is_dropped() {
    let behaviour = Behaviour { max_queued: 3, max_in_flight: 1, ..Behaviour::default() };
    let mut world = World::with(behaviour);
    world.client(1, Version::V5, "a");
    world.subscribe(1, "t", at(QoS::AtLeastOnce));
    world.client(2, Version::V5, "b");
    for n in 0..6 {
        world.publish(2, "t", &n.to_string());
    }
    assert_eq!(world.broker.stats().queue_full, 2);
    let mut received = Vec::new();
    while let Some(Packet::Publish(publish)) = world.next(1) {
        received.push(shown(&publish));
        world.ack(1, publish.packet_id().unwrap());
    }
    assert_eq!(received, ["t=0", "t=1", "t=2", "t=3"]);
}

#[test]
fn what_waits_is_bounded_in_bytes() {
    let mut world = World::with(Behaviour { max_queued_bytes: 1_000, ..Behaviour::default() });
    world.connect(1, resume(Version::V5, "a"));
    world.subscribe(1, "t", at(QoS::AtLeastOnce));
    world.lose(1);
    world.client(2, Version::V5, "b");
    for _ in 0..10 {
        world.publish(2, "t", &"x".repeat(400));
    }
    assert_eq!(world.broker.stats().queue_full, 8);
    assert_eq!(world.connect(3, resume(Version::V5, "a")).reason, ReasonCode::Success);
    assert_eq!(world.received(3).len(), 2);
    let session = world.broker.sessions.get(&Text::try_from("a").unwrap()).unwrap();
    assert_eq!(session.backlog(), (2, 0, 0));
}

#[test]
fn topic_aliases_stand_for_topics() {
    // [MQTT-3.3.2-12]
    let mut world = World::new();
    world.client(1, Version::V5, "a");
    world.subscribe(1, "#", at(QoS::AtMostOnce));
    let alias = with(Property::TopicAlias(8));
    world.send(1, message("long/topic", "1").with_properties(&alias).unwrap());
    world.send(1, unnamed("2").with_properties(&alias).unwrap());
    world.send(1, message("other", "3").with_properties(&alias).unwrap());
    world.send(1, unnamed("4").with_properties(&alias).unwrap());
    let received = world.publishes(1);
    assert!(received.iter().all(|publish| publish.properties().is_empty()));
    let shown: Vec<_> = received.iter().map(shown).collect();
    assert_eq!(shown, ["long/topic=1", "long/topic=2", "other=3", "other=4"]);
}

#[test]
fn a_topic_alias_above_the_maximum_ends_the_connection() {
    // [MQTT-3.3.2-9]
    let mut world = World::new();
    world.client(1, Version::V5, "a");
    world.send(1, message("t", "x").with_properties(&with(Property::TopicAlias(9))).unwrap());
    world.assert_ended(1, Version::V5, ReasonCode::TopicAliasInvalid);
}

#[test]
fn an_unknown_topic_alias_ends_the_connection_and_none_outlives_it() {
    // [MQTT-3.3.2-7]
    let mut world = World::new();
    let alias = with(Property::TopicAlias(1));
    world.connect(1, resume(Version::V5, "a"));
    world.send(1, message("t", "x").with_properties(&alias).unwrap());
    world.lose(1);
    world.connect(2, resume(Version::V5, "a"));
    world.send(2, unnamed("x").with_properties(&alias).unwrap());
    world.assert_ended(2, Version::V5, ReasonCode::ProtocolError);
}

#[test]
fn messages_larger_than_a_client_takes_are_not_sent_to_it() {
    // [MQTT-3.1.2-24], [MQTT-3.1.2-25]
    let mut world = World::new();
    let mut connect = hello(Version::V5, "a");
    connect.properties = with(Property::MaximumPacketSize(100)).with(Property::ReceiveMaximum(1)).unwrap();
    world.connect(1, connect);
    world.subscribe(1, "t", at(QoS::AtLeastOnce));
    world.client(2, Version::V5, "b");
    world.publish(2, "t", &"x".repeat(100));
    world.send(2, message("t", &"x".repeat(100)));
    world.publish(2, "t", "small");
    assert_eq!(world.received(1), ["t=small"]);
    assert_eq!(world.broker.stats().too_large, 2);
}

#[test]
fn the_expiry_interval_is_passed_on_less_the_time_waited() {
    // [MQTT-3.3.2-5], [MQTT-3.3.2-6]
    let mut world = World::new();
    world.connect(1, resume(Version::V5, "a"));
    world.subscribe(1, "t", at(QoS::AtLeastOnce));
    world.lose(1);
    let mut connect = hello(Version::V5, "b");
    connect.keep_alive = 0;
    world.connect(2, connect);
    for seconds in [10, 20] {
        let properties = with(Property::MessageExpiryInterval(seconds));
        world.send(
            2,
            message("t", &seconds.to_string())
                .at_least_once(packet_id(1))
                .with_properties(&properties)
                .unwrap(),
        );
    }
    world.pass(secs(12));
    world.connect(3, resume(Version::V5, "a"));
    let received = world.publishes(3);
    assert_eq!(received.iter().map(shown).collect::<Vec<_>>(), ["t=20"]);
    assert_eq!(received[0].properties().message_expiry_interval(), Some(8));
    assert_eq!(world.broker.stats().expired, 1);
}

#[test]
fn on_aws_topics_and_payloads_are_limited() {
    for (topic, payload, reason) in [
        ("1/2/3/4/5/6/7/8/9", String::new(), ReasonCode::TopicNameInvalid),
        ("t", "x".repeat(131_073), ReasonCode::QuotaExceeded),
    ] {
        for version in BOTH {
            let mut world = World::with(Behaviour::aws());
            world.client(1, version, "a");
            world.send(1, message(topic, &payload));
            world.assert_ended(1, version, reason);
        }
    }
}

/// As it comes in: the topic is empty, an alias will stand for it.
fn unnamed(payload: &str) -> Publish {
    let mut bytes = vec![0x30, 0, 0, 0, 3, 0x23, 0, 1];
    bytes.extend_from_slice(payload.as_bytes());
    bytes[1] = u8::try_from(bytes.len() - 2).unwrap();
    let mut buffer = bytes::BytesMut::from(&bytes[..]);
    match Codec::client(Version::V5).decode(&mut buffer) {
        Ok(Some(Packet::Publish(publish))) => publish,
        other => panic!("{other:?}"),
    }
}
