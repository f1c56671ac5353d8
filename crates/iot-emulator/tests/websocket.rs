//! MQTT in frames.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::time::Duration;

use bytes::BytesMut;
use common::http::{bytes, exchange, frame, next_frame, now, plain_stream, reply, signed, upgrade, upgraded};
use common::{BOTH, Client, Tls, connected, emulator};
use iot_emulator::Emulator;
use mqtt_codec::packet::{ConnectBuilder, Disconnect, Will};
use mqtt_codec::{Codec, Packet, ReasonCode, Text, TopicName, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// CONNECT with a will at `will`.
fn connect(version: Version) -> Vec<u8> {
    let mut connect = ConnectBuilder::new(version, Text::try_from("device").unwrap());
    connect.will = Some(Will::new(TopicName::try_from("will").unwrap(), "gone"));
    encoded(&connect.build().unwrap().into(), version)
}

fn encoded(packet: &Packet, version: Version) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    Codec::client(version).encode(packet, &mut bytes).unwrap();
    bytes.to_vec()
}

/// A WebSocket with a connection that has a will, after its CONNACK, and who watches for the will.
async fn with_will(emulator: &Emulator) -> (TcpStream, Client<TcpStream>) {
    let mut watcher = connected(emulator, Version::V5, "watcher").await;
    watcher.subscribe("will").await;
    let mut stream = upgraded(plain_stream(emulator).await, emulator).await;
    stream.write_all(&frame(BINARY, &connect(Version::V3_1_1))).await.unwrap();
    assert_eq!(next_frame(&mut stream).await, Some((BINARY, vec![0x20, 2, 0, 0])));
    (stream, watcher)
}

#[tokio::test]
async fn publish_and_subscribe_work_over_a_websocket() {
    let emulator = Emulator::builder().https(true).start().await.unwrap();
    let tls = Tls { identity: None, port: emulator.https_port(), ..Tls::with(emulator.credentials()) };
    for version in BOTH {
        let stream = upgraded(tls.connect(&emulator).await.unwrap(), &emulator).await;
        let mut client = Client::new(bytes(stream), version);
        assert_eq!(client.connect("device").await, ReasonCode::Success);
        client.subscribe("a/#").await;
        let large = "x".repeat(100_000);
        client.publish("a/b", &large).await;
        client.expect_message(&large).await;
        assert!(matches!(client.next().await, Some(Packet::PubAck(_))));
    }
    emulator.shutdown().await;
}

#[tokio::test]
async fn the_protocol_is_echoed_and_extensions_are_not() {
    let emulator = emulator().await;
    for (offered, answered) in [
        ("Sec-WebSocket-Protocol: mqtt\r\n", Some("mqtt")),
        ("Sec-WebSocket-Protocol: mqttv3.1\r\n", Some("mqttv3.1")),
        ("Sec-WebSocket-Protocol: other, mqtt\r\n", Some("mqtt")),
        ("Sec-WebSocket-Protocol: other\r\nSec-WebSocket-Protocol: mqtt\r\n", Some("mqtt")),
        ("", None),
    ] {
        let target = signed(&emulator, &emulator.aws_credentials(), now());
        let more =
            format!("{offered}Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n");
        let reply = exchange(&mut plain_stream(&emulator).await, upgrade(&target, &more)).await.unwrap();
        assert_eq!(reply.status, 101, "{offered}");
        assert_eq!(reply.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(reply.header("upgrade"), Some("websocket"));
        assert_eq!(reply.header("sec-websocket-protocol"), answered);
        assert_eq!(reply.header("sec-websocket-extensions"), None);
    }
}

/// 128 bytes instead of the standard's 16, as AWS's first SDK for Python sends.
#[tokio::test]
async fn a_longer_key_is_taken() {
    let emulator = emulator().await;
    let target = signed(&emulator, &emulator.aws_credentials(), now());
    let long = format!("{}a2s=", "a2tr".repeat(42));
    let request = upgrade(&target, "").replacen("dGhlIHNhbXBsZSBub25jZQ==", &long, 1);
    let reply = exchange(&mut plain_stream(&emulator).await, request).await.unwrap();
    assert_eq!(reply.status, 101, "{reply:?}");
    assert_eq!(reply.header("sec-websocket-accept"), Some("JcRamrYTbtm+RkVuJ52BuTGmhZ0="));
}

#[tokio::test]
async fn a_request_that_is_none_for_a_websocket_is_told_what_it_lacks() {
    let emulator = emulator().await;
    let good = upgrade(&signed(&emulator, &emulator.aws_credentials(), now()), "");
    for (from, to, status) in [
        ("GET", "POST", 405),
        ("HTTP/1.1", "HTTP/1.0", 400),
        ("Upgrade: WebSocket", "Upgrade: h2c", 426),
        ("keep-alive, Upgrade", "keep-alive", 426),
        ("Version: 13", "Version: 12", 426),
        ("Sec-WebSocket-Version: 13\r\n", "", 426),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "short", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZ===", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ==dGhl", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQdGhl", 400),
        ("Sec-WebSocket-Version", "Sec-WebSocket-Protocol: other\r\nSec-WebSocket-Version", 400),
        ("/mqtt?", "/other?", 404),
    ] {
        assert!(good.contains(from), "{from}");
        let reply = exchange(&mut plain_stream(&emulator).await, good.replacen(from, to, 1)).await.unwrap();
        assert_eq!(reply.status, status, "{from} -> {to}: {reply:?}");
    }
}

#[tokio::test]
async fn packets_may_be_split_and_joined_over_frames_and_behind_the_request() {
    let emulator = emulator().await;
    let ping = encoded(&Packet::PingReq, Version::V3_1_1);
    let joined = [connect(Version::V3_1_1), ping.clone(), ping.clone()].concat();
    for size in [1, 3, 7, 120] {
        let mut stream = upgraded(plain_stream(&emulator).await, &emulator).await;
        for part in joined.chunks(size) {
            stream.write_all(&frame(BINARY, part)).await.unwrap();
        }
        stream.write_all(&frame(BINARY, &[])).await.unwrap();
        assert_all(&mut stream, &[0x20, 2, 0, 0, 0xD0, 0, 0xD0, 0]).await;
    }
    // A message in fragments, with a ping between them; all in one write with the request.
    let mut all = upgrade(&signed(&emulator, &emulator.aws_credentials(), now()), "").into_bytes();
    let (first, second) = joined.split_at(5);
    let mut fragment = frame(BINARY, first);
    fragment[0] &= 0x7F;
    all.extend(fragment);
    all.extend(frame(PING, b"in between"));
    all.extend(frame(0, second));
    let mut stream = plain_stream(&emulator).await;
    stream.write_all(&all).await.unwrap();
    assert_eq!(reply(&mut stream).await.unwrap().status, 101);
    assert_eq!(next_frame(&mut stream).await, Some((PONG, b"in between".to_vec())));
    assert_all(&mut stream, &[0x20, 2, 0, 0, 0xD0, 0, 0xD0, 0]).await;
}

/// However many are ready at once: AWS's first SDK for Python reads one packet of a frame and leaves the rest.
#[tokio::test]
async fn each_packet_is_a_frame() {
    let emulator = emulator().await;
    let ping = encoded(&Packet::PingReq, Version::V3_1_1);
    let mut stream = upgraded(plain_stream(&emulator).await, &emulator).await;
    let all = [connect(Version::V3_1_1), ping.repeat(30)].concat();
    stream.write_all(&frame(BINARY, &all)).await.unwrap();
    assert_eq!(next_frame(&mut stream).await, Some((BINARY, vec![0x20, 2, 0, 0])));
    for _ in 0..30 {
        assert_eq!(next_frame(&mut stream).await, Some((BINARY, vec![0xD0, 0])));
    }
}

/// The next bytes, in whatever frames.
async fn assert_all(stream: &mut TcpStream, expected: &[u8]) {
    let mut received = Vec::new();
    while received.len() < expected.len() {
        let (opcode, payload) = next_frame(stream).await.unwrap();
        assert_eq!(opcode, BINARY);
        received.extend(payload);
    }
    assert_eq!(received, expected);
}

#[tokio::test]
async fn a_ping_is_answered_with_its_payload() {
    let emulator = emulator().await;
    let (mut stream, _watcher) = with_will(&emulator).await;
    stream.write_all(&frame(PING, b"are you there?")).await.unwrap();
    assert_eq!(next_frame(&mut stream).await, Some((PONG, b"are you there?".to_vec())));
}

#[tokio::test]
async fn a_text_frame_and_an_unmasked_one_end_the_connection_and_its_will_is_published() {
    let emulator = emulator().await;
    for bad in [frame(TEXT, b"\xC0\0"), vec![0x82, 2, 0xC0, 0], frame(TEXT, b"text")] {
        let (mut stream, mut watcher) = with_will(&emulator).await;
        stream.write_all(&bad).await.unwrap();
        watcher.expect_message("gone").await;
        while let Some((opcode, _)) = next_frame(&mut stream).await {
            assert_eq!(opcode, CLOSE);
        }
    }
}

#[tokio::test]
async fn after_a_close_frame_no_will_is_published_and_after_a_cut_it_is() {
    let emulator = emulator().await;
    let (mut stream, mut watcher) = with_will(&emulator).await;
    stream.write_all(&frame(CLOSE, &1000u16.to_be_bytes())).await.unwrap();
    assert_eq!(next_frame(&mut stream).await, Some((CLOSE, 1000u16.to_be_bytes().to_vec())));
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    // Once the broker knows of it, there is no will on its way.
    while emulator.connected_clients().await.contains(&"device".to_owned()) {
        tokio::task::yield_now().await;
    }
    watcher.ping().await;

    let (stream, mut watcher) = with_will(&emulator).await;
    drop(stream);
    watcher.expect_message("gone").await;
}

#[tokio::test]
async fn a_kick_cuts_a_websocket_without_a_close_frame_and_a_disconnect_ends_it_with_one() {
    let emulator = emulator().await;
    let (mut stream, mut watcher) = with_will(&emulator).await;
    emulator.kick("device").await;
    assert_eq!(next_frame(&mut stream).await, None);
    watcher.expect_message("gone").await;

    let (mut stream, mut watcher) = with_will(&emulator).await;
    stream
        .write_all(&frame(
            BINARY,
            &encoded(&Packet::Disconnect(Disconnect::new(ReasonCode::Success)), Version::V3_1_1),
        ))
        .await
        .unwrap();
    assert!(matches!(next_frame(&mut stream).await, Some((CLOSE, _))));
    watcher.ping().await;
}

#[tokio::test]
async fn a_websocket_lasts_a_day() {
    const DAY: Duration = Duration::from_secs(86_400);
    let emulator = emulator().await;
    let mut watcher = connected(&emulator, Version::V5, "watcher").await;
    watcher.subscribe("will").await;
    let stream = upgraded(plain_stream(&emulator).await, &emulator).await;
    let mut client = Client::new(bytes(stream), Version::V5);
    let will = Will::new(TopicName::try_from("will").unwrap(), "gone");
    assert_eq!(client.connect_with("device", |c| c.will = Some(will)).await, ReasonCode::Success);
    tokio::time::pause();
    assert!(tokio::time::timeout(DAY - Duration::from_secs(1), client.next()).await.is_err());
    let farewell = Disconnect::new(ReasonCode::MaximumConnectTime);
    assert_eq!(client.next().await, Some(farewell.into()));
    watcher.expect_message("gone").await;
}

#[tokio::test]
async fn a_packet_above_the_limit_ends_the_connection_at_its_first_bytes_however_large_the_frame() {
    let emulator = emulator().await;
    let (mut stream, mut watcher) = with_will(&emulator).await;
    // A frame of 2 GiB, and in it a PUBLISH of 256 MiB.
    let head = [0x82, 0xFF, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
    stream.write_all(&[&head[..], &[0x30, 0xFF, 0xFF, 0xFF, 0x7F]].concat()).await.unwrap();
    watcher.expect_message("gone").await;
}
