//! The page in the browser: what it shows, to whom, and that it only shows.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use common::http::{Reply, exchange};
use common::{connected, message};
use iot_emulator::Emulator;
use iot_emulator::shadow::ShadowId;
use mqtt_codec::Version;
use serde_json::{Value, json};
use tokio::net::TcpStream;

async fn with_page() -> Emulator {
    Emulator::builder().plain(true).status_port(0).start().await.unwrap()
}

async fn ask(emulator: &Emulator, method: &str, path: &str, host: &str) -> Reply {
    let url = emulator.status_url().unwrap();
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    exchange(&mut stream, request).await.unwrap()
}

async fn status(emulator: &Emulator) -> Value {
    ask(emulator, "GET", "/status.json", "localhost").await.json()
}

#[tokio::test]
async fn it_shows_connections_subscriptions_shadows_and_messages() {
    let emulator = with_page().await;
    let lamp = ShadowId::new("lamp", None).unwrap();
    let night = ShadowId::new("lamp", Some("night")).unwrap();
    let state = json!({"state": {"desired": {"on": true}, "reported": {"on": false, "n": 1}}});
    emulator.update_shadow(&lamp, &state).await.unwrap();
    emulator.desire(&night, json!({"dim": 3})).await.unwrap();
    let mut old = connected(&emulator, Version::V3_1_1, "old").await;
    old.subscribe("a/+").await;
    let mut new = connected(&emulator, Version::V5, "new").await;
    new.send(message("a/b", "hello")).await;
    old.expect_message("hello").await;

    let status = status(&emulator).await;
    assert_eq!(status["endpoint"], "localhost");
    assert_eq!(status["port"], emulator.port());
    let connections: Vec<_> = status["connections"].as_array().unwrap().iter().collect();
    let mut seen: Vec<_> =
        connections.iter().map(|one| (one["clientId"].clone(), one["version"].clone())).collect();
    seen.sort_by_key(|(client, _)| client.to_string());
    assert_eq!(seen, [(json!("new"), json!("5")), (json!("old"), json!("3.1.1"))]);
    assert!(connections.iter().all(|one| one["connectedSeconds"].as_f64().unwrap() >= 0.0));
    let session = status["sessions"].as_array().unwrap().iter().find(|one| one["clientId"] == "old").unwrap();
    assert_eq!(session["subscriptions"], json!([{"filter": "a/+", "qos": 1}]));
    assert_eq!((&session["connected"], &session["queued"]), (&json!(true), &json!(0)));

    let shadow =
        |name: Value| status["shadows"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(shadow(Value::Null)["thing"], "lamp");
    assert_eq!(
        shadow(Value::Null)["state"],
        json!({"desired": {"on": true}, "reported": {"on": false, "n": 1}, "delta": {"on": true}})
    );
    assert_eq!(shadow(json!("night"))["version"], 1);
    assert!(shadow(json!("night"))["metadata"]["desired"]["dim"]["timestamp"].is_u64());

    let last = status["messages"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["topic"], &last["from"], &last["payload"]),
        (&json!("a/b"), &json!("new"), &json!("hello"))
    );
    assert_eq!((&last["bytes"], &last["cut"], &last["payloadHex"]), (&json!(5), &json!(false), &Value::Null));
    let own = status["messages"].as_array().unwrap().first().unwrap();
    assert_eq!(own["from"], Value::Null);
    assert_eq!(status["dropped"], json!({"queueFull": 0, "tooLarge": 0, "expired": 0, "retainedFull": 0}));
    emulator.shutdown().await;
}

#[tokio::test]
async fn what_is_no_text_is_shown_as_bytes_and_what_is_long_is_cut_at_a_character() {
    let emulator = with_page().await;
    let long = format!("{}é{}", "x".repeat(1023), "y".repeat(1000));
    emulator.publish("binary", vec![0xFF, 0, 0x0A], mqtt_codec::QoS::AtMostOnce, false).await.unwrap();
    emulator.publish("long", long.clone(), mqtt_codec::QoS::AtMostOnce, false).await.unwrap();
    let status = status(&emulator).await;
    let [binary, cut] = status["messages"].as_array().unwrap().as_slice() else { panic!("{status}") };
    assert_eq!((&binary["payload"], &binary["payloadHex"]), (&Value::Null, &json!("ff000a")));
    assert_eq!(cut["payload"], "x".repeat(1023));
    assert_eq!((&cut["bytes"], &cut["cut"]), (&json!(long.len()), &json!(true)));
}

#[tokio::test]
async fn thousands_of_subscriptions_and_shadows_leave_a_bounded_document_that_says_what_is_left_out() {
    let mut rules = iot_emulator::shadow::Rules::default();
    rules.requests_per_second = u32::MAX;
    let emulator = Emulator::builder().plain(true).status_port(0).shadows(rules).start().await.unwrap();
    for number in 0..300 {
        let id = ShadowId::new(&format!("thing{number}"), None).unwrap();
        emulator.desire(&id, json!({"text": "x".repeat(6_000)})).await.unwrap();
    }
    let mut clients = Vec::new();
    for client in 0..6 {
        let mut client = connected(&emulator, Version::V5, &format!("client{client}")).await;
        for number in 0..850 {
            client.subscribe(&format!("filter/{number}")).await;
        }
        clients.push(client);
    }
    let reply = ask(&emulator, "GET", "/status.json", "localhost").await;
    let status = reply.json();
    let shown = status["shadows"].as_array().unwrap().len() as u64;
    assert_eq!(status["leftOut"]["shadows"].as_u64().unwrap() + shown, 300);
    assert_eq!(status["leftOut"]["subscriptions"], 100);
    assert!(reply.body.len() < 4 * 1024 * 1024, "{}", reply.body.len());
}

#[tokio::test]
async fn its_files_are_there_with_a_policy_that_runs_nothing_else() {
    let emulator = with_page().await;
    for (path, kind, word) in [
        ("/", "text/html", "page.js"),
        ("/page.css", "text/css", "{"),
        ("/page.js", "text/javascript", "status.json"),
    ] {
        let reply = ask(&emulator, "GET", path, "127.0.0.1:1234").await;
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.header("content-type").unwrap().starts_with(kind), "{path}");
        assert!(reply.body.contains(word), "{path}");
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    assert_eq!(ask(&emulator, "GET", "/status.json/../key", "localhost").await.status, 404);
}

#[tokio::test]
async fn only_this_machine_may_look_and_nobody_may_change_anything() {
    let emulator = with_page().await;
    for host in
        ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "", "[::2]", "localhost:x"]
    {
        assert_eq!(ask(&emulator, "GET", "/status.json", host).await.status, 403, "{host}");
    }
    for host in ["localhost", "LOCALHOST:80", "127.0.0.1", "[::1]:8080"] {
        assert_eq!(ask(&emulator, "GET", "/status.json", host).await.status, 200, "{host}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let reply = ask(&emulator, method, "/status.json", "localhost").await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    let other = Emulator::start().await.unwrap();
    assert_eq!(other.status_url(), None);
}
