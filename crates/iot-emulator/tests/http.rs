//! Where temporary credentials come from, and what HTTP has to put up with.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use common::http::{Reply, exchange, now, plain_stream, signed, upgrade};
use common::{Tls, emulator};
use iot_emulator::{AwsCredentials, Emulator};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Asks the credential provider.
async fn ask_provider(tls: &Tls<'_>, emulator: &Emulator, alias: &str) -> Reply {
    let mut stream = tls.connect(emulator).await.unwrap();
    let request = format!(
        "GET /role-aliases/{alias}/credentials HTTP/1.1\r\nHost: localhost\r\nx-amzn-iot-thingname: device\r\n\r\n"
    );
    exchange(&mut stream, request).await.unwrap()
}

/// Asks Cognito.
async fn ask_cognito(emulator: &Emulator, action: &str, body: &Value) -> (u16, Value) {
    let target = format!("AWSCognitoIdentityService.{action}");
    let reply = post(emulator, &target, "application/x-amz-json-1.1", &body.to_string()).await;
    assert_eq!(reply.header("content-type"), Some("application/x-amz-json-1.1"));
    (reply.status, reply.json())
}

async fn post(emulator: &Emulator, target: &str, content_type: &str, body: &str) -> Reply {
    let len = body.len();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: {target}\r\nContent-Type: {content_type}\r\n\
         Content-Length: {len}\r\n\r\n{body}"
    );
    exchange(&mut plain_stream(emulator).await, request).await.unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

async fn opens_a_websocket(emulator: &Emulator, credentials: &AwsCredentials) -> bool {
    let target = signed(emulator, credentials, now());
    exchange(&mut plain_stream(emulator).await, upgrade(&target, "")).await.unwrap().status == 101
}

#[tokio::test]
async fn the_credential_provider_gives_credentials_for_a_certificate_that_open_a_websocket() {
    let emulator = Emulator::builder().plain(true).https(true).start().await.unwrap();
    for (alpn, port) in [(&["http/1.1"][..], None), (&[], emulator.https_port())] {
        let tls = Tls { alpn, port, ..Tls::with(emulator.credentials()) };
        let reply = ask_provider(&tls, &emulator, emulator.role_alias()).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
        let found = &reply.json()["credentials"];
        let mut credentials =
            AwsCredentials::new(text(&found["accessKeyId"]), text(&found["secretAccessKey"]));
        let expiration = text(&found["expiration"]);
        assert!(expiration.len() == 20 && expiration.ends_with('Z'), "{expiration}");
        assert!(!opens_a_websocket(&emulator, &credentials).await, "without the token");
        credentials = credentials.with_session_token(text(&found["sessionToken"]));
        assert!(opens_a_websocket(&emulator, &credentials).await);
    }
}

#[tokio::test]
async fn the_credential_provider_refuses_who_has_no_certificate_and_what_it_does_not_know() {
    let emulator = Emulator::builder().plain(true).role_alias("mine").start().await.unwrap();
    let device = || Tls { alpn: &["http/1.1"], ..Tls::with(emulator.credentials()) };
    assert_eq!(ask_provider(&device(), &emulator, "mine").await.status, 200);
    assert_eq!(ask_provider(&device(), &emulator, "m%69ne").await.status, 200);
    let mut refused = vec![ask_provider(&Tls { identity: None, ..device() }, &emulator, "mine").await];
    for alias in ["other", "emulator", "", "mine%", "mine/credentials", "%ff"] {
        refused.push(ask_provider(&device(), &emulator, alias).await);
    }
    let request = "GET /role-aliases/mine/credentials HTTP/1.1\r\nHost: localhost\r\n\r\n";
    refused.push(exchange(&mut plain_stream(&emulator).await, request).await.unwrap());
    emulator.deactivate_certificate(emulator.credentials()).unwrap();
    refused.push(ask_provider(&device(), &emulator, "mine").await);
    for reply in refused {
        match reply.status {
            403 => assert_eq!(reply.json()["message"], "Access Denied"),
            status => assert_eq!(status, 404, "{reply:?}"),
        }
    }
}

#[tokio::test]
async fn temporary_credentials_expire() {
    let seconds = Arc::new(AtomicU64::new(1_516_266_486));
    let clock = Arc::clone(&seconds);
    let now = move || UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::Relaxed));
    let emulator = Emulator::builder()
        .plain(true)
        .wall_clock(now.clone())
        .credential_lifetime(Duration::from_secs(900))
        .start()
        .await
        .unwrap();
    let tls = Tls { alpn: &["http/1.1"], ..Tls::with(emulator.credentials()) };
    let reply = ask_provider(&tls, &emulator, "emulator").await;
    assert_eq!(reply.header("date"), Some("Thu, 18 Jan 2018 09:08:06 GMT"));
    let found = reply.json();
    let found = &found["credentials"];
    assert_eq!(found["expiration"], "2018-01-18T09:23:06Z");
    let credentials = AwsCredentials::new(text(&found["accessKeyId"]), text(&found["secretAccessKey"]))
        .with_session_token(text(&found["sessionToken"]));
    for (passed, status) in [(899, 101), (1, 403)] {
        seconds.fetch_add(passed, Ordering::Relaxed);
        let target = signed(&emulator, &credentials, now());
        let reply = exchange(&mut plain_stream(&emulator).await, upgrade(&target, "")).await.unwrap();
        assert_eq!(reply.status, status);
        assert_eq!(reply.body.contains("expired"), status == 403, "{reply:?}");
    }
}

#[tokio::test]
async fn cognito_gives_identities_and_credentials_that_open_a_websocket() {
    let emulator = emulator().await;
    for logins in [json!(null), json!({}), json!({ "accounts.example": "token" })] {
        let body = json!({ "IdentityPoolId": emulator.identity_pool(), "Logins": logins });
        let (status, reply) = ask_cognito(&emulator, "GetId", &body).await;
        assert_eq!(status, 200, "{reply}");
        let id = text(&reply["IdentityId"]).to_owned();
        assert!(id.starts_with("us-east-1:") && id.len() == 46, "{id}");

        let body = json!({ "IdentityId": id, "Logins": logins });
        let (status, reply) = ask_cognito(&emulator, "GetCredentialsForIdentity", &body).await;
        assert_eq!((status, text(&reply["IdentityId"])), (200, id.as_str()));
        let found = &reply["Credentials"];
        let left =
            found["Expiration"].as_f64().unwrap() - now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((3_500.0..=3_600.0).contains(&left), "{left}");
        let credentials = AwsCredentials::new(text(&found["AccessKeyId"]), text(&found["SecretKey"]))
            .with_session_token(text(&found["SessionToken"]));
        assert!(opens_a_websocket(&emulator, &credentials).await);
    }
}

#[tokio::test]
async fn cognito_says_what_is_wrong_in_its_own_words() {
    let emulator = Emulator::builder()
        .plain(true)
        .identity_pool("eu-west-1:1")
        .unauthenticated_identities(false)
        .start()
        .await
        .unwrap();
    let logins = json!({ "accounts.example": "token" });
    let body = json!({ "IdentityPoolId": "eu-west-1:1", "Logins": logins });
    let (_, reply) = ask_cognito(&emulator, "GetId", &body).await;
    let id = text(&reply["IdentityId"]);
    let pool = emulator.identity_pool();
    for (action, body, kind) in [
        ("GetId", json!({ "IdentityPoolId": pool }), "NotAuthorizedException"),
        ("GetId", json!({ "IdentityPoolId": pool, "Logins": { "a": "" } }), "NotAuthorizedException"),
        ("GetId", json!({ "IdentityPoolId": pool, "Logins": "a" }), "SerializationException"),
        ("GetId", json!({ "IdentityPoolId": "other" }), "ResourceNotFoundException"),
        ("GetId", json!({ "IdentityPoolId": 1 }), "InvalidParameterException"),
        ("GetId", json!([]), "InvalidParameterException"),
        ("GetCredentialsForIdentity", json!({ "IdentityId": id }), "NotAuthorizedException"),
        ("GetCredentialsForIdentity", json!({ "IdentityId": "other" }), "ResourceNotFoundException"),
        ("GetCredentialsForIdentity", json!({}), "InvalidParameterException"),
        ("ListIdentities", json!({}), "UnknownOperationException"),
    ] {
        let (status, reply) = ask_cognito(&emulator, action, &body).await;
        assert_eq!((status, text(&reply["__type"])), (400, kind), "{action} {body}");
        assert!(reply["message"].is_string());
    }
    let target = "AWSCognitoIdentityService.GetId";
    let deep = "[".repeat(10_000);
    for (content_type, body) in [
        ("application/json", "{}"),
        ("application/x-amz-json-1.1", "{"),
        ("application/x-amz-json-1.1", deep.as_str()),
    ] {
        let reply = post(&emulator, target, content_type, body).await;
        assert_eq!((reply.status, text(&reply.json()["__type"])), (400, "SerializationException"));
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_closes_only_its_own_connection() {
    let emulator = emulator().await;
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65));
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(20_000));
    let large = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "a".repeat(20_000));
    for (request, status) in [
        ("GET\r\n\r\n", 400),
        ("GET / HTTP/9\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (&many, 431),
        (&long, 431),
        (&large, 431),
    ] {
        let mut stream = plain_stream(&emulator).await;
        let reply = exchange(&mut stream, request).await;
        let shown = request.get(..40).unwrap_or(request);
        // Where more was sent than is read, the refusal may be lost to the reset that follows.
        assert!(
            reply.as_ref().is_none_or(|reply| reply.status == status || reply.status == 414),
            "{shown}: {reply:?}"
        );
        assert!(reply.is_some() || status == 431 || request.starts_with("PRI"), "{shown}");
        assert!(stream.read_u8().await.is_err(), "{shown}");
    }
    let mut stream = plain_stream(&emulator).await;
    for _ in 0..2 {
        let reply = exchange(&mut stream, "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        assert_eq!(reply.status, 404);
    }
    let reply = exchange(&mut stream, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
}

#[tokio::test]
async fn a_body_is_bounded_in_size_whether_it_says_so_or_not() {
    let emulator = emulator().await;
    let reply = post(&emulator, "a", "b", &"x".repeat(16 * 1024)).await;
    assert_eq!(reply.status, 400, "just fits");
    let endless = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        format!("400\r\n{}\r\n", "x".repeat(1024)).repeat(17)
    );
    for request in
        [endless.as_str(), "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"]
    {
        let mut stream = plain_stream(&emulator).await;
        let reply = exchange(&mut stream, request).await.unwrap();
        assert_eq!(reply.status, 413, "{reply:?}");
        assert!(stream.read_u8().await.is_err(), "closed");
    }
    let broken = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n";
    let reply = exchange(&mut plain_stream(&emulator).await, broken).await.unwrap();
    assert_eq!((reply.status, reply.header("connection")), (400, Some("close")), "{reply:?}");
}

#[tokio::test]
async fn who_takes_too_long_for_a_head_or_a_body_is_given_up() {
    let emulator = emulator().await;
    let tls = Tls { alpn: &["http/1.1"], identity: None, ..Tls::with(emulator.credentials()) };
    let mut quiet = tls.connect(&emulator).await.unwrap();
    let mut slow = plain_stream(&emulator).await;
    slow.write_all(b"GET / HTTP/1.1\r\nHost: local").await.unwrap();
    let mut body = plain_stream(&emulator).await;
    body.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf").await.unwrap();
    let mut document = plain_stream(&emulator).await;
    let head = "POST /things/lamp/shadow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf";
    document.write_all(head.as_bytes()).await.unwrap();
    let mut idle = plain_stream(&emulator).await;
    let request = "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(exchange(&mut idle, request).await.unwrap().status, 404);
    // All are waited for from here on.
    tokio::time::pause();
    let in_time = Duration::from_secs(61);
    let all = async {
        assert!(quiet.read_u8().await.is_err());
        let mut rest = Vec::new();
        let _ = slow.read_to_end(&mut rest).await;
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"));
        for mut stream in [body, document] {
            assert_eq!(common::http::reply(&mut stream).await.unwrap().status, 408);
            assert!(stream.read_u8().await.is_err());
        }
        assert!(idle.read_u8().await.is_err());
    };
    assert!(tokio::time::timeout(in_time, all).await.is_ok());
}

#[tokio::test]
async fn shutdown_waits_for_no_http_connection() {
    let emulator = emulator().await;
    let mut idle = plain_stream(&emulator).await;
    let request = "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(exchange(&mut idle, request).await.unwrap().status, 404);
    assert!(tokio::time::timeout(Duration::from_secs(5), emulator.shutdown()).await.is_ok());
    assert!(idle.read_u8().await.is_err());
}
