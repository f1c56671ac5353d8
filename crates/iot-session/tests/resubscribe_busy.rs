//! The Resubscribe layer on a virtual clock: no packet identifier is left to subscribe with.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::time::Duration;

use iot_session::layers::{Reconnect, Resubscribe};
use iot_session::stage::Op;
use iot_session::{OpError, QoS, Version};
use support::subscriptions::{GRANTED, reasons, resubscribed, subscribe};
use support::{Rig, lasting, message, secs};

/// `filters` in force, and every packet identifier taken by a message without an answer.
fn exhausted(filters: &[&str]) -> Rig {
    let options =
        lasting(Version::V5).keep_alive(Duration::ZERO).window(u16::MAX).operation_timeout(secs(600));
    let mut rig = Rig::resubscribing(options, Reconnect::default(), Resubscribe::default());
    rig.op(subscribe(filters));
    rig.op(Op::CONNECT);
    rig.accept(false);
    rig.answer_all();
    rig.events.clear();
    for _ in 0..u16::MAX {
        rig.op(message("t", "x", QoS::AtLeastOnce));
    }
    assert_eq!(rig.sent().len(), usize::from(u16::MAX));
    rig
}

#[test]
fn without_an_identifier_left_a_subscribe_is_busy_and_what_is_in_force_stays() {
    let mut rig = exhausted(&["a"]);
    let (renewal, new) = (rig.op(subscribe(["a"])), rig.op(subscribe(["new"])));
    assert!(matches!(rig.done(renewal), Err(OpError::Busy)));
    assert!(matches!(rig.done(new), Err(OpError::Busy)));
    assert_eq!(rig.notices(), []);
    rig.cut(false);
    let asked = rig.answer_all();
    assert_eq!(asked[0].filters, ["a"]);
}

#[test]
fn a_recovery_without_an_identifier_left_is_a_failed_attempt_and_costs_nobody_a_filter() {
    let mut rig = exhausted(&["a"]);
    rig.link_down();
    let op = rig.op(subscribe(["new"]));
    for delay in [2, 4] {
        rig.reconnect(true);
        assert_eq!(rig.hangups.last(), Some(&rig.now));
        let disconnected = rig.disconnects().pop().unwrap();
        assert!(disconnected.error.to_string().contains("identifier"), "{}", disconnected.error);
        assert!(disconnected.error.is_retryable() && !disconnected.error.is_by_peer());
        assert_eq!(disconnected.retry_at.map(|at| at.since(rig.now)), Some(secs(delay)));
        assert!(rig.is_pending(op) && rig.connections().is_empty());
    }
    // The session is lost, and with it what took the identifiers.
    rig.reconnect(false);
    assert_eq!(rig.answer_all()[0].filters, ["a", "new"]);
    assert_eq!(reasons(rig.done(op)), [GRANTED]);
    assert_eq!(rig.notices(), [resubscribed(2, 0)]);
}
