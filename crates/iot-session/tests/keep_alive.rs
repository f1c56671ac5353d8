//! Keep-alive on a virtual clock.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::time::Duration;

use iot_session::stage::Op;
use iot_session::{ConnectionError, Nanos, QoS, Version};
use mqtt_codec::packet::ConnAck;
use mqtt_codec::{Packet, Properties, Property, ReasonCode};
use support::{Rig, message, options, publish, secs};

const NANO: Duration = Duration::from_nanos(1);

#[test]
fn a_ping_goes_out_after_the_interval_of_silence_exactly() {
    let mut rig = Rig::new(options(Version::V5).keep_alive(secs(30)));
    rig.connect();
    rig.advance(secs(30) - NANO);
    assert!(rig.sent().is_empty());
    rig.advance(NANO);
    assert_eq!(rig.sent(), [Packet::PingReq]);
}

#[test]
fn outgoing_traffic_alone_does_not_put_the_ping_off() {
    // A dead link swallows what is sent; only an answer proves that it lives.
    let mut rig = Rig::new(options(Version::V5).keep_alive(secs(30)));
    rig.connect();
    for _ in 0..29 {
        rig.advance(secs(1));
        rig.op(message("a", "x", QoS::AtMostOnce));
    }
    rig.sent();
    rig.advance(secs(1));
    assert_eq!(rig.sent(), [Packet::PingReq]);
}

#[test]
fn incoming_traffic_alone_does_not_put_the_ping_off() {
    // [MQTT-3.1.2-20]: the client sends a packet within each interval.
    let mut rig = Rig::new(options(Version::V5).keep_alive(secs(30)));
    rig.connect();
    for _ in 0..29 {
        rig.advance(secs(1));
        rig.receive(publish("a", "x"));
    }
    rig.advance(secs(1));
    assert_eq!(rig.sent(), [Packet::PingReq]);
}

#[test]
fn traffic_both_ways_puts_the_ping_off() {
    let mut rig = Rig::new(options(Version::V5).keep_alive(secs(30)));
    rig.connect();
    rig.advance(secs(20));
    rig.op(message("a", "x", QoS::AtMostOnce));
    rig.receive(publish("a", "x"));
    rig.sent();
    rig.advance(secs(30) - NANO);
    assert!(rig.sent().is_empty());
    rig.advance(NANO);
    assert_eq!(rig.sent(), [Packet::PingReq]);
}

#[test]
fn a_lost_pingresp_ends_the_connection_half_an_interval_later() {
    for version in [Version::V3_1_1, Version::V5] {
        let mut rig = Rig::new(options(version).keep_alive(secs(30)));
        rig.connect();
        rig.advance(secs(45) - NANO);
        assert!(rig.hangups.is_empty());
        rig.advance(NANO);
        assert_eq!(rig.hangups, [Nanos::ZERO.after(secs(45))]);
        assert!(
            matches!(rig.why(), ConnectionError::KeepAlive { waited } if waited == secs(15)),
            "told once"
        );
        rig.advance(secs(1));
        assert_eq!(rig.dials.len(), 2, "and dials again");
    }
}

#[test]
fn a_backlog_in_front_of_pingresp_keeps_the_connection() {
    let mut rig = Rig::new(options(Version::V5).keep_alive(secs(30)));
    rig.connect();
    rig.advance(secs(30));
    assert_eq!(rig.sent(), [Packet::PingReq]);
    for _ in 0..40 {
        rig.advance(secs(1));
        rig.receive(publish("a", "x"));
    }
    assert!(rig.hangups.is_empty(), "data flows");
    assert_eq!(
        rig.sent(),
        [Packet::PingReq],
        "once more: the server wants to hear something in each interval"
    );
    rig.advance(secs(15) - NANO);
    assert!(rig.hangups.is_empty());
    rig.advance(NANO);
    assert_eq!(rig.hangups.len(), 1, "half an interval of silence");
}

#[test]
fn the_servers_keep_alive_overrules_ours() {
    let mut rig = Rig::new(options(Version::V5).keep_alive(secs(30)));
    rig.op(Op::CONNECT);
    let mut connack = ConnAck::new(false, ReasonCode::Success);
    connack.properties = Properties::new().with(Property::ServerKeepAlive(10)).unwrap();
    rig.accept_with(connack);
    assert_eq!(rig.connections()[0].keep_alive, 10);
    rig.advance(secs(10));
    assert_eq!(rig.sent(), [Packet::PingReq]);
}

#[test]
fn a_keep_alive_of_zero_sets_no_timer_at_all() {
    let mut rig = Rig::new(options(Version::V5).keep_alive(Duration::ZERO));
    rig.connect();
    assert_eq!(rig.machine.poll_timeout(), None);
    assert_eq!(rig.advance(secs(86_400)), 0);
}

#[test]
fn an_idle_hour_wakes_up_for_pings_only() {
    let mut rig = Rig::new(options(Version::V5).keep_alive(secs(30)));
    rig.connect();
    let (mut timeouts, mut pings) = (0, 0);
    for _ in 0..3600 {
        timeouts += rig.advance(secs(1));
        if rig.sent() == [Packet::PingReq] {
            pings += 1;
            rig.receive(Packet::PingResp);
        }
    }
    assert_eq!(pings, 120);
    assert_eq!(timeouts, pings, "one timer for each ping, none in vain");
}
