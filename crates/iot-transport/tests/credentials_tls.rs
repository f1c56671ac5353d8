//! The AWS IoT credential provider over mutual TLS on loopback.
#![cfg(all(feature = "iot-credentials", any(feature = "ring", feature = "aws-lc-rs")))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]
#![allow(unreachable_pub, dead_code, reason = "the shared helpers serve other tests too")]

mod common;

use std::sync::Arc;

use common::{Ca, TLS12, TLS13, parameters, providers};
use iot_transport::credentials::{CredentialsError, IotCredentialProvider, ProvideCredentials, explain};
use iot_transport::tls::rustls::ServerConfig;
use iot_transport::{Identity, Material, TlsOptions};
use rcgen::KeyPair;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const BODY: &str = r#"{"credentials":{"accessKeyId":"AKID","secretAccessKey":"wJalrXUt","sessionToken":"IQoJ","expiration":"2018-01-18T09:18:06Z"}}"#;

/// A server that gives credentials to whoever has a certificate, and its port.
async fn server(config: ServerConfig) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{BODY}", BODY.len());
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

#[tokio::test]
async fn a_device_with_a_certificate_gets_credentials_and_one_without_is_told() {
    let (ca, devices) = (Ca::new(), Ca::named("devices"));
    let key = KeyPair::generate().unwrap();
    let certificate = devices.sign(&["device"], &key);
    let identity = Identity::new(Material::bytes(certificate), Material::bytes(key.serialize_pem()));
    for provider in providers() {
        for versions in [TLS12, TLS13] {
            let config = ca.server(&provider, versions, &parameters(&["localhost"]), Some(&devices));
            let endpoint = format!("localhost:{}", server(config).await);
            let options = TlsOptions::new(ca.anchors()).provider(provider.clone());
            let asking = |options| IotCredentialProvider::new(&endpoint, "sensors", options).unwrap();

            let found = asking(options.clone().identity(identity.clone())).provide_credentials().await;
            assert_eq!(found.map_err(|error| explain(&error)).unwrap().access_key_id(), "AKID");

            let error = asking(options).provide_credentials().await.unwrap_err();
            assert!(matches!(error, CredentialsError::ProviderError(_)));
            let text = explain(&error);
            assert!(text.contains("certificate") && text.contains(&endpoint), "{text}");
        }
    }
}

#[tokio::test]
async fn an_endpoint_or_tls_that_cannot_work_is_a_matter_of_configuration() {
    let ca = Ca::new();
    let options = TlsOptions::new(ca.anchors());
    let error = IotCredentialProvider::new("https://abc.example/", "sensors", options).unwrap_err();
    assert!(matches!(error, CredentialsError::InvalidConfiguration(_)));
    assert!(explain(&error).contains("is not an endpoint"), "{}", explain(&error));

    let options = TlsOptions::new(ca.anchors())
        .identity(Identity::new(Material::file("not/there.pem"), Material::file("not/there.key")));
    let provider = IotCredentialProvider::new("localhost:1", "sensors", options).unwrap();
    let error = provider.provide_credentials().await.unwrap_err();
    assert!(matches!(error, CredentialsError::InvalidConfiguration(_)));
    assert!(explain(&error).contains("not/there.pem"), "{}", explain(&error));
}
