//! The Resubscribe layer on a virtual clock: what a new connection brings back, and filters that it cannot bear.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::time::Duration;

use iot_session::layers::{Reconnect, Resubscribe};
use iot_session::stage::{Event, Notice, Op, OpId, Quarantine, Receipt};
use iot_session::{ConnectionError, OpError, QoS, Version};
use mqtt_codec::ReasonCode;
use mqtt_codec::packet::Disconnect;
use support::subscriptions::{
    Asked, GRANTED, filters, quarantined, reasons, resubscribed, rig, rig_with, subscribe, subscribe_at,
    unsubscribe, with_filters,
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
}

// --- filters that close the connection ---

/// A server that ends the connection at a filter, and grants every other. Gives the packets it saw.
fn serve(rig: &mut Rig, forbidden: &str) -> Vec<Asked> {
    let mut seen = Vec::new();
    loop {
        let asked = rig.asked();
        if asked.is_empty() {
            return seen;
        }
        for asked in asked {
            let closes = asked.subscribe && asked.filters.iter().any(|name| name == forbidden);
            seen.push(asked.clone());
            if closes {
                rig.server_closes();
                return seen;
            }
            rig.answer_ok(&asked);
        }
    }
}

fn poisoned(rig: &mut Rig, op: OpId) -> (String, u8) {
    match rig.done(op) {
        Err(OpError::Poisoned { topic, strikes }) => (topic.as_str().to_owned(), strikes),
        other => panic!("{other:?}"),
    }
}

#[test]
fn among_twenty_the_filter_that_closes_the_connection_is_found_and_the_others_come_in() {
    let mut rig = rig();
    rig.connect();
    let op = rig.op(subscribe(filters(20)));
    let other = rig.op(subscribe(["unconcerned"]));
    serve(&mut rig, "f/13");
    rig.reconnect(false);
    serve(&mut rig, "f/13");
    assert_eq!(rig.notices(), []);
    rig.reconnect(false);
    let third = serve(&mut rig, "f/13");
    assert_eq!(third.last().unwrap().filters, ["f/13"], "alone");
    assert_eq!(rig.notices(), [quarantined("f/13", Quarantine::ClosesConnection)]);
    rig.reconnect(false);
    rig.answer_all();
    assert_eq!(poisoned(&mut rig, op), ("f/13".to_owned(), 3));
    assert!(rig.done(other).is_ok());
    assert_eq!(rig.subscribed(), 20);
    assert_eq!(rig.connections().len(), 1);
    rig.cut(false);
    assert!(rig.answer_all().iter().all(|asked| !asked.filters.contains(&"f/13".to_owned())));
}

#[test]
fn a_suspect_goes_out_last_and_with_nothing_else_under_way() {
    let mut rig = rig_with(Resubscribe::default().containment(Some(2)));
    rig.connect();
    let op = rig.op(subscribe(["bad", "good"]));
    serve(&mut rig, "bad");
    let late = rig.op(subscribe(["late"]));
    rig.reconnect(false);
    let asked = rig.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].filters, ["late"], "not a suspect");
    rig.answer_ok(&asked[0]);
    assert!(rig.done(late).is_ok());
    let asked = rig.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].filters, ["bad"]);
    let later = rig.op(subscribe(["later"]));
    assert!(rig.asked().is_empty(), "not beside a suspect");
    rig.server_closes();
    assert_eq!(rig.notices(), [quarantined("bad", Quarantine::ClosesConnection)]);
    assert!(rig.is_pending(op), "its other filter has no answer yet");
    rig.reconnect(false);
    rig.answer_all();
    assert!(rig.done(later).is_ok());
    assert_eq!(poisoned(&mut rig, op), ("bad".to_owned(), 2));
    assert_eq!(rig.subscribed(), 3);
}

#[test]
fn a_filter_in_force_that_begins_to_close_the_connection_is_quarantined_until_it_is_subscribed_anew() {
    let mut rig = with_filters(20);
    rig.link_down();
    for _ in 0..3 {
        rig.reconnect(false);
        serve(&mut rig, "f/7");
    }
    assert_eq!(rig.notices(), [quarantined("f/7", Quarantine::ClosesConnection)]);
    rig.reconnect(false);
    rig.answer_all();
    assert_eq!(rig.subscribed(), 19);
    let op = rig.op(subscribe(["f/7"]));
    rig.answer_all();
    assert!(rig.done(op).is_ok());
}

#[test]
fn only_the_servers_hand_strikes_and_an_answer_clears() {
    let mut rig = rig();
    rig.connect();
    let op = rig.op(subscribe(["a"]));
    for _ in 0..10 {
        rig.cut(false); // nobody knows why
    }
    for _ in 0..2 {
        rig.server_closes();
        rig.reconnect(false);
    }
    rig.answer_all();
    assert!(rig.done(op).is_ok());
    for _ in 0..2 {
        rig.server_closes(); // nothing is unanswered
        rig.reconnect(false);
        rig.server_closes();
        rig.reconnect(false);
        rig.answer_all();
    }
    assert_eq!(rig.subscribed(), 1);
}

#[test]
fn a_disconnect_packet_of_the_server_strikes_too_and_without_containment_nothing_does() {
    for (containment, gives_up) in [(Some(0), true), (Some(1), true), (None, false)] {
        let mut rig = rig_with(Resubscribe::default().containment(containment));
        rig.connect();
        let op = rig.op(subscribe(["a"]));
        for _ in 0..300 {
            rig.receive(Disconnect::new(NO));
            assert_eq!(rig.is_pending(op), !gives_up);
            rig.reconnect(false);
        }
        assert_eq!(rig.answer_all().len(), usize::from(!gives_up));
    }
}

#[test]
fn an_unsubscribe_that_closes_the_connection_is_given_up_as_well() {
    let mut rig = with_filters(2);
    let op = rig.op(unsubscribe(["f/0"]));
    for _ in 0..3 {
        rig.server_closes();
        rig.reconnect(true);
    }
    assert_eq!(poisoned(&mut rig, op), ("f/0".to_owned(), 3));
    rig.sent();
    rig.cut(true);
    assert!(rig.asked().is_empty());
}
