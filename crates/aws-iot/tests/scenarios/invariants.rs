//! The invariants of a session that whole stacks show; the driver's (4, 6, 9) are among the tests of `iot-session`.

use std::time::Duration;

use aws_iot::crates::iot_session::layers::{OfflineQueue, Pacing, Standard};
use aws_iot::crates::iot_session::proto::ConnectOptions;
use aws_iot::crates::iot_session::stage::{Op, OpId};
use aws_iot::crates::iot_session::{Nanos, OpError, QoS, TopicFilter, Version};

use crate::world::{At, BOTH, World, secs};

/// A life with everything in it: outages of each kind, a queue that overflows, a forbidden topic, a pause.
fn eventful(version: Version) -> (World, At, Vec<OpId>) {
    let mut world = World::new();
    let layers = Standard { pacing: Pacing::off().publishes_per_second(5), ..Standard::default() };
    let device = world.client_with(ConnectOptions::new(version, "device").unwrap(), layers);
    world.broker.policy_mut().deny_publish.push(TopicFilter::try_from("forbidden").unwrap());
    let mut ops = vec![world.op(device, Op::CONNECT), world.subscribe(device, "a/+")];
    let mut publish = |world: &mut World, n: u32| {
        for i in 0..n {
            let qos = if i % 3 == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
            ops.push(world.publish(device, "a/b", i, qos));
        }
    };
    publish(&mut world, 12);
    world.pass(secs(1));
    world.network(device, false);
    publish(&mut world, 30);
    world.pass(secs(10));
    world.network(device, true);
    world.pass(secs(3));
    publish(&mut world, 5);
    world.cut(device);
    world.pass(secs(2));
    world.restart_broker();
    world.pass(secs(20));
    world.kick("device");
    ops.push(world.publish(device, "forbidden", "x", QoS::AtLeastOnce));
    world.pass(secs(600));
    (world, device, ops)
}

#[test]
fn invariant_1_the_same_inputs_at_the_same_instants_have_the_same_outcome() {
    for version in BOTH {
        let (first, device, ops) = eventful(version);
        let (second, ..) = eventful(version);
        assert!(ops.len() > 40);
        assert_eq!(first.history(device), second.history(device));
        assert_eq!(first.dials(device), second.dials(device));
    }
}

/// [`World::pass`] looks at every deadline after every timeout.
#[test]
fn invariant_2_after_a_timeout_the_next_deadline_is_later() {
    for version in BOTH {
        let (world, device, _) = eventful(version);
        assert!(world.timeouts(device) > 40, "{} timeouts", world.timeouts(device));
    }
}

/// [`World::done`] looks whether it ended twice.
#[test]
fn invariant_3_every_operation_ends_once_and_one_that_ends_connections_as_poisoned() {
    for version in BOTH {
        let (world, device, ops) = eventful(version);
        for op in &ops {
            assert!(world.done(device, *op).is_some(), "{version}: {op:?} has no end");
        }
        let last = world.done(device, ops[ops.len() - 1]);
        match (version, last) {
            (Version::V3_1_1, Some(Err(error @ OpError::Poisoned { .. }))) => {
                assert!(error.to_string().contains("forbidden"), "{error}");
            }
            (Version::V5, Some(Err(OpError::Refused { .. }))) => {}
            (_, end) => panic!("{version}: {end:?}"),
        }
    }
}

#[test]
fn invariant_5_what_waits_is_bounded_in_messages_and_bytes() {
    for version in BOTH {
        let mut world = World::new();
        let queue = OfflineQueue::bounded(100).max_bytes(4096);
        let layers = Standard { queue, ..Standard::default() };
        let device = world.client_with(ConnectOptions::new(version, "device").unwrap().window(10), layers);
        world.connect(device);
        world.broker.hold_acks(true);
        for n in 0..1_000 {
            world.publish(device, "a", n, QoS::AtLeastOnce);
        }
        let gauges = world.gauges(device);
        assert_eq!(gauges.in_flight, 10);
        assert!(gauges.queued <= 100, "{gauges:?}");
        world.network(device, false);
        for n in 0..1_000 {
            world.publish(device, "a", format!("{n:0>100}"), QoS::AtLeastOnce);
        }
        let gauges = world.gauges(device);
        // What was in flight comes back beyond the bound.
        assert!(gauges.queued <= 110 && gauges.queued_bytes <= 4096 + 10 * 8, "{gauges:?}");
    }
}

#[test]
fn invariant_7_what_was_queued_offline_goes_first_in_order_at_the_drain_rate() {
    for version in BOTH {
        let mut world = World::new();
        let (device, subscriber) = (world.client(version, "device"), world.client(version, "subscriber"));
        world.connect(subscriber);
        world.subscribe(subscriber, "a");
        for n in 0..6 {
            world.publish(device, "a", n, QoS::AtLeastOnce);
        }
        world.connect(device);
        let start = world.now;
        for n in 6..9 {
            world.publish(device, "a", n, QoS::AtLeastOnce);
        }
        world.pass(secs(10));
        let wanted: Vec<String> = (0..9).map(|n| n.to_string()).collect();
        assert_eq!(world.received(subscriber), wanted);
        // Two per second what was there when the connection came; what was published since follows at once.
        let after: Vec<Duration> = world.received_at(subscriber).iter().map(|at| at.since(start)).collect();
        let half = Duration::from_millis(500);
        assert_eq!(after, [0, 1, 2, 3, 4, 5, 5, 5, 5].map(|n| half * n), "{version}");
    }
}

#[test]
fn invariant_8_a_link_lost_in_any_phase_of_the_recovery_loses_nothing_that_was_accepted() {
    for version in BOTH {
        for bytes in 0..80 {
            let mut world = World::new();
            let (device, subscriber) = (world.client(version, "device"), world.client(version, "subscriber"));
            world.connect(device);
            world.connect(subscriber);
            world.subscribe(subscriber, "a");
            for n in 0..10 {
                world.subscribe(device, &format!("b/{n}"));
            }
            world.network(device, false);
            let ops: Vec<_> = (0..8).map(|n| world.publish(device, "a", n, QoS::AtLeastOnce)).collect();
            world.network(device, true);
            // CONNACK, SUBACKs, PUBACKs: the link goes somewhere among them, again and again.
            world.cut_after(device, Some(bytes));
            world.pass(secs(70));
            world.cut_after(device, None);
            world.pass(secs(70));
            for (n, op) in ops.into_iter().enumerate() {
                assert!(
                    world.acked(device, op),
                    "{version}, {bytes} bytes: {n}: {:?}",
                    world.done(device, op)
                );
            }
            let mut seen: Vec<&str> = world.received(subscriber);
            let first: Vec<&str> = {
                let mut known = Vec::new();
                seen.retain(|payload| {
                    !known.contains(payload) && {
                        known.push(*payload);
                        true
                    }
                });
                known
            };
            assert_eq!(first, ["0", "1", "2", "3", "4", "5", "6", "7"], "{version}, {bytes} bytes");
        }
    }
}

#[test]
fn invariant_10_no_bytes_of_a_server_make_a_stack_panic_or_stand_still() {
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for version in BOTH {
        let mut world = World::new();
        let device = world.client(version, "device");
        world.connect(device);
        for _ in 0..2_000 {
            // Heads of real packets, and what comes after them.
            let head = [0x20, 0x30, 0x32, 0x34, 0x40, 0x50, 0x62, 0x70, 0x90, 0xB0, 0xD0, 0xE0]
                [(random() % 12) as usize];
            let len = (random() % 12) as u8;
            let mut bytes = vec![head, len];
            bytes.extend((0..len).map(|_| if random() % 2 == 0 { 0 } else { random() as u8 }));
            world.inject(device, &bytes);
            world.publish(device, "a", "x", QoS::AtLeastOnce);
            world.pass(Duration::from_millis(random() % 3_000));
        }
        world.pass(secs(100));
        assert!(world.disconnections(device).len() > 50);
        assert_eq!(world.connections(device).last().map(|at| *at > Nanos::ZERO), Some(true));
    }
}
