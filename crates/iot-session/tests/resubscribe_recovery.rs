//! The Resubscribe layer on a virtual clock: what a new connection brings back.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::time::Duration;

use iot_session::layers::{Reconnect, Resubscribe};
use iot_session::stage::{Event, Notice, Op, Quarantine, Receipt};
use iot_session::{ConnectionError, OpError, QoS, Version};
use mqtt_codec::ReasonCode;
use support::subscriptions::{
    GRANTED, filters, quarantined, reasons, resubscribed, rig, subscribe, subscribe_at, unsubscribe,
    with_filters,
};
use support::{Rig, lasting, publish, secs};

const NO: ReasonCode = ReasonCode::NotAuthorized;

#[test]
fn fifty_filters_come_back_in_7_packets_of_at_most_8_and_connected_waits_for_the_last_answer() {
    let mut rig = with_filters(50);
    rig.cut(false);
    let waiter = rig.op(Op::CONNECT);
    let asked = rig.asked();
    let sizes: Vec<usize> = asked.iter().map(|asked| asked.filters.len()).collect();
    assert_eq!(sizes, [8, 8, 8, 8, 8, 8, 2]);
    let names: Vec<String> = asked.iter().flat_map(|asked| asked.filters.clone()).collect();
    assert_eq!(names, filters(50), "in the order in which they were asked for");
    for asked in &asked {
        assert!(rig.connections().is_empty() && rig.is_pending(waiter) && !rig.machine.ready());
        rig.answer_ok(asked);
    }
    assert_eq!(rig.connections().len(), 1);
    assert!(rig.machine.ready());
    let last: Vec<&Event> = rig.events.iter().rev().take(3).collect();
    assert!(matches!(last[2], Event::Notice(Notice::Resubscribed { sent: 50, kept: 0 })));
    assert!(matches!(last[1], Event::Connected(_)));
    assert!(matches!(last[0], Event::Done(id, Ok(Receipt::Connected(_))) if *id == waiter));
    assert_eq!(rig.subscribed(), 50);
}

#[test]
fn filters_of_several_operations_share_packets_and_the_last_answer_counts_whichever_it_is() {
    let mut rig = rig();
    let ops: Vec<_> = filters(50).chunks(5).map(|names| rig.op(subscribe(names))).collect();
    let waiters = [rig.op(Op::CONNECT), rig.op(Op::CONNECT)];
    rig.accept(false);
    let asked = rig.asked();
    let sizes: Vec<usize> = asked.iter().map(|asked| asked.filters.len()).collect();
    assert_eq!(sizes, [8, 8, 8, 8, 8, 8, 2]);
    for (n, asked) in asked.iter().rev().enumerate() {
        assert_eq!(rig.subscribed(), if n == 0 { 0 } else { 8 * n - 6 });
        assert!(rig.connections().is_empty() && !rig.machine.ready());
        rig.answer_ok(asked);
    }
    assert_eq!(rig.subscribed(), 50);
    for op in ops {
        assert_eq!(reasons(rig.done(op)), [GRANTED; 5]);
    }
    let [Event::Notice(Notice::Resubscribed { sent: 50, kept: 0 }), Event::Connected(_), rest @ ..] =
        &rig.events[..]
    else {
        panic!("{:?}", rig.events)
    };
    let ended =
        |n: usize| matches!(&rest[n], Event::Done(id, Ok(Receipt::Connected(_))) if *id == waiters[n]);
    assert!(rest.len() == 2 && ended(0) && ended(1), "{rest:?}");
}

#[test]
fn a_cut_between_any_two_answers_starts_recovery_anew() {
    for answered in 0..7 {
        for session_present in [false, true] {
            let mut rig = with_filters(50);
            rig.cut(false);
            let waiter = rig.op(Op::CONNECT);
            let asked = rig.asked();
            asked.iter().take(answered).for_each(|asked| rig.answer_ok(asked));
            rig.events.clear();
            rig.link_down();
            assert!(rig.disconnects()[0].retry_at.is_some());
            assert!(rig.is_pending(waiter), "only a usable session ends it");
            rig.reconnect(session_present);
            let kept = if session_present { 8 * answered } else { 0 };
            let asked = rig.answer_all();
            assert_eq!(asked.iter().map(|asked| asked.filters.len()).sum::<usize>(), 50 - kept);
            assert!(rig.done(waiter).is_ok());
            assert_eq!(rig.notices(), [resubscribed(50 - kept, kept)]);
            assert_eq!(rig.connections().len(), 1);
            assert_eq!(rig.subscribed(), 50);
        }
    }
}

#[test]
fn a_connect_that_waits_for_its_subscriptions_ends_when_no_attempt_follows() {
    let mut rig = rig();
    rig.op(subscribe(["a"]));
    let connect = rig.op(Op::CONNECT);
    rig.accept(false);
    assert!(rig.is_pending(connect));
    let disconnect = rig.op(Op::Disconnect);
    assert!(matches!(rig.done(connect), Err(OpError::Connect(ConnectionError::Requested))));
    assert!(rig.done(disconnect).is_ok());
}

#[test]
fn a_disconnect_between_two_recoveries_ends_the_connect_that_waited_through_the_first() {
    let mut rig = with_filters(1);
    rig.cut(false);
    let connect = rig.op(Op::CONNECT);
    rig.link_down();
    assert!(rig.is_pending(connect));
    let disconnect = rig.op(Op::Disconnect);
    assert!(matches!(rig.done(connect), Err(OpError::Connect(ConnectionError::Requested))));
    assert!(rig.done(disconnect).is_ok());
}

#[test]
fn a_server_that_closes_during_recovery_costs_nobody_a_filter() {
    for answered in 0..=6 {
        let mut rig = with_filters(50);
        rig.cut(false);
        let asked = rig.asked();
        asked.iter().take(answered).for_each(|asked| rig.answer_ok(asked));
        rig.server_closes();
        assert!(rig.connections().is_empty());
        rig.reconnect(false);
        assert_eq!(rig.answer_all().len(), 7, "everything anew");
        assert_eq!(rig.notices(), [resubscribed(50, 0)]);
        assert_eq!(rig.connections().len(), 1);
    }
}

#[test]
fn a_cut_after_the_last_answer_has_nothing_left_to_send_if_the_session_is_kept() {
    let mut rig = with_filters(50);
    rig.cut(false);
    rig.answer_all();
    rig.events.clear();
    rig.cut(true);
    assert!(rig.asked().is_empty());
    assert_eq!(rig.notices(), [resubscribed(0, 50)]);
}

#[test]
fn a_kept_session_is_sent_nothing() {
    let mut rig = with_filters(20);
    rig.cut(true);
    assert!(rig.asked().is_empty());
    assert_eq!(rig.connections().len(), 1);
    assert_eq!(rig.notices(), [resubscribed(0, 20)]);
}

#[test]
fn a_kept_session_is_sent_only_the_difference() {
    let mut rig = with_filters(20);
    rig.link_down();
    let off = rig.op(unsubscribe(["f/3", "f/4"]));
    let on = rig.op(subscribe(["new"]));
    let changed = rig.op(subscribe_at(["f/5"], QoS::AtMostOnce));
    rig.reconnect(true);
    let asked = rig.asked();
    assert_eq!(asked.len(), 2);
    assert!(!asked[0].subscribe && asked[1].subscribe);
    assert_eq!(asked[0].filters, ["f/3", "f/4"]);
    assert_eq!(asked[1].filters, ["f/5", "new"]);
    asked.iter().for_each(|asked| rig.answer_ok(asked));
    assert!([off, on, changed].into_iter().all(|op| rig.done(op).is_ok()));
    assert_eq!(rig.notices(), [resubscribed(2, 17)]);
    assert_eq!(rig.subscribed(), 19);
}

#[test]
fn what_is_given_up_goes_first_and_makes_room() {
    let mut rig = with_filters(4);
    rig.link_down();
    rig.op(subscribe_at(["f/0", "f/2"], QoS::AtMostOnce));
    rig.op(unsubscribe(["f/1", "f/3"]));
    rig.reconnect(true);
    let asked = rig.answer_all();
    let order: Vec<_> = asked.iter().map(|asked| (asked.subscribe, asked.filters.join(" "))).collect();
    assert_eq!(order, [(false, "f/1 f/3".to_owned()), (true, "f/0 f/2".to_owned())]);
}

#[test]
fn after_a_restart_of_the_process_a_kept_session_is_sent_everything() {
    let options = lasting(Version::V3_1_1).keep_alive(Duration::ZERO);
    let mut rig = Rig::resubscribing(options, Reconnect::default(), Resubscribe::default());
    let op = rig.op(subscribe(filters(3)));
    let off = rig.op(unsubscribe(["left over"]));
    rig.op(Op::CONNECT);
    rig.accept(true);
    let asked = rig.asked();
    assert_eq!(asked.len(), 2);
    asked.iter().for_each(|asked| rig.answer_ok(asked));
    assert_eq!(reasons(rig.done(off)), [ReasonCode::Success]);
    assert_eq!(reasons(rig.done(op)), [GRANTED; 3]);
    assert_eq!(rig.notices(), [resubscribed(3, 0)]);
}

#[test]
fn what_a_cut_left_unanswered_is_sent_again() {
    let mut rig = with_filters(2);
    let (on, off) = (rig.op(subscribe(["new"])), rig.op(unsubscribe(["f/0"])));
    assert_eq!(rig.asked().len(), 2);
    rig.cut(true);
    assert!(rig.is_pending(on) && rig.is_pending(off));
    assert_eq!(rig.answer_all().len(), 2);
    assert!(rig.done(on).is_ok() && rig.done(off).is_ok());
    assert_eq!(rig.subscribed(), 2);
}

#[test]
fn a_filter_refused_on_resubscription_is_quarantined_until_somebody_subscribes_it_anew() {
    let mut rig = with_filters(3);
    rig.cut(false);
    let asked = rig.asked();
    rig.answer(&asked[0], &[GRANTED, NO, GRANTED]);
    assert_eq!(rig.notices(), [quarantined("f/1", Quarantine::Refused(NO)), resubscribed(2, 0)]);
    assert_eq!(rig.connections().len(), 1);
    rig.cut(false);
    assert_eq!(rig.answer_all()[0].filters, ["f/0", "f/2"]);
    let op = rig.op(subscribe(["f/1"]));
    rig.answer_all();
    assert_eq!(reasons(rig.done(op)), [GRANTED]);
    rig.cut(false);
    assert_eq!(rig.answer_all()[0].filters.len(), 3);
}

#[test]
fn an_answer_that_does_not_come_during_recovery_is_a_failed_attempt() {
    let mut rig = with_filters(9);
    rig.link_down();
    for delay in [1, 2, 4, 8] {
        let retry_at = rig.disconnects().pop().unwrap().retry_at.unwrap();
        assert_eq!(retry_at.since(rig.now), secs(delay));
        rig.events.clear();
        rig.advance(secs(delay));
        rig.accept(false);
        let asked = rig.asked();
        rig.answer_ok(&asked[1]);
        rig.advance(secs(5) - Duration::from_nanos(1));
        assert!(rig.events.is_empty());
        rig.advance(Duration::from_nanos(1));
        assert_eq!(rig.hangups.last(), Some(&rig.now));
        let [Event::Disconnected(disconnected)] = &rig.events[..] else { panic!("{:?}", rig.events) };
        assert!(disconnected.error.to_string().contains("SUBSCRIBE"), "{}", disconnected.error);
        assert!(disconnected.error.is_retryable() && !disconnected.error.is_by_peer());
    }
    rig.reconnect(false);
    rig.answer_all();
    assert_eq!(rig.subscribed(), 9, "silence is no reason to give a filter up");
}

#[test]
fn what_was_asked_offline_outlives_a_recovery_without_an_answer() {
    let mut rig = with_filters(1);
    rig.link_down();
    let (on, off) = (rig.op(subscribe(["new"])), rig.op(unsubscribe(["f/0"])));
    rig.reconnect(true);
    assert_eq!(rig.asked().len(), 2);
    rig.advance(secs(5));
    assert_eq!(rig.hangups.len(), 1, "one for both packets");
    assert!(rig.is_pending(on) && rig.is_pending(off), "they end when they take effect");
    rig.reconnect(true);
    assert_eq!(rig.answer_all().len(), 2);
    assert_eq!(reasons(rig.done(on)), [GRANTED]);
    assert_eq!(reasons(rig.done(off)), [ReasonCode::Success]);
    assert_eq!(rig.subscribed(), 1);
}

#[test]
fn what_is_asked_during_recovery_has_its_own_time_to_be_answered() {
    let mut rig = with_filters(1);
    rig.cut(false);
    let recovery = rig.asked();
    rig.advance(secs(2));
    let op = rig.op(subscribe(["late"]));
    rig.asked();
    rig.advance(secs(1));
    rig.answer_ok(&recovery[0]);
    rig.advance(secs(4) - Duration::from_nanos(1));
    assert!(rig.is_pending(op));
    rig.advance(Duration::from_nanos(1));
    assert!(matches!(rig.done(op), Err(OpError::TimedOut)));
    assert!(rig.hangups.is_empty(), "recovery was over");
}

#[test]
fn an_unsubscribe_during_recovery_takes_the_place_of_what_recovery_had_sent() {
    let mut rig = with_filters(2);
    rig.cut(false);
    let recovery = rig.asked();
    let off = rig.op(unsubscribe(["f/0"]));
    assert!(rig.asked().is_empty(), "not beside the SUBSCRIBE of the same filter");
    rig.answer_ok(&recovery[0]);
    assert_eq!(rig.notices(), [resubscribed(2, 0)]);
    let asked = rig.answer_all();
    assert!(!asked[0].subscribe);
    assert_eq!(asked[0].filters, ["f/0"]);
    assert!(rig.done(off).is_ok());
    rig.cut(false);
    assert_eq!(rig.answer_all()[0].filters, ["f/1"]);
}

#[test]
fn a_change_that_a_kept_session_refuses_takes_the_filter_out_and_clears_it_up() {
    let mut rig = with_filters(2);
    rig.link_down();
    let op = rig.op(subscribe_at(["f/0"], QoS::AtMostOnce));
    rig.reconnect(true);
    let asked = rig.asked();
    assert_eq!(asked[0].filters, ["f/0"]);
    rig.answer(&asked[0], &[NO]);
    assert_eq!(reasons(rig.done(op)), [NO]);
    assert_eq!(rig.notices(), [quarantined("f/0", Quarantine::Refused(NO)), resubscribed(0, 1)]);
    rig.cut(true);
    let asked = rig.answer_all();
    assert!(asked.len() == 1 && !asked[0].subscribe, "the server may keep what it had");
    rig.cut(true);
    assert!(rig.asked().is_empty());
}

#[test]
fn an_unsubscribe_that_the_server_refuses_says_so_and_is_sent_again_on_the_next_connection() {
    let mut rig = with_filters(2);
    let op = rig.op(unsubscribe(["f/0"]));
    let asked = rig.asked();
    rig.answer(&asked[0], &[NO]);
    assert_eq!(reasons(rig.done(op)), [NO]);
    assert_eq!(rig.subscribed(), 2, "the server has it still");
    rig.cut(true);
    let asked = rig.answer_all();
    assert!(asked.len() == 1 && !asked[0].subscribe);
    assert_eq!(rig.notices(), [resubscribed(0, 1)]);
    assert_eq!(rig.subscribed(), 1);
}

#[test]
fn what_the_server_has_is_counted_through_outages_until_it_turns_out_to_be_lost() {
    let mut rig = with_filters(9);
    rig.link_down();
    assert_eq!(rig.subscribed(), 9, "it may keep the session");
    rig.reconnect(false);
    assert_eq!(rig.subscribed(), 0);
    let asked = rig.asked();
    rig.answer_ok(&asked[1]);
    assert_eq!(rig.subscribed(), 1);
    rig.link_down();
    assert_eq!(rig.subscribed(), 1);
    rig.reconnect(true);
    rig.answer_all();
    assert_eq!(rig.subscribed(), 9);
}

#[test]
fn messages_pass_during_recovery() {
    let mut rig = with_filters(1);
    rig.link_down();
    rig.op(subscribe(["x"]));
    rig.reconnect(true);
    rig.receive(publish("f/0", "news"));
    assert_eq!(rig.accept_messages().len(), 1);
    assert!(rig.connections().is_empty());
}

#[test]
fn what_is_asked_during_recovery_is_sent_at_once_and_does_not_hold_up_the_connection() {
    let mut rig = with_filters(1);
    rig.cut(false);
    let recovery = rig.asked();
    let op = rig.op(subscribe(["late"]));
    let late = rig.asked();
    rig.answer_ok(&recovery[0]);
    assert_eq!(rig.connections().len(), 1);
    rig.answer_ok(&late[0]);
    assert!(rig.done(op).is_ok());
    rig.cut(false);
    let recovery = rig.asked();
    rig.op(subscribe(["later"]));
    let later = rig.asked();
    rig.events.clear();
    rig.answer_ok(&later[0]);
    assert!(rig.connections().is_empty(), "nor does its answer bring the connection");
    rig.answer_ok(&recovery[0]);
    assert_eq!(rig.notices(), [resubscribed(2, 0)], "it is not counted");
}

#[test]
fn a_session_that_an_unanswered_connect_may_have_begun_is_subscribed_anew() {
    let mut rig = with_filters(3);
    rig.link_down();
    let dials = rig.dials.len();
    while rig.dials.len() == dials {
        rig.advance(Duration::from_millis(100));
    }
    // CONNECT goes out, its answer is lost.
    rig.link_up();
    rig.cut(true);
    let asked = rig.asked();
    assert_eq!(asked.len(), 1, "the server says that it has a session; it need not be ours");
    assert_eq!(asked[0].filters, filters(3));
}
