//! The Pacing layer on a virtual clock: every instant is exact.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::time::Duration;

use iot_session::layers::{Pacing, Reconnect};
use iot_session::proto::{ConnectOptions, Engine};
use iot_session::stage::{Event, Op, OpId, PublishOp, Receipt, Resend};
use iot_session::{Message, Nanos, OpError, QoS, Version, stack};
use mqtt_codec::Packet;
use support::script::{Bench, millis, one, text};
use support::{Rig, message, options, puback, secs};

fn rig(pacing: Pacing, options: ConnectOptions) -> Rig {
    let engine = Engine::new(options);
    let codec = engine.codec();
    Rig::around(Box::new(stack(engine).layer(pacing).layer(Reconnect::default()).into_stage()), codec)
}

fn quiet() -> ConnectOptions {
    options(Version::V5).window(1000).keep_alive(Duration::ZERO).operation_timeout(secs(1000))
}

fn publishes(rig: &mut Rig) -> usize {
    rig.sent().iter().filter(|packet| matches!(packet, Packet::Publish(_))).count()
}

/// Lets time pass and gives the instant at which each PUBLISH was sent.
fn instants(rig: &mut Rig, duration: Duration) -> Vec<Nanos> {
    let end = rig.now.after(duration);
    let mut instants = vec![rig.now; publishes(rig)];
    while let Some(at) = rig.machine.poll_timeout().filter(|at| *at <= end) {
        rig.advance(at.since(rig.now));
        let sent = publishes(rig);
        instants.extend(std::iter::repeat_n(at, sent));
    }
    rig.advance(end.since(rig.now));
    instants
}

#[test]
fn of_250_messages_at_once_100_go_and_then_one_every_10_ms() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let mut rig = rig(Pacing::aws_iot_core(), quiet());
        rig.connect();
        let start = rig.now;
        for _ in 0..250 {
            rig.op(message("a", "x", qos));
        }
        assert_eq!(rig.machine.gauges().queued, 150);
        let millis: Vec<u64> =
            instants(&mut rig, secs(10)).iter().map(|at| millis(Nanos(at.0 - start.0))).collect();
        let expected: Vec<u64> = (0..250).map(|n| if n < 100 { 0 } else { (n - 99) * 10 }).collect();
        assert_eq!(millis, expected);
    }
}

#[test]
fn who_goes_by_ready_is_told_at_each_token() {
    let mut rig = rig(Pacing::off().publishes_per_second(2), quiet());
    rig.connect();
    let start = rig.now;
    let mut instants = Vec::new();
    for _ in 0..6 {
        while !rig.machine.ready() {
            let at = rig.machine.poll_timeout().unwrap();
            rig.advance(at.since(rig.now));
        }
        rig.op(message("a", "x", QoS::AtMostOnce));
        instants.push(millis(Nanos(rig.now.0 - start.0)));
        assert_eq!(rig.machine.gauges().queued, 0);
    }
    assert_eq!(instants, [0, 0, 500, 1000, 1500, 2000]);
    rig.advance(secs(5));
    assert_eq!(rig.machine.poll_timeout(), None, "with tokens left nothing is due");
}

#[test]
fn bytes_are_paced_and_a_message_of_more_than_a_second_goes_when_the_bucket_is_full() {
    // One byte of topic and 8 for the rest of each packet.
    let payload = |n: usize| Message::new("t", vec![0; n - 9]).unwrap().qos(QoS::AtMostOnce);
    let mut rig = rig(Pacing::off().bytes_per_second(1000), quiet());
    rig.connect();
    for size in [600, 600, 5000, 400] {
        rig.op(Op::Publish(payload(size).into_op()));
    }
    let millis: Vec<u64> = instants(&mut rig, secs(60)).into_iter().map(millis).collect();
    // 400 are left, 200 lack. Then 1000 come in; then 5000 are owed, 0 are left, and 400 come in.
    assert_eq!(millis, [0, 200, 1200, 5600]);
}

#[test]
fn what_is_sent_again_is_paid_for() {
    let options = quiet().session_expiry(secs(3600));
    let mut rig = rig(Pacing::off().publishes_per_second(10), options);
    rig.connect();
    for _ in 0..15 {
        rig.op(message("a", "x", QoS::AtLeastOnce));
    }
    assert_eq!(instants(&mut rig, secs(5)).len(), 15);
    rig.link_down();
    rig.advance(secs(1));
    rig.accept(true);
    let start = rig.now;
    let op = rig.op(message("a", "new", QoS::AtLeastOnce));
    assert!(!rig.machine.ready());
    // 15 at once, 5 of which were overdrawn; the next one when six more tokens came in.
    let millis: Vec<u64> =
        instants(&mut rig, secs(5)).iter().map(|at| millis(Nanos(at.0 - start.0))).collect();
    assert_eq!(millis, [vec![0; 15], vec![600]].concat());
    rig.receive(puback(16));
    assert!(matches!(rig.done(op), Ok(Receipt::Acked(_))));
}

#[test]
fn a_new_connection_starts_with_full_buckets() {
    let backoff = iot_session::layers::Backoff::new(Duration::from_millis(1), secs(1), secs(1));
    let engine = Engine::new(quiet());
    let codec = engine.codec();
    let stage = stack(engine)
        .layer(Pacing::off().publishes_per_second(5))
        .layer(Reconnect::new(backoff))
        .into_stage();
    let mut rig = Rig::around(Box::new(stage), codec);
    rig.connect();
    for _ in 0..5 {
        rig.op(message("a", "x", QoS::AtMostOnce));
    }
    assert!(!rig.machine.ready());
    rig.sent();
    rig.link_down();
    rig.advance(Duration::from_millis(1));
    rig.accept(false);
    for _ in 0..5 {
        assert!(rig.machine.ready());
        rig.op(message("a", "x", QoS::AtMostOnce));
    }
    assert!(!rig.machine.ready());
}

#[test]
fn what_waits_when_the_link_goes_comes_back_in_order_before_that_is_told() {
    let mut bench = Bench::new(Pacing::off().publishes_per_second(1));
    bench.connect();
    bench.inner_says([support::script::sent("0")]);
    let ops: Vec<OpId> = ["1", "2"].map(|n| bench.publish(n)).into();
    let now = bench.op(Op::Publish(PublishOp { queue: false, ..one("3") }));
    let once = bench.op(Op::Publish(PublishOp { queue: false, resend: Resend::Never, ..one("4") }));
    bench.events.clear();
    bench.advance(Duration::from_millis(300));
    bench.disconnect();
    let events: Vec<Event> = std::mem::take(&mut bench.events).into_iter().map(|(_, event)| event).collect();
    let [
        Event::Returned(a, one),
        Event::Returned(b, two),
        Event::Done(c, Err(OpError::Interrupted)),
        Event::Done(d, Err(OpError::Offline)),
        Event::Disconnected(_),
    ] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!([*a, *b, *c, *d], [ops[0], ops[1], now, once]);
    assert_eq!([text(one), text(two)], ["1", "2"]);
    assert_eq!((bench.gauges().queued, bench.deadline()), (0, None));
    // Without a connection nothing is held back: the inner stage answers.
    bench.publish("5");
    assert_eq!(bench.payloads(), ["5"]);
}

#[test]
fn the_room_of_the_stage_inside_counts_too() {
    let mut bench = Bench::new(Pacing::off().publishes_per_second(2));
    bench.connect();
    bench.inner_says([support::script::sent("0"), support::script::sent("0")]);
    bench.publish("1");
    bench.room(Some(0));
    bench.advance(secs(3));
    assert!(bench.payloads().is_empty());
    assert_eq!(bench.deadline(), None, "room comes by itself");
    bench.room(Some(1));
    assert_eq!(bench.timed(), [(3000, "1".to_owned())]);
}

#[test]
fn off_is_the_default_and_holds_nothing_back() {
    assert_eq!(Pacing::default(), Pacing::off());
    let mut rig = rig(Pacing::off(), quiet());
    rig.connect();
    for _ in 0..1000 {
        assert!(rig.machine.ready());
        rig.op(message("a", "x", QoS::AtLeastOnce));
    }
    assert_eq!(publishes(&mut rig), 1000);
}
