//! The Retry layer on a virtual clock: what comes back goes out again first, in order.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::num::NonZeroU32;
use std::time::Duration;

use iot_session::layers::Retry;
use iot_session::stage::{Event, Op, OpId, Output, PublishOp};
use iot_session::{Dropped, OpError};
use support::script::{Bench, connected, disconnected, one, returned};
use support::secs;

/// Connected, with messages 1 to `n` below.
fn with_below(n: usize) -> (Bench, Vec<OpId>) {
    let mut bench = Bench::new(Retry::new());
    bench.connect();
    let ops = (1..=n).map(|n| bench.publish(&n.to_string())).collect();
    assert_eq!(bench.payloads().len(), n, "messages pass");
    (bench, ops)
}

fn back(ops: &[OpId], n: usize) -> Output {
    Output::Event(returned(ops[n - 1], &n.to_string()))
}

#[test]
fn messages_that_come_back_go_out_again_in_order_under_their_names() {
    let (mut bench, ops) = with_below(3);
    bench.inner_says([back(&ops, 1), back(&ops, 2), back(&ops, 3), Output::Event(disconnected())]);
    assert!(bench.payloads().is_empty());
    assert_eq!((bench.gauges().queued, bench.gauges().queued_bytes), (3, 18));
    bench.connect();
    let again: Vec<OpId> = bench.taken().into_iter().map(|(_, id, _)| id).collect();
    assert_eq!(again, ops);
    assert_eq!(bench.gauges().queued, 0);
    assert!(!bench.events.iter().any(|(_, event)| matches!(event, Event::Returned(..))));
}

#[test]
fn nothing_is_issued_before_it_is_clear_that_there_is_a_connection() {
    let (mut bench, ops) = with_below(1);
    let (up, down) = (Output::Event(connected()), Output::Event(disconnected()));
    bench.inner_says([Output::Event(disconnected()), up, back(&ops, 1), down]);
    assert!(bench.payloads().is_empty());
    bench.connect();
    assert_eq!(bench.payloads(), ["1"]);
}

#[test]
fn what_comes_back_later_was_issued_earlier() {
    let (mut bench, ops) = with_below(5);
    // Two never reached the link; the session of the other three turns out to be lost.
    bench.inner_says([back(&ops, 4), back(&ops, 5), Output::Event(disconnected())]);
    bench.inner_says([Output::Event(connected()), back(&ops, 1), back(&ops, 2), back(&ops, 3)]);
    assert_eq!(bench.payloads(), ["1", "2", "3", "4", "5"]);
}

#[test]
fn a_cut_half_way_keeps_the_order() {
    for sent in 0..=4 {
        let (mut bench, ops) = with_below(4);
        let all = (1..=4).map(|n| back(&ops, n));
        bench.inner_says(all.chain([Output::Event(disconnected())]));
        bench.room(Some(sent));
        bench.connect();
        assert_eq!(bench.payloads().len(), sent);
        bench.inner_says((1..=sent).map(|n| back(&ops, n)).chain([Output::Event(disconnected())]));
        bench.room(None);
        bench.connect();
        assert_eq!(bench.payloads(), ["1", "2", "3", "4"]);
    }
}

#[test]
fn new_messages_wait_behind_those_that_came_back() {
    let (mut bench, ops) = with_below(2);
    bench.inner_says([back(&ops, 1), back(&ops, 2), Output::Event(disconnected())]);
    assert!(!bench.ready());
    bench.room(Some(1));
    bench.connect();
    assert!(!bench.ready());
    bench.publish("3");
    bench.op(Op::Publish(PublishOp { queue: false, ..one("never waits") }));
    assert_eq!(bench.payloads(), ["1", "never waits"]);
    bench.room(Some(1));
    assert!(!bench.ready());
    bench.room(Some(2));
    assert_eq!(bench.payloads(), ["2", "3"]);
    assert!(bench.ready());
}

#[test]
fn a_disconnect_passes_and_what_is_held_waits_for_the_next_connection() {
    let (mut bench, ops) = with_below(1);
    bench.inner_says([back(&ops, 1), Output::Event(disconnected())]);
    bench.op(Op::Disconnect);
    assert!(matches!(bench.others().as_slice(), [Op::Disconnect]));
    bench.advance(secs(3600));
    assert!(bench.end(ops[0]).is_none());
    bench.connect();
    assert_eq!(bench.payloads(), ["1"]);
}

#[test]
fn a_time_to_live_that_is_left_goes_on_and_ends_at_its_instant() {
    let (mut bench, ops) = with_below(2);
    let with_ttl = |n: usize, ttl| {
        let op = PublishOp { ttl: NonZeroU32::new(ttl), ..one(&n.to_string()) };
        Output::Event(Event::Returned(ops[n - 1], Box::new(op)))
    };
    bench.inner_says([with_ttl(1, 1000), with_ttl(2, 5000), Output::Event(disconnected())]);
    bench.advance(Duration::from_millis(1500));
    let (at, error) = bench.end(ops[0]).unwrap();
    assert!(matches!(error, OpError::Dropped(Dropped::Expired)));
    assert_eq!(support::script::millis(at), 1000);
    bench.connect();
    let taken = bench.taken();
    assert_eq!((taken.len(), taken[0].2.ttl.unwrap().get()), (1, 3500));
}
