//! Who gets a message: filters, options, groups, retained messages.

use mqtt_codec::packet::RetainHandling;

use super::*;

#[test]
fn messages_cross_versions_and_lose_what_3_1_1_cannot_carry() {
    let mut world = World::new();
    world.client(1, Version::V5, "new");
    world.client(2, Version::V3_1_1, "old");
    for id in [1, 2] {
        world.subscribe(id, "a/+", at(QoS::AtLeastOnce));
    }
    let properties = with(Property::ContentType("text/plain"))
        .with(Property::UserProperty("k", "1"))
        .unwrap()
        .with(Property::UserProperty("k", "2"))
        .unwrap();
    world.send(1, message("a/b", "x").with_properties(&properties).unwrap());
    let (new, old) = (world.publishes(1), world.publishes(2));
    assert_eq!((shown(&new[0]), shown(&old[0])), ("a/b=x".into(), "a/b=x".into()));
    assert_eq!(new[0].properties_bytes(), properties);
    assert!(old[0].properties().is_empty());
    world.send(2, message("a/c", "y"));
    assert_eq!(world.received(1), ["a/c=y"]);
}

#[test]
fn overlapping_subscriptions_get_one_copy_at_the_highest_qos() {
    // [MQTT-3.3.4-2]
    for version in BOTH {
        let mut world = World::new();
        world.client(1, version, "a");
        world.subscribe(1, "#", at(QoS::AtMostOnce));
        world.subscribe(1, "a/b", at(QoS::AtLeastOnce));
        world.client(2, version, "b");
        world.publish(2, "a/b", "x");
        let received = world.publishes(1);
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].qos(), QoS::AtLeastOnce);
    }
}

#[test]
fn qos_is_the_lower_of_published_and_granted() {
    // [MQTT-3.8.4-8]
    let mut world = World::new();
    world.client(1, Version::V5, "a");
    assert_eq!(world.subscribe(1, "zero", at(QoS::AtMostOnce)), ReasonCode::Success);
    assert_eq!(world.subscribe(1, "one", at(QoS::AtLeastOnce)), ReasonCode::GrantedQoS1);
    assert_eq!(world.subscribe(1, "two", at(QoS::ExactlyOnce)), ReasonCode::GrantedQoS1);
    world.client(2, Version::V5, "b");
    world.publish(2, "zero", "x");
    world.publish(2, "two", "x");
    world.send(2, message("one", "x"));
    let qos: Vec<_> = world.publishes(1).iter().map(Publish::qos).collect();
    assert_eq!(qos, [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::AtMostOnce]);
}

#[test]
fn no_local_keeps_ones_own_messages_away() {
    // [MQTT-3.8.3-3]
    let mut world = World::new();
    world.client(1, Version::V5, "a");
    world.client(2, Version::V5, "b");
    world.subscribe(1, "t", SubscriptionOptions { no_local: true, ..at(QoS::AtMostOnce) });
    world.send(1, message("t", "mine"));
    world.send(2, message("t", "theirs"));
    assert_eq!(world.received(1), ["t=theirs"]);
}

#[test]
fn a_subscription_is_replaced_by_a_later_one_and_ends_with_unsubscribe() {
    // [MQTT-3.8.4-3], [MQTT-3.10.4-2]
    for version in BOTH {
        let mut world = World::new();
        world.client(1, version, "a");
        world.subscribe(1, "t", at(QoS::AtLeastOnce));
        world.subscribe(1, "t", at(QoS::AtMostOnce));
        world.send(1, message("t", "x"));
        assert_eq!(world.publishes(1)[0].qos(), QoS::AtMostOnce);

        let filters = ["t", "never"].map(|filter| TopicFilter::try_from(filter).unwrap());
        world.send(1, Unsubscribe::new(packet_id(7), &filters));
        let Some(Packet::UnsubAck(ack)) = world.next(1) else { panic!("no UNSUBACK") };
        let reasons: Vec<_> = ack.reasons().collect();
        assert_eq!(reasons, [ReasonCode::Success, ReasonCode::NoSubscriptionExisted]);
        world.send(1, message("t", "y"));
        assert!(world.received(1).is_empty());
    }
}

#[test]
fn retained_messages_are_set_replaced_and_cleared() {
    // [MQTT-3.3.1-5], [MQTT-3.3.1-6], [MQTT-3.3.1-7]
    for version in BOTH {
        let mut world = World::new();
        world.client(1, version, "a");
        for payload in ["first", "second"] {
            world.send(1, message("r/1", payload).with_retain(true));
        }
        world.send(1, message("r/2", "other").with_retain(true));
        world.subscribe(1, "r/#", at(QoS::AtLeastOnce));
        let received = world.publishes(1);
        assert_eq!(received.iter().map(shown).collect::<Vec<_>>(), ["r/1=second", "r/2=other"]);
        assert!(received.iter().all(Publish::retain));

        world.send(1, message("r/1", "").with_retain(true));
        let cleared = world.publishes(1);
        assert_eq!(cleared.iter().map(shown).collect::<Vec<_>>(), ["r/1="]);
        assert!(!cleared[0].retain()); // [MQTT-3.3.1-12]
        world.subscribe(1, "r/#", at(QoS::AtMostOnce));
        assert_eq!(world.received(1), ["r/2=other"]);
    }
}

#[test]
fn retain_handling_says_when_stored_messages_come() {
    // [MQTT-3.3.1-9] to [MQTT-3.3.1-11]
    let mut world = World::new();
    world.client(1, Version::V5, "a");
    world.send(1, message("t", "x").with_retain(true));
    let mut came = |retain_handling| {
        world.subscribe(1, "t", SubscriptionOptions { retain_handling, ..at(QoS::AtMostOnce) });
        world.received(1).len()
    };
    assert_eq!(came(RetainHandling::DoNotSend), 0);
    assert_eq!(came(RetainHandling::SendIfNew), 0);
    assert_eq!(came(RetainHandling::Send), 1);
    world.client(2, Version::V5, "b");
    world.subscribe(
        2,
        "t",
        SubscriptionOptions { retain_handling: RetainHandling::SendIfNew, ..at(QoS::AtMostOnce) },
    );
    assert_eq!(world.received(2), ["t=x"]);
}

#[test]
fn retain_as_published_keeps_the_flag() {
    // [MQTT-3.3.1-12], [MQTT-3.3.1-13]
    let mut world = World::new();
    world.client(1, Version::V5, "a");
    world.subscribe(1, "t", SubscriptionOptions { retain_as_published: true, ..at(QoS::AtMostOnce) });
    world.client(2, Version::V5, "b");
    world.subscribe(2, "t", at(QoS::AtMostOnce));
    world.send(2, message("t", "x").with_retain(true));
    assert!(world.publishes(1)[0].retain());
    assert!(!world.publishes(2)[0].retain());
}

#[test]
fn retained_messages_are_bounded_and_counted() {
    let mut world = World::with(Behaviour { max_retained: 1, ..Behaviour::default() });
    world.client(1, Version::V5, "a");
    for topic in ["r/1", "r/2", "r/1"] {
        world.send(1, message(topic, "x").with_retain(true));
    }
    assert_eq!(world.broker.stats().retained_full, 1);
    world.subscribe(1, "r/+", at(QoS::AtMostOnce));
    assert_eq!(world.received(1), ["r/1=x"]);
}

#[test]
fn retained_messages_are_bounded_in_bytes_and_replacing_one_frees_its_own() {
    let mut world = World::with(Behaviour { max_retained_bytes: 1_000, ..Behaviour::default() });
    world.client(1, Version::V5, "a");
    for _ in 0..10 {
        world.send(1, message("r/1", &"x".repeat(500)).with_retain(true));
    }
    assert_eq!(world.broker.stats().retained_full, 0);
    world.send(1, message("r/2", &"x".repeat(500)).with_retain(true));
    assert_eq!(world.broker.stats().retained_full, 1);
    world.send(1, message("r/1", "").with_retain(true));
    world.send(1, message("r/2", &"x".repeat(900)).with_retain(true));
    assert_eq!(world.broker.stats().retained_full, 1);
}

#[test]
fn a_retained_message_expires() {
    let mut world = World::new();
    let mut connect = hello(Version::V5, "a");
    connect.keep_alive = 0;
    world.connect(1, connect);
    let properties = with(Property::MessageExpiryInterval(10));
    world.send(1, message("t", "x").with_retain(true).with_properties(&properties).unwrap());
    world.pass(secs(4));
    world.subscribe(1, "t", at(QoS::AtMostOnce));
    assert_eq!(world.publishes(1)[0].properties().message_expiry_interval(), Some(6));
    world.pass(secs(6));
    world.subscribe(1, "t", at(QoS::AtMostOnce));
    assert!(world.received(1).is_empty());
}

#[test]
fn on_aws_wildcards_get_no_stored_messages_and_no_parent() {
    let mut world = World::with(Behaviour::aws());
    world.client(1, Version::V5, "a");
    world.send(1, message("r/1", "x").with_retain(true));
    world.subscribe(1, "r/#", at(QoS::AtMostOnce));
    assert!(world.received(1).is_empty());
    world.subscribe(1, "r/1", at(QoS::AtMostOnce));
    assert_eq!(world.received(1), ["r/1=x"]);
    world.send(1, message("r", "parent"));
    assert!(world.received(1).is_empty());
}

#[test]
fn members_of_a_shared_subscription_take_turns() {
    // Section 4.8.2
    for version in BOTH {
        let mut world = World::new();
        for (id, name) in [(1, "a"), (2, "b"), (3, "c")] {
            world.client(id, version, name);
            world.subscribe(id, "$share/group/job/+", at(QoS::AtLeastOnce));
        }
        world.client(4, version, "publisher");
        for n in 0..4 {
            world.publish(4, "job/1", &n.to_string());
        }
        assert_eq!(world.received(1), ["job/1=0", "job/1=3"]);
        assert_eq!(world.received(2), ["job/1=1"]);
        assert_eq!(world.received(3), ["job/1=2"]);
    }
}

#[test]
fn a_shared_subscription_waits_for_a_member_with_a_session() {
    let mut world = World::new();
    world.connect(1, resume(Version::V5, "stays"));
    world.subscribe(1, "$share/g/t", at(QoS::AtLeastOnce));
    world.client(2, Version::V5, "goes");
    world.subscribe(2, "$share/g/t", at(QoS::AtLeastOnce));
    world.client(3, Version::V5, "publisher");
    world.lose(1);
    world.publish(3, "t", "to the one online");
    assert_eq!(world.received(2), ["t=to the one online"]);
    world.lose(2);
    world.send(3, message("t", "QoS 0 is dropped"));
    world.publish(3, "t", "kept");
    assert!(world.connect(4, resume(Version::V5, "stays")).session_present);
    assert_eq!(world.received(4), ["t=kept"]);
}

#[test]
fn each_group_and_ones_own_subscription_get_a_copy() {
    let mut world = World::new();
    world.client(1, Version::V5, "a");
    for filter in ["$share/g/t", "$share/h/t", "t"] {
        world.subscribe(1, filter, at(QoS::AtMostOnce));
    }
    world.send(1, message("t", "x"));
    assert_eq!(world.received(1).len(), 3);
    assert_eq!(world.subscribe(1, "$share/i/t", at(QoS::AtMostOnce)), ReasonCode::Success);
    let filter = TopicFilter::try_from("$share/g/t").unwrap();
    world.send(1, Unsubscribe::new(packet_id(2), [&filter]));
    world.next(1);
    world.lose(1);
    assert!(world.broker.groups.is_empty());
}

#[test]
fn a_group_gets_no_stored_messages() {
    let mut world = World::new();
    world.client(1, Version::V5, "a");
    world.send(1, message("t", "x").with_retain(true));
    world.subscribe(1, "$share/g/t", at(QoS::AtMostOnce));
    assert!(world.received(1).is_empty());
}

#[test]
fn subscription_identifiers_are_refused() {
    let mut world = World::new();
    world.client(1, Version::V5, "a");
    let filter = TopicFilter::try_from("t").unwrap();
    let mut subscribe = Subscribe::new(packet_id(1), [(&filter, at(QoS::AtMostOnce))]);
    subscribe.properties = with(Property::SubscriptionIdentifier(1));
    world.send(1, subscribe);
    world.assert_ended(1, Version::V5, ReasonCode::SubscriptionIdentifiersNotSupported);
}

#[test]
fn subscriptions_are_bounded() {
    let mut world = World::with(Behaviour { max_subscriptions: 1, ..Behaviour::aws() });
    world.client(1, Version::V5, "a");
    world.subscribe(1, "a", at(QoS::AtMostOnce));
    assert_eq!(world.subscribe(1, "a", at(QoS::AtMostOnce)), ReasonCode::Success);
    assert_eq!(world.subscribe(1, "b", at(QoS::AtMostOnce)), ReasonCode::QuotaExceeded);
    assert_eq!(world.subscribe(1, "1/2/3/4/5/6/7/8/9", at(QoS::AtMostOnce)), ReasonCode::TopicFilterInvalid);
    let filters: Vec<_> = (0..9).map(|n| TopicFilter::try_from(n.to_string()).unwrap()).collect();
    let entries = filters.iter().map(|filter| (filter, at(QoS::AtMostOnce)));
    world.send(1, Subscribe::new(packet_id(1), entries));
    world.assert_ended(1, Version::V5, ReasonCode::QuotaExceeded);
}

#[test]
fn the_side_of_the_service_is_told_what_clients_publish_and_were_allowed_to() {
    let mut world = World::new();
    world.client(1, Version::V5, "a");
    world.broker.policy_mut().deny_publish.push(TopicFilter::try_from("denied").unwrap());
    world.publish(1, "one", "x");
    world.send(1, message("two", "x"));
    world.send(1, message("denied", "x").at_least_once(packet_id(1)));
    assert_eq!(world.next_ack(1), ReasonCode::NotAuthorized);
    let topic = TopicName::try_from("of/the/service").unwrap();
    world.broker.publish(world.now, &topic, b"x", QoS::AtMostOnce, false);
    world.drain();
    assert_eq!(world.published, [(1, "one".to_owned()), (1, "two".to_owned())]);
}
