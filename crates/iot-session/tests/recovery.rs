//! Queue, retry, reconnect, pacing and engine together, cut at every point: nothing that was accepted is lost, nothing at
//! QoS 0 comes twice, the order stays.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::time::Duration;

use iot_session::layers::{DrainRate, OfflineQueue, Pacing};
use iot_session::stage::{Event, Notice, Op, PublishOp, Receipt};
use iot_session::{Message, OpError, QoS, Version};
use mqtt_codec::Packet;
use support::script::millis;
use support::world::{World, patient};
use support::{Rig, lasting, options, secs};

fn op(n: usize, qos: QoS) -> PublishOp {
    Message::new("topic", n.to_string()).unwrap().qos(qos).into_op()
}

#[test]
fn a_cut_at_each_message_of_a_drain_loses_nothing_and_doubles_no_qos_0() {
    const MESSAGES: usize = 8;
    for version in [Version::V3_1_1, Version::V5] {
        for lasts in [false, true] {
            for (cut_after, last_is_read, answered) in
                (1..=MESSAGES).flat_map(|n| [(n, false, false), (n, true, false), (n, true, true)])
            {
                let options = patient(if lasts { lasting(version) } else { options(version) });
                let mut world = World::new(options, OfflineQueue::default(), Pacing::off());
                for n in 0..MESSAGES {
                    world.publish(op(n, if n % 2 == 0 { QoS::AtLeastOnce } else { QoS::AtMostOnce }));
                }
                world.op(Op::CONNECT);
                world.accept(true);
                for n in 1..cut_after {
                    world.read();
                    if answered {
                        world.answer(n);
                    }
                    world.pass(Duration::from_millis(500));
                }
                if last_is_read {
                    world.read();
                }
                world.cut();
                let last = (cut_after - 1).to_string();
                let read = world.arrived.len();
                assert_eq!(read, cut_after - usize::from(!last_is_read));
                // Something new comes in during the outage and during the next drain.
                world.publish(op(MESSAGES, QoS::AtLeastOnce));
                world.serve(Duration::from_millis(1200));
                world.publish(op(MESSAGES + 1, QoS::AtMostOnce));
                world.serve(secs(20));
                world.check();
                for (id, op) in &world.ops {
                    let payload = support::script::text(op);
                    assert!(world.ends[id].is_ok(), "{payload}: {:?}", world.ends[id]);
                    // On its way when the link was cut: nobody can know, and QoS 0 is not sent again.
                    let lost = op.qos == QoS::AtMostOnce && payload == last && !last_is_read;
                    assert_eq!(world.times_arrived(&payload) > 0, !lost, "{payload}");
                }
            }
        }
    }
}

#[test]
fn a_producer_at_10_per_second_against_a_drain_of_2_per_second_reaches_the_steady_state() {
    let mut world = World::new(patient(options(Version::V5)), OfflineQueue::unbounded(), Pacing::off());
    for n in 0..3 {
        world.publish(op(n, QoS::AtLeastOnce));
    }
    world.op(Op::CONNECT);
    let mut expected = vec![0, 500, 1000];
    for n in 3..40 {
        world.serve(Duration::from_millis(100));
        world.publish(op(n, QoS::AtLeastOnce));
        expected.push((n as u64 - 2) * 100);
    }
    world.serve(secs(10));
    for at in &mut expected[3..] {
        *at = (*at).max(1000);
    }
    let arrived: Vec<u64> = world.arrived.iter().map(|(at, _)| millis(*at)).collect();
    assert_eq!(arrived, expected);
    let notices: Vec<&Event> = world.rig.events.iter().collect();
    let [Event::Notice(Notice::Draining { queued: 3 }), Event::Notice(Notice::Drained)] = notices.as_slice()
    else {
        panic!("{notices:?}")
    };
    world.check();
}

#[test]
fn messages_of_a_lost_session_go_before_the_queue_and_outside_its_rate() {
    let mut world = World::new(patient(options(Version::V5)), OfflineQueue::default(), Pacing::off());
    world.op(Op::CONNECT);
    world.accept(true);
    for n in 0..3 {
        world.publish(op(n, QoS::AtLeastOnce));
    }
    world.cut();
    for n in 3..6 {
        world.publish(op(n, QoS::AtLeastOnce));
    }
    assert_eq!(world.rig.machine.gauges().queued, 6);
    world.serve(secs(10));
    let arrived: Vec<(u64, &str)> =
        world.arrived.iter().map(|(at, payload)| (millis(*at), payload.as_str())).collect();
    let expected = [(1000, "0"), (1000, "1"), (1000, "2"), (1000, "3"), (1500, "4"), (2000, "5")];
    assert_eq!(arrived, expected);
    world.check();
}

#[test]
fn what_waits_for_its_turn_to_be_sent_stays_in_order_behind_what_was_sent() {
    let pacing = Pacing::off().publishes_per_second(2);
    let options = patient(lasting(Version::V5));
    let mut world = World::new(options, OfflineQueue::default(), pacing);
    world.op(Op::CONNECT);
    world.accept(true);
    for n in 0..5 {
        world.publish(op(n, QoS::AtLeastOnce));
    }
    world.cut();
    world.pass(secs(1));
    // The server has forgotten the session: the two that were sent come back after the one that was not.
    world.accept(false);
    world.serve(secs(10));
    let arrived: Vec<&str> = world.arrived.iter().map(|(_, payload)| payload.as_str()).collect();
    assert_eq!(arrived, ["0", "1", "2", "3", "4"]);
    world.check();
}

#[test]
fn a_disconnect_leaves_what_waits_for_the_next_connect() {
    let mut world = World::new(patient(options(Version::V5)), OfflineQueue::default(), Pacing::off());
    world.op(Op::CONNECT);
    world.accept(true);
    world.cut();
    let waits = world.publish(op(0, QoS::AtLeastOnce));
    world.op(Op::Disconnect);
    world.pass(secs(3600));
    assert!(!world.ends.contains_key(&waits));
    world.op(Op::CONNECT);
    world.serve(secs(10));
    assert!(matches!(world.ends[&waits], Ok(Receipt::Acked(_))));
}

#[test]
fn an_unlimited_drain_goes_as_fast_as_the_server_allows() {
    let queue = OfflineQueue::unbounded().drain_rate(DrainRate::unlimited());
    let options = patient(options(Version::V5)).window(1000);
    let mut world = World::new(options, queue, Pacing::aws_iot_core());
    for n in 0..250 {
        world.publish(op(n, QoS::AtLeastOnce));
    }
    world.op(Op::CONNECT);
    world.serve(secs(10));
    let arrived: Vec<u64> = world.arrived.iter().map(|(at, _)| millis(*at)).collect();
    let expected: Vec<u64> = (0..250).map(|n| if n < 100 { 0 } else { (n - 99) * 10 }).collect();
    assert_eq!(arrived, expected);
    world.check();
}

#[test]
fn a_message_that_the_server_cannot_bear_is_given_up_and_the_others_arrive_in_order() {
    for lasts in [false, true] {
        let options = if lasts { lasting(Version::V3_1_1) } else { options(Version::V3_1_1) };
        let mut world = World::new(patient(options), OfflineQueue::default(), Pacing::aws_iot_core());
        world.op(Op::CONNECT);
        world.accept(true);
        for n in 0..6 {
            world.publish(op(n, QoS::AtLeastOnce));
        }
        let bad = world.ops[3].0;
        for _ in 0..60 {
            world.accept(true);
            world.read();
            if world.arrived.iter().any(|(_, payload)| payload == "3") {
                // No answers any more, not even to what came before.
                world.arrived.clear();
                world.gone();
                world.rig.server_closes();
                world.look();
                // Something new at each outage.
                world.publish(op(world.ops.len(), QoS::AtLeastOnce));
            }
            world.answer(usize::MAX);
            world.pass(Duration::from_millis(250));
        }
        let Some(Err(OpError::Poisoned { strikes: 3, .. })) = world.ends.get(&bad) else {
            panic!("{:?}", world.ends.get(&bad))
        };
        world.serve(secs(60));
        for (id, _) in world.ops.iter().filter(|(id, _)| *id != bad) {
            assert!(matches!(world.ends[id], Ok(Receipt::Acked(_))), "{:?}", world.ends[id]);
        }
        let last: Vec<String> = world.first_deliveries().split_off(world.first_deliveries().len() - 5);
        assert_eq!(last, ["4", "5", "6", "7", "8"]);
    }
}

#[test]
fn with_a_connection_the_layers_allocate_nothing() {
    let allocations = |mut rig: Rig| {
        rig.connect();
        let mut cycle = |n: u16| {
            let message = support::message("topic", "payload", QoS::AtLeastOnce);
            let mut count = allocation_counter::measure(|| {
                rig.op(message);
            });
            let sent = rig.sent();
            let [Packet::Publish(publish)] = sent.as_slice() else { panic!("{n}: {sent:?}") };
            let ack = support::puback(publish.packet_id().unwrap().value());
            count += allocation_counter::measure(|| rig.receive(ack));
            rig.events.clear();
            count.count_total
        };
        for n in 0..100 {
            cycle(n);
        }
        (0..20).map(cycle).sum::<u64>()
    };
    let options = || patient(options(Version::V5));
    let layered = World::new(options(), OfflineQueue::default(), Pacing::off().bytes_per_second(1_000_000));
    assert_eq!(allocations(layered.rig), allocations(Rig::new(options())));
}
