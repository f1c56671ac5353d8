//! Faults that device clients are known for: none of them here. What else shows so is in the tests of each part.
#![cfg(feature = "tokio")]
#![allow(clippy::disallowed_methods, reason = "tests read the paused clock")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

mod support;

use std::time::Duration;

use iot_session::layers::Standard;
use iot_session::{Client, Config, Delivery, Message, OpError, QoS, Version};
use mqtt_codec::packet::SubAck;
use mqtt_codec::{Packet, ReasonCode};
use support::link::{Links, Server, start_with, subscribed};
use support::stack::{self, offline, takes};
use support::{options, puback, publish, secs};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};

fn message(payload: usize, qos: QoS) -> Message {
    Message::new("out", payload.to_string()).unwrap().qos(qos)
}

async fn online(links: &Links) -> (Client, Server) {
    let mut server = links.add(1 << 16);
    let (client, _task) = start_with(options(Version::V5), Standard::default(), links, Config::default());
    server.accept_from(&client, false).await;
    (client, server)
}

/// A new session, in which the filters are asked for again.
async fn back(links: &Links, filters: &[&str]) -> Server {
    let mut server = stack::back(links, false).await;
    let Some(Packet::Subscribe(subscribe)) = server.recv().await else { panic!() };
    let asked: Vec<_> = subscribe.filters().map(|(filter, _)| filter.as_str().to_owned()).collect();
    assert_eq!(asked, filters);
    let codes = filters.iter().map(|_| ReasonCode::GrantedQoS1);
    server.send(Packet::SubAck(SubAck::new(subscribe.packet_id, codes))).await;
    server
}

#[tokio::test(start_paused = true)]
async fn after_a_cut_in_the_middle_of_a_drain_subscriptions_come_back_and_the_drain_goes_on() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let mut messages = subscribed(&client, &mut server, "in").await;
    offline(&client, server).await;
    let mut acks = Vec::new();
    for n in 0..8 {
        let qos = if n % 2 == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        acks.push(client.publish(message(n, qos)).await.unwrap());
    }
    let mut n = 0;
    for cut_after in [1, 3, 8] {
        let mut server = back(&links, &["in"]).await;
        while n < cut_after {
            assert_eq!(takes(&mut server).await, n.to_string());
            n += 1;
        }
        // Our acknowledgement is in before the cut.
        sleep(Duration::from_millis(1)).await;
        server.send(publish("in", "x")).await;
        assert_eq!(messages.next().await.unwrap().payload(), b"x", "not deaf");
        offline(&client, server).await;
    }
    for ack in acks {
        assert!(ack.await.is_ok());
    }
    assert_eq!(client.stats().queued, 0);
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_is_none_is_refused_at_the_call_and_spoils_no_recovery() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    for filter in ["", "foo#", "fo+", "#/a", "a/#/b"] {
        assert!(client.subscribe(filter, QoS::AtLeastOnce).await.is_err(), "{filter}");
        assert!(client.unsubscribe(filter).await.is_err(), "{filter}");
    }
    let mut messages = subscribed(&client, &mut server, "in").await;
    offline(&client, server).await;
    assert!(client.subscribe("", QoS::AtLeastOnce).await.is_err());
    let ack = client.publish(message(1, QoS::AtLeastOnce)).await.unwrap();
    let mut server = back(&links, &["in"]).await;
    assert_eq!(takes(&mut server).await, "1");
    assert!(ack.await.is_ok());
    server.send(publish("in", "x")).await;
    assert!(messages.next().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_message_published_at_any_moment_of_a_drain_is_not_left_behind() {
    for offset in [0, 1, 499, 500, 501, 999, 1000, 1001] {
        let links = Links::default();
        let (client, mut server) = online(&links).await;
        let _messages = subscribed(&client, &mut server, "in").await;
        offline(&client, server).await;
        for n in 0..3 {
            drop(client.publish(message(n, QoS::AtLeastOnce)).await.unwrap());
        }
        let mut server = back(&links, &["in"]).await;
        client.online().await.unwrap();
        let start = Instant::now();
        let late = tokio::spawn({
            let client = client.clone();
            async move {
                sleep(Duration::from_millis(offset)).await;
                client.publish(message(3, QoS::AtLeastOnce)).await.unwrap().await
            }
        });
        for n in 0..4_usize {
            assert_eq!(takes(&mut server).await, n.to_string(), "{offset}");
        }
        assert!(late.await.unwrap().is_ok());
        assert!(start.elapsed() <= Duration::from_millis(1500), "{offset}: {:?}", start.elapsed());
        assert_eq!(client.stats().queued, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_at_the_very_instant_of_the_operation_timeout_harms_nothing() {
    for (before, after) in
        [(1, 0), (0, 0), (0, 1)].map(|(a, b)| (Duration::from_nanos(a), Duration::from_millis(b)))
    {
        let links = Links::default();
        let (client, mut server) = online(&links).await;
        let ack = client.publish(message(1, QoS::AtLeastOnce)).await.unwrap();
        let Some(Packet::Publish(sent)) = server.recv().await else { panic!() };
        let start = Instant::now();
        sleep(secs(5) - before + after).await;
        server.send(puback(sent.packet_id().unwrap().value())).await;
        let outcome = ack.await;
        assert!(matches!(outcome, Ok(Delivery::Acked(_)) | Err(OpError::TimedOut)), "{outcome:?}");
        assert_eq!(start.elapsed(), secs(5) + after);
        let mut messages = subscribed(&client, &mut server, "in").await;
        server.send(publish("in", "x")).await;
        assert!(messages.next().await.is_some(), "all goes on");
        let next = client.publish(message(2, QoS::AtLeastOnce)).await.unwrap();
        assert_eq!(takes(&mut server).await, "2");
        assert!(next.await.is_ok());
        assert_eq!(client.stats().in_flight, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn filters_match_as_the_standard_says_also_the_level_above_a_hash() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    for (filter, topic, other) in [
        ("+/#", "foo", "$SYS/a"),
        ("foo/+/#", "foo/bar", "foo"),
        ("foo/#", "foo", "fool"),
        ("+/+", "/a", "a"),
    ] {
        let mut messages = subscribed(&client, &mut server, filter).await;
        server.send(publish(other, "other")).await;
        server.send(publish(topic, "x")).await;
        let message = timeout(secs(1), messages.next()).await.unwrap().unwrap();
        assert_eq!(message.topic(), topic, "{filter}");
        drop(messages);
        let Some(Packet::Unsubscribe(packet)) = server.recv_or_pong().await else { panic!() };
        server.send(Packet::UnsubAck(SubAck::new(packet.packet_id, [ReasonCode::Success]))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_wait_for_what_it_asks_of_the_client() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let handler = {
        let client = client.clone();
        move |_| {
            let client = client.clone();
            async move {
                let mut more = client.subscribe("more", QoS::AtLeastOnce).await.unwrap();
                client.publish(message(1, QoS::AtLeastOnce)).await.unwrap().await.unwrap();
                more.next().await.unwrap();
                client.publish(message(2, QoS::AtLeastOnce)).await.unwrap().await.unwrap();
            }
        }
    };
    let grant = async |server: &mut Server| {
        let Some(Packet::Subscribe(subscribe)) = server.recv().await else { panic!() };
        server.send(Packet::SubAck(SubAck::new(subscribe.packet_id, [ReasonCode::GrantedQoS1]))).await;
    };
    let (subscription, ()) = tokio::join!(client.on("in", QoS::AtLeastOnce, handler), grant(&mut server));
    server.send(publish("in", "x")).await;
    grant(&mut server).await;
    assert_eq!(takes(&mut server).await, "1");
    server.send(publish("more", "x")).await;
    assert_eq!(takes(&mut server).await, "2");
    yield_now().await;
    assert_eq!(client.stats().handler_panics, 0);
    drop(subscription);
}
