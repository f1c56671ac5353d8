//! Who gets through the handshake.

mod common;

use common::{BOTH, Client, Tls};
use iot_emulator::{Authority, Emulator};
use mqtt_codec::{Packet, ReasonCode, Version};
use rustls::version::{TLS12, TLS13};
use tokio::io::AsyncReadExt;

#[tokio::test]
async fn both_mqtt_versions_publish_and_subscribe_over_both_tls_versions() {
    let emulator = Emulator::start().await.unwrap();
    for tls_version in [&TLS12, &TLS13] {
        for version in BOTH {
            let tls = Tls { version: tls_version, ..Tls::with(emulator.credentials()) };
            let mut client = Client::new(tls.connect(&emulator).await.unwrap(), version);
            assert_eq!(client.connect("device").await, ReasonCode::Success);
            client.subscribe("a/#").await;
            client.publish("a/b", "hello").await;
            client.expect_message("hello").await;
            assert!(matches!(client.next().await, Some(Packet::PubAck(_))));
            assert_eq!(emulator.connected_clients().await, ["device"]);
        }
    }
    emulator.shutdown().await;
}

#[tokio::test]
async fn the_server_certificate_is_good_for_this_machine_and_names_asked_for() {
    let emulator = Emulator::builder().server_name("iot.test").start().await.unwrap();
    for server_name in ["localhost", "127.0.0.1", "::1", "iot.test"] {
        let tls = Tls { server_name, ..Tls::with(emulator.credentials()) };
        assert!(tls.connect(&emulator).await.is_ok(), "{server_name}");
    }
    let tls = Tls { server_name: "example.com", ..Tls::with(emulator.credentials()) };
    assert!(tls.connect(&emulator).await.is_err());
}

#[tokio::test]
async fn the_alpn_name_of_port_443_is_taken_and_others_are_not() {
    let emulator = Emulator::start().await.unwrap();
    let mut tls = Tls { alpn: &["x-amzn-mqtt-ca"], ..Tls::with(emulator.credentials()) };
    let stream = tls.connect(&emulator).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"x-amzn-mqtt-ca"[..]));
    tls.alpn = &["h2"];
    assert!(tls.connect(&emulator).await.is_err());
}

#[tokio::test]
async fn further_client_certificates_are_accepted() {
    let emulator = Emulator::start().await.unwrap();
    let other = emulator.authority().issue_client("second").unwrap();
    let mut client = Client::new(Tls::with(&other).connect(&emulator).await.unwrap(), Version::V5);
    assert_eq!(client.connect("second").await, ReasonCode::Success);
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let emulator = Emulator::start().await.unwrap();
    for version in [&TLS12, &TLS13] {
        let tls = Tls { identity: None, version, ..Tls::with(emulator.credentials()) };
        assert_refused(&tls, &emulator).await;
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let emulator = Emulator::start().await.unwrap();
    let stranger = Authority::new().unwrap().issue_client("device").unwrap();
    for version in [&TLS12, &TLS13] {
        let tls = Tls { identity: Some(&stranger), version, ..Tls::with(emulator.credentials()) };
        assert_refused(&tls, &emulator).await;
    }
}

#[tokio::test]
async fn a_client_that_trusts_another_authority_does_not_connect() {
    let emulator = Emulator::start().await.unwrap();
    let other = Authority::new().unwrap().ca_pem();
    let tls = Tls { ca_pem: &other, ..Tls::with(emulator.credentials()) };
    assert!(tls.connect(&emulator).await.is_err());
}

/// In TLS 1.3 the client learns it from what it reads first.
async fn assert_refused(tls: &Tls<'_>, emulator: &Emulator) {
    if let Ok(mut stream) = tls.connect(emulator).await {
        assert!(stream.read_u8().await.is_err());
    }
    assert!(emulator.connected_clients().await.is_empty());
}
