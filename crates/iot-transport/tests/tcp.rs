//! TCP and the connectors that need no TLS, over loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use std::error::Error as _;
use std::time::Duration;

use iot_transport::{Attempt, BoxConnector, ConnectErrorKind, Connector, Phase, Tcp, from_fn};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn attempt() -> Attempt {
    Attempt::within(1, Duration::from_secs(20))
}

async fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

async fn echoes(connector: impl Connector, listener: &TcpListener) {
    let attempt = attempt();
    let (mut ours, accepted) = tokio::join!(connector.connect(&attempt), listener.accept());
    let (ours, theirs) = (ours.as_mut().unwrap(), &mut accepted.unwrap().0);
    ours.write_all(b"ping").await.unwrap();
    let mut read = [0; 4];
    theirs.read_exact(&mut read).await.unwrap();
    theirs.write_all(&read).await.unwrap();
    ours.read_exact(&mut read).await.unwrap();
    assert_eq!((&read, attempt.phase()), (b"ping", Phase::Tcp));
}

#[tokio::test]
async fn bytes_flow_both_ways_boxed_or_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    echoes(Tcp::new("127.0.0.1", port), &listener).await;
    echoes(BoxConnector::new(Tcp::new("127.0.0.1", port)), &listener).await;
    // Where it means both ::1 and 127.0.0.1, the first refuses and the second answers.
    echoes(Tcp::new("localhost", port), &listener).await;
}

#[tokio::test]
async fn socket_options_are_on_by_default_and_can_be_turned_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stream = Tcp::new("127.0.0.1", port).connect(&attempt()).await.unwrap();
    assert!(stream.nodelay().unwrap());
    let socket = SockRef::from(&stream);
    assert!(socket.keepalive().unwrap());
    #[cfg(target_os = "linux")]
    assert_eq!(
        (socket.tcp_keepalive_time().unwrap(), socket.tcp_keepalive_interval().unwrap()),
        (Duration::from_secs(60), Duration::from_secs(15))
    );
    let plain = Tcp::new("127.0.0.1", port).nodelay(false).no_keep_alive().connect(&attempt()).await.unwrap();
    assert!(!plain.nodelay().unwrap() && !SockRef::from(&plain).keepalive().unwrap());
}

#[tokio::test]
async fn a_refused_port_is_told_with_its_address_and_what_to_check_boxed_or_not() {
    let port = closed_port().await;
    let tcp = Tcp::new("127.0.0.1", port);
    let boxed = BoxConnector::new(tcp.clone());
    assert_eq!(boxed.endpoint(), tcp.endpoint());
    let attempt = attempt();
    let error = tcp.connect(&attempt).await.unwrap_err();
    let through_box = boxed.connect(&attempt).await.unwrap_err();
    for error in [&error, &through_box] {
        assert_eq!((error.kind(), error.phase()), (ConnectErrorKind::Refused, Phase::Tcp));
        assert_eq!(error.address(), Some(format!("127.0.0.1:{port}").as_str()));
        assert!(error.is_retryable() && error.source().is_some());
        assert_eq!(
            error.to_string(),
            format!(
                "TCP connection to 127.0.0.1:{port} failed: 127.0.0.1:{port}: connection refused; check the \
                 port, and that the server is running"
            )
        );
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_found_fails_in_its_own_phase() {
    let name = "x".repeat(64); // longer than a label may be: no name server is asked
    let attempt = attempt();
    let error = Tcp::new(name.as_str(), 8883).connect(&attempt).await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ConnectErrorKind::NameNotFound, Phase::Resolve));
    assert_eq!(attempt.phase(), Phase::Resolve);
    let text = error.to_string();
    assert!(text.starts_with(&format!("name resolution of {name}:8883 failed: ")), "{text}");
    assert!(text.contains("check the spelling"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_never_answers_is_left_exactly_at_the_deadline() {
    let connector = from_fn(async |attempt: Attempt| {
        attempt.enter(Phase::Proxy);
        std::future::pending::<()>().await;
        Ok(tokio::io::empty())
    })
    .with_endpoint("broker.example", 443);
    let attempt = Attempt::within(1, Duration::from_secs(7));
    let error = BoxConnector::new(connector).connect(&attempt).await.unwrap_err();
    let just_after = Attempt::new(1, attempt.deadline() + Duration::from_millis(1));
    assert!(attempt.remaining().is_zero() && !just_after.remaining().is_zero());
    assert_eq!((error.kind(), error.phase()), (ConnectErrorKind::TimedOut, Phase::Proxy));
    assert_eq!(
        error.to_string(),
        "proxy tunnel to broker.example:443 failed: the deadline passed before the connector gave a stream"
    );
}
