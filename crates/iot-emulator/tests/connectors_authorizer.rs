//! Custom authorizers, told by iot-transport what they ask for, over MQTT and over WebSocket.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

mod common;
mod dial;

use std::sync::{Arc, Mutex};

use common::{BOTH, Client};
use dial::{assert_hides, dial, fail, https, tcp, trusting};
use iot_emulator::{AuthorizerReply, AuthorizerRequest, Emulator};
use iot_transport::{ConnectErrorKind as Kind, CustomAuthorizer, Phase, Tls, WebSocket, alpn};
use mqtt_codec::{ReasonCode, Text};

const TOKEN_KEY: &str = "my-token";
const NAME: &str = "Fleet_1";
const SIGNATURE: &str = "c2ln/bmF0+dXJl/w==";
/// Whatever means something in a query or a header.
const TOKEN: &str = "a+b c&d=e?f#g%20h/i;j,k\"l";
const PASSWORD: &[u8] = b"pass\x00word\xFF";

/// Lets in whoever has the token, and keeps what it was asked.
async fn emulator() -> (Emulator, Arc<Mutex<Vec<AuthorizerRequest>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let builder = Emulator::builder().https(true).authorizer_token_key(TOKEN_KEY);
    let emulator = builder.custom_authorizer(move |request| {
        log.lock().unwrap().push(request.clone());
        let known = request.token.as_deref().is_some_and(|token| token.starts_with(TOKEN));
        if known { AuthorizerReply::allow() } else { AuthorizerReply::deny() }
    });
    (emulator.start().await.unwrap(), seen)
}

fn parameters(token: &str) -> CustomAuthorizer {
    CustomAuthorizer::new().name(NAME).token(TOKEN_KEY, token).signature(SIGNATURE)
}

fn assert_unharmed(request: &AuthorizerRequest, token: &str) {
    assert_eq!(request.authorizer_name.as_deref(), Some(NAME));
    assert_eq!(request.token.as_deref(), Some(token));
    assert_eq!(request.token_signature.as_deref(), Some(SIGNATURE));
    assert_eq!(request.tls_server_name.as_deref(), Some("localhost"));
}

#[tokio::test]
async fn over_mqtt_the_user_name_brings_every_parameter_unharmed() {
    let (emulator, seen) = emulator().await;
    let connector = Tls::new(tcp(&emulator), trusting(&emulator).alpn([alpn::CUSTOM_AUTHORIZER]));
    let token = format!("{TOKEN} ü€");
    for (version, user) in BOTH.into_iter().zip(["alice", "alice?own=1"]) {
        let mut client = Client::new(dial(&connector).await, version);
        // As the facade appends its metrics.
        let username = format!("{}&SDK=Rust&Version=1", parameters(&token).username(user).as_str());
        let reason = client
            .connect_with("device", |connect| {
                connect.username = Some(Text::try_from(username.as_str()).unwrap());
                connect.password = Some(PASSWORD.into());
            })
            .await;
        assert_eq!(reason, ReasonCode::Success);
        client.ping().await;
        let request = seen.lock().unwrap().pop().unwrap();
        assert_unharmed(&request, &token);
        assert_eq!((request.protocols.as_slice(), &request.http), (&["tls", "mqtt"][..], &None));
        let mqtt = request.mqtt.unwrap();
        assert_eq!((mqtt.client_id.as_str(), mqtt.password.as_deref()), ("device", Some(PASSWORD)));
        assert!(mqtt.username.unwrap().starts_with(user));

        let mut client = Client::new(dial(&connector).await, version);
        let username = parameters("of nobody").username(user).to_string();
        let denied = client
            .connect_with("device", |connect| connect.username = Some(Text::try_from(&*username).unwrap()))
            .await;
        assert_eq!(denied, ReasonCode::NotAuthorized);
        assert_eq!(client.next().await, None);
    }
}

#[tokio::test]
async fn over_websocket_headers_and_query_bring_every_parameter_unharmed() {
    let (emulator, seen) = emulator().await;
    // A header takes no other characters than these.
    let wide = format!("{TOKEN} ü€");
    for (token, parameters) in [(TOKEN, parameters(TOKEN)), (wide.as_str(), parameters(&wide).in_query())] {
        for version in BOTH {
            let connector = WebSocket::new(https(&emulator)).authorizer(parameters.clone());
            let mut client = Client::new(dial(&connector).await, version);
            assert_eq!(client.connect("device").await, ReasonCode::Success);
            client.ping().await;
            let mut requests = std::mem::take(&mut *seen.lock().unwrap());
            let request = requests.pop().unwrap();
            assert!(requests.is_empty(), "asked once");
            assert_unharmed(&request, token);
            assert_eq!(request.protocols, ["tls", "http"]);
            let http = request.http.unwrap();
            assert_eq!(http.query_string.is_empty(), token == TOKEN, "either here or in headers");
            assert_eq!(request.mqtt, None);
        }
    }
}

#[tokio::test]
async fn a_signature_that_is_encoded_already_arrives_as_what_it_encodes() {
    let (emulator, seen) = emulator().await;
    let parameters =
        CustomAuthorizer::new().name(NAME).token(TOKEN_KEY, TOKEN).signature("c2ln%2FbmF0%2BdXJl%2Fw%3D%3D");
    for parameters in [parameters.clone(), parameters.in_query()] {
        drop(dial(&WebSocket::new(https(&emulator)).authorizer(parameters)).await);
        assert_unharmed(&seen.lock().unwrap().pop().unwrap(), TOKEN);
    }
}

#[tokio::test]
async fn a_denied_upgrade_is_an_http_refusal_that_says_where_to_look() {
    let (emulator, _) = emulator().await;
    let denied = parameters("token of nobody");
    for parameters in [denied.clone(), denied.in_query()] {
        let error = fail(&WebSocket::new(https(&emulator)).authorizer(parameters)).await;
        assert_eq!((error.kind(), error.phase()), (Kind::HttpRefused, Phase::Upgrade), "{error}");
        assert_eq!((error.http_status(), error.is_retryable()), (Some(403), true));
        assert!(error.reason().contains("check its name, the token key and the signature"), "{error}");
        assert_hides(&error, &["token of nobody", "token%20of%20nobody", SIGNATURE, "c2ln%2FbmF0"]);
    }
    let none = Emulator::start().await.unwrap();
    let error = fail(&WebSocket::new(https(&none)).authorizer(parameters(TOKEN))).await;
    assert_eq!(error.http_status(), Some(401));
    assert!(error.reason().contains("There is no custom authorizer"), "{error}");
    assert!(error.reason().contains("check its name"), "{error}");
    assert_hides(&error, &[TOKEN, SIGNATURE]);
}
