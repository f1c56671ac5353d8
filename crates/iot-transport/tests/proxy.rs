//! Tunnels through a proxy written by hand.
#![cfg(feature = "proxy")]
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

use iot_transport::{Attempt, ConnectError, ConnectErrorKind as Kind, Connector, HttpProxy, Phase, Tcp};
use peer::{attempt, header, pipe};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TARGET: &str = "iot.example";

/// The error of a tunnel that is answered with this.
async fn refused(user: Option<(&str, &str)>, answer: &str) -> ConnectError {
    let (inner, peer) = pipe(64 * 1024);
    let mut proxy = HttpProxy::new(inner, TARGET, 8883);
    if let Some((user, password)) = user {
        proxy = proxy.basic_auth(user, password);
    }
    peer::refused(&proxy, peer, Phase::Proxy, answer).await
}

#[tokio::test]
async fn a_tunnel_is_asked_for_by_host_and_port_and_then_carries_bytes_both_ways() {
    for (host, port, line) in [
        (TARGET, 8883, "CONNECT iot.example:8883 HTTP/1.1"),
        ("::1", 443, "CONNECT [::1]:443 HTTP/1.1"),
        ("192.0.2.1", 443, "CONNECT 192.0.2.1:443 HTTP/1.1"),
    ] {
        let (inner, mut peer) = pipe(1024);
        let proxy = HttpProxy::new(inner, host, port);
        assert_eq!(proxy.endpoint().unwrap().host(), host, "TLS around it verifies the target");
        let attempt = attempt();
        let answering = async {
            let head = peer.head().await;
            // What comes with the answer belongs to the tunnel.
            peer.say("HTTP/1.1 200 Connection established\r\nvia: 1.1 x\r\n\r\nearly ").await;
            head
        };
        let (stream, head) = tokio::join!(proxy.connect(&attempt), answering);
        let mut stream = stream.unwrap();
        assert_eq!(head[0], line);
        assert_eq!(header(&head, "host"), line.split(' ').nth(1));
        assert_eq!(head.len(), 2, "{head:?}");
        peer.say("bird").await;
        let mut read = [0; 10];
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"early bird");
        stream.write_all(b"ours").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut theirs = String::new();
        peer.0.read_to_string(&mut theirs).await.unwrap();
        assert_eq!(theirs, "ours");
    }
}

#[tokio::test]
async fn a_user_name_and_password_are_shown_to_the_proxy_and_to_nobody_else() {
    let (inner, mut peer) = pipe(1024);
    let proxy = HttpProxy::new(inner, TARGET, 8883).basic_auth("Aladdin", "open sesame");
    let shown = format!("{proxy:?}");
    assert!(!shown.contains("sesame") && !shown.contains("QWxh"), "{shown}");
    let attempt = attempt();
    let answering = async {
        let head = peer.head().await;
        peer.say("HTTP/1.1 200 OK\r\n\r\n").await;
        head
    };
    let (stream, head) = tokio::join!(proxy.connect(&attempt), answering);
    stream.unwrap();
    // The example of RFC 7617, section 2.
    assert_eq!(header(&head, "proxy-authorization"), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
}

#[tokio::test]
async fn a_refusal_says_which_proxy_why_and_whether_to_try_again() {
    let error = refused(None, "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(
        (error.kind(), error.phase(), error.http_status(), error.is_retryable()),
        (Kind::HttpRefused, Phase::Proxy, Some(502), true)
    );
    assert_eq!(
        error.to_string(),
        "proxy tunnel to iot.example:8883 through broker.example:443 failed: the proxy answered HTTP 502 Bad \
         Gateway; it could not reach the host: check the name, or try again later"
    );
    let user = Some(("user", "s3cret"));
    let needs = |scheme| {
        format!(
            "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: {scheme}\r\ncontent-length: 0\r\n\r\n"
        )
    };
    for (user, answer, retryable, words) in [
        (None, needs("Basic realm=\"x\""), false, "it wants a user name and a password"),
        (None, needs("Negotiate, basic"), false, "it wants a user name and a password"),
        (None, needs("Negotiate"), false, "other than Basic"),
        (None, "HTTP/1.1 407 X\r\ncontent-length: 0\r\n\r\n".into(), false, "does not say of which kind"),
        (user, needs("Basic realm=\"x\""), false, "does not take this user name and password"),
        (user, "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".into(), true, "does not open tunnels"),
        (None, "HTTP/1.0 400 Bad\r\n\r\n<html>".into(), true, "check that this is an HTTP proxy"),
    ] {
        let error = refused(user, &answer).await;
        assert_eq!((error.kind(), error.is_retryable()), (Kind::HttpRefused, retryable), "{error}");
        assert!(error.reason().contains(words), "{error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
}

#[tokio::test]
async fn what_is_no_proxy_is_told() {
    let error = refused(None, "").await;
    assert_eq!(error.kind(), Kind::Closed);
    assert!(error.reason().contains("the proxy closed the connection without an answer"), "{error}");
    let error = peer::reset(|inner| HttpProxy::new(inner, TARGET, 8883)).await;
    assert_eq!(error.kind(), Kind::Closed);
    assert!(error.reason().contains("without an answer; check the port"), "{error}");
    let error = refused(None, "220 mail ready\r\n\r\n").await;
    assert_eq!(error.kind(), Kind::Protocol);

    let (inner, _peer) = pipe(1024);
    let error = HttpProxy::new(inner, "no host", 1).connect(&attempt()).await.map(drop).unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (Kind::Configuration, false), "{error}");
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_told_from_the_host_behind_it() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let proxy = HttpProxy::new(Tcp::new("127.0.0.1", closed), TARGET, 8883);
    let error = proxy.connect(&attempt()).await.map(drop).unwrap_err();
    assert_eq!((error.kind(), error.phase()), (Kind::Refused, Phase::Tcp));
    assert!(error.to_string().ends_with("; that is the proxy on the way to iot.example:8883"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_stalls_is_left_exactly_at_the_deadline() {
    let (inner, _peer) = pipe(1024);
    let attempt = attempt();
    let error = HttpProxy::new(inner, TARGET, 8883).connect(&attempt).await.map(drop).unwrap_err();
    let just_after = Attempt::new(1, attempt.deadline() + Duration::from_millis(1));
    assert!(attempt.remaining().is_zero() && !just_after.remaining().is_zero());
    assert_eq!((error.kind(), error.phase(), attempt.phase()), (Kind::TimedOut, Phase::Proxy, Phase::Proxy));
}
