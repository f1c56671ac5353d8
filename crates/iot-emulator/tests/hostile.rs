//! Requests that nobody sends by accident: they are refused, and others are served meanwhile.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use common::http::{exchange, now, plain_stream, signed, upgrade, upgraded};
use common::{Client, Tls, connected, emulator};
use iot_emulator::Emulator;
use mqtt_codec::{ReasonCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A frame of a client that holds nothing: binary, ping, and the continuation of a message that never ends.
const EMPTY_FRAMES: [[u8; 6]; 3] =
    [[0x82, 0x80, 0, 0, 0, 0], [0x89, 0x80, 0, 0, 0, 0], [0, 0x80, 0, 0, 0, 0]];

#[tokio::test]
async fn json_of_any_depth_is_refused_without_harm() {
    let emulator = emulator().await;
    for body in ["[".repeat(16_000), "{\"Logins\":".repeat(1_500), format!("[{}", "9".repeat(16_000))] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AWSCognitoIdentityService.GetId\r\n\
             Content-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let reply = exchange(&mut plain_stream(&emulator).await, request).await.unwrap();
        assert_eq!(reply.status, 400);
        assert_eq!(reply.json()["__type"], "SerializationException");
    }
}

#[tokio::test]
async fn a_signature_is_good_for_its_own_path_and_for_one_of_itself() {
    let emulator = emulator().await;
    let good = signed(&emulator, &emulator.aws_credentials(), now());
    let signature = good.rsplit('&').find(|part| part.starts_with("X-Amz-Signature")).unwrap();
    let at = |path: &str| good.replacen("/mqtt", path, 1);
    for (target, status) in [
        (good.clone(), 101),
        (at("/mqtt/../mqtt"), 404),
        (at("//mqtt"), 404),
        (at("/%6dqtt"), 404),
        (at("/mqtt/"), 404),
        (format!("{good}&{signature}"), 403),
        (format!("{good}&{}", signature.replace("X-Amz", "X%2DAmz")), 403),
        (format!("{good}&x=y"), 403),
        (format!("{good}&X-Amz-Security-Token=%00"), 403),
        (good.replace("X-Amz-Signature", "x-amz-signature"), 403),
        (good.replace("SignedHeaders=host", "SignedHeaders=Host"), 403),
        (good.replace("%2Faws4_request", "%2Faws4_request%2F"), 403),
    ] {
        let reply = exchange(&mut plain_stream(&emulator).await, upgrade(&target, "")).await.unwrap();
        assert_eq!(reply.status, status, "{target}: {reply:?}");
    }
}

#[tokio::test]
async fn frames_without_content_leave_others_their_turns() {
    let emulator = emulator().await;
    for frame in EMPTY_FRAMES {
        let mut flood = upgraded(plain_stream(&emulator).await, &emulator).await;
        if frame.starts_with(&[0]) {
            flood.write_all(&[0x02, 0x80, 0, 0, 0, 0]).await.unwrap();
        }
        let flooding = tokio::spawn(async move {
            let frames = frame.repeat(10_000);
            while flood.write_all(&frames).await.is_ok() {
                let _ = flood.try_read(&mut [0; 4_096]);
            }
        });
        let mut client = connected(&emulator, Version::V5, "device").await;
        for _ in 0..10 {
            client.ping().await;
        }
        assert!(!flooding.is_finished());
        flooding.abort();
    }
}

#[tokio::test]
async fn connections_above_the_limit_are_closed_and_room_comes_back() {
    let emulator = Emulator::builder().max_connections(3).start().await.unwrap();
    let silent = || TcpStream::connect(("127.0.0.1", emulator.port()));
    let held = (silent().await.unwrap(), silent().await.unwrap(), silent().await.unwrap());
    for _ in 0..20 {
        // Closed, or reset.
        assert!(!silent().await.unwrap().read(&mut [0]).await.is_ok_and(|len| len > 0));
    }
    drop(held);
    let tls = Tls::with(emulator.credentials());
    let stream = loop {
        match tls.connect(&emulator).await {
            Ok(stream) => break stream,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(Client::new(stream, Version::V5).connect("device").await, ReasonCode::Success);
    emulator.shutdown().await;
}
