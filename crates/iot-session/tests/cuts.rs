//! A link that is cut after each byte of a session, either way, ends in a reconnect: no hang, no spin.
#![cfg(feature = "tokio")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use bytes::BytesMut;
use iot_session::layers::Reconnect;
use iot_session::{Client, Config, Message, QoS, Status, Version};
use mqtt_codec::packet::{ConnAck, SubAck};
use mqtt_codec::{Codec, Packet, ReasonCode};
use support::link::{Links, start};
use support::{id, options, publish, secs};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What a server says in a session in which everything happens once.
fn recording(version: Version) -> BytesMut {
    let mut bytes = BytesMut::new();
    let codec = Codec::observer(version);
    for packet in [
        ConnAck::new(false, ReasonCode::Success).into(),
        Packet::SubAck(SubAck::new(id(1), [ReasonCode::GrantedQoS1])),
        support::puback(1),
        publish("a/b", "payload").into(),
        publish("a/b", "payload").at_least_once(id(7)).into(),
        Packet::PingResp,
        Packet::UnsubAck(SubAck::new(id(1), version.is_v5().then_some(ReasonCode::Success))),
    ] {
        codec.encode(&packet, &mut bytes).unwrap();
    }
    bytes
}

/// What the application does meanwhile, come what may.
async fn use_it(client: Client) {
    if client.connect().await.is_err() {
        return;
    }
    let messages = client.subscribe("a/#", QoS::AtLeastOnce).await;
    if let Ok(ack) = client.publish(Message::new("a/b", "x").unwrap()).await {
        let _ = ack.await;
    }
    drop(messages);
}

/// Runs a session over a first link on which `far` plays the server, and expects a healthy second connection.
async fn reconnects(version: Version, first: impl AsyncFnOnce(support::link::Server)) {
    let links = Links::default();
    let server = links.add(4096);
    let second = links.add(4096);
    let reconnect = Reconnect::default().retry_first(true);
    let (client, task) = start(options(version), reconnect, &links, Config::default());
    let user = tokio::spawn(use_it(client.clone()));
    let healthy = tokio::spawn(second.serve());
    first(server).await;
    tokio::time::timeout(secs(120), async {
        let mut status = client.status();
        while links.left() > 0 || !matches!(*status.borrow_and_update(), Status::Connected(_)) {
            status.changed().await.unwrap();
        }
        user.await.unwrap();
    })
    .await
    .expect("the client is connected again");
    let stats = client.stats();
    assert!(stats.wakeups < 60, "no spinning: {stats:?}");
    assert_eq!(stats.attempts, 2);
    drop(client);
    task.await.unwrap();
    assert!(matches!(healthy.await.unwrap().last(), Some(Packet::Disconnect(_))));
}

#[tokio::test(start_paused = true)]
async fn a_cut_after_each_byte_from_the_server_ends_in_a_reconnect() {
    for version in [Version::V3_1_1, Version::V5] {
        let recording = recording(version);
        for n in 0..=recording.len() {
            let bytes = recording.clone();
            reconnects(version, async move |mut server| {
                // The CONNECT first, so that the answers make sense.
                server.io.read_buf(&mut BytesMut::new()).await.unwrap();
                server.io.write_all(&bytes[..n]).await.unwrap();
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_after_each_byte_from_the_client_ends_in_a_reconnect() {
    for version in [Version::V3_1_1, Version::V5] {
        let recording = recording(version);
        let mut longest = 0;
        for n in 0..80 {
            let bytes = recording.clone();
            let mut taken = 0;
            reconnects(version, async |mut server| {
                let mut seen = vec![0; n];
                if n > 14 {
                    // CONNECT is through by then: everything is answered in advance.
                    server.io.write_all(&bytes).await.unwrap();
                }
                while taken < n {
                    let read = tokio::time::timeout(secs(2), server.io.read(&mut seen[taken..])).await;
                    match read {
                        Ok(Ok(read)) if read > 0 => taken += read,
                        _ => break,
                    }
                }
            })
            .await;
            longest = longest.max(taken);
        }
        assert!(longest > 20, "the cuts went beyond CONNECT: {longest}");
    }
}
