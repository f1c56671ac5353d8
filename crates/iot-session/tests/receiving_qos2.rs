//! Received QoS 2 messages that wait for their subscriber over reconnects: the engine delivers each of them once.
#![cfg(feature = "tokio")]
#![allow(clippy::disallowed_methods, reason = "tests read the paused clock")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::ops::RangeInclusive;

use iot_session::layers::Reconnect;
use iot_session::{Client, Config, Messages, QoS, Status, SubscribeOptions, Version};
use mqtt_codec::packet::{Ack, SubAck};
use mqtt_codec::{Packet, ReasonCode};
use support::link::{Links, Server, start, until};
use support::{id, options, publish, secs};
use tokio::time::{Instant, timeout};

const PAYLOADS: [&str; 5] = ["1", "2", "3", "4", "5"];

/// A client of a session that outlives connections.
async fn online(links: &Links, config: Config) -> (Client, Server) {
    let mut server = links.add(1 << 16);
    let options = options(Version::V5).session_expiry(secs(600));
    let (client, _task) = start(options, Reconnect::default(), links, config);
    server.accept_from(&client, false).await;
    (client, server)
}

async fn back(client: &Client, links: &Links, server: Server, session_present: bool) -> Server {
    drop(server);
    until(client, |status| !status.is_connected()).await;
    let mut server = links.add(1 << 16);
    server.accept(session_present).await;
    until(client, Status::is_connected).await;
    server
}

async fn subscribed(
    client: &Client,
    server: &mut Server,
    filter: &str,
    options: SubscribeOptions,
) -> Messages {
    let answer = async {
        let Some(Packet::Subscribe(subscribe)) = server.recv_or_pong().await else { panic!() };
        server.send(Packet::SubAck(SubAck::new(subscribe.packet_id, [ReasonCode::GrantedQoS2]))).await;
    };
    let (messages, ()) = tokio::join!(client.subscribe_with(filter, options), answer);
    messages.unwrap()
}

fn plain() -> SubscribeOptions {
    SubscribeOptions::new(QoS::ExactlyOnce)
}

fn manual() -> SubscribeOptions {
    plain().manual_ack()
}

/// The server's messages, with these numbers as payload and identifier.
async fn send(server: &mut Server, topic: &str, numbers: RangeInclusive<u16>, again: bool) {
    for (n, payload) in (1..).zip(PAYLOADS) {
        if numbers.contains(&n) {
            server.send(publish(topic, payload).exactly_once(id(n)).with_dup(again)).await;
        }
    }
}

/// PUBREC comes for each, PUBREL goes, PUBCOMP comes.
async fn finish(server: &mut Server, numbers: RangeInclusive<u16>) {
    for n in numbers.clone() {
        let packet = server.recv_or_pong().await;
        assert!(matches!(&packet, Some(Packet::PubRec(ack)) if ack.packet_id == id(n)), "{n}: {packet:?}");
    }
    for n in numbers {
        server.send(Packet::PubRel(Ack::new(id(n)))).await;
        let packet = server.recv_or_pong().await;
        assert!(matches!(&packet, Some(Packet::PubComp(ack)) if ack.packet_id == id(n)), "{n}: {packet:?}");
    }
}

/// Nothing but pings comes for a while.
async fn silent(server: &mut Server) {
    let packet = timeout(secs(20), server.recv_or_pong()).await;
    assert!(packet.is_err(), "{packet:?}");
}

async fn takes(messages: &mut Messages, payload: &str) {
    let message = timeout(secs(1), messages.next()).await.expect(payload).unwrap();
    assert_eq!(message.payload(), payload.as_bytes());
}

#[tokio::test(start_paused = true)]
async fn messages_for_a_stuck_subscriber_outlive_the_connection_and_arrive_and_are_acknowledged_once() {
    let links = Links::default();
    let (client, mut server) = online(&links, Config { inbox: 2, ..Config::default() }).await;
    let mut stuck = subscribed(&client, &mut server, "a", plain()).await;
    send(&mut server, "a", 1..=5, false).await;
    finish(&mut server, 1..=2).await;
    silent(&mut server).await;
    let mut server = back(&client, &links, server, true).await;
    send(&mut server, "a", 3..=5, true).await;
    takes(&mut stuck, "1").await;
    finish(&mut server, 3..=3).await;
    for payload in ["2", "3", "4", "5"] {
        takes(&mut stuck, payload).await;
    }
    finish(&mut server, 4..=5).await;
    silent(&mut server).await;
    assert!(timeout(secs(1), stuck.next()).await.is_err(), "nothing twice");
    assert_eq!((client.stats().dropped, client.stats().overdue, client.stats().received), (0, 0, 5));
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_without_a_connection_is_acknowledged_on_the_next() {
    let links = Links::default();
    let (client, mut server) = online(&links, Config { inbox: 2, ..Config::default() }).await;
    let mut stuck = subscribed(&client, &mut server, "a", plain()).await;
    send(&mut server, "a", 1..=3, false).await;
    finish(&mut server, 1..=2).await;
    drop(server);
    until(&client, |status| !status.is_connected()).await;
    for payload in ["1", "2", "3"] {
        takes(&mut stuck, payload).await;
    }
    let mut server = links.add(1 << 16);
    server.accept(true).await;
    send(&mut server, "a", 3..=3, true).await;
    finish(&mut server, 3..=3).await;
    assert!(timeout(secs(1), stuck.next()).await.is_err(), "nothing twice");
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_leaves_what_waits_to_its_subscriber_and_holds_back_nothing() {
    let links = Links::default();
    let config = Config { inbox: 1, unaccepted: 4, ..Config::default() };
    let (client, mut server) = online(&links, config).await;
    let mut stuck = subscribed(&client, &mut server, "a", plain()).await;
    send(&mut server, "a", 1..=5, false).await;
    finish(&mut server, 1..=1).await;
    silent(&mut server).await;
    let mut server = back(&client, &links, server, false).await;
    // The same identifiers, other messages.
    let mut other = subscribed(&client, &mut server, "b", plain()).await;
    for n in 1..=5 {
        send(&mut server, "b", n..=n, false).await;
        finish(&mut server, n..=n).await;
        takes(&mut other, PAYLOADS[usize::from(n) - 1]).await;
    }
    for payload in PAYLOADS {
        takes(&mut stuck, payload).await;
    }
    assert!(timeout(secs(1), stuck.next()).await.is_err());
    silent(&mut server).await;
    assert_eq!(client.stats().dropped, 0);
}

#[tokio::test(start_paused = true)]
async fn past_the_inbox_timeout_what_waits_over_a_reconnect_is_acknowledged() {
    let links = Links::default();
    let config = Config { inbox: 1, inbox_timeout: secs(60), ..Config::default() };
    let (client, mut server) = online(&links, config).await;
    let _stuck = subscribed(&client, &mut server, "a", plain()).await;
    let start = Instant::now();
    send(&mut server, "a", 1..=2, false).await;
    finish(&mut server, 1..=1).await;
    let mut server = back(&client, &links, server, true).await;
    send(&mut server, "a", 2..=2, true).await;
    finish(&mut server, 2..=2).await;
    assert_eq!((start.elapsed(), client.stats().overdue), (secs(60), 1));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_sends_too_many_neither_fills_memory_over_reconnects_nor_keeps_the_client_from_coming_back()
 {
    let links = Links::default();
    let config = Config { inbox: 1, unaccepted: 2, inbox_timeout: secs(600), ..Config::default() };
    let (client, mut server) = online(&links, config).await;
    let mut stuck = subscribed(&client, &mut server, "a", plain()).await;
    for _ in 0..5 {
        for n in 1..=50 {
            server.send(publish("a", "x").exactly_once(id(n))).await;
            server.send(Packet::PubRel(Ack::new(id(n)))).await;
        }
        server = back(&client, &links, server, true).await;
    }
    let stats = client.stats();
    assert!(stats.overdue >= 3 && stats.dropped > 0, "{stats:?}");
    let mut waiting = 0;
    while timeout(secs(1), stuck.next()).await.is_ok() {
        waiting += 1;
    }
    assert!(waiting <= 51, "{waiting} of one connection's batch at most");
}

#[tokio::test(start_paused = true)]
async fn a_held_message_outlives_the_connection_and_waits_for_its_subscriber() {
    let links = Links::default();
    let (client, server) = online(&links, Config::default()).await;
    let mut server = back(&client, &links, server, true).await;
    send(&mut server, "a", 1..=1, false).await;
    send(&mut server, "b", 2..=2, false).await;
    silent_for(&mut server, 5).await;
    let mut server = back(&client, &links, server, true).await;
    let start = Instant::now();
    send(&mut server, "a", 1..=1, true).await;
    send(&mut server, "b", 2..=2, true).await;
    let mut messages = subscribed(&client, &mut server, "a", plain()).await;
    finish(&mut server, 1..=1).await;
    takes(&mut messages, "1").await;
    finish(&mut server, 2..=2).await;
    assert_eq!((start.elapsed(), client.stats().unrouted), (secs(10), 1), "nobody wants it");
}

#[tokio::test(start_paused = true)]
async fn a_held_message_of_a_lost_session_is_given_up() {
    let links = Links::default();
    let (client, server) = online(&links, Config::default()).await;
    let mut server = back(&client, &links, server, true).await;
    send(&mut server, "a", 1..=1, false).await;
    silent_for(&mut server, 5).await;
    let mut server = back(&client, &links, server, false).await;
    send(&mut server, "b", 1..=1, false).await;
    finish(&mut server, 1..=1).await;
    assert_eq!(client.stats().unrouted, 2);
}

async fn silent_for(server: &mut Server, seconds: u64) {
    assert!(timeout(secs(seconds), server.recv_or_pong()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn acknowledged_by_hand_after_a_reconnect_a_message_is_received_once() {
    let links = Links::default();
    let (client, mut server) = online(&links, Config::default()).await;
    let mut messages = subscribed(&client, &mut server, "a", manual()).await;
    send(&mut server, "a", 1..=3, false).await;
    let (_, first) = messages.next_with_ack().await.unwrap();
    let (_, second) = messages.next_with_ack().await.unwrap();
    silent(&mut server).await;
    let mut server = back(&client, &links, server, true).await;
    send(&mut server, "a", 1..=3, true).await;
    silent(&mut server).await;
    second.ack();
    silent(&mut server).await;
    first.ack();
    finish(&mut server, 1..=2).await;
    let (message, third) = messages.next_with_ack().await.unwrap();
    assert_eq!(message.payload(), b"3");
    third.ack();
    finish(&mut server, 3..=3).await;
    assert!(timeout(secs(1), messages.next()).await.is_err(), "nothing twice");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_not_acknowledged_by_hand_comes_again_after_a_reconnect_though_the_engine_had_it()
{
    let links = Links::default();
    let (client, mut server) = online(&links, Config::default()).await;
    let mut careful = subscribed(&client, &mut server, "a", manual()).await;
    let mut careless = subscribed(&client, &mut server, "+", plain()).await;
    send(&mut server, "a", 1..=1, false).await;
    takes(&mut careless, "1").await;
    drop(careful.next_with_ack().await.unwrap());
    silent(&mut server).await;
    let mut server = back(&client, &links, server, true).await;
    send(&mut server, "a", 1..=1, true).await;
    let (message, acknowledge) = careful.next_with_ack().await.unwrap();
    assert!(message.is_duplicate() && message.payload() == b"1");
    silent(&mut server).await;
    acknowledge.ack();
    finish(&mut server, 1..=1).await;
    assert!(timeout(secs(1), careless.next()).await.is_err(), "it has taken it");
}

#[tokio::test(start_paused = true)]
async fn what_a_dropped_stream_left_unacknowledged_waits_for_another_after_the_reconnect() {
    let links = Links::default();
    let (client, mut server) = online(&links, Config::default()).await;
    let dropped = subscribed(&client, &mut server, "a", manual()).await;
    send(&mut server, "a", 1..=2, false).await;
    silent(&mut server).await;
    drop(dropped);
    assert!(matches!(server.recv_or_pong().await, Some(Packet::Unsubscribe(_))));
    let mut server = back(&client, &links, server, true).await;
    send(&mut server, "a", 1..=2, true).await;
    let mut messages = subscribed(&client, &mut server, "a", plain()).await;
    takes(&mut messages, "1").await;
    takes(&mut messages, "2").await;
    finish(&mut server, 1..=2).await;
}
