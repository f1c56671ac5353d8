//! Draining on a virtual clock: every instant is exact.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::time::Duration;

use iot_session::layers::{DrainRate, DropPolicy, OfflineQueue};
use iot_session::stage::{Notice, Op, OpId, PublishOp};
use iot_session::{Dropped, OpError};
use support::script::{Bench, one};
use support::secs;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Messages 1 to `n`, made offline.
fn piled_up(queue: OfflineQueue, n: usize) -> Bench {
    let mut bench = Bench::new(queue);
    for n in 1..=n {
        bench.publish(&n.to_string());
    }
    bench
}

fn timed(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|(at, payload)| (*at, (*payload).to_owned())).collect()
}

#[test]
fn publishes_made_offline_arrive_in_order_at_the_drain_rate() {
    let mut bench = piled_up(OfflineQueue::default(), 4);
    bench.advance(secs(10));
    bench.connect();
    bench.advance(secs(10));
    let expected = [(10_000, "1"), (10_500, "2"), (11_000, "3"), (11_500, "4")];
    assert_eq!(bench.timed(), timed(&expected));
    assert_eq!(bench.notices(), [(10_000, Notice::Draining { queued: 4 }), (11_500, Notice::Drained)]);
    assert_eq!(bench.deadline(), None, "nothing more to do");
}

#[test]
fn the_rate_can_be_one_in_two_seconds_or_none() {
    let mut bench = piled_up(OfflineQueue::default().drain_rate(DrainRate::per_second(0.5)), 3);
    bench.connect();
    bench.advance(secs(10));
    assert_eq!(bench.timed(), timed(&[(0, "1"), (2000, "2"), (4000, "3")]));
    let mut bench = piled_up(OfflineQueue::default().drain_rate(DrainRate::unlimited()), 3);
    bench.connect();
    assert_eq!(bench.timed(), timed(&[(0, "1"), (0, "2"), (0, "3")]));
    assert_eq!(bench.notices(), [(0, Notice::Draining { queued: 3 }), (0, Notice::Drained)]);
}

#[test]
fn without_a_backlog_there_is_no_drain() {
    let mut bench = Bench::new(OfflineQueue::default());
    bench.connect();
    assert!(bench.notices().is_empty());
    bench.publish("x");
    assert_eq!(bench.payloads(), ["x"]);
}

#[test]
fn new_messages_queue_behind_and_a_producer_faster_than_the_rate_reaches_the_steady_state() {
    let mut bench = piled_up(OfflineQueue::default(), 4);
    bench.connect();
    let mut expected = timed(&[(0, "1"), (500, "2"), (1000, "3"), (1500, "4")]);
    for n in 1..=20 {
        bench.advance(ms(100));
        let at = n * 100;
        bench.publish(&format!("new {at}"));
        // What is there when the last of the four is out follows at once, the rest passes straight through.
        expected.push((at.max(1500), format!("new {at}")));
    }
    // The message of the very instant of the last tick comes just after it.
    assert_eq!(bench.timed(), expected);
    assert_eq!(bench.notices(), [(0, Notice::Draining { queued: 4 }), (1500, Notice::Drained)]);
}

#[test]
fn a_publisher_that_never_rests_waits_and_cannot_keep_the_drain_from_ending() {
    let mut bench = piled_up(OfflineQueue::bounded(4), 4);
    bench.connect();
    let mut published = 0;
    let mut publish_while_ready = |bench: &mut Bench| {
        while bench.ready() && published < 100 {
            bench.publish("new");
            published += 1;
        }
        published
    };
    assert_eq!(publish_while_ready(&mut bench), 1, "one went out at once");
    assert!(!bench.ready());
    for n in 2..=3 {
        bench.advance(ms(500));
        assert_eq!(publish_while_ready(&mut bench), n, "one for each that went out");
    }
    // The window of the stage inside is the bottleneck from here on.
    bench.room(Some(2));
    bench.advance(ms(500));
    assert_eq!(bench.gauges().queued, 2, "the fourth is out, and the first of those behind it");
    assert_eq!(publish_while_ready(&mut bench), 3, "those behind go out first");
    bench.room(Some(2));
    assert_eq!(bench.notices().last(), Some(&(1500, Notice::Drained)));
    bench.room(Some(1));
    assert_eq!(publish_while_ready(&mut bench), 4, "straight through");
    assert_eq!(bench.gauges().queued, 0);
}

#[test]
fn what_is_handed_in_all_the_same_obeys_the_policy() {
    let mut bench = piled_up(OfflineQueue::bounded(2), 2);
    bench.connect();
    bench.publish("3");
    let op = bench.publish("4");
    assert!(matches!(bench.end(op), Some((_, OpError::Dropped(Dropped::Newest)))));
    let mut bench = piled_up(OfflineQueue::bounded(2).when_full(DropPolicy::DropOldest), 2);
    bench.connect();
    bench.publish("3");
    bench.publish("4");
    bench.publish("5");
    assert_eq!(bench.payloads(), ["1", "3", "4", "5"], "2 had to go, and with it what had piled up");
}

#[test]
fn what_may_not_be_queued_passes_a_drain() {
    let mut bench = piled_up(OfflineQueue::default(), 3);
    bench.connect();
    bench.op(Op::Publish(PublishOp { queue: false, ..one("now") }));
    assert_eq!(bench.payloads(), ["1", "now"]);
}

#[test]
fn a_tick_that_finds_no_room_is_made_up_for_at_once_and_the_next_is_counted_from_there() {
    let mut bench = piled_up(OfflineQueue::default(), 4);
    bench.room(Some(1));
    bench.connect();
    bench.advance(ms(1700));
    assert_eq!(bench.deadline(), None, "room comes by itself");
    bench.room(Some(1));
    bench.advance(ms(100));
    bench.room(None);
    bench.advance(secs(10));
    assert_eq!(bench.timed(), timed(&[(0, "1"), (1700, "2"), (2200, "3"), (2700, "4")]));
}

#[test]
fn a_cut_leaves_the_rest_in_order_as_the_next_backlog() {
    for sent in 1..=4u64 {
        let mut bench = piled_up(OfflineQueue::default(), 5);
        bench.connect();
        bench.advance(ms(500 * (sent - 1)));
        bench.publish("6");
        bench.disconnect();
        assert_eq!(bench.payloads().len(), sent as usize);
        bench.publish("7");
        bench.advance(secs(60));
        assert!(bench.payloads().is_empty());
        let start = support::script::millis(bench.now);
        bench.connect();
        bench.advance(secs(60));
        let expected: Vec<(u64, String)> =
            (0..7 - sent).map(|n| (start + n * 500, (sent + 1 + n).to_string())).collect();
        assert_eq!(bench.timed(), expected);
        let queued = 7 - sent as usize;
        assert!(bench.notices().contains(&(start, Notice::Draining { queued })));
    }
}

#[test]
fn the_link_may_be_gone_before_the_queue_hears_of_it() {
    // Connected and Disconnected come in one go: nothing may leave the queue in between.
    let mut bench = piled_up(OfflineQueue::default(), 2);
    let events = [support::script::connected(), support::script::disconnected()];
    bench.inner_says(events.map(iot_session::stage::Output::Event));
    assert!(bench.payloads().is_empty());
    assert!(bench.notices().is_empty());
    assert_eq!(bench.gauges().queued, 2);
}

#[test]
fn a_drain_ends_when_the_rest_of_it_expires() {
    let mut bench = Bench::new(OfflineQueue::default());
    bench.publish("1");
    let op: OpId = bench.op(Op::Publish(PublishOp { ttl: std::num::NonZeroU32::new(300), ..one("2") }));
    bench.connect();
    bench.advance(secs(1));
    assert!(matches!(bench.end(op), Some((_, OpError::Dropped(Dropped::Expired)))));
    assert_eq!(bench.notices(), [(0, Notice::Draining { queued: 2 }), (300, Notice::Drained)]);
    assert_eq!(bench.payloads(), ["1"]);
}
