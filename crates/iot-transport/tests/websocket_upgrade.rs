//! The upgrade, against a peer written by hand.
#![cfg(feature = "websocket")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]
#![allow(unreachable_pub, dead_code, reason = "the shared helpers serve other tests too")]

mod peer;

use std::time::Duration;

use iot_transport::{
    Attempt, ConnectError, ConnectErrorKind as Kind, Connector, CustomAuthorizer, Phase, WebSocket,
};
use peer::{BINARY, attempt, echo, frame, header, pipe, switching};
use tokio::io::AsyncReadExt;

/// The error of an upgrade that is answered with this.
async fn refused(answer: impl AsRef<[u8]>) -> ConnectError {
    let (inner, peer) = pipe(128 * 1024);
    peer::refused(&WebSocket::new(inner), peer, Phase::Upgrade, answer).await
}

#[tokio::test]
async fn the_request_is_that_of_rfc_6455_with_the_subprotocol_of_mqtt() {
    let (inner, mut peer) = pipe(1024);
    let socket = WebSocket::new(inner).path("/other");
    let attempt = attempt();
    let (stream, head) = tokio::join!(socket.connect(&attempt), peer.upgrade());
    stream.unwrap();
    assert_eq!(head[0], "GET /other HTTP/1.1");
    for (name, value) in [
        ("host", "broker.example"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "mqtt"),
    ] {
        assert_eq!(header(&head, name), Some(value), "{name}");
    }
    assert_eq!(header(&head, "sec-websocket-key").map(str::len), Some(24), "16 bytes in base64");
    assert_eq!(head.len(), 7, "nothing else: {head:?}");
}

#[tokio::test]
async fn a_custom_authorizers_parameters_go_as_headers_or_in_the_query() {
    let custom = CustomAuthorizer::new().name("mine").token("Token-Key", "a b").signature("s+/=");
    for in_query in [false, true] {
        let (inner, mut peer) = pipe(1024);
        let custom = if in_query { custom.clone().in_query() } else { custom.clone() };
        let socket = WebSocket::new(inner).authorizer(custom);
        let attempt = attempt();
        let (stream, head) = tokio::join!(socket.connect(&attempt), peer.upgrade());
        stream.unwrap();
        if in_query {
            assert_eq!(
                head[0],
                "GET /mqtt?x-amz-customauthorizer-name=mine&x-amz-customauthorizer-signature=s%2B%2F%3D\
                 &Token-Key=a%20b HTTP/1.1"
            );
        } else {
            assert_eq!(head[0], "GET /mqtt HTTP/1.1");
            assert_eq!(header(&head, "x-amz-customauthorizer-name"), Some("mine"));
            assert_eq!(header(&head, "x-amz-customauthorizer-signature"), Some("s+/="));
            assert_eq!(header(&head, "token-key"), Some("a b"));
        }
    }
}

#[tokio::test]
async fn bytes_behind_the_upgrades_answer_are_the_first_of_the_stream() {
    let (inner, mut peer) = pipe(1024);
    let socket = WebSocket::new(inner);
    let attempt = attempt();
    let answering = async {
        let head = peer.head().await;
        let answer = [switching(&head, "").into_bytes(), frame(true, BINARY, b"early")].concat();
        peer.say(answer).await;
    };
    let (stream, ()) = tokio::join!(socket.connect(&attempt), answering);
    let mut read = [0; 5];
    stream.unwrap().read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"early");
}

#[tokio::test]
async fn a_refusal_tells_the_servers_reason_and_what_to_do() {
    let body = r#"{"message":"Forbidden","traceId":"1"}"#;
    let head = "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\n";
    let error = refused(format!("{head}content-length: {}\r\n\r\n{body}", body.len())).await;
    assert_eq!(
        (error.kind(), error.phase(), error.http_status(), error.is_retryable()),
        (Kind::HttpRefused, Phase::Upgrade, Some(403), true)
    );
    assert_eq!(
        error.to_string(),
        "WebSocket upgrade with broker.example:443 failed: the server refused it with HTTP 403 Forbidden: \
         \"Forbidden\"; the broker wants credentials in the request: give an authorizer"
    );
    for (answer, words) in [
        (
            format!(
                "{head}transfer-encoding: chunked\r\n\r\n5\r\n{{\"mes\r\n9\r\nsage\":\"No\r\n2\r\n\"}}\r\n0\r\n\r\n"
            ),
            ": \"No\"",
        ),
        (format!("{head}\r\nuntil the end"), ": \"until the end\""),
        (format!("{head}content-length: 70000\r\n\r\n{}", "x".repeat(70_000)), ": \"xxx"),
        (
            "HTTP/1.1 302 Found\r\nlocation: https://elsewhere.example/mqtt?secret=1\r\n\r\n".into(),
            "\"https://elsewhere.example/mqtt?…\"",
        ),
        (format!("HTTP/1.1 302 Found\r\nlocation: /{}\r\n\r\n", "x".repeat(9_000)), "points to \"/xxx"),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".into(), "nothing is served at this path"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi".into(), "not a WebSocket endpoint"),
        ("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".into(), "try again later"),
    ] {
        let error = refused(answer).await;
        assert_eq!(error.kind(), Kind::HttpRefused);
        assert!(error.to_string().contains(words), "{error}");
        // Where no WebSocket is served now, none is served in a second.
        let there = matches!(error.http_status(), Some(403 | 503));
        assert_eq!(error.is_retryable(), there, "{error}");
        assert!(!error.to_string().contains("secret") && error.to_string().len() < 700, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_even_if_its_body_is_still_coming_at_the_deadline() {
    for seconds in [1, 2, 30] {
        let (inner, mut peer) = pipe(1024);
        let socket = WebSocket::new(inner);
        let attempt = Attempt::within(1, Duration::from_secs(seconds));
        let answering = async {
            peer.head().await;
            peer.say("HTTP/1.1 403 Forbidden\r\ntransfer-encoding: chunked\r\n\r\n2\r\nNo\r\n").await;
        };
        let (refused, ()) = tokio::join!(socket.connect(&attempt), answering);
        let error = refused.unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (Kind::HttpRefused, Some(403)), "{error}");
        assert!(error.to_string().contains(": \"No\""), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_the_one_to_our_request_is_refused() {
    let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    let switch = "HTTP/1.1 101 Switching Protocols\r\n";
    for (answer, why) in [
        (
            format!("{switch}Upgrade: websocket\r\nConnection: Upgrade\r\n{accept}\r\n"),
            "does not belong to our request",
        ),
        (
            format!("{switch}Upgrade: h2c\r\nConnection: Upgrade\r\n{accept}\r\n"),
            "something other than WebSocket",
        ),
        (
            format!("{switch}Upgrade: websocket\r\nConnection: close\r\n{accept}\r\n"),
            "something other than WebSocket",
        ),
        (
            format!("{switch}Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
            "does not belong to our request",
        ),
        ("\x20\x02\x00\x00".into(), "is not HTTP/1.1"),
        ("SSH-2.0-OpenSSH_9\r\n\r\n".into(), "is not HTTP/1.1"),
        (
            format!("{switch}X: {}\r\n\r\n", "x".repeat(40_000)),
            "is not HTTP/1.1 with a head of at most 16 KiB",
        ),
        (
            format!("{switch}{}\r\n", "a: b\r\n".repeat(100)),
            "is not HTTP/1.1 with a head of at most 16 KiB and 64 lines",
        ),
    ] {
        let error = refused(&answer).await;
        assert_eq!((error.kind(), error.phase()), (Kind::Protocol, Phase::Upgrade), "{error}");
        assert!(error.reason().contains(why), "{error}");
    }
    let error = refused("").await;
    assert_eq!(error.kind(), Kind::Closed);
    assert!(error.reason().contains("without an answer"), "{error}");

    let error = peer::reset(WebSocket::new).await;
    assert_eq!(error.kind(), Kind::Closed);
    assert!(error.reason().contains("without an answer; check the port"), "{error}");
}

/// How an upgrade ends whose answer has these lines as well.
async fn switched(lines: &str) -> Result<(), ConnectError> {
    let (inner, mut peer) = pipe(1024);
    let socket = WebSocket::new(inner);
    let attempt = attempt();
    let answering = async {
        let head = peer.head().await;
        peer.say(switching(&head, lines)).await;
    };
    let (result, ()) = tokio::join!(socket.connect(&attempt), answering);
    result.map(drop)
}

#[tokio::test]
async fn an_answer_that_names_what_was_not_asked_for_is_refused() {
    for taken in ["", "Sec-WebSocket-Protocol: mqtt\r\n"] {
        switched(taken).await.unwrap();
    }
    for (lines, why) in [
        ("Sec-WebSocket-Protocol: soap\r\n", "a subprotocol other than `mqtt`"),
        ("Sec-WebSocket-Protocol: mqtt, soap\r\n", "more than one subprotocol"),
        ("Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Protocol: soap\r\n", "more than one subprotocol"),
        ("Sec-WebSocket-Protocol: soap\r\nSec-WebSocket-Protocol: mqtt\r\n", "more than one subprotocol"),
        ("Sec-WebSocket-Extensions: permessage-deflate\r\n", "an extension that was not asked for"),
        ("sec-websocket-extensions: \r\n", "an extension that was not asked for"),
    ] {
        let error = switched(lines).await.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (Kind::Protocol, Phase::Upgrade), "{error}");
        assert!(error.reason().contains(why), "{lines}: {error}");
    }
}

#[tokio::test]
async fn a_server_that_repeats_the_request_does_not_bring_its_secrets_into_the_error() {
    let custom =
        CustomAuthorizer::new().name("the-authorizer").token("Token-Key", "tok en/1").signature("s1gned+/=");
    for in_query in [true, false] {
        let (inner, mut peer) = pipe(4096);
        let custom = if in_query { custom.clone().in_query() } else { custom.clone() };
        let socket = WebSocket::new(inner).authorizer(custom);
        let attempt = attempt();
        let answering = async {
            let head = peer.head().await;
            assert!(head.iter().any(|line| line.contains("the-authorizer")));
            peer.say(echo(&head)).await;
        };
        let (result, ()) = tokio::join!(socket.connect(&attempt), answering);
        let error = result.map(drop).unwrap_err();
        let shown = format!("{error} {error:?}");
        for secret in ["tok en", "tok%20en", "s1gned"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert_eq!(error.http_status(), Some(403));
        assert!(error.reason().contains("repeats part of the request"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stalls_is_left_exactly_at_the_deadline() {
    for said in ["", "HTTP/1.1 101 Switching Protocols\r\n"] {
        let (inner, mut peer) = pipe(1024);
        let socket = WebSocket::new(inner);
        let attempt = attempt();
        let answering = async {
            peer.head().await;
            peer.say(said).await;
        };
        let (result, ()) = tokio::join!(socket.connect(&attempt), answering);
        let error = result.map(drop).unwrap_err();
        let just_after = Attempt::new(1, attempt.deadline() + Duration::from_millis(1));
        assert!(attempt.remaining().is_zero() && !just_after.remaining().is_zero());
        assert_eq!(
            (error.kind(), error.phase(), attempt.phase()),
            (Kind::TimedOut, Phase::Upgrade, Phase::Upgrade)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_whose_body_never_ends_is_still_told() {
    // A second and a half, two and thirty.
    for (limit, waits) in
        [(1_500, 1_500), (2_000, 2_000), (30_000, 2_000)].map(|(l, w)| (millis(l), millis(w)))
    {
        let (inner, mut peer) = pipe(1024);
        let socket = WebSocket::new(inner);
        let attempt = Attempt::within(1, limit);
        let answering = async {
            peer.head().await;
            peer.say("HTTP/1.1 403 Forbidden\r\ncontent-length: 1000\r\n\r\nbecause").await;
        };
        let (result, ()) = tokio::join!(socket.connect(&attempt), answering);
        let error = result.map(drop).unwrap_err();
        assert_eq!(error.http_status(), Some(403), "{error}");
        assert!(error.reason().contains(": \"because\""), "{error}");
        assert_eq!(attempt.remaining(), limit - waits);
    }
}

fn millis(number: u64) -> Duration {
    Duration::from_millis(number)
}

#[tokio::test]
async fn giving_up_in_the_middle_of_an_upgrade_closes_the_stream() {
    let (inner, mut peer) = pipe(1024);
    let socket = WebSocket::new(inner);
    let dialling = tokio::spawn(async move { socket.connect(&attempt()).await.map(drop) });
    peer.head().await;
    dialling.abort();
    assert!(dialling.await.unwrap_err().is_cancelled());
    assert_eq!(peer.0.read(&mut [0; 1]).await.unwrap(), 0);
}
