//! The Resubscribe layer on a virtual clock: filters that close the connection.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use iot_session::OpError;
use iot_session::layers::Resubscribe;
use iot_session::stage::{OpId, Quarantine};
use mqtt_codec::ReasonCode;
use mqtt_codec::packet::Disconnect;
use support::subscriptions::{
    Asked, filters, quarantined, resubscribed, rig, rig_with, subscribe, unsubscribe, with_filters,
};
use support::{Rig, secs};

const NO: ReasonCode = ReasonCode::NotAuthorized;

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

#[test]
fn of_a_filter_that_is_given_up_and_unsubscribed_every_operation_ends_once() {
    let mut rig = rig_with(Resubscribe::default().containment(Some(1)));
    rig.connect();
    let on = rig.op(subscribe(["bad"]));
    let off = rig.op(unsubscribe(["bad"]));
    assert_eq!(rig.asked().len(), 1);
    rig.server_closes();
    assert_eq!(poisoned(&mut rig, on), ("bad".to_owned(), 1));
    assert!(rig.is_pending(off));
    rig.reconnect(true);
    let asked = rig.answer_all();
    assert!(asked.len() == 1 && !asked[0].subscribe, "the server may have taken it in");
    assert!(rig.done(off).is_ok());
}

#[test]
fn those_who_subscribed_a_filter_while_it_was_under_way_learn_of_its_end_too() {
    let mut rig = rig_with(Resubscribe::default().containment(Some(1)));
    rig.connect();
    let ops = [rig.op(subscribe(["bad"])), rig.op(subscribe(["bad"]))];
    assert_eq!(rig.asked().len(), 1);
    rig.server_closes();
    for op in ops {
        assert_eq!(poisoned(&mut rig, op), ("bad".to_owned(), 1));
    }
    assert_eq!(rig.notices(), [quarantined("bad", Quarantine::ClosesConnection)]);
}

#[test]
fn a_filter_subscribed_anew_after_it_was_given_up_has_all_its_strikes_again() {
    let mut rig = rig();
    rig.connect();
    for _ in 0..2 {
        let op = rig.op(subscribe(["bad"]));
        for strikes in 1..=3 {
            assert!(rig.is_pending(op));
            assert_eq!(rig.asked().len(), 1, "strike {strikes}");
            rig.server_closes();
            rig.reconnect(false);
        }
        assert_eq!(poisoned(&mut rig, op), ("bad".to_owned(), 3));
        assert_eq!(rig.connections().last().map(|connected| connected.session_present), Some(false));
    }
}

#[test]
fn a_server_that_falls_silent_is_no_strike() {
    let mut rig = rig();
    rig.connect();
    let op = rig.op(subscribe(["a"]));
    rig.cut(false);
    for _ in 0..5 {
        rig.advance(secs(5)); // our own end
        rig.reconnect(false);
    }
    rig.answer_all();
    assert!(rig.done(op).is_ok());
}

#[test]
fn beside_a_suspect_nothing_goes_out_whether_it_was_asked_before_or_after() {
    let mut rig = rig_with(Resubscribe::default().containment(Some(2)));
    rig.connect();
    let suspect = rig.op(subscribe(["suspect"]));
    rig.server_closes();
    let first = rig.op(subscribe(["first"]));
    rig.reconnect(false);
    let asked = rig.asked();
    assert_eq!(asked[0].filters, ["first"]);
    let second = rig.op(subscribe(["second"]));
    rig.answer_ok(&asked[0]);
    let asked = rig.asked();
    assert!(asked.len() == 1 && asked[0].filters == ["suspect"], "{asked:?}");
    let third = rig.op(subscribe(["third"]));
    assert!(rig.asked().is_empty());
    rig.answer_ok(&asked[0]);
    let asked = rig.answer_all();
    assert_eq!(asked[0].filters, ["second", "third"], "an answer, and it is no suspect any more");
    assert!([suspect, first, second, third].into_iter().all(|op| rig.done(op).is_ok()));
    assert_eq!(rig.notices(), [resubscribed(2, 0)]);
}
