//! One TLS port for several protocols, and what each of them asks of a client.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::http::{exchange, now};
use common::{BOTH, Client, Tls};
use iot_emulator::{Authority, AuthorizerReply, AuthorizerRequest, Emulator};
use mqtt_codec::packet::{Disconnect, Will};
use mqtt_codec::{Packet, ReasonCode, Text, TopicName, Version};
use tokio::io::AsyncReadExt;

const HOUR: Duration = Duration::from_secs(3_600);

/// With a port as AWS's 443, and an authorizer that lets everyone in.
async fn all_doors() -> Emulator {
    Emulator::builder().https(true).custom_authorizer(|_| AuthorizerReply::allow()).start().await.unwrap()
}

async fn speaks_http(tls: &Tls<'_>, emulator: &Emulator) -> bool {
    let mut stream = tls.connect(emulator).await.unwrap();
    let reply = exchange(&mut stream, "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    reply.is_some_and(|reply| reply.status == 404)
}

async fn speaks_mqtt(tls: &Tls<'_>, emulator: &Emulator) -> bool {
    let mut client = Client::new(tls.connect(emulator).await.unwrap(), Version::V5);
    client.connect("device").await == ReasonCode::Success
}

#[tokio::test]
async fn the_first_known_protocol_that_a_client_offers_is_spoken() {
    let emulator = all_doors().await;
    let device = Tls::with(emulator.credentials());
    for port in [emulator.port(), emulator.https_port().unwrap()] {
        let with = |alpn| Tls { alpn, port: Some(port), ..Tls::with(emulator.credentials()) };
        assert!(speaks_mqtt(&with(&["x-amzn-mqtt-ca"]), &emulator).await);
        assert!(speaks_mqtt(&Tls { identity: None, ..with(&["mqtt"]) }, &emulator).await);
        assert!(speaks_http(&Tls { identity: None, ..with(&["http/1.1"]) }, &emulator).await);
        assert!(speaks_http(&with(&["h2", "http/1.1", "mqtt"]), &emulator).await);
        assert!(speaks_mqtt(&with(&["mqtt", "http/1.1"]), &emulator).await);
        let stream = with(&["h3", "mqtt", "x-amzn-mqtt-ca"]).connect(&emulator).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"mqtt"[..]));
    }
    assert!(speaks_mqtt(&device, &emulator).await);
    assert!(speaks_http(&Tls { identity: None, port: emulator.https_port(), ..device }, &emulator).await);
}

#[tokio::test]
async fn a_client_that_offers_unknown_protocols_only_is_told_so_by_an_alert() {
    let emulator = all_doors().await;
    for port in [emulator.port(), emulator.https_port().unwrap()] {
        let device = Tls::with(emulator.credentials());
        let tls = Tls { alpn: &["h2", "x-amzn-http-ca"], port: Some(port), ..device };
        let error = tls.connect(&emulator).await.unwrap_err();
        assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    }
}

#[tokio::test]
async fn mqtt_by_certificate_is_refused_without_one_at_the_handshake_on_each_port() {
    let emulator = all_doors().await;
    let device = Tls::with(emulator.credentials());
    let tls = Tls { identity: None, alpn: &["x-amzn-mqtt-ca"], port: emulator.https_port(), ..device };
    assert_refused(&tls, &emulator).await;
}

#[tokio::test]
async fn bad_certificates_are_refused_at_the_handshake_even_where_none_is_needed() {
    let emulator = all_doors().await;
    let authority = emulator.authority();
    let bad = [
        authority.issue_client_valid("expired", now() - 2 * HOUR, now() - HOUR).unwrap(),
        authority.issue_client_valid("not yet valid", now() + HOUR, now() + 2 * HOUR).unwrap(),
        Authority::new().unwrap().issue_client("of another authority").unwrap(),
    ];
    for identity in &bad {
        for alpn in [&[][..], &["x-amzn-mqtt-ca"], &["http/1.1"]] {
            let tls = Tls { identity: Some(identity), alpn, ..Tls::with(emulator.credentials()) };
            assert_refused(&tls, &emulator).await;
        }
    }
    let good = authority.issue_client_valid("for an hour", now() - HOUR, now() + HOUR).unwrap();
    let tls = Tls { identity: Some(&good), ..Tls::with(emulator.credentials()) };
    assert!(speaks_mqtt(&tls, &emulator).await);
}

#[tokio::test]
async fn a_certificate_that_was_taken_back_passes_the_handshake_and_is_closed_at_connect() {
    let emulator = Emulator::start().await.unwrap();
    emulator.deactivate_certificate(emulator.credentials()).unwrap();
    let tls = Tls::with(emulator.credentials());
    for version in BOTH {
        let mut client = Client::new(tls.connect(&emulator).await.unwrap(), version);
        let connect = mqtt_codec::packet::ConnectBuilder::new(version, Text::try_from("device").unwrap());
        client.send(connect.build().unwrap()).await;
        assert_eq!(client.next().await, None);
    }
    let other = emulator.authority().issue_client("other").unwrap();
    assert!(speaks_mqtt(&Tls { identity: Some(&other), ..Tls::with(&other) }, &emulator).await);
    emulator.activate_certificate(emulator.credentials()).unwrap();
    assert!(speaks_mqtt(&tls, &emulator).await);
    let mut none = other.clone();
    none.certificate_pem.clear();
    assert!(emulator.deactivate_certificate(&none).is_err());
}

#[tokio::test]
async fn a_wrong_server_name_is_refused_by_an_alert_and_a_missing_one_is_not() {
    let emulator = Emulator::builder().server_name("iot.test").start().await.unwrap();
    let with = |server_name| Tls { server_name, ..Tls::with(emulator.credentials()) };
    let error = with("example.com").connect(&emulator).await.unwrap_err();
    assert!(error.to_string().contains("UnrecognisedName"), "{error}");
    assert!(speaks_mqtt(&with("iot.test"), &emulator).await);
    assert!(speaks_mqtt(&Tls { sni: false, ..with("iot.test") }, &emulator).await);

    let lenient = Emulator::builder().check_server_name(false).start().await.unwrap();
    let tls = Tls { server_name: "example.com", ..Tls::with(lenient.credentials()) };
    let error = tls.connect(&lenient).await.unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "it is the client that objects: {error}");
}

#[tokio::test]
async fn the_authorizer_sees_what_connect_says_and_decides() {
    let seen = Arc::new(Mutex::new(Vec::<AuthorizerRequest>::new()));
    let log = Arc::clone(&seen);
    let emulator = Emulator::builder()
        .authorizer_token_key("TokenKey")
        .custom_authorizer(move |request| {
            log.lock().unwrap().push(request.clone());
            let allowed = request.token.as_deref() == Some("a+b c");
            if allowed { AuthorizerReply::allow() } else { AuthorizerReply::deny() }
        })
        .start()
        .await
        .unwrap();
    let tls = Tls { identity: None, alpn: &["mqtt"], ..Tls::with(emulator.credentials()) };
    for version in BOTH {
        let mut client = Client::new(tls.connect(&emulator).await.unwrap(), version);
        let reason = client
            .connect_with("device", |connect| {
                let name = "me?x-amz-customauthorizer-name=Mine&x-amz-customauthorizer-signature=c2ln%2B%3D\
                            &TokenKey=a+b%20c";
                connect.username = Some(Text::try_from(name).unwrap());
                connect.password = Some(b"hush"[..].into());
            })
            .await;
        assert_eq!(reason, ReasonCode::Success);
        client.ping().await;
        let request = seen.lock().unwrap().pop().unwrap();
        assert_eq!(request.authorizer_name.as_deref(), Some("Mine"));
        assert_eq!(request.token.as_deref(), Some("a+b c"));
        assert_eq!(request.token_signature.as_deref(), Some("c2ln+="));
        assert_eq!(request.protocols, ["tls", "mqtt"]);
        assert_eq!(request.tls_server_name.as_deref(), Some("localhost"));
        assert_eq!(request.http, None);
        let mqtt = request.mqtt.clone().unwrap();
        assert_eq!((mqtt.password.as_deref(), mqtt.client_id.as_str()), (Some(&b"hush"[..]), "device"));
        assert!(mqtt.username.unwrap().starts_with("me?x-amz"));
        let shown = format!("{request:?}");
        assert!(!shown.contains("hush") && !shown.contains("a+b c") && !shown.contains("c2ln"), "{shown}");

        for username in ["me", "me?TokenKey=other", "me?TokenKey=a+b%20c%", "me?tokenkeys=a+b c"] {
            let mut client = Client::new(tls.connect(&emulator).await.unwrap(), version);
            let username = Text::try_from(username).unwrap();
            let reason = client.connect_with("denied", |connect| connect.username = Some(username)).await;
            assert_eq!(reason, ReasonCode::NotAuthorized);
            assert_eq!(client.next().await, None);
        }
    }
}

#[tokio::test]
async fn without_an_authorizer_nobody_gets_in_without_a_certificate() {
    let emulator = Emulator::start().await.unwrap();
    let tls = Tls { identity: None, alpn: &["mqtt"], ..Tls::with(emulator.credentials()) };
    for version in BOTH {
        let mut client = Client::new(tls.connect(&emulator).await.unwrap(), version);
        assert_eq!(client.connect("device").await, ReasonCode::NotAuthorized);
        assert_eq!(client.next().await, None);
    }
    assert!(emulator.connected_clients().await.is_empty());
}

#[tokio::test]
async fn an_authorizer_can_limit_how_long_a_connection_lasts() {
    let minutes = Duration::from_secs(300);
    let emulator = Emulator::builder()
        .plain(true)
        .custom_authorizer(move |_| AuthorizerReply::allow().disconnect_after(minutes))
        .start()
        .await
        .unwrap();
    let mut watcher = common::connected(&emulator, Version::V5, "watcher").await;
    watcher.subscribe("will").await;
    let tls = Tls { identity: None, alpn: &["mqtt"], ..Tls::with(emulator.credentials()) };
    let mut client = Client::new(tls.connect(&emulator).await.unwrap(), Version::V5);
    let will = Will::new(TopicName::try_from("will").unwrap(), "gone");
    assert_eq!(client.connect_with("device", |c| c.will = Some(will)).await, ReasonCode::Success);
    tokio::time::pause();
    assert!(tokio::time::timeout(minutes - Duration::from_secs(1), client.next()).await.is_err());
    let farewell: Packet = Disconnect::new(ReasonCode::MaximumConnectTime).into();
    assert_eq!(client.next().await, Some(farewell));
    watcher.expect_message("gone").await;
}

/// In TLS 1.3 the client learns it from what it reads first.
async fn assert_refused(tls: &Tls<'_>, emulator: &Emulator) {
    if let Ok(mut stream) = tls.connect(emulator).await {
        let error = stream.read_u8().await.unwrap_err();
        assert!(error.to_string().contains("fatal alert"), "{error}");
    }
}
