//! Shadows by MQTT on sockets, from the side of the service, and in a file.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod common;

use std::path::Path;

use common::{BOTH, Client, connected, message};
use iot_emulator::Emulator;
use iot_emulator::shadow::{Rules, ShadowId};
use mqtt_codec::{Packet, Version};
use serde_json::{Value, json};
use tokio::net::TcpStream;

fn lamp() -> ShadowId {
    ShadowId::new("lamp", None).unwrap()
}

/// The next message: its topic and its document.
async fn next(client: &mut Client<TcpStream>) -> (String, Value) {
    loop {
        match client.next().await {
            Some(Packet::Publish(publish)) => {
                let document = serde_json::from_slice(publish.payload()).unwrap();
                return (publish.topic().to_string(), document);
            }
            Some(Packet::PubAck(_)) => {}
            other => panic!("no message but {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_device_asks_and_everyone_who_subscribed_hears() {
    for version in BOTH {
        let emulator = common::emulator().await;
        let mut device = connected(&emulator, version, "device").await;
        device.subscribe("$aws/things/lamp/shadow/#").await;
        device.send(message("$aws/things/lamp/shadow/get", r#"{"clientToken":"1"}"#)).await;
        let (topic, document) = next(&mut device).await;
        assert_eq!(topic, "$aws/things/lamp/shadow/get");
        assert_eq!(document["clientToken"], "1");
        let (topic, document) = next(&mut device).await;
        assert_eq!(topic, "$aws/things/lamp/shadow/get/rejected");
        assert_eq!((&document["code"], &document["clientToken"]), (&json!(404), &json!("1")));

        emulator.desire(&lamp(), json!({"on": true})).await.unwrap();
        let mut topics = Vec::new();
        for _ in 0..3 {
            topics.push(next(&mut device).await.0);
        }
        topics.sort();
        let tails: Vec<_> = topics.iter().map(|topic| topic.rsplit('/').next().unwrap()).collect();
        assert_eq!(tails, ["accepted", "delta", "documents"]);
        assert_eq!(emulator.shadow(&lamp()).await.unwrap()["state"]["delta"], json!({"on": true}));

        let report = r#"{"state":{"reported":{"on":true}}}"#;
        device.publish("$aws/things/lamp/shadow/update", report).await;
        loop {
            let (topic, document) = next(&mut device).await;
            if topic.ends_with("/accepted") {
                assert_eq!(document["version"], 2);
                break;
            }
        }
        assert_eq!(emulator.shadow(&lamp()).await.unwrap()["state"].get("delta"), None);
        assert_eq!(emulator.delete_shadow(&lamp()).await.unwrap(), 2);
        assert_eq!(emulator.delete_shadow(&lamp()).await.unwrap_err().code, 404);
        assert_eq!(emulator.shadows().await, []);
        emulator.shutdown().await;
    }
}

#[tokio::test]
async fn an_answer_takes_as_long_as_the_rules_say_and_requests_under_way_end_with_their_connection() {
    let mut rules = Rules::default();
    rules.answer_delay = std::time::Duration::from_secs(3600);
    rules.max_in_flight = 1;
    let emulator = Emulator::builder().plain(true).shadows(rules).start().await.unwrap();
    for _ in 0..2 {
        let mut device = connected(&emulator, Version::V5, "device").await;
        device.subscribe("$aws/things/lamp/shadow/get/rejected").await;
        device.send(message("$aws/things/lamp/shadow/get", "")).await;
        device.ping().await;
        // The first request of this connection is under way, so the second is one too many.
        device.send(message("$aws/things/lamp/shadow/get", "")).await;
        assert_eq!(next(&mut device).await.1["code"], 429);
    }
    emulator.change_shadow_rules(|rules| rules.answer_delay = std::time::Duration::ZERO).await;
    let mut device = connected(&emulator, Version::V5, "device").await;
    device.subscribe("$aws/things/lamp/shadow/get/rejected").await;
    device.send(message("$aws/things/lamp/shadow/get", "")).await;
    assert_eq!(next(&mut device).await.1["code"], 404);
}

async fn with_file(path: &Path) -> std::io::Result<Emulator> {
    Emulator::builder().shadow_file(path).start().await
}

#[tokio::test]
async fn shadows_in_a_file_survive_the_emulator() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shadows.json");
    let emulator = with_file(&path).await.unwrap();
    emulator.desire(&lamp(), json!({"n": 18_446_744_073_709_551_615_u64, "text": "ü"})).await.unwrap();
    let gone = ShadowId::new("lamp", Some("gone")).unwrap();
    emulator.desire(&gone, json!({"a": 1})).await.unwrap();
    emulator.delete_shadow(&gone).await.unwrap();
    let before = emulator.shadow(&lamp()).await.unwrap();
    emulator.shutdown().await;

    let emulator = with_file(&path).await.unwrap();
    assert_eq!(emulator.shadow(&lamp()).await, Some(before));
    assert_eq!(emulator.shadows().await, [lamp()]);
    // Numbering goes on after the deleted one.
    assert!(emulator.desire(&gone, json!({"a": 1})).await.unwrap()["version"].as_u64().unwrap() > 1);
    emulator.shutdown().await;
}

#[tokio::test]
async fn a_change_is_in_the_file_without_an_orderly_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shadows.json");
    let emulator = with_file(&path).await.unwrap();
    for number in 0..20 {
        emulator.desire(&lamp(), json!({ "number": number })).await.unwrap();
    }
    // Looking is what a person would do; the write goes on beside it.
    let written = async {
        while !std::fs::read_to_string(&path).is_ok_and(|text| text.contains("\"number\":19")) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), written).await.expect("the last change");
    drop(emulator);
}

#[tokio::test]
async fn a_file_of_something_else_is_left_alone_and_named() {
    let directory = tempfile::tempdir().unwrap();
    for content in ["not json", "{}", "[]", r#"{"format":2,"shadows":[]}"#] {
        let path = directory.path().join("other.json");
        std::fs::write(&path, content).unwrap();
        let error = with_file(&path).await.map(drop).unwrap_err().to_string();
        assert!(error.contains("other.json"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
    let error = with_file(&directory.path().join("missing/shadows.json")).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
}
