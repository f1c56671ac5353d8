//! The facade against the local AWS IoT Core, over mutual TLS on loopback.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aws_iot::crates::mqtt_codec::ReasonCode;
use aws_iot::{
    Backoff, Builder, ConnectionError, Delivery, Error, Limit, Material, Message, OpError, QoS, Status,
    TopicName, Version, Will,
};
use iot_emulator::{Authority, Credentials, Emulator};

const BOTH: [Version; 2] = [Version::V3_1_1, Version::V5];

fn with(emulator: &Emulator, credentials: &Credentials) -> Builder {
    let certificate = Material::bytes(credentials.certificate_pem.clone());
    aws_iot::mutual_tls(emulator.endpoint(), certificate, Material::bytes(credentials.key_pem.clone()))
        .root_ca(Material::bytes(credentials.ca_pem.clone()))
        .port(emulator.port())
        .backoff(Backoff::new(Duration::from_millis(10), Duration::from_millis(100), Duration::from_secs(20)))
}

fn builder(emulator: &Emulator) -> Builder {
    with(emulator, emulator.credentials())
}

#[tokio::test]
async fn messages_go_there_and_back_in_both_versions() {
    let emulator = Emulator::start().await.unwrap();
    for version in BOTH {
        let client = builder(&emulator).version(version).client_id("device").connect().await.unwrap();
        let mut messages = client.subscribe("sdk/test/+", QoS::AtLeastOnce).await.unwrap();
        let ack = client.publish(Message::new("sdk/test/Rust", "hello").unwrap()).await.unwrap();
        assert!(matches!(ack.await, Ok(Delivery::Acked(_))));
        let message = messages.next().await.unwrap();
        assert_eq!((message.topic(), message.payload()), ("sdk/test/Rust", &b"hello"[..]));
        assert_eq!(emulator.connected_clients().await, ["device"]);
        client.disconnect().await.unwrap();
    }
    emulator.shutdown().await;
}

#[tokio::test]
async fn a_kicked_client_comes_back_and_its_session_lives_on() {
    let emulator = Emulator::start().await.unwrap();
    for (version, id) in [(Version::V3_1_1, "three"), (Version::V5, "five")] {
        let builder = builder(&emulator).version(version).client_id(id);
        let builder = match version {
            Version::V3_1_1 => builder.clean_start(false),
            Version::V5 => builder.session_expiry(Duration::from_secs(60)),
        };
        let client = builder.connect().await.unwrap();
        let mut messages = client.subscribe("a", QoS::AtLeastOnce).await.unwrap();
        let mut status = client.status();
        assert!(emulator.kick(id).await);
        status
            .wait_for(|status| matches!(status, Status::Disconnected { retry_in: Some(_), .. }))
            .await
            .unwrap();
        // Stored for the session while it is away, or delivered when it is back.
        emulator.publish("a", "while away", QoS::AtLeastOnce, false).await.unwrap();
        assert_eq!(messages.next().await.unwrap().payload(), b"while away");
        assert!(
            matches!(&*status.borrow_and_update(), Status::Connected(c) if c.session_present),
            "{version}"
        );
        client.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_connect_says_why_and_what_to_do() {
    let emulator = Emulator::start().await.unwrap();
    emulator.refuse_connects(Some(ReasonCode::NotAuthorized)).await;
    for version in BOTH {
        let error = builder(&emulator).version(version).connect().await.unwrap_err();
        assert!(!error.is_retryable());
        let Error::Operation(OpError::Connect(ConnectionError::Refused { reason, .. })) = &error else {
            panic!("{error:?}")
        };
        assert_eq!(*reason, ReasonCode::NotAuthorized);
        assert!(error.to_string().contains("not authorized"), "{error}");
        assert!(error.to_string().contains("iot:Connect"), "{error}");
    }
}

#[tokio::test]
async fn a_denied_publish_is_refused_with_its_reason_in_mqtt_5() {
    let emulator = Emulator::start().await.unwrap();
    emulator.deny_publish("secret/#").await.unwrap();
    let client = builder(&emulator).connect().await.unwrap();
    let ack = client.publish(Message::new("secret/x", "x").unwrap()).await.unwrap();
    assert!(matches!(ack.await, Err(OpError::Refused { reason: ReasonCode::NotAuthorized, .. })));
}

#[tokio::test]
async fn certificates_of_another_ca_are_refused_either_way() {
    let emulator = Emulator::start().await.unwrap();
    let stranger = Authority::new().unwrap().issue_client("stranger").unwrap();
    let error = with(&emulator, &stranger).connect().await.unwrap_err().to_string();
    assert!(error.contains("CA"), "{error}");
    let mut known_ca = stranger;
    known_ca.ca_pem.clone_from(&emulator.credentials().ca_pem);
    let error = with(&emulator, &known_ca).connect().await.unwrap_err().to_string();
    assert!(error.contains("client certificate"), "{error}");
    assert!(!error.contains("PRIVATE KEY"));
}

#[tokio::test]
async fn a_server_of_another_ca_is_refused_where_none_is_given() {
    let emulator = Emulator::start().await.unwrap();
    let ours = emulator.credentials();
    let (certificate, key) =
        (Material::bytes(ours.certificate_pem.as_str()), Material::bytes(ours.key_pem.as_str()));
    let builder = aws_iot::mutual_tls(emulator.endpoint(), certificate, key).port(emulator.port());
    let error = builder.connect().await.unwrap_err();
    assert!(!error.is_retryable() && error.to_string().contains("not among the trust anchors"), "{error}");
}

// Elsewhere than on Linux only 127.0.0.1 of the loopback range is there.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_name_that_the_certificate_does_not_carry_is_refused() {
    let emulator = Emulator::start().await.unwrap();
    // The same server, reached by an address that its certificate does not carry.
    let listener = tokio::net::TcpListener::bind("127.0.0.2:0").await.unwrap();
    let (port, behind) = (listener.local_addr().unwrap().port(), emulator.port());
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = tokio::net::TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    });
    let credentials = emulator.credentials();
    let certificate = Material::bytes(credentials.certificate_pem.as_str());
    let error = aws_iot::mutual_tls("127.0.0.2", certificate, Material::bytes(credentials.key_pem.as_str()))
        .root_ca(Material::bytes(credentials.ca_pem.as_str()))
        .port(port)
        .connect()
        .await
        .unwrap_err();
    assert!(!error.is_retryable());
    let sentence = error.to_string();
    assert!(sentence.contains("not valid for the name 127.0.0.2"), "{sentence}");
    assert!(sentence.contains("localhost, 127.0.0.1, ::1"), "{sentence}");
}

#[tokio::test]
async fn limits_are_named_before_anything_is_sent() {
    let emulator = Emulator::start().await.unwrap();
    let error = builder(&emulator).client_id("c".repeat(129)).connect().await.unwrap_err();
    assert!(matches!(error, Error::Limit(exceeded) if exceeded.limit == Limit::ClientId));
    let will = Will::new(TopicName::try_from("1/2/3/4/5/6/7/8/9").unwrap(), "gone");
    let error = builder(&emulator).will(will).connect().await.unwrap_err();
    assert!(matches!(error, Error::Limit(exceeded) if exceeded.limit == Limit::TopicSlashes));
    assert!(emulator.connected_clients().await.is_empty());

    let client = builder(&emulator).connect().await.unwrap();
    let before = client.stats().published;
    let long = Message::new("t".repeat(257), "x").unwrap();
    let error = client.publish(long).await.unwrap_err();
    assert_eq!(error.to_string(), "the topic has 257 bytes, AWS IoT Core allows 256");
    let large = Message::new("t", vec![0; 128 * 1024 + 1]).unwrap();
    assert!(
        matches!(client.publish(large).await, Err(Error::Limit(exceeded)) if exceeded.limit == Limit::Payload)
    );
    let twice = Message::new("t", "x").unwrap().qos(QoS::ExactlyOnce);
    assert!(
        matches!(client.publish(twice).await, Err(Error::Limit(exceeded)) if exceeded.limit == Limit::QoS)
    );
    assert!(matches!(client.subscribe("t", QoS::ExactlyOnce).await, Err(Error::Limit(_))));
    assert!(matches!(
        client.subscribe("t/#/x", QoS::AtMostOnce).await,
        Err(Error::Operation(OpError::Topic(_)))
    ));
    assert_eq!(client.stats().published, before);
}

#[tokio::test]
async fn dropping_the_client_leaves_no_connection() {
    let emulator = Emulator::start().await.unwrap();
    let watcher = builder(&emulator).client_id("watcher").connect().await.unwrap();
    let mut messages = watcher.subscribe("gone", QoS::AtLeastOnce).await.unwrap();
    let mut will = Will::new(TopicName::try_from("gone").unwrap(), "will");
    will.qos = QoS::AtLeastOnce;
    let client = builder(&emulator).client_id("leaver").will(will).connect().await.unwrap();
    drop(client);
    // The name is free again, and no will came with it.
    let again = builder(&emulator).client_id("leaver").connect().await.unwrap();
    again.publish(Message::new("gone", "fence").unwrap()).await.unwrap().await.unwrap();
    assert_eq!(messages.next().await.unwrap().payload(), b"fence");
}

#[test]
fn without_a_runtime_connect_is_an_error_and_no_panic() {
    let builder = aws_iot::mutual_tls("localhost", Material::bytes(""), Material::bytes(""));
    let mut connect = pin!(builder.connect());
    let Poll::Ready(Err(error)) = connect.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it must not wait")
    };
    assert!(matches!(error, Error::NoRuntime));
}

#[tokio::test]
async fn a_wrong_setup_is_reported_before_any_dial() {
    let emulator = Emulator::start().await.unwrap();
    let error = aws_iot::mutual_tls("https://localhost", Material::bytes("x"), Material::bytes("x"))
        .connect()
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Endpoint(_)), "{error}");
    let error = aws_iot::mutual_tls("localhost", Material::bytes("x"), Material::bytes("x"))
        .connect()
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Tls(_)), "{error}");
    let other = Authority::new().unwrap().issue_client("other").unwrap();
    let mut mixed = emulator.credentials().clone();
    mixed.key_pem = other.key_pem;
    let error = with(&emulator, &mixed).connect().await.unwrap_err();
    assert!(matches!(error, Error::Tls(_)), "{error}");
    assert!(error.to_string().contains("not the key of the certificate"), "{error}");
    assert!(!format!("{error:?}").contains("PRIVATE KEY"));
}
