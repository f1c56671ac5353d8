//! The Resubscribe layer on a virtual clock: subscribe and unsubscribe without a connection, and what disconnect makes of
//! them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use iot_session::stage::Op;
use iot_session::{OpError, QoS};
use mqtt_codec::ReasonCode;
use support::message;
use support::subscriptions::{
    GRANTED, reasons, resubscribed, rig, subscribe, subscribe_at, unsubscribe, with_filters,
};

#[test]
fn offline_subscribes_and_unsubscribes_end_when_they_take_effect() {
    for session_present in [false, true] {
        let mut rig = with_filters(2);
        rig.link_down();
        let (on, off) = (rig.op(subscribe(["new"])), rig.op(unsubscribe(["f/0"])));
        assert!(rig.is_pending(on) && rig.is_pending(off));
        rig.reconnect(session_present);
        let asked = rig.asked();
        if session_present {
            rig.answer_ok(&asked[0]);
            assert_eq!(reasons(rig.done(off)), [ReasonCode::Success]);
            assert!(rig.is_pending(on));
            rig.answer_ok(&asked[1]);
        } else {
            // The session is gone, and with it the subscription.
            assert_eq!(reasons(rig.done(off)), [ReasonCode::NoSubscriptionExisted]);
            assert_eq!(asked[0].filters, ["f/1", "new"]);
            rig.answer_ok(&asked[0]);
        }
        assert_eq!(reasons(rig.done(on)), [GRANTED]);
        assert_eq!(rig.subscribed(), 2);
    }
}

#[test]
fn disconnect_and_connect_keep_the_set_but_not_what_was_never_acknowledged() {
    let mut rig = with_filters(3);
    rig.link_down();
    let (on, off) = (rig.op(subscribe(["new"])), rig.op(unsubscribe(["f/0"])));
    let disconnect = rig.op(Op::Disconnect);
    assert!(matches!(rig.done(on), Err(OpError::Interrupted)));
    assert!(matches!(rig.done(off), Err(OpError::Interrupted)));
    assert!(rig.done(disconnect).is_ok());
    rig.events.clear();
    let connect = rig.op(Op::CONNECT);
    rig.accept(true);
    let asked = rig.answer_all();
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].subscribe);
    assert_eq!(asked[0].filters, ["f/0"]);
    assert!(rig.done(connect).is_ok());
    assert_eq!(rig.notices(), [resubscribed(0, 2)]);
    rig.op(Op::Disconnect);
    rig.op(Op::CONNECT);
    rig.accept(false);
    assert_eq!(rig.answer_all()[0].filters, ["f/1", "f/2"]);
}

#[test]
fn disconnect_ends_what_was_sent_and_not_answered() {
    let mut rig = with_filters(1);
    let on = rig.op(subscribe(["new"]));
    rig.asked();
    rig.op(Op::Disconnect);
    assert!(matches!(rig.done(on), Err(OpError::Interrupted)));
    rig.sent();
    rig.op(Op::CONNECT);
    rig.accept(true);
    let asked = rig.answer_all();
    assert!(!asked[0].subscribe, "the server may have it");
    assert_eq!(asked[0].filters, ["new"]);
    assert_eq!(rig.subscribed(), 1);
}

#[test]
fn of_what_is_asked_offline_the_last_wins() {
    let mut rig = with_filters(1);
    rig.link_down();
    let first = rig.op(subscribe_at(["a"], QoS::AtMostOnce));
    let second = rig.op(subscribe(["a"]));
    let (on, off) = (rig.op(subscribe(["b"])), rig.op(unsubscribe(["b"])));
    assert!(matches!(rig.done(on), Err(OpError::Interrupted)));
    rig.reconnect(false);
    let asked = rig.answer_all();
    assert_eq!(asked[0].filters, ["f/0", "a"]);
    assert_eq!(asked[0].qos[1], QoS::AtLeastOnce);
    assert_eq!(reasons(rig.done(first)), [GRANTED]);
    assert_eq!(reasons(rig.done(second)), [GRANTED]);
    assert_eq!(reasons(rig.done(off)), [ReasonCode::NoSubscriptionExisted]);
    assert_eq!(rig.subscribed(), 2);
}

#[test]
fn disconnect_takes_out_what_was_given_up_and_asked_for_anew_without_an_answer() {
    let mut rig = with_filters(2);
    rig.link_down();
    let (off, on) = (rig.op(unsubscribe(["f/0"])), rig.op(subscribe(["f/0"])));
    assert!(rig.done(off).is_ok(), "the subscribe came after it");
    rig.op(Op::Disconnect);
    assert!(matches!(rig.done(on), Err(OpError::Interrupted)));
    rig.op(Op::CONNECT);
    rig.accept(false);
    assert_eq!(rig.answer_all()[0].filters, ["f/1"]);
}

#[test]
fn disconnect_takes_out_a_filter_whose_last_subscribe_had_not_even_been_sent() {
    let mut rig = rig();
    rig.connect();
    let (first, off) = (rig.op(subscribe(["a"])), rig.op(unsubscribe(["a"])));
    let asked = rig.asked();
    rig.answer_ok(&asked[0]);
    assert!(rig.done(first).is_ok());
    assert!(!rig.asked()[0].subscribe);
    let last = rig.op(subscribe(["a"]));
    rig.op(Op::Disconnect);
    assert!(matches!(rig.done(off), Err(OpError::Interrupted)));
    assert!(matches!(rig.done(last), Err(OpError::Interrupted)));
    rig.sent();
    rig.op(Op::CONNECT);
    rig.accept(true);
    let asked = rig.answer_all();
    assert!(asked.len() == 1 && !asked[0].subscribe, "the server may have it");
}

#[test]
fn subscribe_and_unsubscribe_before_the_first_connection_leave_nothing_to_send() {
    let mut rig = rig();
    let (on, off) = (rig.op(subscribe(["a"])), rig.op(unsubscribe(["a"])));
    assert!(matches!(rig.done(on), Err(OpError::Interrupted)));
    assert!(rig.is_pending(off));
    rig.op(Op::CONNECT);
    rig.accept(false);
    assert_eq!(reasons(rig.done(off)), [ReasonCode::NoSubscriptionExisted]);
    assert!(rig.asked().is_empty());
    assert_eq!(rig.notices(), [resubscribed(0, 0)]);
}

#[test]
fn a_cut_while_an_unsubscribe_waits_for_a_subscribe_ends_the_subscribe_and_not_the_unsubscribe() {
    let mut rig = with_filters(1);
    let (on, off) = (rig.op(subscribe(["a"])), rig.op(unsubscribe(["a"])));
    assert_eq!(rig.asked().len(), 1);
    rig.link_down();
    assert!(
        matches!(rig.done(on), Err(OpError::Interrupted)),
        "what the server would have said, nobody knows"
    );
    assert!(rig.is_pending(off));
    rig.reconnect(true);
    let asked = rig.answer_all();
    assert!(asked.len() == 1 && !asked[0].subscribe);
    assert_eq!(reasons(rig.done(off)), [ReasonCode::Success]);
}

#[test]
fn a_change_of_what_is_in_force_outlives_a_disconnect() {
    let mut rig = with_filters(2);
    rig.link_down();
    let change = rig.op(subscribe_at(["f/0"], QoS::AtMostOnce));
    rig.op(Op::Disconnect);
    assert!(matches!(rig.done(change), Err(OpError::Interrupted)));
    rig.op(Op::CONNECT);
    rig.accept(true);
    let asked = rig.answer_all();
    assert_eq!(asked.len(), 1);
    assert_eq!((&asked[0].filters[..], &asked[0].qos[..]), (&["f/0".to_owned()][..], &[QoS::AtMostOnce][..]));
}

#[test]
fn a_connect_with_everything_in_force_ends_at_once() {
    let mut rig = with_filters(1);
    let connect = rig.op(Op::CONNECT);
    assert!(rig.done(connect).is_ok());
    rig.op(message("t", "x", QoS::AtLeastOnce));
    let gauges = rig.machine.gauges();
    assert_eq!((gauges.subscriptions, gauges.in_flight), (1, 1));
}
