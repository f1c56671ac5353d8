//! The offline queue on a virtual clock: what it keeps, what it drops, and who is told.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::num::NonZeroU32;
use std::time::Duration;

use iot_session::layers::{DropPolicy, OfflineQueue};
use iot_session::stage::{Notice, Op, OpId, PublishOp};
use iot_session::{Dropped, Message, OpError, QoS};
use mqtt_codec::packet::Publish;
use mqtt_codec::{Codec, Packet, Property, Version};
use support::script::{Bench, one, returned};
use support::secs;

const EACH: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

fn dropped(bench: &Bench, op: OpId) -> Option<Dropped> {
    match bench.end(op)?.1 {
        OpError::Dropped(why) => Some(why),
        other => panic!("{other:?}"),
    }
}

/// What goes out once there is a connection.
fn left(bench: &mut Bench) -> Vec<String> {
    bench.connect();
    bench.advance(secs(100));
    bench.payloads()
}

fn with_ttl(payload: &str, millis: u32) -> PublishOp {
    PublishOp { ttl: NonZeroU32::new(millis), ..one(payload) }
}

fn with_lifetime(payload: &str, seconds: u32) -> PublishOp {
    let message = Message::new("topic", payload.to_owned()).unwrap();
    message.property(Property::MessageExpiryInterval(seconds)).unwrap().into_op()
}

#[test]
fn of_7_messages_a_queue_of_5_keeps_the_first_5_or_the_last_5() {
    for (policy, kept, told) in [
        (DropPolicy::DropNewest, ["1", "2", "3", "4", "5"], [(5, Dropped::Newest), (6, Dropped::Newest)]),
        (DropPolicy::DropOldest, ["3", "4", "5", "6", "7"], [(0, Dropped::Oldest), (1, Dropped::Oldest)]),
    ] {
        let mut bench = Bench::new(OfflineQueue::bounded(5).when_full(policy));
        let ops: Vec<OpId> = (1..=7).map(|n| bench.publish(&n.to_string())).collect();
        for (n, op) in ops.iter().enumerate() {
            let expected = told.iter().find(|(which, _)| *which == n).map(|(_, why)| *why);
            assert_eq!(dropped(&bench, *op), expected, "{policy:?}, message {}", n + 1);
        }
        assert_eq!(left(&mut bench), kept);
    }
}

#[test]
fn by_default_20_messages_are_kept_and_the_newest_is_dropped() {
    let mut bench = Bench::new(OfflineQueue::default());
    let ops: Vec<OpId> = (0..21).map(|n| bench.publish(&n.to_string())).collect();
    assert_eq!(bench.gauges().queued, 20);
    assert_eq!(dropped(&bench, ops[20]), Some(Dropped::Newest));
    assert!(ops[..20].iter().all(|op| bench.end(*op).is_none()));
}

#[test]
fn an_unbounded_queue_keeps_everything_and_a_disabled_one_nothing() {
    let mut bench = Bench::new(OfflineQueue::unbounded());
    for n in 0..10_000 {
        bench.publish(&n.to_string());
    }
    assert_eq!(bench.gauges().queued, 10_000);
    for queue in [OfflineQueue::disabled(), OfflineQueue::bounded(0)] {
        let mut bench = Bench::new(queue);
        let op = bench.publish("x");
        assert!(matches!(bench.end(op), Some((_, OpError::Offline))));
        assert!(left(&mut bench).is_empty());
        assert!(bench.notices().is_empty());
    }
}

#[test]
fn messages_of_every_quality_are_kept() {
    let mut bench = Bench::new(OfflineQueue::default());
    for qos in EACH {
        bench.op(Op::Publish(PublishOp { qos, ..one("x") }));
    }
    bench.connect();
    bench.advance(secs(2));
    assert_eq!(bench.taken().iter().map(|(_, _, op)| op.qos).collect::<Vec<_>>(), EACH);
}

#[test]
fn what_may_not_be_queued_ends_at_once_as_offline() {
    let mut bench = Bench::new(OfflineQueue::default());
    let op = bench.op(Op::Publish(PublishOp { queue: false, ..one("x") }));
    assert!(matches!(bench.end(op), Some((_, OpError::Offline))));
    assert_eq!(bench.gauges().queued, 0);
}

#[test]
fn the_queue_is_bounded_in_bytes_of_topic_properties_and_payload() {
    let property = || Message::new("12345", vec![b'x'; 10]).unwrap();
    let mut bench = Bench::new(OfflineQueue::unbounded().max_bytes(100));
    let op = property().property(Property::ContentType("1234567")).unwrap().into_op();
    let size = op.publish.properties_bytes().as_bytes().len() + 15;
    bench.op(Op::Publish(op));
    assert_eq!((bench.gauges().queued, bench.gauges().queued_bytes), (1, size));
    let rest = bench.publish(&"y".repeat(100 - size - 5));
    let over = bench.publish("");
    assert_eq!((dropped(&bench, rest), dropped(&bench, over)), (None, Some(Dropped::Newest)));
    assert_eq!(bench.gauges().queued_bytes, 100);
    left(&mut bench);
    assert_eq!(bench.gauges().queued_bytes, 0);
}

#[test]
fn as_many_of_the_oldest_go_as_the_newest_needs() {
    let mut bench = Bench::new(OfflineQueue::bounded(10).max_bytes(60).when_full(DropPolicy::DropOldest));
    let ops: Vec<OpId> = (0..6).map(|n| bench.publish(&format!("{n:05}"))).collect();
    assert_eq!(bench.gauges().queued_bytes, 60);
    let big = bench.publish(&"b".repeat(20));
    for (n, op) in ops.iter().enumerate() {
        assert_eq!(dropped(&bench, *op), (n < 3).then_some(Dropped::Oldest));
    }
    let too_large = bench.publish(&"b".repeat(56));
    assert_eq!(dropped(&bench, too_large), Some(Dropped::TooLarge));
    assert_eq!(dropped(&bench, big), None);
    assert_eq!(bench.gauges().queued, 4);
}

#[test]
fn a_small_message_does_not_keep_the_buffer_alive_that_it_was_read_into() {
    let mut buffer = bytes::BytesMut::with_capacity(64 * 1024);
    let publish: Publish = support::publish("topic", "small");
    Codec::observer(Version::V3_1_1).encode(&Packet::Publish(publish), &mut buffer).unwrap();
    let mut decoder = Codec::observer(Version::V3_1_1);
    let Some(Packet::Publish(received)) = decoder.decode(&mut buffer).unwrap() else { panic!() };
    let address = received.payload().as_ptr();
    let mut bench = Bench::new(OfflineQueue::default());
    bench.op(Op::Publish(Message::from(received).into_op()));
    bench.connect();
    let taken = bench.taken();
    assert_eq!(taken[0].2.publish.payload(), b"small");
    assert_ne!(taken[0].2.publish.payload().as_ptr(), address);
}

#[test]
fn the_time_to_live_ends_at_its_instant_wherever_the_message_stands() {
    let mut bench = Bench::new(OfflineQueue::default());
    bench.publish("stays");
    let long = bench.op(Op::Publish(with_ttl("long", 1500)));
    let short = bench.op(Op::Publish(with_ttl("short", 1)));
    let lifetime = bench.op(Op::Publish(with_lifetime("lifetime", 1)));
    let both = PublishOp { ttl: NonZeroU32::new(700), ..with_lifetime("both", 1) };
    let both = bench.op(Op::Publish(both));
    bench.advance(secs(10));
    for (op, millis) in [(short, 1), (both, 700), (lifetime, 1000), (long, 1500)] {
        let (at, error) = bench.end(op).unwrap();
        assert!(matches!(error, OpError::Dropped(Dropped::Expired)));
        assert_eq!(support::script::millis(at), millis);
    }
    assert_eq!(bench.gauges().queued, 1);
    assert_eq!(left(&mut bench), ["stays"]);
}

#[test]
fn an_expired_message_leaves_its_room_to_others() {
    let mut bench = Bench::new(OfflineQueue::bounded(1));
    let first = bench.op(Op::Publish(with_ttl("first", 1000)));
    bench.advance(secs(1) - Duration::from_nanos(1));
    let second = bench.publish("second");
    assert_eq!(dropped(&bench, second), Some(Dropped::Newest));
    // The timeout may come late: the new message comes in at the same instant.
    bench.now = bench.now.after(Duration::from_nanos(1));
    let third = bench.publish("third");
    assert_eq!((dropped(&bench, first), dropped(&bench, third)), (Some(Dropped::Expired), None));
}

#[test]
fn a_lifetime_of_nothing_is_over_at_once() {
    let mut bench = Bench::new(OfflineQueue::default());
    let op = bench.op(Op::Publish(with_lifetime("x", 0)));
    assert_eq!(dropped(&bench, op), Some(Dropped::Expired));
}

#[test]
fn what_is_left_of_the_time_is_handed_on() {
    let mut bench = Bench::new(OfflineQueue::default());
    let message = Message::new("topic", "x").unwrap();
    let message = message.property(Property::ContentType("a")).unwrap();
    let message = message.property(Property::MessageExpiryInterval(10)).unwrap();
    let message = message.property(Property::UserProperty("k", "v")).unwrap();
    bench.op(Op::Publish(message.time_to_live(secs(5)).into_op()));
    bench.advance(Duration::from_micros(2_999_500));
    bench.connect();
    let taken = bench.taken();
    let (_, _, op) = &taken[0];
    assert_eq!(op.ttl.unwrap().get(), 2001, "rounded up");
    let properties: Vec<Property<'_>> = op.publish.properties().iter().collect();
    assert_eq!(
        properties,
        [Property::ContentType("a"), Property::MessageExpiryInterval(8), Property::UserProperty("k", "v")]
    );
    assert_eq!((op.publish.topic(), op.publish.payload()), ("topic", b"x".as_slice()));
}

#[test]
fn without_a_connection_it_is_always_ready_and_with_one_as_the_inner_stage_is() {
    let mut bench = Bench::new(OfflineQueue::bounded(1));
    bench.room(Some(0));
    for _ in 0..2 {
        assert!(bench.ready());
        bench.publish("x");
    }
    bench.room(None);
    bench.connect();
    assert!(bench.ready());
    bench.room(Some(0));
    assert!(!bench.ready());
}

#[test]
fn with_a_connection_messages_pass_straight_and_wait_only_for_room() {
    let mut bench = Bench::new(OfflineQueue::bounded(3));
    bench.connect();
    bench.room(Some(1));
    bench.publish("1");
    assert_eq!(bench.payloads(), ["1"]);
    bench.publish("2");
    bench.publish("3");
    bench.op(Op::Publish(PublishOp { queue: false, ..one("never waits") }));
    assert_eq!(bench.payloads(), ["never waits"]);
    assert_eq!(bench.gauges().queued, 2);
    bench.room(Some(1));
    assert_eq!(bench.payloads(), ["2"]);
    assert!(!bench.ready());
    bench.room(None);
    assert_eq!(bench.payloads(), ["3"]);
    assert!(bench.ready());
    assert!(bench.notices().is_empty(), "nothing had piled up");
}

#[test]
fn other_operations_pass() {
    let mut bench = Bench::new(OfflineQueue::default());
    bench.publish("waits");
    bench.op(Op::CONNECT);
    bench.op(Op::Disconnect);
    assert!(matches!(bench.others().as_slice(), [Op::Connect(_), Op::Disconnect]));
    assert_eq!(bench.gauges().queued, 1, "what waits goes on waiting");
    bench.disconnect();
    assert_eq!(left(&mut bench), ["waits"]);
}

#[test]
fn messages_that_come_back_go_in_front_in_order() {
    let mut bench = Bench::new(OfflineQueue::default());
    bench.connect();
    let ops: Vec<OpId> = ["1", "2", "3", "4"].map(|n| bench.publish(n)).into();
    assert_eq!(bench.payloads().len(), 4);
    bench.room(Some(0));
    bench.publish("5");
    let back = |n: usize| iot_session::stage::Output::Event(returned(ops[n], &(n + 1).to_string()));
    let down = iot_session::stage::Output::Event(support::script::disconnected());
    // The last two were never handed to the link, the first two belong to a session that turns out to be lost.
    bench.inner_says([back(2), back(3), down]);
    bench.room(None);
    let up = iot_session::stage::Output::Event(support::script::connected());
    bench.inner_says([up, back(0), back(1)]);
    assert_eq!(bench.notices(), [(0, Notice::Draining { queued: 5 })]);
    bench.advance(secs(10));
    assert_eq!(bench.payloads(), ["1", "2", "3", "4", "5"]);
    // A layer that keeps nothing lets them pass.
    let mut bench = Bench::new(OfflineQueue::disabled());
    bench.inner_event(returned(ops[0], "1"));
    assert!(matches!(bench.events[0].1, iot_session::stage::Event::Returned(..)));
}
