//! The facade through every door of the local AWS IoT Core.
#![cfg(all(feature = "websocket", feature = "cognito", feature = "iot-credentials", feature = "proxy"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_iot::crates::iot_transport::{Identity, Tcp, Tls, alpn};
use aws_iot::crates::mqtt_codec::ReasonCode;
use aws_iot::credentials::{Cached, Cognito, IotCredentialProvider};
use aws_iot::{
    Builder, ConnectionError, CustomAuthorizer, Error, Material, OpError, Proxy, TlsOptions, TrustAnchors,
};
use common::{BOTH, assert_hides, at, connect_error, keys, refused, there_and_back, websocket};
use iot_emulator::{AuthorizerReply, AuthorizerRequest, AwsCredentials, Credentials, Emulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

const HOUR: Duration = Duration::from_secs(3_600);
const TOKEN: &str = "a+b c&d=e?f#g%20h";
const SIGNATURE: &str = "c2ln/bmF0+dXJl/w==";

#[expect(clippy::disallowed_methods, reason = "certificates are measured by the system's date")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn mutual_tls(emulator: &Emulator, device: &Credentials) -> Builder {
    let (certificate, key) =
        (Material::bytes(device.certificate_pem.as_str()), Material::bytes(device.key_pem.as_str()));
    at(aws_iot::mutual_tls(emulator.endpoint(), certificate, key), emulator)
}

/// TLS to where the services that give credentials are.
fn service(emulator: &Emulator, device: Option<&Credentials>) -> Tls<Tcp> {
    let anchors = TrustAnchors::ca(Material::bytes(emulator.authority().ca_pem()));
    let mut options = TlsOptions::new(anchors).alpn([alpn::HTTP]);
    if let Some(device) = device {
        let certificate = Material::bytes(device.certificate_pem.as_str());
        options = options.identity(Identity::new(certificate, Material::bytes(device.key_pem.as_str())));
    }
    Tls::new(Tcp::new(emulator.endpoint(), emulator.port()), options)
}

#[tokio::test]
async fn a_certificate_that_is_not_active_is_hinted_at_in_both_versions() {
    let emulator = Emulator::start().await.unwrap();
    emulator.deactivate_certificate(emulator.credentials()).unwrap();
    for version in BOTH {
        let builder = mutual_tls(&emulator, emulator.credentials()).version(version);
        let error = refused(builder.connect().await);
        assert!(
            matches!(error, Error::Operation(OpError::Connect(ConnectionError::ClosedBeforeConnAck(_)))),
            "{error}"
        );
        assert!(error.to_string().contains("the certificate must be active"), "{error}");
        assert!(error.is_retryable(), "it may be activated meanwhile: {error}");
    }
}

#[tokio::test]
async fn an_outdated_certificate_is_named_before_anything_is_dialled() {
    let emulator = Emulator::start().await.unwrap();
    emulator.stop_accepting().await;
    let authority = emulator.authority();
    for (from, to, word) in
        [(now() - 2 * HOUR, now() - HOUR, "expired"), (now() + HOUR, now() + 2 * HOUR, "not valid")]
    {
        let outdated = authority.issue_client_valid("device", from, to).unwrap();
        let error = refused(mutual_tls(&emulator, &outdated).connect().await);
        assert!(matches!(error, Error::Tls(_)) && error.is_retryable(), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[tokio::test]
async fn signed_websockets_carry_both_versions_with_a_session_token_or_without() {
    let emulator = Emulator::builder().region("eu-central-1").start().await.unwrap();
    for version in BOTH {
        let permanent = AwsCredentials::new("AKIDEXAMPLE", "a secret that is long");
        let temporary = permanent.clone().with_session_token("IQoJ/b3J+pZ2luX2Vj==");
        for credentials in [permanent, temporary] {
            emulator.set_aws_credentials(credentials.clone());
            let client = websocket(&emulator, keys(&credentials)).version(version).connect().await.unwrap();
            there_and_back(&client).await;
            client.disconnect().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_refused_signature_says_403_and_why_and_shows_no_secret() {
    let emulator = Emulator::start().await.unwrap();
    let wrong = emulator.aws_credentials().with_session_token("a token of somebody else");
    let error = refused(websocket(&emulator, keys(&wrong)).connect().await);
    assert_eq!(connect_error(&error).http_status(), Some(403));
    assert!(error.is_retryable() && error.to_string().contains("session token"), "{error}");
    assert_hides(
        &error,
        &[&wrong.secret_access_key, "a token of somebody else", "a%20token", "X-Amz-Signature"],
    );

    let right = keys(&emulator.aws_credentials());
    let error = refused(websocket(&emulator, right.clone()).region("eu-west-3").connect().await);
    assert!(error.to_string().contains("eu-west-3"), "{error}");
    let nowhere = at(aws_iot::websocket("localhost", right), &emulator);
    let error = refused(nowhere.connect().await);
    assert!(matches!(error, Error::Region(_)) && error.to_string().contains("Builder::region"), "{error}");
}

#[tokio::test]
async fn credentials_of_cognito_and_of_the_devices_certificate_open_the_websocket() {
    let emulator = Emulator::start().await.unwrap();
    let guest = Cognito::over(emulator.identity_pool(), service(&emulator, None)).unwrap();
    let client = websocket(&emulator, Cached::new(guest)).connect().await.unwrap();
    there_and_back(&client).await;
    client.disconnect().await.unwrap();

    let device = || service(&emulator, Some(emulator.credentials()));
    let provider = IotCredentialProvider::over(emulator.role_alias(), device()).unwrap();
    let client = websocket(&emulator, Cached::new(provider)).connect().await.unwrap();
    there_and_back(&client).await;

    emulator.deactivate_certificate(emulator.credentials()).unwrap();
    let provider = IotCredentialProvider::over(emulator.role_alias(), device()).unwrap();
    let error = refused(websocket(&emulator, provider).connect().await);
    assert!(error.is_retryable() && error.to_string().contains("is registered and active"), "{error}");
}

type Seen = Arc<Mutex<Vec<AuthorizerRequest>>>;

async fn authorizing() -> (Emulator, Seen) {
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let builder = Emulator::builder().authorizer_token_key("my-token");
    let builder = builder.custom_authorizer(move |request| {
        log.lock().unwrap().push(request.clone());
        let known = request.token.as_deref() == Some(TOKEN);
        if known { AuthorizerReply::allow() } else { AuthorizerReply::deny() }
    });
    (builder.start().await.unwrap(), seen)
}

fn parameters(token: &str) -> CustomAuthorizer {
    CustomAuthorizer::new().name("Fleet_1").token("my-token", token).signature(SIGNATURE)
}

#[tokio::test]
async fn a_custom_authorizer_is_told_everything_through_each_door_whether_or_not_metrics_are_on() {
    let (emulator, seen) = authorizing().await;
    let mqtt = || aws_iot::custom_authorizer(emulator.endpoint(), parameters(TOKEN));
    let headers = || aws_iot::websocket_custom_authorizer(emulator.endpoint(), parameters(TOKEN));
    let query = || aws_iot::websocket_custom_authorizer(emulator.endpoint(), parameters(TOKEN).in_query());
    for (builder, over_mqtt) in [(mqtt(), true), (headers(), false), (query(), false)] {
        for (version, metrics) in [(BOTH[0], true), (BOTH[1], true), (BOTH[0], false), (BOTH[1], false)] {
            let builder = at(builder.clone(), &emulator).version(version).metrics(metrics);
            let client = builder.username("alice").password(b"pass\xFFword").connect().await.unwrap();
            there_and_back(&client).await;
            client.disconnect().await.unwrap();
            let mut requests = std::mem::take(&mut *seen.lock().unwrap());
            let request = requests.pop().unwrap();
            assert!(requests.is_empty(), "asked once");
            assert_eq!(request.authorizer_name.as_deref(), Some("Fleet_1"));
            assert_eq!(request.token.as_deref(), Some(TOKEN));
            assert_eq!(request.token_signature.as_deref(), Some(SIGNATURE));
            assert_eq!((request.mqtt.is_some(), request.http.is_some()), (over_mqtt, !over_mqtt));
            let Some(connect) = request.mqtt else { continue };
            assert_eq!(
                (&*connect.client_id, connect.password.as_deref()),
                ("device", Some(&b"pass\xFFword"[..]))
            );
            let username = connect.username.unwrap();
            assert!(username.starts_with("alice?x-amz-customauthorizer-name=Fleet_1&"), "{username}");
            assert_eq!(username.contains("&SDK=Rust&Version="), metrics, "{username}");
            assert_eq!(username.matches('?').count(), 1, "{username}");
        }
    }
}

#[tokio::test]
async fn who_the_custom_authorizer_denies_is_told_so_and_where_to_look() {
    let (emulator, _) = authorizing().await;
    let denied = parameters("token of nobody");
    let secrets = ["token of nobody", "token%20of%20nobody", SIGNATURE, "c2ln%2FbmF0"];
    for version in BOTH {
        let builder = aws_iot::custom_authorizer(emulator.endpoint(), denied.clone());
        let error = refused(at(builder, &emulator).version(version).connect().await);
        let Error::Operation(OpError::Connect(ConnectionError::Refused { reason, .. })) = &error else {
            panic!("{error}")
        };
        assert_eq!(*reason, ReasonCode::NotAuthorized);
        assert!(error.to_string().contains("authorizer"), "{error}");
        assert_hides(&error, &secrets);
        for parameters in [denied.clone(), denied.clone().in_query()] {
            let builder = aws_iot::websocket_custom_authorizer(emulator.endpoint(), parameters);
            let error = refused(at(builder, &emulator).version(version).connect().await);
            assert_eq!(connect_error(&error).http_status(), Some(403));
            assert!(error.to_string().contains("check its name, the token key"), "{error}");
            assert_hides(&error, &secrets);
        }
    }
}

/// A proxy that takes every name to be this machine's and wants the password of RFC 7617's example.
async fn proxy() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(near.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            if !head.contains("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==") {
                near.write_all(b"HTTP/1.1 407 X\r\nContent-Length: 0\r\n\r\n").await.unwrap();
                continue;
            }
            let target = head.split(' ').nth(1).unwrap();
            let target: u16 = target.strip_prefix("iot.test:").unwrap().parse().unwrap();
            let mut far = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
            near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
        }
    });
    port
}

#[tokio::test]
async fn every_door_is_reached_through_a_proxy() {
    let name = "iot.test";
    let builder = Emulator::builder().server_name(name).custom_authorizer(|_| AuthorizerReply::allow());
    let emulator = builder.start().await.unwrap();
    let port = proxy().await;
    let device = emulator.credentials();
    let (certificate, key) =
        (Material::bytes(device.certificate_pem.as_str()), Material::bytes(device.key_pem.as_str()));
    let doors = [
        aws_iot::mutual_tls(name, certificate, key),
        aws_iot::websocket(name, keys(&emulator.aws_credentials())).region(emulator.region()),
        aws_iot::custom_authorizer(name, parameters(TOKEN)),
        aws_iot::websocket_custom_authorizer(name, parameters(TOKEN)),
    ];
    for door in doors {
        let proxy = Proxy::new("127.0.0.1", port);
        let door = at(door, &emulator);
        let right = door.clone().proxy(proxy.clone().basic_auth("Aladdin", "open sesame"));
        let client = right.connect().await.unwrap();
        there_and_back(&client).await;
        client.disconnect().await.unwrap();
        let error = refused(door.proxy(proxy.basic_auth("Aladdin", "close sesame")).connect().await);
        assert_eq!((connect_error(&error).http_status(), error.is_retryable()), (Some(407), false));
        assert_hides(&error, &["close sesame", "QWxhZGRpbjpjbG9zZSBzZXNhbWU="]);
    }
}
