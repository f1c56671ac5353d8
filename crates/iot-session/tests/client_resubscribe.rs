//! Subscriptions of the client with the layer that keeps them, on links in memory and a paused clock.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

mod support;

use iot_session::layers::{Reconnect, Resubscribe};
use iot_session::{Client, Config, OpError, QoS, Version};
use mqtt_codec::packet::SubAck;
use mqtt_codec::{Packet, PacketId, ReasonCode};
use support::link::{Links, Server, start_with, subscribed};
use support::stack::{back, offline, silent, subscribing};
use support::{id, options, publish, secs};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::timeout;

/// A client of a session that outlives connections.
fn start(links: &Links) -> (Client, JoinHandle<()>) {
    let options = options(Version::V5).session_expiry(secs(600));
    start_with(options, (Resubscribe::default(), Reconnect::default()), links, Config::default())
}

async fn online(links: &Links) -> (Client, Server) {
    let mut server = links.add(1 << 16);
    let (client, _task) = start(links);
    server.accept_from(&client, false).await;
    (client, server)
}

/// Takes a SUBSCRIBE of this one filter and agrees. Gives the messages that were acknowledged before it.
async fn grant(server: &mut Server, filter: &str) -> Vec<PacketId> {
    let mut acknowledged = Vec::new();
    let subscribe = loop {
        match server.recv_or_pong().await {
            Some(Packet::PubAck(ack)) => acknowledged.push(ack.packet_id),
            Some(Packet::Subscribe(subscribe)) => break subscribe,
            other => panic!("{other:?}"),
        }
    };
    let filters: Vec<_> = subscribe.filters().map(|(filter, _)| filter.as_str().to_owned()).collect();
    assert_eq!(filters, [filter]);
    server.send(Packet::SubAck(SubAck::new(subscribe.packet_id, [ReasonCode::GrantedQoS1]))).await;
    acknowledged
}

async fn unsubscribes(server: &mut Server, filter: &str) {
    let Some(Packet::Unsubscribe(unsubscribe)) = server.recv_or_pong().await else { panic!() };
    assert_eq!(unsubscribe.filters().next().unwrap().as_str(), filter);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_dropped_offline_is_unsubscribed_when_the_session_resumes() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let messages = subscribed(&client, &mut server, "a").await;
    offline(&client, server).await;
    drop(messages);
    unsubscribes(&mut back(&links, true).await, "a").await;
}

#[tokio::test(start_paused = true)]
async fn an_unsubscribe_that_the_outage_swallowed_goes_out_when_the_session_resumes() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    drop(subscribed(&client, &mut server, "a").await);
    unsubscribes(&mut server, "a").await;
    offline(&client, server).await; // before UNSUBACK
    unsubscribes(&mut back(&links, true).await, "a").await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_outlives_the_servers_session() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let mut messages = subscribed(&client, &mut server, "a").await;
    offline(&client, server).await;
    let mut server = back(&links, false).await;
    grant(&mut server, "a").await;
    server.send(publish("a", "x")).await;
    assert_eq!(messages.next().await.unwrap().payload(), b"x");
    assert_eq!(client.stats().subscriptions, 1);
}

#[tokio::test(start_paused = true)]
async fn a_subscribe_made_before_connecting_resolves_once_it_is_in_force() {
    let links = Links::default();
    let (client, _task) = start(&links);
    let subscribing = subscribing(&client, "a");
    yield_now().await;
    client.connect_lazily().await.unwrap();
    let mut server = back(&links, false).await;
    assert!(!subscribing.is_finished());
    // A retained message may overtake the answer.
    server.send(publish("a", "early").at_least_once(id(1))).await;
    grant(&mut server, "a").await;
    let mut messages = subscribing.await.unwrap().unwrap();
    assert_eq!(messages.next().await.unwrap().payload(), b"early");
}

#[tokio::test(start_paused = true)]
async fn a_subscribe_given_up_offline_is_never_sent() {
    let links = Links::default();
    let (client, _task) = start(&links);
    let subscribe = timeout(secs(1), client.subscribe("a", QoS::AtLeastOnce)).await;
    assert!(subscribe.is_err(), "there is no connection");
    client.connect_lazily().await.unwrap();
    let mut server = back(&links, false).await;
    client.online().await.unwrap();
    silent(&mut server).await;
}

#[tokio::test(start_paused = true)]
async fn a_subscribe_given_up_while_another_was_about_to_be_refused_is_unsubscribed() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let first = subscribing(&client, "a");
    let Some(Packet::Subscribe(subscribe)) = server.recv_or_pong().await else { panic!() };
    // It waits for the first one's answer.
    assert!(timeout(secs(1), client.subscribe("a", QoS::AtLeastOnce)).await.is_err());
    server.send(Packet::SubAck(SubAck::new(subscribe.packet_id, [ReasonCode::NotAuthorized]))).await;
    assert!(matches!(first.await.unwrap(), Err(OpError::Refused { .. })));
    grant(&mut server, "a").await;
    unsubscribes(&mut server, "a").await;
}

#[tokio::test(start_paused = true)]
async fn a_message_of_a_resumed_session_that_comes_before_the_session_is_up_is_not_lost() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let mut a = subscribed(&client, &mut server, "a").await;
    offline(&client, server).await;
    let subscribing = tokio::spawn({
        let client = client.clone();
        async move { client.subscribe("b", QoS::AtLeastOnce).await }
    });
    yield_now().await;
    let mut server = back(&links, true).await;
    server.send(publish("a", "stored").at_least_once(id(1))).await;
    server.send(publish("later", "stored").at_least_once(id(2))).await;
    assert_eq!(grant(&mut server, "b").await, [id(1)], "what has no subscriber yet is not acknowledged");
    assert_eq!(a.next().await.unwrap().payload(), b"stored");
    let _b = subscribing.await.unwrap().unwrap();
    let answer = async {
        grant(&mut server, "later").await;
        assert!(matches!(server.recv_or_pong().await, Some(Packet::PubAck(ack)) if ack.packet_id == id(2)));
    };
    let (later, ()) = tokio::join!(client.subscribe("later", QoS::AtLeastOnce), answer);
    assert_eq!(later.unwrap().next().await.unwrap().payload(), b"stored");
    assert_eq!((client.stats().unrouted, client.stats().dropped), (0, 0));
}
