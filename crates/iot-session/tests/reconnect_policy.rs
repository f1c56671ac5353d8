//! What the Reconnect layer may be told: jitter, when to give up, how often to dial.
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
use mqtt_codec::ReasonCode;
use mqtt_codec::packet::ConnAck;
use support::{Rig, options, secs};

const CONNECT_AND_RETRY: Op = Op::Connect(ConnectOp { retry: true });

/// A server that does not let this device in.
fn refuse(rig: &mut Rig) {
    rig.accept_with(ConnAck::new(false, ReasonCode::NotAuthorized));
}

fn is_refused(rig: &mut Rig, op: OpId) -> bool {
    matches!(rig.done(op), Err(OpError::Connect(ConnectionError::Refused { .. })))
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
