//! The Reconnect layer on a virtual clock: every instant is exact.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::time::Duration;

use iot_session::layers::{Backoff, GiveUp, Jitter, Random, Reconnect};
use iot_session::stage::{ConnectOp, Op, OpId, Receipt};
use iot_session::{ConnectionError, OpError, Version};
use mqtt_codec::packet::ConnAck;
use mqtt_codec::{Packet, ReasonCode};
use support::{Rig, options, secs};

const CONNECT_AND_RETRY: Op = Op::Connect(ConnectOp { retry: true });

/// A server that does not let this device in.
fn refuse(rig: &mut Rig) {
    rig.accept_with(ConnAck::new(false, ReasonCode::NotAuthorized));
}

fn is_refused(rig: &mut Rig, op: OpId) -> bool {
    matches!(rig.done(op), Err(OpError::Connect(ConnectionError::Refused { .. })))
}

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

#[test]
fn full_jitter_dials_within_the_backoffs_delays_at_instants_that_the_seed_decides() {
    let instants = |seed| {
        let reconnect = Reconnect::default().jitter(Jitter::Full, Random::seeded(seed));
        let mut rig = Rig::with_reconnect(options(Version::V5), reconnect);
        rig.connect();
        let mut delays = Vec::new();
        for longest in [1, 2, 4, 8, 16, 32, 32] {
            rig.link_down();
            let retry_at = rig.disconnects()[0].retry_at.unwrap();
            let delay = retry_at.since(rig.now);
            assert!((Backoff::MIN_BASE..=secs(longest)).contains(&delay), "{delay:?}");
            rig.advance(delay);
            assert_eq!(rig.dials.last(), Some(&retry_at));
            delays.push(delay);
        }
        delays
    };
    assert_eq!(instants(1), instants(1));
    assert_ne!(instants(1), instants(2));
}

#[test]
fn decorrelated_jitter_starts_over_after_a_stable_connection() {
    let reconnect = Reconnect::default().jitter(Jitter::Decorrelated, Random::seeded(3));
    let mut rig = Rig::with_reconnect(options(Version::V5).keep_alive(Duration::ZERO), reconnect);
    rig.connect();
    for round in 0..20 {
        let mut longest = secs(3);
        for _ in 0..8 {
            rig.link_down();
            let delay = rig.disconnects()[0].retry_at.unwrap().since(rig.now);
            assert!((secs(1)..=longest).contains(&delay), "round {round}: {delay:?}");
            longest = (delay * 3).min(secs(32));
            rig.advance(delay);
            rig.accept(false);
        }
        rig.advance(secs(20));
    }
}

#[test]
fn a_connect_that_retries_goes_on_after_its_first_attempt_whatever_the_layer_is_set_to() {
    for give_up in [GiveUp::BeforeFirst, GiveUp::Always, GiveUp::Never] {
        let mut rig = Rig::with_reconnect(options(Version::V5), Reconnect::default().give_up(give_up));
        let op = rig.op(CONNECT_AND_RETRY);
        rig.link_down();
        rig.advance(secs(1));
        refuse(&mut rig);
        assert!(rig.is_pending(op));
        rig.advance(secs(2));
        assert_eq!(rig.dials.len(), 3);
        rig.accept(false);
        assert!(matches!(rig.done(op), Ok(Receipt::Connected(_))));
    }
}

#[test]
fn of_two_who_wait_for_a_first_attempt_the_one_that_does_not_retry_is_told_of_it() {
    let mut rig = Rig::new(options(Version::V5));
    let (once, patient) = (rig.op(Op::CONNECT), rig.op(CONNECT_AND_RETRY));
    rig.link_down();
    assert!(matches!(rig.done(once), Err(OpError::Connect(ConnectionError::Link(_)))));
    assert!(rig.is_pending(patient));
    rig.advance(secs(1));
    rig.accept(false);
    assert!(rig.done(patient).is_ok());
}

#[test]
fn a_connect_that_retries_waits_out_an_outage() {
    let mut rig = Rig::new(options(Version::V5));
    rig.connect();
    rig.link_down();
    let op = rig.op(CONNECT_AND_RETRY);
    for delay in [1, 2, 4] {
        rig.advance(secs(delay));
        rig.link_down();
        assert!(rig.is_pending(op));
    }
    rig.advance(secs(8));
    rig.accept(false);
    assert!(rig.done(op).is_ok());
}

#[test]
fn after_the_first_connection_what_cannot_heal_is_reported_and_repeated() {
    for give_up in [GiveUp::BeforeFirst, GiveUp::Never] {
        let mut rig = Rig::with_reconnect(options(Version::V5), Reconnect::default().give_up(give_up));
        rig.connect();
        rig.link_down();
        for delay in [1, 2, 4] {
            rig.events.clear();
            rig.advance(secs(delay));
            refuse(&mut rig);
            let retry_at = rig.disconnects()[0].retry_at.unwrap();
            assert_eq!(retry_at.since(rig.now), secs(delay * 2));
        }
    }
}

#[test]
fn give_up_always_ends_at_what_cannot_heal_but_not_at_an_outage() {
    let mut rig = Rig::with_reconnect(options(Version::V5), Reconnect::default().give_up(GiveUp::Always));
    rig.connect();
    rig.link_down();
    assert!(rig.disconnects()[0].retry_at.is_some());
    let op = rig.op(CONNECT_AND_RETRY);
    rig.advance(secs(1));
    refuse(&mut rig);
    assert!(is_refused(&mut rig, op));
    assert_eq!(rig.disconnects()[0].retry_at, None);
    assert_eq!(rig.machine.poll_timeout(), None);
    rig.connect();
}

#[test]
fn give_up_never_repeats_a_refused_first_attempt_only_where_first_attempts_are_repeated() {
    let reconnect = Reconnect::default().give_up(GiveUp::Never);
    let mut rig = Rig::with_reconnect(options(Version::V5), reconnect.clone());
    let op = rig.op(Op::CONNECT);
    refuse(&mut rig);
    assert!(is_refused(&mut rig, op));

    let mut rig = Rig::with_reconnect(options(Version::V5), reconnect.retry_first(true));
    let op = rig.op(Op::CONNECT);
    refuse(&mut rig);
    assert!(rig.is_pending(op));
    rig.advance(secs(1));
    rig.accept(false);
    assert!(rig.done(op).is_ok());
}

#[test]
fn two_dials_are_never_closer_than_the_connect_interval() {
    let backoff = Backoff::new(Duration::from_millis(100), secs(8), secs(20));
    let reconnect = Reconnect::new(backoff).connect_interval(secs(1));
    let mut rig = Rig::with_reconnect(options(Version::V5), reconnect);
    rig.connect();
    // A disconnect and a connect at once: it waits.
    rig.advance(Duration::from_millis(300));
    rig.op(Op::Disconnect);
    let op = rig.op(Op::CONNECT);
    assert_eq!(rig.dials.len(), 1);
    rig.advance(Duration::from_millis(700) - Duration::from_nanos(1));
    assert_eq!(rig.dials.len(), 1);
    rig.advance(Duration::from_nanos(1));
    assert_eq!(rig.dials.len(), 2);
    rig.accept(false);
    assert!(rig.done(op).is_ok());
    // The backoff's 100 ms are raised, and the event says so.
    rig.events.clear();
    rig.link_down();
    assert_eq!(rig.disconnects()[0].retry_at.unwrap().since(rig.now), secs(1));
    // Who asks again and again gets one dial a second.
    for _ in 0..95 {
        rig.op(Op::CONNECT);
        rig.advance(Duration::from_millis(100));
        if rig.dials.last() == Some(&rig.now) {
            rig.link_down();
        }
    }
    assert_eq!(rig.dials.len(), 2 + 9);
    assert!(rig.dials.windows(2).all(|pair| pair[1].since(pair[0]) >= secs(1)), "{:?}", rig.dials);
}

#[test]
fn a_second_connect_during_the_connect_interval_does_not_put_the_dial_off() {
    let mut rig = Rig::with_reconnect(options(Version::V5), Reconnect::default().connect_interval(secs(10)));
    rig.connect();
    rig.op(Op::Disconnect);
    let first = rig.op(Op::CONNECT);
    rig.advance(secs(4));
    let second = rig.op(Op::CONNECT);
    rig.advance(secs(6));
    assert_eq!(rig.dials.last(), Some(&rig.now));
    rig.accept(false);
    assert!(rig.done(first).is_ok() && rig.done(second).is_ok());
}

#[test]
fn disconnect_gets_out_of_every_state_at_once() {
    type Reach = fn(&mut Rig);
    let states: [(&str, bool, Reach); 6] = [
        ("idle", false, |_| {}),
        ("dialing", true, |rig| _ = rig.op(CONNECT_AND_RETRY)),
        ("handshaking", true, |rig| {
            rig.op(CONNECT_AND_RETRY);
            rig.link_up();
        }),
        ("connected", true, Rig::connect),
        ("waiting for the backoff", true, |rig| {
            rig.op(CONNECT_AND_RETRY);
            rig.link_down();
        }),
        ("waiting for the connect interval", true, |rig| {
            rig.connect();
            rig.op(Op::Disconnect);
            rig.events.clear();
            rig.op(CONNECT_AND_RETRY);
        }),
    ];
    for (state, told, reach) in states {
        let reconnect = Reconnect::default().connect_interval(secs(5));
        let mut rig = Rig::with_reconnect(options(Version::V5).keep_alive(Duration::ZERO), reconnect);
        reach(&mut rig);
        rig.disconnects();
        let dials = rig.dials.len();
        let op = rig.op(Op::Disconnect);
        assert_eq!(rig.done(op).unwrap(), Receipt::Disconnected, "{state}");
        let disconnects = rig.disconnects();
        assert_eq!(disconnects.len(), usize::from(told), "{state}: {disconnects:?}");
        assert!(disconnects.iter().all(|d| matches!(d.error, ConnectionError::Requested)), "{state}");
        assert!(disconnects.iter().all(|d| d.retry_at.is_none()), "{state}");
        assert_eq!(rig.machine.poll_timeout(), None, "{state}");
        rig.advance(secs(3600));
        assert_eq!(rig.dials.len(), dials, "{state}");
        rig.events.clear();
        rig.connect();
    }
}
