//! Subscribers fast, slow, stuck and late, on links in memory and a paused clock.
#![cfg(feature = "tokio")]
#![allow(clippy::disallowed_methods, reason = "tests read the paused clock")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::time::Duration;

use futures_core::Stream;
use iot_session::layers::Reconnect;
use iot_session::{Config, Message, OpError, QoS, Status, Version};
use mqtt_codec::packet::SubAck;
use mqtt_codec::{Packet, ReasonCode};
use support::link::{Links, connected, start, subscribed, until};
use support::{id, options, publish, secs};
use tokio::time::Instant;

fn message(topic: &str, payload: &'static str) -> Message {
    Message::new(topic, payload).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_a_stream() {
    let (client, mut server, _links) = connected(Version::V5, Config::default()).await;
    let mut messages = subscribed(&client, &mut server, "a").await;
    server.send(publish("a", "x")).await;
    let next = std::future::poll_fn(|context| std::pin::Pin::new(&mut messages).poll_next(context)).await;
    assert_eq!(next.unwrap().payload(), b"x");
}

#[tokio::test(start_paused = true)]
async fn dropping_a_subscription_unsubscribes_when_it_was_the_last_of_its_filter() {
    let (client, mut server, _links) = connected(Version::V5, Config::default()).await;
    let first = subscribed(&client, &mut server, "a").await;
    let second = subscribed(&client, &mut server, "a").await;
    drop(first);
    server.send(publish("a", "x")).await;
    let mut second = second;
    assert!(second.next().await.is_some());
    drop(second);
    let Some(Packet::Unsubscribe(unsubscribe)) = server.recv().await else { panic!() };
    assert_eq!(unsubscribe.filters().next().unwrap().as_str(), "a");
}

#[tokio::test(start_paused = true)]
async fn invariant_9_a_subscribe_dropped_early_leaves_no_subscription() {
    let (client, mut server, _links) = connected(Version::V5, Config::default()).await;
    let mut subscribe = Box::pin(client.subscribe("a", QoS::AtLeastOnce));
    let packet = tokio::select! {
        _ = &mut subscribe => panic!("not answered yet"),
        packet = server.recv() => packet,
    };
    let Some(Packet::Subscribe(packet)) = packet else { panic!() };
    drop(subscribe);
    server.send(Packet::SubAck(SubAck::new(packet.packet_id, [ReasonCode::GrantedQoS1]))).await;
    assert!(matches!(server.recv().await, Some(Packet::Unsubscribe(_))));
}

#[tokio::test(start_paused = true)]
async fn a_refused_subscription_is_an_error_with_the_servers_reason() {
    for (version, reason) in
        [(Version::V3_1_1, ReasonCode::UnspecifiedError), (Version::V5, ReasonCode::NotAuthorized)]
    {
        let (client, mut server, _links) = connected(version, Config::default()).await;
        let answer = async {
            server.recv().await.unwrap();
            server.send(Packet::SubAck(SubAck::new(id(1), [reason]))).await;
        };
        let (result, ()) = tokio::join!(client.subscribe("a", QoS::AtLeastOnce), answer);
        assert!(matches!(result, Err(OpError::Refused { reason: r, .. }) if r == reason));
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_4_a_stuck_subscriber_holds_back_its_acknowledgements_but_neither_pings_nor_others() {
    let config = Config { inbox: 2, inbox_timeout: secs(600), ..Config::default() };
    let (client, mut server, _links) = connected(Version::V5, config).await;
    let mut stuck = subscribed(&client, &mut server, "slow").await;
    let mut other = subscribed(&client, &mut server, "fast").await;
    for n in 1..=4 {
        server.send(publish("slow", "x").at_least_once(id(n))).await;
    }
    server.send(publish("fast", "y")).await;
    assert!(other.next().await.is_some());
    for n in 1..=2 {
        assert!(matches!(server.recv().await, Some(Packet::PubAck(ack)) if ack.packet_id == id(n)));
    }
    for _ in 0..3 {
        assert_eq!(server.recv().await, Some(Packet::PingReq), "3 and 4 stay unacknowledged, the link lives");
        server.send(Packet::PingResp).await;
    }
    stuck.next().await.unwrap();
    assert!(matches!(server.recv().await, Some(Packet::PubAck(ack)) if ack.packet_id == id(3)));
    drop(stuck);
    let mut rest = [server.recv().await.unwrap(), server.recv().await.unwrap()];
    rest.sort_by_key(Packet::name);
    assert!(matches!(&rest[0], Packet::PubAck(ack) if ack.packet_id == id(4)), "{rest:?}");
    assert!(matches!(rest[1], Packet::Unsubscribe(_)));
}

#[tokio::test(start_paused = true)]
async fn qos_0_without_room_is_dropped_and_counted() {
    let config = Config { inbox: 2, ..Config::default() };
    let (client, mut server, _links) = connected(Version::V5, config).await;
    let mut messages = subscribed(&client, &mut server, "#").await;
    for _ in 0..5 {
        server.send(publish("a", "x")).await;
    }
    server.send(publish("last", "x").at_least_once(id(1))).await;
    // The QoS 1 message waits beyond the capacity, so all others have been dealt with when it is acknowledged.
    messages.next().await.unwrap();
    assert!(matches!(server.recv().await, Some(Packet::PubAck(_))));
    assert_eq!(client.stats().dropped, 3);
    assert_eq!(messages.next().await.unwrap().topic(), "a");
    assert_eq!(messages.next().await.unwrap().topic(), "last");
}

#[tokio::test(start_paused = true)]
async fn reading_stops_while_too_many_messages_wait_for_a_stuck_subscriber() {
    let config = Config { inbox: 1, unaccepted: 3, ..Config::default() };
    let links = Links::default();
    let mut server = links.add(64);
    let (client, _task) =
        start(options(Version::V3_1_1).keep_alive(Duration::ZERO), Reconnect::default(), &links, config);
    server.accept_from(&client, false).await;
    let mut stuck = subscribed(&client, &mut server, "a").await;
    let flood = tokio::spawn(async move {
        for n in 1..=1000 {
            server.send(publish("a", "0123456789").at_least_once(id(n))).await;
        }
        server
    });
    let more = tokio::time::timeout(secs(60), flood);
    tokio::pin!(more);
    assert!(tokio::time::timeout(secs(30), &mut more).await.is_err(), "the flood is held back");
    assert!(client.stats().received < 20, "{:?}", client.stats());
    let reader = async {
        for _ in 0..1000 {
            stuck.next().await.unwrap();
        }
    };
    let (flooded, ()) = tokio::join!(more, reader);
    flooded.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_receive_window_does_not_starve_pingresp_and_a_reconnect_brings_nothing_twice() {
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let config = Config { inbox: 1, unaccepted: 3, inbox_timeout: secs(600), ..Config::default() };
    let options = options(Version::V5).receive_maximum(3).session_expiry(secs(600));
    let (client, _task) = start(options, Reconnect::default(), &links, config);
    server.accept_from(&client, false).await;
    let mut stuck = subscribed(&client, &mut server, "a").await;
    for n in 1..=3 {
        server.send(publish("a", "x").at_least_once(id(n))).await;
    }
    assert!(matches!(server.recv().await, Some(Packet::PubAck(ack)) if ack.packet_id == id(1)));
    server.send(publish("a", "x").at_least_once(id(4))).await;
    for _ in 0..3 {
        assert_eq!(server.recv().await, Some(Packet::PingReq), "the window is full, the link lives");
        server.send(Packet::PingResp).await;
    }
    drop(server);
    let mut server = links.add(1 << 16);
    server.accept(true).await;
    until(&client, Status::is_connected).await;
    for n in 2..=4 {
        server.send(publish("a", "x").at_least_once(id(n)).with_dup(true)).await;
    }
    for n in 1..=4 {
        assert_eq!(stuck.next().await.unwrap().is_duplicate(), n > 1, "message {n}");
    }
    for n in 2..=4 {
        assert!(matches!(server.recv().await, Some(Packet::PubAck(ack)) if ack.packet_id == id(n)));
    }
    assert!(tokio::time::timeout(secs(10), stuck.next()).await.is_err(), "nothing came twice");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_does_not_wait_behind_a_full_window() {
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let config = Config { commands: 1, ..Config::default() };
    let options = options(Version::V5).window(1).operation_timeout(secs(600));
    let (client, _task) = start(options, Reconnect::default(), &links, config);
    server.accept_from(&client, false).await;
    let stuck =
        [client.publish(message("a", "1")).await.unwrap(), client.publish(message("a", "2")).await.unwrap()];
    assert!(matches!(server.recv().await, Some(Packet::Publish(_))));
    subscribed(&client, &mut server, "b").await;
    drop(stuck);
}

#[tokio::test(start_paused = true)]
async fn a_resumed_sessions_messages_wait_for_their_subscriber() {
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let options = options(Version::V5).clean_start(false).session_expiry(secs(600));
    let (client, _task) = start(options, Reconnect::default(), &links, Config::default());
    server.accept_from(&client, true).await;
    server.send(publish("a/1", "stored").at_least_once(id(1))).await;
    server.send(publish("b", "nobody's").at_least_once(id(2))).await;
    let answer = async {
        let Some(Packet::Subscribe(subscribe)) = server.recv().await else { panic!() };
        server.send(Packet::SubAck(SubAck::new(subscribe.packet_id, [ReasonCode::GrantedQoS1]))).await;
        assert!(matches!(server.recv().await, Some(Packet::PubAck(ack)) if ack.packet_id == id(1)));
    };
    let (messages, ()) = tokio::join!(client.subscribe("a/+", QoS::AtLeastOnce), answer);
    let mut messages = messages.unwrap();
    assert_eq!(messages.next().await.unwrap().payload(), b"stored");
    assert_eq!(client.stats().unrouted, 0);
    let start = Instant::now();
    assert!(matches!(server.recv().await, Some(Packet::PubAck(ack)) if ack.packet_id == id(2)));
    assert_eq!(start.elapsed(), secs(10), "given up after a while");
    assert_eq!(client.stats().unrouted, 1);
}

#[tokio::test(start_paused = true)]
async fn a_second_subscriber_does_not_lower_the_firsts_qos() {
    let (client, mut server, _links) = connected(Version::V5, Config::default()).await;
    let _first = subscribed(&client, &mut server, "a").await;
    let answer = async {
        let Some(Packet::Subscribe(subscribe)) = server.recv().await else { panic!() };
        let (_, options) = subscribe.filters().next().unwrap();
        assert_eq!(options.qos, QoS::AtLeastOnce);
        server.send(Packet::SubAck(SubAck::new(subscribe.packet_id, [ReasonCode::GrantedQoS1]))).await;
    };
    let (second, ()) = tokio::join!(client.subscribe("a", QoS::AtMostOnce), answer);
    second.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_panicking_handler_harms_nobody_and_a_handler_may_publish() {
    let (client, mut server, _links) = connected(Version::V5, Config::default()).await;
    let publisher = client.clone();
    let answer = async {
        let Some(Packet::Subscribe(s)) = server.recv().await else { panic!() };
        server.send(Packet::SubAck(SubAck::new(s.packet_id, [ReasonCode::GrantedQoS1]))).await;
    };
    let handler = move |message: Message| {
        let publisher = publisher.clone();
        async move {
            assert!(message.payload() != b"boom", "as asked");
            publisher
                .publish(Message::new("echo", message.payload_bytes()).unwrap().qos(QoS::AtMostOnce))
                .await
                .unwrap()
                .await
                .unwrap();
        }
    };
    let (subscription, ()) = tokio::join!(client.on("in", QoS::AtLeastOnce, handler), answer);
    let subscription = subscription.unwrap();
    server.send(publish("in", "boom")).await;
    server.send(publish("in", "fine")).await;
    let Some(Packet::Publish(echo)) = server.recv().await else { panic!() };
    assert_eq!((echo.topic(), echo.payload()), ("echo", &b"fine"[..]));
    assert_eq!(client.stats().handler_panics, 1);
    drop(subscription);
    assert!(matches!(server.recv().await, Some(Packet::Unsubscribe(_))));
}

#[tokio::test(start_paused = true)]
async fn unsubscribe_ends_the_streams_of_the_filter() {
    let (client, mut server, _links) = connected(Version::V3_1_1, Config::default()).await;
    let mut messages = subscribed(&client, &mut server, "a").await;
    let answer = async {
        let Some(Packet::Unsubscribe(u)) = server.recv().await else { panic!() };
        server.send(Packet::UnsubAck(SubAck::new(u.packet_id, []))).await;
    };
    let (result, ()) = tokio::join!(client.unsubscribe("a"), answer);
    assert_eq!(result.unwrap(), ReasonCode::Success);
    assert!(messages.next().await.is_none());
}
