//! The connectors of iot-transport through an HTTP proxy in front of the emulator.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

mod common;
mod dial;

use std::time::Duration;

use common::BOTH;
use dial::{Proxy, assert_hides, dial, fail, identity, keys, speaks_mqtt, trusting};
use iot_emulator::{AwsCredentials, Emulator};
use iot_transport::credentials::IotCredentialProvider;
use iot_transport::{
    ConnectErrorKind as Kind, Connector, HttpProxy, Phase, SigV4, Tcp, Tls, WebSocket, alpn,
};

/// A name that only the proxy knows.
const HOST: &str = "iot.test";
const REGION: &str = "us-east-1";

async fn emulator() -> Emulator {
    Emulator::builder().server_name(HOST).start().await.unwrap()
}

fn websocket(tunnel: HttpProxy<Tcp>, emulator: &Emulator) -> impl Connector {
    let signer = SigV4::new(keys(&emulator.aws_credentials())).region(REGION);
    WebSocket::new(Tls::new(tunnel, trusting(emulator).alpn([alpn::HTTP]))).authorizer(signer)
}

#[tokio::test]
async fn tls_and_websocket_go_through_the_proxy_which_learns_the_name_and_nothing_else() {
    let (emulator, proxy) = (emulator().await, Proxy::start().await);
    let tunnel = || proxy.to(HOST, emulator.port());
    let options = trusting(&emulator).identity(identity(emulator.credentials()));
    let mutual = Tls::new(tunnel(), options.clone());
    let websocket = websocket(tunnel(), &emulator);
    for version in BOTH {
        speaks_mqtt(dial(&mutual).await, version).await;
        speaks_mqtt(dial(&websocket).await, version).await;
    }
    let line = format!("CONNECT {HOST}:{} HTTP/1.1", emulator.port());
    assert_eq!(proxy.asked(), [&*line; 4]);

    // So do the requests for credentials.
    let device = Tls::new(tunnel(), options.alpn([alpn::HTTP]));
    let provider = IotCredentialProvider::over(emulator.role_alias(), device).unwrap();
    let inside = Tls::new(tunnel(), trusting(&emulator).alpn([alpn::HTTP]));
    let connector = WebSocket::new(inside).authorizer(SigV4::new(provider).region(REGION));
    speaks_mqtt(dial(&connector).await, BOTH[1]).await;
    assert_eq!(proxy.asked(), [&*line; 2]);
}

#[tokio::test]
async fn a_proxy_that_is_not_shown_the_right_password_refuses_and_repeating_is_no_use() {
    let (emulator, proxy) = (emulator().await, Proxy::start().await);
    let bare = || proxy.to_without_login(HOST, emulator.port());
    for (tunnel, words) in [
        (bare(), "it wants a user name and a password"),
        (bare().basic_auth("Aladdin", "close sesame"), "it does not take this user name and password"),
    ] {
        let error = fail(&websocket(tunnel, &emulator)).await;
        assert_eq!((error.kind(), error.phase()), (Kind::HttpRefused, Phase::Proxy), "{error}");
        assert_eq!((error.http_status(), error.is_retryable()), (Some(407), false), "{error}");
        assert!(error.reason().contains(words), "{error}");
        let address = format!("{HOST}:{} through 127.0.0.1:{}", emulator.port(), proxy.port);
        assert_eq!(error.address(), Some(&*address));
        assert_hides(&error, &["close sesame", "QWxhZGRpbjpjbG9zZSBzZXNhbWU="]);
    }
}

#[tokio::test]
async fn a_refusal_from_within_the_tunnel_is_told_from_one_of_the_proxy() {
    let (emulator, proxy) = (emulator().await, Proxy::start().await);
    let wrong = AwsCredentials::new("AKIDEXAMPLE", "not the right secret");
    let tls = |host: &str| Tls::new(proxy.to(host, emulator.port()), trusting(&emulator).alpn([alpn::HTTP]));
    let signer = SigV4::new(keys(&wrong)).region(REGION);
    let error = fail(&WebSocket::new(tls(HOST)).authorizer(signer)).await;
    assert_eq!((error.http_status(), error.phase()), (Some(403), Phase::Upgrade), "{error}");
    assert_hides(&error, &["not the right secret", "open sesame"]);

    let error = fail(&tls("other.test")).await;
    assert_eq!(error.phase(), Phase::Tls, "the name is verified, or refused by the server: {error}");

    emulator.stop_accepting().await;
    let error = fail(&tls(HOST)).await;
    assert_eq!((error.http_status(), error.phase()), (Some(502), Phase::Proxy), "{error}");
    assert!(error.is_retryable() && error.reason().contains("could not reach the host"), "{error}");
    emulator.resume_accepting().await.unwrap();
    let options = trusting(&emulator).identity(identity(emulator.credentials()));
    speaks_mqtt(dial(&Tls::new(proxy.to(HOST, emulator.port()), options)).await, BOTH[0]).await;
}

#[tokio::test]
async fn a_tunnel_ends_when_its_stream_is_dropped() {
    let (emulator, proxy) = (emulator().await, Proxy::start().await);
    let options = trusting(&emulator).identity(identity(emulator.credentials()));
    let connector = Tls::new(proxy.to(HOST, emulator.port()), options);
    let mut client = common::Client::new(dial(&connector).await, BOTH[1]);
    client.connect("device").await;
    assert_eq!(emulator.connected_clients().await, ["device"]);
    drop(client);
    let gone = async {
        while !emulator.connected_clients().await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
}
