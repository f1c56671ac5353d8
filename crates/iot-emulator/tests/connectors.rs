//! The SDK's own connectors at each of the doors.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::time::Duration;

use common::Client;
use iot_emulator::{AuthorizerReply, AwsCredentials, Emulator};
use iot_transport::credentials::Credentials;
use iot_transport::{
    Attempt, ConnectError, Connector, CustomAuthorizer, Material, SigV4, Tcp, Tls, TlsOptions, TrustAnchors,
    WebSocket, alpn,
};
use mqtt_codec::{ReasonCode, Text, Version};

/// TLS to the emulator.
fn tls(emulator: &Emulator, protocol: &str) -> Tls<Tcp> {
    let ca = Material::bytes(emulator.credentials().ca_pem.as_str());
    let options = TlsOptions::new(TrustAnchors::ca(ca)).alpn([protocol]);
    Tls::new(Tcp::new(emulator.endpoint(), emulator.port()), options)
}

async fn connect<C: Connector>(connector: &C) -> Result<Client<C::Io>, ConnectError> {
    let attempt = Attempt::within(1, Duration::from_secs(10));
    Ok(Client::new(connector.connect(&attempt).await?, Version::V5))
}

#[tokio::test]
async fn a_websocket_is_opened_by_what_the_sdk_signs() {
    let emulator = Emulator::start().await.unwrap();
    let signer = |credentials: AwsCredentials| {
        let AwsCredentials { access_key_id, secret_access_key, session_token, .. } = credentials;
        SigV4::new(Credentials::new(access_key_id, secret_access_key, session_token, None, "test"))
            .region(emulator.region())
    };
    let websocket = || WebSocket::new(tls(&emulator, alpn::HTTP));
    let connector = websocket().authorizer(signer(emulator.aws_credentials()));
    let mut client = connect(&connector).await.unwrap();
    assert_eq!(client.connect("device").await, ReasonCode::Success);
    client.ping().await;

    emulator.set_aws_credentials(emulator.aws_credentials().with_session_token("to/k+en=="));
    let error = connect(&connector).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("403"), "{error}");
    let connector = websocket().authorizer(signer(emulator.aws_credentials()));
    let mut client = connect(&connector).await.unwrap();
    assert_eq!(client.connect("device").await, ReasonCode::Success);
}

#[tokio::test]
async fn a_custom_authorizer_understands_what_the_sdk_sends_in_each_form() {
    let emulator = Emulator::builder()
        .authorizer_token_key("Key")
        .custom_authorizer(|request| {
            let name = request.authorizer_name.as_deref() == Some("mine");
            let token = request.token.as_deref() == Some("a+b c/=");
            let signature = request.token_signature.as_deref() == Some("c2ln+w==");
            if name && token && signature { AuthorizerReply::allow() } else { AuthorizerReply::deny() }
        })
        .start()
        .await
        .unwrap();
    let custom = CustomAuthorizer::new().name("mine").token("Key", "a+b c/=").signature("c2ln+w==");
    let username = custom.username("me");
    let mut client = connect(&tls(&emulator, alpn::CUSTOM_AUTHORIZER)).await.unwrap();
    let username = Text::try_from(username.as_str()).unwrap();
    let reason = client.connect_with("device", |connect| connect.username = Some(username)).await;
    assert_eq!(reason, ReasonCode::Success);

    for custom in [custom.clone(), custom.in_query()] {
        let connector = WebSocket::new(tls(&emulator, alpn::HTTP)).authorizer(custom);
        let mut client = connect(&connector).await.unwrap();
        assert_eq!(client.connect("device").await, ReasonCode::Success);
    }
    let other = CustomAuthorizer::new().name("other");
    let connector = WebSocket::new(tls(&emulator, alpn::HTTP)).authorizer(other);
    assert!(connect(&connector).await.map(drop).unwrap_err().to_string().contains("403"));
}
