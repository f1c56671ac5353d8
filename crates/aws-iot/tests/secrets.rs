//! The whole log, at its most talkative, and every error of connections that fail: no secret is in them.
#![cfg(all(feature = "websocket", feature = "proxy"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

mod common;

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use aws_iot::credentials::Credentials;
use aws_iot::{Builder, CustomAuthorizer, Error, Material, Proxy};
use common::{assert_hides, at, refused};
use iot_emulator::{AuthorizerReply, Emulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const PASSWORD: &str = "SECRET-password-of-connect";
const TOKEN: &str = "SECRET-token-of-the-authorizer";
const SIGNATURE: &str = "SECRETsignatureOfTheToken";
const ACCESS_KEY: &str = "SECRETACCESSKEYOFAWS";
const SESSION_TOKEN: &str = "SECRET-session-token-of-aws";
const PROXY_PASSWORD: &str = "SECRET-password-of-the-proxy";
/// "SECRET" in Base64, wherever in a group of three it begins, and in percent encoding.
const DISGUISES: [&str; 5] = ["SECRET", "U0VDUkVU", "NFQ1JFV", "TRUNSRV", "%53%45%43"];

/// Writes down everything that anybody logs.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Diary {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut log = self.0.lock().unwrap();
        write!(log, "\nspan {}", attributes.metadata().name()).unwrap();
        attributes.record(&mut Line(&mut log));
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Line(&mut self.0.lock().unwrap()));
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut log = self.0.lock().unwrap();
        write!(log, "\n{} {}", event.metadata().target(), event.metadata().level()).unwrap();
        event.record(&mut Line(&mut log));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A proxy that wants another password.
async fn refusing_proxy() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            request.truncate(length);
            // A server that repeats what it was sent.
            let body = String::from_utf8_lossy(&request).into_owned();
            let head = format!(
                "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).await.unwrap();
        }
    });
    port
}

async fn fails(builder: Builder, errors: &mut Vec<Error>) {
    let shown = format!("{builder:?}");
    assert!(DISGUISES.iter().all(|secret| !shown.contains(secret)), "{shown}");
    errors.push(refused(builder.connect().await));
}

#[tokio::test]
async fn neither_the_log_nor_an_error_of_a_failing_connection_shows_a_secret() {
    let diary = Diary::default();
    let _guard = tracing::subscriber::set_default(diary.clone());
    let emulator =
        Emulator::builder().authorizer_token_key("token").custom_authorizer(|_| AuthorizerReply::deny());
    let emulator = emulator.start().await.unwrap();
    let mut errors = Vec::new();

    let authorizer = CustomAuthorizer::new().name("authorizer").token("token", TOKEN).signature(SIGNATURE);
    let by_mqtt = at(aws_iot::custom_authorizer(emulator.endpoint(), authorizer.clone()), &emulator);
    fails(by_mqtt.username("SECRET-user").password(PASSWORD), &mut errors).await;
    let by_websocket = aws_iot::websocket_custom_authorizer(emulator.endpoint(), authorizer);
    fails(at(by_websocket, &emulator).username("SECRET-user").password(PASSWORD), &mut errors).await;

    let credentials =
        Credentials::new("AKIAFOREIGN", ACCESS_KEY, Some(SESSION_TOKEN.to_owned()), None, "test");
    let signed = aws_iot::websocket(emulator.endpoint(), credentials);
    fails(at(signed, &emulator).region("eu-west-1"), &mut errors).await;

    // The key of another certificate.
    let (ours, other) = (emulator.credentials(), emulator.authority().issue_client("other").unwrap());
    let mismatched = aws_iot::mutual_tls(
        emulator.endpoint(),
        Material::bytes(ours.certificate_pem.as_str()),
        Material::bytes(other.key_pem.as_str()),
    );
    fails(at(mismatched, &emulator), &mut errors).await;

    let proxy = Proxy::new("127.0.0.1", refusing_proxy().await).basic_auth("SECRET-user", PROXY_PASSWORD);
    let proxied = aws_iot::mutual_tls(
        emulator.endpoint(),
        Material::bytes(ours.certificate_pem.as_str()),
        Material::bytes(ours.key_pem.as_str()),
    );
    fails(at(proxied, &emulator).proxy(proxy), &mut errors).await;

    let key_lines: Vec<&str> = [&ours.key_pem, &other.key_pem]
        .into_iter()
        .flat_map(|pem| pem.lines())
        .filter(|line| line.len() > 8 && !line.starts_with("---"))
        .collect();
    for error in &errors {
        assert_hides(error, &key_lines);
        assert_hides(
            error,
            &["SECRET-user", PASSWORD, TOKEN, SIGNATURE, ACCESS_KEY, SESSION_TOKEN, PROXY_PASSWORD],
        );
        let shown = format!("{error} {error:?}");
        assert!(DISGUISES.iter().all(|secret| !shown.contains(secret)), "{shown}");
    }
    let log = diary.0.lock().unwrap().clone();
    assert!(log.matches("iot_session").count() >= errors.len(), "the log is not read: {log}");
    for secret in DISGUISES.iter().chain(&key_lines) {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}
