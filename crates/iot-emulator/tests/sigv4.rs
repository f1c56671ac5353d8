//! Who may have a WebSocket: by signature, or by custom authorizer.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::http::{Reply, bytes, exchange, now, plain_stream, signed, signed_for, upgrade, upgraded};
use common::{BOTH, Client, Tls, emulator};
use iot_emulator::{AuthorizerReply, AuthorizerRequest, AwsCredentials, Emulator};
use mqtt_codec::{ReasonCode, Text, Version};

const MINUTE: Duration = Duration::from_secs(60);

async fn ask(emulator: &Emulator, target: &str, more: &str) -> Reply {
    exchange(&mut plain_stream(emulator).await, upgrade(target, more)).await.unwrap()
}

#[tokio::test]
async fn a_signed_request_opens_a_websocket_at_every_door_for_http() {
    let emulator = Emulator::builder().plain(true).https(true).start().await.unwrap();
    for version in BOTH {
        let device = || Tls { identity: None, ..Tls::with(emulator.credentials()) };
        let by_alpn = Tls { alpn: &["http/1.1"], ..device() }.connect(&emulator).await.unwrap();
        let by_port = Tls { port: emulator.https_port(), ..device() }.connect(&emulator).await.unwrap();
        for stream in [by_alpn, by_port] {
            let mut client = Client::new(bytes(upgraded(stream, &emulator).await), version);
            assert_eq!(client.connect("device").await, ReasonCode::Success);
            client.ping().await;
        }
        let stream = upgraded(plain_stream(&emulator).await, &emulator).await;
        let mut client = Client::new(bytes(stream), version);
        assert_eq!(client.connect("device").await, ReasonCode::Success);
        client.ping().await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_signature_is_said_in_a_403_that_differs_by_cause() {
    let date = std::time::UNIX_EPOCH + Duration::from_secs(1_705_320_000);
    let mine = AwsCredentials::new("AKIDEXAMPLE", "secret");
    let emulator = Emulator::builder()
        .plain(true)
        .wall_clock(move || date)
        .region("eu-central-1")
        .aws_credentials(mine.clone())
        .start()
        .await
        .unwrap();
    assert_eq!(ask(&emulator, &signed(&emulator, &mine, date), "").await.status, 101);

    let other_key = AwsCredentials::new("AKIDANOTHER", "secret");
    let other_secret = AwsCredentials::new("AKIDEXAMPLE", "other");
    let with_token = mine.clone().with_session_token("token");
    let refused = [
        signed(&emulator, &other_secret, date),
        signed(&emulator, &other_key, date),
        signed(&emulator, &mine, date - 6 * MINUTE),
        signed(&emulator, &mine, date + 6 * MINUTE),
        signed_for("us-east-1", &mine, date),
        signed(&emulator, &mine, date).replace("iotdevicegateway", "sts"),
        signed(&emulator, &mine, date).replace("X-Amz-Date", "x-amz-date"),
        "/mqtt".to_owned(),
    ];
    let mut messages = BTreeSet::new();
    for target in &refused {
        let reply = ask(&emulator, target, "").await;
        assert_eq!(reply.status, 403, "{target}: {reply:?}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("x-amzn-errortype"), Some("ForbiddenException:"));
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert!(reply.header("access-control-expose-headers").unwrap().contains("x-amzn-ErrorType"));
        assert_eq!(reply.header("date"), Some("Mon, 15 Jan 2024 12:00:00 GMT"));
        let body = reply.json();
        assert_eq!(body["traceId"].as_str().unwrap().len(), 36);
        assert_eq!(body["traceId"].as_str(), reply.header("x-amzn-requestid"));
        messages.insert(body["message"].as_str().unwrap().to_owned());
        assert!(!reply.body.contains("secret\""), "{reply:?}");
    }
    assert_eq!(messages.len(), refused.len(), "{messages:?}");
    let reply = ask(&emulator, &signed(&emulator, &with_token, date), "").await;
    assert_eq!(reply.status, 403, "a token that the credentials do not have");
    let mut stream = plain_stream(&emulator).await;
    assert_eq!(exchange(&mut stream, upgrade("/mqtt", "")).await.unwrap().status, 403);
    let target = signed(&emulator, &mine, date);
    assert_eq!(exchange(&mut stream, upgrade(&target, "")).await.unwrap().status, 101, "kept alive");
}

#[tokio::test]
async fn how_far_a_date_may_be_off_is_a_setting() {
    let emulator = Emulator::builder().plain(true).signature_window(10 * MINUTE).start().await.unwrap();
    let mine = emulator.aws_credentials();
    for (age, status) in [(9, 101), (11, 403)] {
        let target = signed(&emulator, &mine, now() - age * MINUTE);
        assert_eq!(ask(&emulator, &target, "").await.status, status, "{age} minutes");
    }
}

#[tokio::test]
async fn credentials_can_be_changed_while_connections_go_on() {
    let emulator = emulator().await;
    let old = emulator.aws_credentials();
    let stream = upgraded(plain_stream(&emulator).await, &emulator).await;
    let mut client = Client::new(bytes(stream), Version::V5);
    client.connect("device").await;

    let new =
        AwsCredentials::new("ASIANEW", "new").with_session_token("to/k+en==").with_expiry(now() + MINUTE);
    emulator.set_aws_credentials(new.clone());
    assert_eq!(emulator.aws_credentials(), new);
    assert_eq!(ask(&emulator, &signed(&emulator, &old, now()), "").await.status, 403);
    assert_eq!(ask(&emulator, &signed(&emulator, &new, now()), "").await.status, 101);
    client.ping().await;

    let expired = new.clone().with_expiry(now() - MINUTE);
    emulator.set_aws_credentials(expired);
    let reply = ask(&emulator, &signed(&emulator, &new, now()), "").await;
    assert!(reply.status == 403 && reply.body.contains("expired"), "{reply:?}");
}

#[tokio::test]
async fn an_authorizer_is_asked_by_headers_or_by_the_query_of_the_request() {
    let seen = Arc::new(Mutex::new(Vec::<AuthorizerRequest>::new()));
    let log = Arc::clone(&seen);
    let emulator = Emulator::builder()
        .https(true)
        .custom_authorizer(move |request| {
            log.lock().unwrap().push(request.clone());
            match request.token.as_deref() {
                Some("let me in") => AuthorizerReply::allow(),
                _ => AuthorizerReply::deny(),
            }
        })
        .start()
        .await
        .unwrap();
    let tls = Tls { identity: None, port: emulator.https_port(), ..Tls::with(emulator.credentials()) };
    let headers = "X-Amz-CustomAuthorizer-Name: Mine\r\nX-Amz-CustomAuthorizer-Signature: c2ln+w==\r\n\
                   Token: let me in\r\n";
    let query = "/mqtt?x-amz-customauthorizer-name=Mine&x-amz-customauthorizer-signature=c2ln%2Bw%3D%3D&token=let+me%20in";
    for (target, headers) in [("/mqtt", headers), (query, "")] {
        let mut stream = tls.connect(&emulator).await.unwrap();
        let reply = exchange(&mut stream, upgrade(target, headers)).await.unwrap();
        assert_eq!(reply.status, 101, "{reply:?}");
        let request = seen.lock().unwrap().pop().unwrap();
        assert_eq!(request.authorizer_name.as_deref(), Some("Mine"));
        assert_eq!(request.token_signature.as_deref(), Some("c2ln+w=="));
        assert_eq!(request.protocols, ["tls", "http"]);
        let http = request.http.clone().unwrap();
        assert!(http.headers.contains(&("host".to_owned(), "localhost:443".to_owned())));
        assert_eq!(http.query_string, target.trim_start_matches("/mqtt"));
        assert!(!format!("{request:?}").contains("let"), "{request:?}");

        let mut client = Client::new(bytes(stream), Version::V5);
        assert_eq!(client.connect("device").await, ReasonCode::Success);
        assert!(seen.lock().unwrap().is_empty(), "CONNECT is not asked about again");
    }
    let mut stream = tls.connect(&emulator).await.unwrap();
    let reply = exchange(&mut stream, upgrade("/mqtt", "token: other\r\n")).await.unwrap();
    assert_eq!((reply.status, reply.header("x-amzn-errortype")), (403, Some("ForbiddenException:")));
}

#[tokio::test]
async fn a_request_that_says_nothing_leaves_the_authorizer_to_connect() {
    let emulator = Emulator::builder()
        .plain(true)
        .custom_authorizer(|request| {
            let both = request.protocols == ["http", "mqtt"];
            let token = request.token.as_deref() == Some("let me in");
            if both && token { AuthorizerReply::allow() } else { AuthorizerReply::deny() }
        })
        .start()
        .await
        .unwrap();
    for (username, reason) in
        [("me?token=let%20me%20in", ReasonCode::Success), ("me", ReasonCode::NotAuthorized)]
    {
        let mut stream = plain_stream(&emulator).await;
        assert_eq!(exchange(&mut stream, upgrade("/mqtt", "")).await.unwrap().status, 101);
        let mut client = Client::new(bytes(stream), Version::V3_1_1);
        let username = Text::try_from(username).unwrap();
        assert_eq!(client.connect_with("device", |c| c.username = Some(username)).await, reason);
    }
}

#[tokio::test]
async fn without_an_authorizer_a_request_for_one_is_a_401() {
    let emulator = emulator().await;
    let reply = ask(&emulator, "/mqtt?x-amz-customauthorizer-name=Mine", "").await;
    assert_eq!((reply.status, reply.header("x-amzn-errortype")), (401, Some("UnauthorizedException:")));
}
