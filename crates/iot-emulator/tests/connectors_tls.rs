//! TLS of iot-transport at the doors for certificates.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

mod common;
mod dial;

use std::time::Duration;

use common::http::now;
use common::{BOTH, Client};
use dial::{attempt, dial, fail, identity, speaks_mqtt, tcp, trusting};
use iot_emulator::{Authority, Credentials, Emulator};
use iot_transport::{
    ConnectError, ConnectErrorKind as Kind, Connector, Phase, Tcp, Tls, TlsOptions, alpn, explain_io,
};
use tokio::io::AsyncReadExt;

const HOUR: Duration = Duration::from_secs(3_600);

fn device(emulator: &Emulator, credentials: &Credentials) -> TlsOptions {
    trusting(emulator).identity(identity(credentials))
}

/// The refusal of a certificate, which TLS 1.3 delivers at the first read.
async fn refused<C: Connector>(connector: &C) -> ConnectError {
    match connector.connect(&attempt()).await {
        Err(error) => error,
        Ok(mut stream) => {
            let error = stream.read_u8().await.unwrap_err();
            assert!(explain_io(&error).is_some(), "{error} is not explained");
            ConnectError::from_io(Phase::Tls, error)
        }
    }
}

#[tokio::test]
async fn a_device_certificate_opens_the_main_port_without_alpn_and_the_https_port_with_it() {
    let emulator = Emulator::builder().https(true).start().await.unwrap();
    let options = device(&emulator, emulator.credentials());
    for version in BOTH {
        let main = dial(&Tls::new(tcp(&emulator), options.clone())).await;
        assert_eq!(main.get_ref().1.alpn_protocol(), None);
        speaks_mqtt(main, version).await;
        let https = Tcp::new(emulator.endpoint(), emulator.https_port().unwrap());
        let stream = dial(&Tls::new(https, options.clone().alpn([alpn::MUTUAL_TLS]))).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"x-amzn-mqtt-ca"[..]));
        speaks_mqtt(stream, version).await;
    }
}

#[tokio::test]
async fn unknown_protocols_are_refused_in_words_at_the_handshake() {
    let emulator = Emulator::builder().https(true).start().await.unwrap();
    for port in [emulator.port(), emulator.https_port().unwrap()] {
        let options = device(&emulator, emulator.credentials()).alpn(["mqtt/7", "h3"]);
        let error = fail(&Tls::new(Tcp::new("localhost", port), options)).await;
        assert_eq!((error.kind(), error.phase()), (Kind::Protocol, Phase::Tls), "{error}");
        assert!(error.to_string().contains(&format!("localhost:{port}")), "{error}");
        assert!(error.reason().contains("none of the application protocols (ALPN)"), "{error}");
    }
}

#[tokio::test]
async fn client_certificates_that_the_server_refuses_are_told_from_all_else_and_may_be_tried_again() {
    let emulator = Emulator::builder().https(true).start().await.unwrap();
    let authority = emulator.authority();
    let expired = authority.issue_client_valid("expired", now() - 2 * HOUR, now() - HOUR).unwrap();
    let early = authority.issue_client_valid("early", now() + HOUR, now() + 2 * HOUR).unwrap();
    let unknown = Authority::new().unwrap().issue_client("unknown").unwrap();
    let https = emulator.https_port().unwrap();
    for (credentials, word) in [(&expired, "expired"), (&early, ""), (&unknown, "")] {
        for (port, protocols) in [(emulator.port(), vec![]), (https, vec![alpn::MUTUAL_TLS])] {
            let options = device(&emulator, credentials).present_outdated(true).alpn(protocols);
            let error = refused(&Tls::new(Tcp::new("localhost", port), options)).await;
            assert_eq!(error.kind(), Kind::ClientCertificateRejected, "{error}");
            assert!(error.is_retryable(), "{error}");
            assert!(error.reason().contains("client certificate"), "{error}");
            assert!(error.reason().contains(word), "{error}");
            dial::assert_hides(&error, &[key_text(credentials)]);
        }
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_is_told_that_one_is_wanted() {
    let emulator = Emulator::start().await.unwrap();
    let error = refused(&Tls::new(tcp(&emulator), trusting(&emulator))).await;
    assert_eq!(error.kind(), Kind::ClientCertificateRejected, "{error}");
    assert!(error.is_retryable() && error.reason().contains("certificate"), "{error}");
}

#[tokio::test]
async fn an_outdated_certificate_is_not_shown_unless_asked_to() {
    let emulator = Emulator::start().await.unwrap();
    // So that a dial would be told from no dial.
    emulator.stop_accepting().await;
    let expired = emulator.authority().issue_client_valid("expired", now() - 2 * HOUR, now() - HOUR).unwrap();
    let error = fail(&Tls::new(tcp(&emulator), device(&emulator, &expired))).await;
    assert_eq!((error.kind(), error.phase()), (Kind::Configuration, Phase::Tls), "{error}");
    assert!(error.is_retryable(), "it may be renewed, or the clock be set: {error}");
    assert!(error.reason().contains("expired"), "{error}");
}

#[tokio::test]
async fn a_deactivated_certificate_gets_a_stream_and_no_connack() {
    let emulator = Emulator::start().await.unwrap();
    emulator.deactivate_certificate(emulator.credentials()).unwrap();
    let connector = Tls::new(tcp(&emulator), device(&emulator, emulator.credentials()));
    for version in BOTH {
        let mut client = Client::new(dial(&connector).await, version);
        let connect =
            mqtt_codec::packet::ConnectBuilder::new(version, mqtt_codec::Text::try_from("device").unwrap());
        client.send(connect.build().unwrap()).await;
        assert_eq!(client.next().await, None);
    }
    emulator.activate_certificate(emulator.credentials()).unwrap();
    speaks_mqtt(dial(&connector).await, BOTH[0]).await;
}

/// Some of a private key.
fn key_text(credentials: &Credentials) -> &str {
    credentials.key_pem.lines().nth(1).unwrap()
}
