//! The Resubscribe layer on a virtual clock: subscribe and unsubscribe with a connection.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::time::Duration;

use iot_session::layers::{Reconnect, Resubscribe};
use iot_session::stage::{Granted, Op, Quarantine, Receipt};
use iot_session::{OpError, QoS, Version};
use mqtt_codec::packet::ConnAck;
use mqtt_codec::{Properties, Property, ReasonCode};
use support::subscriptions::{
    GRANTED, filters, quarantined, reasons, resubscribed, rig, rig_with, subscribe, subscribe_at,
    unsubscribe, with_filters,
};
use support::{Rig, options, secs};

const NO: ReasonCode = ReasonCode::NotAuthorized;

#[test]
fn a_subscribe_goes_out_at_once_and_ends_with_the_servers_codes_in_order() {
    for version in [Version::V3_1_1, Version::V5] {
        let mut rig = Rig::resubscribing(options(version), Reconnect::default(), Resubscribe::default());
        rig.connect();
        let op = rig.op(subscribe(["a", "b", "c"]));
        let asked = rig.asked();
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].filters, ["a", "b", "c"]);
        assert!(rig.is_pending(op));
        let no = if version.is_v5() { NO } else { ReasonCode::UnspecifiedError };
        rig.answer(&asked[0], &[ReasonCode::Success, no, GRANTED]);
        assert_eq!(reasons(rig.done(op)), [ReasonCode::Success, no, GRANTED]);
        assert_eq!(rig.subscribed(), 2);
        assert_eq!(rig.notices(), [], "the one who asked knows");

        let op = rig.op(unsubscribe(["a", "c"]));
        let asked = rig.asked();
        assert!(!asked[0].subscribe);
        assert_eq!(asked[0].filters, ["a", "c"]);
        let codes = [ReasonCode::Success, ReasonCode::NoSubscriptionExisted];
        rig.answer(&asked[0], &codes);
        // An MQTT 3.1.1 UNSUBACK has no codes.
        let expected = if version.is_v5() { codes } else { [ReasonCode::Success; 2] };
        assert_eq!(reasons(rig.done(op)), expected);
        assert_eq!(rig.subscribed(), 0);
    }
}

#[test]
fn an_operation_with_many_filters_is_parted_and_put_together_again() {
    let mut rig = rig_with(Resubscribe::default().max_filters(3));
    rig.connect();
    let op = rig.op(subscribe(filters(7)));
    let asked = rig.asked();
    let sizes: Vec<usize> = asked.iter().map(|asked| asked.filters.len()).collect();
    assert_eq!(sizes, [3, 3, 1]);
    rig.answer(&asked[2], &[NO]);
    rig.answer(&asked[0], &[GRANTED, ReasonCode::Success, GRANTED]);
    assert!(rig.is_pending(op));
    rig.answer(&asked[1], &[GRANTED; 3]);
    let expected = [GRANTED, ReasonCode::Success, GRANTED, GRANTED, GRANTED, GRANTED, NO];
    assert_eq!(reasons(rig.done(op)), expected);
    let op = rig.op(unsubscribe(filters(7)));
    let sizes: Vec<usize> = rig.answer_all().iter().map(|asked| asked.filters.len()).collect();
    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(reasons(rig.done(op)).len(), 7);
}

#[test]
fn a_filter_in_force_is_subscribed_again_for_its_retained_messages() {
    let mut rig = with_filters(1);
    let op = rig.op(subscribe(filters(1)));
    assert_eq!(rig.answer_all().len(), 1);
    assert_eq!(reasons(rig.done(op)), [GRANTED]);
    assert_eq!(rig.subscribed(), 1);
}

#[test]
fn an_operation_without_a_filter_ends_at_once() {
    let mut rig = rig();
    for op in [subscribe([""; 0]), unsubscribe([""; 0])] {
        let op = rig.op(op);
        assert!(matches!(rig.done(op), Err(OpError::Unsupported(_))));
    }
}

#[test]
fn a_filter_named_twice_in_one_operation_is_asked_for_once() {
    let mut rig = rig();
    rig.connect();
    let op = rig.op(subscribe(["a", "a"]));
    let asked = rig.answer_all();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].filters, ["a"]);
    assert_eq!(reasons(rig.done(op)), [GRANTED, GRANTED]);
}

#[test]
fn subscribe_and_unsubscribe_of_one_filter_wait_for_each_other() {
    let mut rig = rig();
    rig.connect();
    let on = rig.op(subscribe(["a"]));
    let asked = rig.asked();
    let off = rig.op(unsubscribe(["a"]));
    assert!(rig.asked().is_empty(), "not beside a SUBSCRIBE of the same filter");
    let other = rig.op(subscribe(["b"]));
    assert_eq!(rig.answer_all().len(), 1, "others do not wait");
    assert!(rig.done(other).is_ok());
    rig.answer_ok(&asked[0]);
    assert_eq!(reasons(rig.done(on)), [GRANTED]);
    let asked = rig.asked();
    assert!(!asked[0].subscribe);
    rig.answer_ok(&asked[0]);
    assert_eq!(reasons(rig.done(off)), [ReasonCode::Success]);
    assert_eq!(rig.subscribed(), 1, "b");
}

#[test]
fn a_subscribe_that_an_unsubscribe_overtakes_is_interrupted() {
    let mut rig = with_filters(1);
    let first = rig.op(unsubscribe(["f/0"]));
    let asked = rig.asked();
    let (on, off) = (rig.op(subscribe(["f/0"])), rig.op(unsubscribe(["f/0"])));
    assert!(matches!(rig.done(on), Err(OpError::Interrupted)));
    rig.answer_ok(&asked[0]);
    assert!(rig.done(first).is_ok());
    assert!(rig.is_pending(off));
    assert!(rig.answer_all().iter().all(|asked| !asked.subscribe));
    assert!(rig.done(off).is_ok());
    assert_eq!(rig.subscribed(), 0);
}

#[test]
fn an_unsubscribe_that_a_subscribe_overtakes_counts_as_done_and_the_last_wins() {
    let mut rig = rig();
    rig.connect();
    let first = rig.op(subscribe(["a"]));
    let asked = rig.asked();
    let (off, last) = (rig.op(unsubscribe(["a"])), rig.op(subscribe_at(["a"], QoS::AtMostOnce)));
    assert!(rig.done(off).is_ok());
    rig.answer_ok(&asked[0]);
    assert!(rig.done(first).is_ok());
    let asked = rig.asked();
    assert_eq!(asked[0].qos, [QoS::AtMostOnce]);
    rig.answer_ok(&asked[0]);
    assert_eq!(reasons(rig.done(last)), [ReasonCode::Success]);
    rig.cut(false);
    let asked = rig.answer_all();
    assert_eq!(asked[0].qos, [QoS::AtMostOnce]);
}

#[test]
fn a_subscribe_without_an_answer_times_out_and_the_next_connection_clears_it_up() {
    let mut rig = with_filters(1);
    let op = rig.op(subscribe(["lost"]));
    rig.asked();
    rig.advance(secs(5) - Duration::from_nanos(1));
    assert!(rig.is_pending(op));
    rig.advance(Duration::from_nanos(1));
    assert!(matches!(rig.done(op), Err(OpError::TimedOut)));
    assert!(rig.hangups.is_empty(), "the connection lives on");
    rig.cut(true);
    let asked = rig.answer_all();
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].subscribe, "the server may have it");
    assert_eq!(asked[0].filters, ["lost"]);
    assert_eq!(rig.notices(), [resubscribed(0, 1)]);
    rig.cut(false);
    assert_eq!(rig.answer_all()[0].filters, ["f/0"], "out of the set");
}

#[test]
fn a_renewal_without_an_answer_times_out_but_what_was_in_force_stays_wanted() {
    let mut rig = with_filters(1);
    let op = rig.op(subscribe(filters(1)));
    rig.asked();
    rig.advance(secs(5));
    assert!(matches!(rig.done(op), Err(OpError::TimedOut)));
    rig.cut(true);
    assert!(rig.answer_all()[0].subscribe);
    assert_eq!(rig.notices(), [resubscribed(1, 0)]);
}

#[test]
fn a_renewal_without_an_answer_is_asked_for_again_so_that_a_refusal_is_noticed() {
    let mut rig = with_filters(1);
    rig.op(subscribe(filters(1)));
    let late = rig.asked().remove(0);
    rig.advance(secs(5));
    let again = rig.asked().remove(0);
    assert_eq!(again.filters, ["f/0"]);
    // Nobody hears this one any more.
    rig.answer(&late, &[NO]);
    assert_eq!(rig.subscribed(), 0, "nobody knows");
    assert!(rig.notices().is_empty());
    rig.answer(&again, &[NO]);
    assert!(matches!(rig.notices().as_slice(), [iot_session::stage::Notice::Quarantined { .. }]));
    // A server that never answers is asked three times more.
    let mut rig = with_filters(1);
    rig.op(subscribe(filters(1)));
    let asked: usize = (0..10)
        .map(|_| {
            rig.advance(secs(5));
            rig.asked().len()
        })
        .sum();
    assert_eq!(asked, 1 + 3);
}

#[test]
fn an_unsubscribe_without_an_answer_times_out_and_is_sent_again_on_the_next_connection() {
    let mut rig = with_filters(2);
    let op = rig.op(unsubscribe(["f/0"]));
    rig.asked();
    rig.advance(secs(5));
    assert!(matches!(rig.done(op), Err(OpError::TimedOut)));
    rig.cut(true);
    assert!(!rig.answer_all()[0].subscribe);
    assert_eq!(rig.subscribed(), 1);
}

#[test]
fn a_filter_in_force_that_is_refused_when_it_is_renewed_leaves_the_set_and_that_is_said() {
    let mut rig = with_filters(2);
    let op = rig.op(subscribe(["f/0"]));
    let asked = rig.asked();
    rig.answer(&asked[0], &[NO]);
    assert_eq!(reasons(rig.done(op)), [NO]);
    assert_eq!(rig.notices(), [quarantined("f/0", Quarantine::Refused(NO))]);
    assert_eq!(rig.subscribed(), 1, "whether the server keeps what it had, nobody knows");
    rig.cut(true);
    let asked = rig.answer_all();
    assert!(!asked[0].subscribe);
    assert_eq!(asked[0].filters, ["f/0"]);
    rig.cut(false);
    assert_eq!(rig.answer_all()[0].filters, ["f/1"]);
}

#[test]
fn a_filter_that_the_server_knows_not_how_to_take_does_not_drag_others_along() {
    let mut rig = rig();
    let good = rig.op(subscribe(["a", "b"]));
    let bad = rig.op(subscribe(["x/+"]));
    let connect = rig.op(Op::CONNECT);
    let mut connack = ConnAck::new(false, ReasonCode::Success);
    connack.properties = Properties::new().with(Property::WildcardSubscriptionAvailable(false)).unwrap();
    rig.accept_with(connack);
    let names: Vec<String> = rig.answer_all().into_iter().flat_map(|asked| asked.filters).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(reasons(rig.done(good)), [GRANTED, GRANTED]);
    assert!(matches!(rig.done(bad), Err(OpError::Unsupported(_))));
    assert!(rig.done(connect).is_ok());
    assert_eq!(rig.notices(), [resubscribed(2, 0)]);
}

#[test]
fn the_filters_of_a_packet_that_could_not_be_sent_are_tried_alone_and_only_this_once() {
    let mut rig = rig_with(Resubscribe::default().max_filters(2));
    let bad = rig.op(subscribe(["x/+", "a"]));
    let good = rig.op(subscribe(["b", "c"]));
    rig.op(Op::CONNECT);
    let mut connack = ConnAck::new(false, ReasonCode::Success);
    connack.properties = Properties::new().with(Property::WildcardSubscriptionAvailable(false)).unwrap();
    rig.accept_with(connack);
    let names =
        |rig: &mut Rig| -> Vec<_> { rig.answer_all().into_iter().map(|asked| asked.filters).collect() };
    assert_eq!(names(&mut rig), [vec!["a"], vec!["b", "c"]]);
    assert!(matches!(rig.done(bad), Err(OpError::Unsupported(_))));
    assert!(rig.done(good).is_ok());
    rig.cut(false);
    assert_eq!(names(&mut rig), [vec!["a", "b"], vec!["c"]]);
}

#[test]
fn the_servers_words_reach_the_one_who_subscribed() {
    let mut rig = rig();
    rig.connect();
    let op = rig.op(subscribe(["a"]));
    let asked = rig.asked();
    rig.answer_with_words(&asked[0], &[NO], "not yours");
    let Ok(Receipt::Subscribed(granted)) = rig.done(op) else { panic!() };
    let Granted { reasons, message } = *granted;
    assert_eq!((reasons.as_slice(), message.unwrap().as_str()), (&[NO][..], "not yours"));

    let mut rig = rig_with(Resubscribe::default().max_filters(1));
    rig.connect();
    let op = rig.op(subscribe(["a", "b"]));
    let asked = rig.asked();
    rig.answer_with_words(&asked[1], &[NO], "the first");
    rig.answer_with_words(&asked[0], &[NO], "the second");
    let Ok(Receipt::Subscribed(granted)) = rig.done(op) else { panic!() };
    assert_eq!(granted.message.unwrap().as_str(), "the first");
}

#[test]
fn a_filter_that_was_refused_leaves_nothing_to_clear_up() {
    let mut rig = with_filters(1);
    let op = rig.op(subscribe(["no"]));
    let asked = rig.asked();
    rig.answer(&asked[0], &[NO]);
    assert_eq!(reasons(rig.done(op)), [NO]);
    rig.cut(true);
    assert!(rig.asked().is_empty());
    assert_eq!(rig.notices(), [resubscribed(0, 1)]);
}

#[test]
fn a_filter_in_force_that_the_server_of_the_next_connection_does_not_know_leaves_the_set_and_that_is_said() {
    let mut rig = rig();
    rig.connect();
    let (wildcard, plain) = (rig.op(subscribe(["x/+"])), rig.op(subscribe(["a"])));
    rig.answer_all();
    assert!(rig.done(wildcard).is_ok() && rig.done(plain).is_ok());
    let dials = rig.dials.len();
    rig.link_down();
    while rig.dials.len() == dials {
        rig.advance(Duration::from_millis(100));
    }
    let mut connack = ConnAck::new(false, ReasonCode::Success);
    connack.properties = Properties::new().with(Property::WildcardSubscriptionAvailable(false)).unwrap();
    rig.accept_with(connack);
    let asked: Vec<_> = rig.answer_all().into_iter().map(|asked| asked.filters).collect();
    assert_eq!(asked, [["a"]]);
    let why = Quarantine::Refused(ReasonCode::ImplementationSpecificError);
    assert!(rig.notices().contains(&quarantined("x/+", why)));
    rig.cut(false);
    assert_eq!(rig.answer_all()[0].filters, ["a"], "it is not tried again");
}
