//! Wills, and which ends publish them.

use super::*;

/// A client with a will at connection 1, and one that watches at connection 2.
fn world_with_will(version: Version, connect: impl FnOnce(&mut ConnectBuilder)) -> World {
    let mut world = World::new();
    world.client(2, Version::V5, "watch");
    world.subscribe(2, "will", at(QoS::AtMostOnce));
    let mut mortal = hello(version, "mortal");
    mortal.will = Some(will("will"));
    connect(&mut mortal);
    world.connect(1, mortal);
    world
}

/// With a session and a delay in seconds.
fn delayed(delay: u32) -> World {
    let mut world = world_with_will(Version::V5, |connect| {
        connect.keep_alive = 0;
        connect.properties = with(Property::SessionExpiryInterval(10));
        connect.will.as_mut().unwrap().properties = with(Property::WillDelayInterval(delay));
    });
    // The watcher outlives every test.
    let mut watcher = hello(Version::V5, "watch");
    watcher.keep_alive = 0;
    world.connect(3, watcher);
    world.subscribe(3, "will", at(QoS::AtMostOnce));
    world
}

#[test]
fn a_lost_connection_publishes_its_will() {
    // [MQTT-3.1.2-8]
    for version in BOTH {
        let mut world = world_with_will(version, |_| {});
        world.lose(1);
        assert_eq!(world.received(2), ["will=gone"]);
    }
}

#[test]
fn a_normal_disconnect_throws_the_will_away() {
    // [MQTT-3.1.2-10]
    for version in BOTH {
        let mut world = world_with_will(version, |_| {});
        world.send(1, Disconnect::default());
        assert!(!world.open.contains(&1));
        world.lose(1);
        assert!(world.received(2).is_empty());
    }
}

#[test]
fn disconnect_with_will_publishes_it() {
    // Section 3.14.2.1
    let mut world = world_with_will(Version::V5, |_| {});
    world.send(1, Disconnect::new(ReasonCode::DisconnectWithWill));
    assert_eq!(world.received(2), ["will=gone"]);
}

#[test]
fn a_takeover_publishes_the_old_connections_will() {
    // [MQTT-3.1.4-3]
    for version in BOTH {
        let mut world = world_with_will(version, |_| {});
        world.client(3, version, "mortal");
        world.assert_ended(1, version, ReasonCode::SessionTakenOver);
        assert_eq!(world.received(2), ["will=gone"]);
    }
}

#[test]
fn a_keep_alive_timeout_publishes_the_will() {
    let mut world = world_with_will(Version::V3_1_1, |connect| connect.keep_alive = 4);
    world.pass(secs(6));
    assert_eq!(world.received(2), ["will=gone"]);
}

#[test]
fn a_protocol_error_publishes_the_will() {
    for version in BOTH {
        let mut world = world_with_will(version, |_| {});
        world.send(1, message("t", "x").exactly_once(packet_id(1)));
        assert_eq!(world.received(2), ["will=gone"]);
    }
}

#[test]
fn a_will_can_be_retained_and_carries_its_properties() {
    // [MQTT-3.1.2-15]
    let mut world = world_with_will(Version::V5, |connect| {
        let will = connect.will.as_mut().unwrap();
        will.retain = true;
        will.properties = with(Property::ContentType("text/plain"));
    });
    world.lose(1);
    let live = world.publishes(2);
    assert_eq!(live[0].properties().content_type(), Some("text/plain"));
    world.subscribe(2, "will", at(QoS::AtMostOnce));
    assert!(world.publishes(2)[0].retain());
}

#[test]
fn a_delayed_will_waits_for_its_delay() {
    // Section 3.1.3.2.2
    let mut world = delayed(4);
    world.lose(1);
    world.pass(Duration::from_millis(3_999));
    assert!(world.received(3).is_empty());
    world.pass(Duration::from_millis(1));
    assert_eq!(world.received(3), ["will=gone"]);
    world.pass(secs(60));
    assert!(world.received(3).is_empty());
}

#[test]
fn a_delayed_will_comes_at_the_sessions_end_at_the_latest() {
    let mut world = delayed(1_000);
    world.lose(1);
    world.pass(secs(9));
    assert!(world.received(3).is_empty());
    world.pass(secs(1));
    assert_eq!(world.received(3), ["will=gone"]);
}

#[test]
fn a_client_that_comes_back_in_time_has_no_will_published() {
    // [MQTT-3.1.3-9]
    let mut world = delayed(4);
    world.lose(1);
    world.pass(secs(3));
    assert!(world.connect(4, resume(Version::V5, "mortal")).session_present);
    world.pass(secs(20));
    world.lose(4);
    world.pass(secs(600));
    assert_eq!(world.broker.session_count(), 1);
    assert!(world.received(3).is_empty());
}

#[test]
fn a_clean_start_publishes_a_will_that_waits() {
    let mut world = delayed(4);
    world.lose(1);
    world.client(4, Version::V5, "mortal");
    assert_eq!(world.received(3), ["will=gone"]);
}

#[test]
fn a_shutdown_tells_clients_and_publishes_no_will() {
    let mut world = world_with_will(Version::V3_1_1, |_| {});
    world.broker.shut_down(world.now);
    world.drain();
    world.assert_ended(1, Version::V3_1_1, ReasonCode::ServerShuttingDown);
    world.assert_ended(2, Version::V5, ReasonCode::ServerShuttingDown);
}
