//! A client on all layers, and how its server answers.

use std::ops::Range;
use std::time::Duration;

use iot_session::layers::Standard;
use iot_session::{Ack, Client, Config, Message, Messages, OpError, QoS, Status, Version};
use mqtt_codec::packet::SubAck;
use mqtt_codec::{Packet, ReasonCode};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::link::{Links, Server, start_with, until};
use super::{options, puback, secs};

pub fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[allow(clippy::needless_pass_by_value, reason = "numbers and strings alike")]
pub fn message(payload: impl ToString) -> Message {
    Message::new("out", payload.to_string().into_bytes()).unwrap()
}

/// A client of a session that outlives connections.
pub fn start(links: &Links) -> (Client, JoinHandle<()>) {
    let options = options(Version::V5).session_expiry(secs(600));
    start_with(options, Standard::default(), links, Config::default())
}

pub async fn online(links: &Links) -> (Client, Server) {
    let mut server = links.add(1 << 16);
    let (client, _task) = start(links);
    server.accept_from(&client, false).await;
    (client, server)
}

/// A client of a session that ends with its connection.
pub async fn online_briefly(links: &Links) -> (Client, Server) {
    let mut server = links.add(1 << 16);
    let (client, _task) = start_with(options(Version::V5), Standard::default(), links, Config::default());
    server.accept_from(&client, false).await;
    (client, server)
}

/// Publishes one message for each number.
pub async fn publishes(client: &Client, numbers: Range<u32>) -> Vec<Ack> {
    let mut acks = Vec::new();
    for n in numbers {
        acks.push(client.publish(message(n)).await.unwrap());
    }
    acks
}

pub async fn offline(client: &Client, server: Server) {
    drop(server);
    until(client, |status| matches!(status, Status::Disconnected { .. })).await;
}

pub async fn back(links: &Links, session_present: bool) -> Server {
    let mut server = links.add(1 << 16);
    server.accept(session_present).await;
    server
}

/// Takes a SUBSCRIBE of this one filter and answers.
pub async fn answer(server: &mut Server, filter: &str, reason: ReasonCode) {
    let packet = server.recv_or_pong().await;
    let Some(Packet::Subscribe(subscribe)) = packet else { panic!("{packet:?}") };
    let filters: Vec<_> = subscribe.filters().map(|(filter, _)| filter.as_str().to_owned()).collect();
    assert_eq!(filters, [filter]);
    server.send(Packet::SubAck(SubAck::new(subscribe.packet_id, [reason]))).await;
}

/// Takes a PUBLISH and acknowledges it.
pub async fn takes(server: &mut Server) -> String {
    let packet = server.recv_or_pong().await;
    let Some(Packet::Publish(publish)) = packet else { panic!("{packet:?}") };
    if let Some(id) = publish.packet_id() {
        server.send(puback(id.value())).await;
    }
    String::from_utf8(publish.payload().to_vec()).unwrap()
}

/// Nothing but pings comes for a while.
pub async fn silent(server: &mut Server) {
    let packet = timeout(secs(120), server.recv_or_pong()).await;
    assert!(packet.is_err(), "{packet:?}");
}

pub fn subscribing(client: &Client, filter: &'static str) -> JoinHandle<Result<Messages, OpError>> {
    let client = client.clone();
    tokio::spawn(async move { client.subscribe(filter, QoS::AtLeastOnce).await })
}
