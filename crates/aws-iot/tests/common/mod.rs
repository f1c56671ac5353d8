//! An emulator with every door, and clients that come through them.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::sync::Arc;
use std::time::Duration;

use aws_iot::crates::iot_transport::ConnectError;
use aws_iot::credentials::aws_credential_types::provider::future;
use aws_iot::credentials::{Credentials, CredentialsError, ProvideCredentials};
use aws_iot::{
    Backoff, Builder, Client, ConnectionError, Delivery, Error, Material, Message, QoS, Status, Version,
};
use iot_emulator::{AwsCredentials, Emulator};
use tokio::sync::{Mutex, mpsc};

pub(crate) const BOTH: [Version; 2] = [Version::V3_1_1, Version::V5];

pub(crate) fn keys(credentials: &AwsCredentials) -> Credentials {
    let AwsCredentials { access_key_id, secret_access_key, session_token, expires, .. } = credentials.clone();
    Credentials::new(access_key_id, secret_access_key, session_token, expires, "test")
}

/// What all doors have in common.
pub(crate) fn at(builder: Builder, emulator: &Emulator) -> Builder {
    builder
        .root_ca(Material::bytes(emulator.authority().ca_pem()))
        .port(emulator.port())
        .client_id("device")
        .backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(10), Duration::from_secs(20)))
}

pub(crate) fn websocket(emulator: &Emulator, credentials: impl ProvideCredentials + 'static) -> Builder {
    at(aws_iot::websocket(emulator.endpoint(), credentials), emulator).region(emulator.region())
}

/// A publish there and back.
pub(crate) async fn there_and_back(client: &Client) {
    let mut messages = client.subscribe("sdk/test/+", QoS::AtLeastOnce).await.unwrap();
    let ack = client.publish(Message::new("sdk/test/Rust", "hello").unwrap()).await.unwrap();
    assert!(matches!(ack.await, Ok(Delivery::Acked(_))));
    let message = messages.next().await.unwrap();
    assert_eq!((message.topic(), message.payload()), ("sdk/test/Rust", &b"hello"[..]));
}

/// The connector's error underneath.
pub(crate) fn connect_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a ConnectError {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<ConnectError>() {
            return error;
        }
        next = error.source();
    }
    panic!("no connector's error: {error}")
}

/// Waits for a failed attempt with these words, and returns its error.
pub(crate) async fn failed(
    client: &mut tokio::sync::watch::Receiver<Status>,
    words: &str,
) -> ConnectionError {
    let status = client
        .wait_for(|status| match status {
            Status::Disconnected { error, retry_in } => {
                assert!(retry_in.is_some(), "given up: {error}");
                error.to_string().contains(words)
            }
            _ => false,
        })
        .await
        .unwrap();
    let Status::Disconnected { error, .. } = &*status else { panic!("waited for") };
    error.clone()
}

/// Neither an error nor anything that it stems from shows one of these.
pub(crate) fn assert_hides(error: &impl std::error::Error, secrets: &[&str]) {
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

pub(crate) type Answer = Result<Credentials, CredentialsError>;

/// A provider that waits for what the test has it answer.
#[derive(Debug, Clone)]
pub(crate) struct Told(Arc<Mutex<mpsc::UnboundedReceiver<Answer>>>);

impl Told {
    pub(crate) fn new() -> (mpsc::UnboundedSender<Answer>, Self) {
        let (answers, queue) = mpsc::unbounded_channel();
        (answers, Self(Arc::new(Mutex::new(queue))))
    }

    /// Whether every answer was asked for.
    pub(crate) async fn is_empty(&self) -> bool {
        self.0.lock().await.is_empty()
    }
}

impl ProvideCredentials for Told {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let answer = self.0.lock().await.recv().await;
            answer.unwrap_or_else(|| Err(CredentialsError::not_loaded("the test is over")))
        })
    }
}

pub(crate) fn refused(connected: Result<Client, Error>) -> Error {
    connected.map(drop).unwrap_err()
}
