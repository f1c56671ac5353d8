//! The Reconnect layer on a virtual clock: every instant is exact.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::time::Duration;

use iot_session::layers::{Backoff, Reconnect};
use iot_session::stage::{Op, Receipt};
use iot_session::{ConnectionError, OpError, Version};
use mqtt_codec::packet::ConnAck;
use mqtt_codec::{Packet, ReasonCode};
use support::{Rig, options, secs};

/// Seconds between the disconnect at `from` and the dial after it.
fn delay_after_cut(rig: &mut Rig) -> u64 {
    let from = rig.now;
    rig.link_down();
    let dials = rig.dials.len();
    rig.advance(secs(60));
    assert_eq!(rig.dials.len(), dials + 1, "one dial for each disconnect");
    rig.dials[dials].since(from).as_secs()
}

#[test]
fn failed_attempts_are_repeated_after_1_2_4_8_16_32_32_seconds_exactly() {
    for version in [Version::V3_1_1, Version::V5] {
        let mut rig = Rig::new(options(version));
        rig.connect();
        let mut instants = Vec::new();
        let start = rig.now;
        rig.link_down();
        for _ in 0..7 {
            let retry_at = rig.disconnects()[0].retry_at.unwrap();
            let dials = rig.dials.len();
            rig.advance(retry_at.since(rig.now) - Duration::from_nanos(1));
            assert_eq!(rig.dials.len(), dials, "not a nanosecond early");
            rig.advance(Duration::from_nanos(1));
            assert_eq!(rig.dials.last(), Some(&retry_at));
            instants.push(retry_at.since(start).as_secs());
            rig.link_down(); // this attempt fails at once
        }
        assert_eq!(instants, [1, 3, 7, 15, 31, 63, 95]);
    }
}

#[test]
fn a_kick_right_after_connack_keeps_the_delays_growing() {
    let mut rig = Rig::new(options(Version::V5));
    rig.connect();
    let mut delays = Vec::new();
    for _ in 0..7 {
        delays.push(delay_after_cut(&mut rig));
        rig.accept(false);
    }
    assert_eq!(delays, [1, 2, 4, 8, 16, 32, 32]);
}

#[test]
fn the_delay_falls_back_to_base_only_after_20_seconds_of_connection() {
    let mut rig = Rig::new(options(Version::V5).keep_alive(Duration::ZERO));
    rig.connect();
    assert_eq!(delay_after_cut(&mut rig), 1);
    rig.accept(false);
    assert_eq!(delay_after_cut(&mut rig), 2);
    rig.accept(false);
    rig.advance(secs(20) - Duration::from_nanos(1));
    assert_eq!(delay_after_cut(&mut rig), 4, "a nanosecond short of stable");
    rig.accept(false);
    rig.advance(secs(20));
    assert_eq!(delay_after_cut(&mut rig), 1, "stable");
}

#[test]
fn the_base_is_honoured_from_the_first_delay() {
    let backoff = Backoff::new(secs(5), secs(100), secs(20));
    let mut rig = Rig::with_reconnect(options(Version::V5), Reconnect::new(backoff));
    rig.connect();
    assert_eq!(delay_after_cut(&mut rig), 5);
}

#[test]
fn a_first_attempt_that_fails_is_reported_and_not_repeated() {
    let mut rig = Rig::new(options(Version::V5));
    let op = rig.op(Op::CONNECT);
    rig.link_down();
    assert!(matches!(rig.done(op), Err(OpError::Connect(ConnectionError::Link(_)))));
    assert!(rig.disconnects()[0].retry_at.is_none());
    assert_eq!(rig.machine.poll_timeout(), None);
    rig.advance(secs(3600));
    assert_eq!(rig.dials.len(), 1);
}

#[test]
fn a_first_attempt_is_repeated_if_asked() {
    let mut rig = Rig::with_reconnect(options(Version::V5), Reconnect::default().retry_first(true));
    let op = rig.op(Op::CONNECT);
    rig.link_down();
    assert!(rig.is_pending(op));
    rig.advance(secs(1));
    assert_eq!(rig.dials.len(), 2);
    rig.accept(false);
    assert!(matches!(rig.done(op), Ok(Receipt::Connected(_))));
}

#[test]
fn a_refused_first_connect_gives_the_servers_reason() {
    for version in [Version::V3_1_1, Version::V5] {
        let mut rig = Rig::new(options(version));
        let op = rig.op(Op::CONNECT);
        rig.accept_with(ConnAck::new(false, ReasonCode::NotAuthorized));
        let Err(OpError::Connect(error)) = rig.done(op) else { panic!() };
        assert!(matches!(error, ConnectionError::Refused { reason: ReasonCode::NotAuthorized, .. }));
        assert!(!error.is_retryable());
        assert_eq!(rig.hangups.len(), 1);
    }
}

#[test]
fn disconnect_ends_the_wait_at_once_and_connect_starts_over() {
    let mut rig = Rig::new(options(Version::V5));
    rig.connect();
    for _ in 0..3 {
        delay_after_cut(&mut rig);
    }
    rig.link_down();
    rig.events.clear();
    let op = rig.op(Op::Disconnect);
    assert_eq!(rig.done(op).unwrap(), Receipt::Disconnected);
    assert!(matches!(rig.why(), ConnectionError::Requested));
    assert_eq!(rig.machine.poll_timeout(), None);
    let dials = rig.dials.len();
    rig.advance(secs(3600));
    assert_eq!(rig.dials.len(), dials);
    rig.connect();
    assert_eq!(delay_after_cut(&mut rig), 1);
}

#[test]
fn disconnect_gives_up_a_dial_that_is_under_way() {
    let mut rig = Rig::new(options(Version::V5));
    let connect = rig.op(Op::CONNECT);
    let disconnect = rig.op(Op::Disconnect);
    assert_eq!(rig.hangups.len(), 1);
    assert!(matches!(rig.done(connect), Err(OpError::Connect(ConnectionError::Requested))));
    assert_eq!(rig.done(disconnect).unwrap(), Receipt::Disconnected);
    // A link that comes all the same is not used.
    rig.link_up();
    assert!(rig.sent().is_empty());
}

#[test]
fn connect_while_waiting_dials_at_once_but_not_within_the_base_of_the_last_attempt() {
    let mut rig = Rig::new(options(Version::V5));
    rig.connect();
    for _ in 0..4 {
        delay_after_cut(&mut rig);
    }
    let last = *rig.dials.last().unwrap();
    rig.link_down(); // 16 s to the next attempt by itself
    rig.advance(secs(1));
    let op = rig.op(Op::CONNECT);
    assert_eq!(rig.dials.last(), Some(&rig.now));
    rig.link_down();
    assert!(rig.done(op).is_err());
    let op = rig.op(Op::CONNECT);
    assert_eq!(rig.dials.last(), Some(&rig.now), "no second dial in the same instant");
    rig.advance(secs(1));
    assert_eq!(rig.dials.last(), Some(&rig.now));
    assert!(rig.now > last);
    rig.accept(false);
    assert!(matches!(rig.done(op), Ok(Receipt::Connected(_))));
}

#[test]
fn connect_during_an_outage_is_told_of_its_attempt_and_the_layer_goes_on() {
    let mut rig = Rig::new(options(Version::V5));
    rig.connect();
    rig.link_down();
    for _ in 0..100 {
        let op = rig.op(Op::CONNECT);
        rig.advance(secs(1));
        rig.link_down();
        assert!(matches!(rig.done(op), Err(OpError::Connect(ConnectionError::Link(_)))));
        assert!(rig.disconnects().last().unwrap().retry_at.is_some());
    }
}

#[test]
fn what_cannot_heal_ends_the_first_connect_even_if_it_was_to_be_repeated() {
    let mut rig = Rig::with_reconnect(options(Version::V5), Reconnect::default().retry_first(true));
    let op = rig.op(Op::CONNECT);
    rig.accept_with(ConnAck::new(false, ReasonCode::ClientIdentifierNotValid));
    assert!(matches!(rig.done(op), Err(OpError::Connect(ConnectionError::Refused { .. }))));
    assert_eq!(rig.machine.poll_timeout(), None);
}

#[test]
fn connect_while_connected_answers_at_once_without_dialling() {
    let mut rig = Rig::new(options(Version::V5));
    rig.connect();
    let op = rig.op(Op::CONNECT);
    assert!(matches!(rig.done(op), Ok(Receipt::Connected(_))));
    assert_eq!(rig.dials.len(), 1);
}

#[test]
fn two_who_wait_for_the_same_connection_are_both_told() {
    let mut rig = Rig::new(options(Version::V5));
    let (first, second) = (rig.op(Op::CONNECT), rig.op(Op::CONNECT));
    rig.accept(false);
    assert!(rig.done(first).is_ok() && rig.done(second).is_ok());
    assert_eq!(rig.dials.len(), 1);
}

#[test]
fn a_silent_server_is_left_at_the_connect_timeout_exactly() {
    let mut rig = Rig::new(options(Version::V5).connect_timeout(secs(30)));
    let op = rig.op(Op::CONNECT);
    rig.link_up();
    rig.advance(secs(30) - Duration::from_nanos(1));
    assert!(rig.is_pending(op));
    rig.advance(Duration::from_nanos(1));
    assert!(matches!(rig.done(op), Err(OpError::Connect(ConnectionError::ConnAckTimeout))));
    assert_eq!(rig.hangups.len(), 1);
}

#[test]
fn later_connections_of_a_lasting_session_do_not_ask_for_a_clean_start() {
    let mut rig = Rig::new(options(Version::V5).session_expiry(secs(3600)));
    let op = rig.op(Op::CONNECT);
    rig.link_up();
    assert!(matches!(&rig.sent()[..], [Packet::Connect(connect)] if connect.clean_start()));
    rig.receive(ConnAck::new(false, ReasonCode::Success));
    assert!(rig.done(op).is_ok());
    rig.link_down();
    rig.advance(secs(1));
    rig.link_up();
    assert!(matches!(&rig.sent()[..], [Packet::Connect(connect)] if !connect.clean_start()));
}
