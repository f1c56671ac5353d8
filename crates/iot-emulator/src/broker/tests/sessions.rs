//! What outlives a connection.

use super::*;

#[test]
fn a_session_keeps_subscriptions_and_queues_qos_1() {
    for version in BOTH {
        let mut world = World::new();
        assert!(!world.connect(1, resume(version, "a")).session_present);
        world.subscribe(1, "t", at(QoS::AtLeastOnce));
        world.send(1, Disconnect::default());
        world.client(2, version, "b");
        world.publish(2, "t", "1");
        world.send(2, message("t", "QoS 0 is not kept"));
        world.publish(2, "t", "2");
        assert!(world.connect(3, resume(version, "a")).session_present);
        let received = world.publishes(3);
        assert_eq!(received.iter().map(shown).collect::<Vec<_>>(), ["t=1", "t=2"]);
        assert!(received.iter().all(|publish| !publish.dup()));
    }
}

#[test]
fn a_resumed_session_resends_what_was_not_acknowledged_in_order() {
    // [MQTT-4.4.0-1], [MQTT-3.3.1-1], [MQTT-4.6.0-1]
    for version in BOTH {
        let mut world = World::new();
        world.connect(1, resume(version, "a"));
        world.subscribe(1, "t", at(QoS::AtLeastOnce));
        world.client(2, version, "b");
        for n in 0..4 {
            world.publish(2, "t", &n.to_string());
        }
        let first = world.publishes(1);
        world.ack(1, first[1].packet_id().unwrap());
        world.lose(1);
        world.publish(2, "t", "offline");
        world.connect(3, resume(version, "a"));
        let again = world.publishes(3);
        let expected = ["t=0", "t=2", "t=3", "t=offline"];
        assert_eq!(again.iter().map(shown).collect::<Vec<_>>(), expected);
        assert_eq!(again.iter().map(Publish::dup).collect::<Vec<_>>(), [true, true, true, false]);
        assert_eq!(again[0].packet_id(), first[0].packet_id());
    }
}

#[test]
fn a_resumed_session_resends_no_more_than_the_new_receive_maximum_takes() {
    // [MQTT-3.3.4-9]
    let mut world = World::new();
    world.connect(1, resume(Version::V5, "a"));
    world.subscribe(1, "t", at(QoS::AtLeastOnce));
    world.client(2, Version::V5, "b");
    for n in 0..4 {
        world.publish(2, "t", &n.to_string());
    }
    assert_eq!(world.publishes(1).len(), 4);
    world.lose(1);
    let mut connect = resume(Version::V5, "a");
    connect.properties = connect.properties.with(Property::ReceiveMaximum(2)).unwrap();
    world.connect(3, connect);
    let first = world.publishes(3);
    assert_eq!(first.iter().map(shown).collect::<Vec<_>>(), ["t=0", "t=1"]);
    world.ack(3, first[0].packet_id().unwrap());
    let next = world.publishes(3);
    assert_eq!(next.iter().map(shown).collect::<Vec<_>>(), ["t=2"]);
    assert!(next[0].dup());
    world.publish(2, "t", "new");
    world.ack(3, first[1].packet_id().unwrap());
    world.ack(3, next[0].packet_id().unwrap());
    let rest = world.publishes(3);
    assert_eq!(rest.iter().map(shown).collect::<Vec<_>>(), ["t=3", "t=new"]);
    assert_eq!(rest.iter().map(Publish::dup).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_clean_start_ends_the_session_before() {
    // [MQTT-3.1.2-4]
    for version in BOTH {
        let mut world = World::new();
        world.connect(1, resume(version, "a"));
        world.subscribe(1, "t", at(QoS::AtLeastOnce));
        world.lose(1);
        assert!(!world.connect(2, hello(version, "a")).session_present);
        world.send(2, message("t", "x"));
        assert!(world.received(2).is_empty());
        world.lose(2);
        assert!(!world.connect(3, resume(version, "a")).session_present);
    }
}

#[test]
fn a_session_without_expiry_ends_with_its_connection() {
    for version in BOTH {
        let mut world = World::new();
        world.client(1, version, "a");
        world.lose(1);
        assert_eq!(world.broker.session_count(), 0);
        assert_eq!(world.broker.deadline(), None);
    }
}

#[test]
fn a_session_ends_after_its_expiry_interval() {
    // [MQTT-3.1.2-23]; MQTT 3.1.1 gets the behaviour's interval
    for (version, interval) in [(Version::V5, 600), (Version::V3_1_1, 3_600)] {
        let mut world = World::new();
        world.connect(1, resume(version, "a"));
        world.lose(1);
        world.pass(secs(interval) - Duration::from_millis(1));
        assert_eq!(world.broker.session_count(), 1);
        world.pass(Duration::from_millis(1));
        assert_eq!(world.broker.session_count(), 0);
    }
}

#[test]
fn an_expiry_interval_above_the_limit_is_lowered_and_said() {
    // Section 3.2.2.3.2
    let mut world = World::new();
    let mut connect = resume(Version::V5, "a");
    connect.properties = with(Property::SessionExpiryInterval(u32::MAX));
    let ack = world.connect(1, connect);
    assert_eq!(ack.properties.as_ref().session_expiry_interval(), Some(3_600));
    world.lose(1);
    world.pass(secs(3_600));
    assert_eq!(world.broker.session_count(), 0);
}

#[test]
fn disconnect_can_change_the_expiry_interval_but_not_raise_it_from_zero() {
    // Section 3.14.2.2.2
    let leave = |seconds| Disconnect {
        reason: ReasonCode::Success,
        properties: with(Property::SessionExpiryInterval(seconds)),
    };
    let mut world = World::new();
    world.connect(1, resume(Version::V5, "a"));
    world.send(1, leave(5));
    world.pass(secs(4));
    assert!(world.connect(2, resume(Version::V5, "a")).session_present);
    world.send(2, leave(0));
    assert_eq!(world.broker.session_count(), 0);
    world.client(3, Version::V5, "a");
    world.send(3, leave(5));
    world.assert_ended(3, Version::V5, ReasonCode::ProtocolError);
}

#[test]
fn sessions_cross_versions_by_the_standard_and_end_on_aws() {
    for (behaviour, crosses) in [(Behaviour::default(), true), (Behaviour::aws(), false)] {
        let mut world = World::with(behaviour);
        world.connect(1, resume(Version::V3_1_1, "a"));
        world.lose(1);
        assert_eq!(world.connect(2, resume(Version::V5, "a")).session_present, crosses);
    }
}

#[test]
fn a_takeover_resumes_the_session() {
    for version in BOTH {
        let mut world = World::new();
        world.connect(1, resume(version, "a"));
        world.subscribe(1, "t", at(QoS::AtLeastOnce));
        world.broker.publish(world.now, &TopicName::try_from("t").unwrap(), b"x", QoS::AtLeastOnce, false);
        world.drain();
        assert_eq!(world.received(1), ["t=x"]);
        assert!(world.connect(2, resume(version, "a")).session_present);
        world.assert_ended(1, version, ReasonCode::SessionTakenOver);
        assert!(world.publishes(2)[0].dup());
        // What the old connection still says is nothing to the new one.
        world.lose(1);
        assert_eq!(world.broker.connection_of("a"), Some(ConnectionId(2)));
    }
}
