//! The connectors of iot-transport on their way to an emulator, and an HTTP proxy to lead them through.

#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod proxy;

use std::error::Error;
use std::time::Duration;

use iot_emulator::{AwsCredentials, Credentials as Device, Emulator};
use iot_transport::credentials::Credentials;
use iot_transport::{
    Attempt, ConnectError, Connector, Identity, Material, SigV4, Tcp, Tls, TlsOptions, TrustAnchors,
    WebSocket, alpn,
};
use mqtt_codec::{ReasonCode, Version};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::common::Client;
pub(crate) use proxy::Proxy;

pub(crate) fn attempt() -> Attempt {
    Attempt::within(1, Duration::from_secs(30))
}

/// One try that has to succeed.
pub(crate) async fn dial<C: Connector>(connector: &C) -> C::Io {
    connector.connect(&attempt()).await.unwrap_or_else(|error| panic!("{error}"))
}

/// One try that has to fail.
pub(crate) async fn fail<C: Connector>(connector: &C) -> ConnectError {
    connector.connect(&attempt()).await.map(drop).unwrap_err()
}

pub(crate) fn trusting(emulator: &Emulator) -> TlsOptions {
    TlsOptions::new(TrustAnchors::ca(Material::bytes(emulator.authority().ca_pem())))
}

pub(crate) fn identity(device: &Device) -> Identity {
    Identity::new(Material::bytes(device.certificate_pem.as_str()), Material::bytes(device.key_pem.as_str()))
}

pub(crate) fn tcp(emulator: &Emulator) -> Tcp {
    Tcp::new(emulator.endpoint(), emulator.port())
}

/// TLS to the door for HTTP.
pub(crate) fn https(emulator: &Emulator) -> Tls<Tcp> {
    Tls::new(tcp(emulator), trusting(emulator).alpn([alpn::HTTP]))
}

pub(crate) fn keys(credentials: &AwsCredentials) -> Credentials {
    let AwsCredentials { access_key_id, secret_access_key, session_token, expires, .. } = credentials.clone();
    Credentials::new(access_key_id, secret_access_key, session_token, expires, "test")
}

/// A WebSocket over TLS with this signature.
pub(crate) fn signed(emulator: &Emulator, signer: SigV4) -> WebSocket<Tls<Tcp>, SigV4> {
    WebSocket::new(https(emulator)).authorizer(signer)
}

/// Whether a stream carries MQTT, there and back.
pub(crate) async fn speaks_mqtt<S: AsyncRead + AsyncWrite + Unpin>(stream: S, version: Version) {
    let mut client = Client::new(stream, version);
    assert_eq!(client.connect("device").await, ReasonCode::Success);
    client.subscribe("there").await;
    client.publish("there", "and back").await;
    // The acknowledgement and the message come in either order.
    let packets = [client.next().await.unwrap(), client.next().await.unwrap()];
    let back = packets.iter().any(|packet| match packet {
        mqtt_codec::Packet::Publish(publish) => publish.payload() == b"and back",
        _ => false,
    });
    assert!(back, "{packets:?}");
}

/// Neither an error nor anything that it stems from shows one of these.
pub(crate) fn assert_hides(error: &impl Error, secrets: &[&str]) {
    let mut shown = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        shown.push_str(&format!(" {error} {error:?}"));
        source = error.source();
    }
    for secret in secrets {
        assert!(secret.len() > 8 && !shown.contains(secret), "{secret} in {shown}");
    }
}
