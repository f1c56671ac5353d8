//! The outbox file through the facade, against the local AWS IoT Core by mutual TLS.
#![cfg(feature = "outbox")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

use std::time::Duration;

use aws_iot::crates::iot_transport::Phase;
use aws_iot::{
    Builder, ConnectError, DrainRate, Error, Material, Message, OutboxFile, QoS, StoreErrorKind, TopicFilter,
    Version,
};
use iot_emulator::Emulator;
use tokio::time::timeout;

/// A client of the emulator, before it connects.
fn device(emulator: &Emulator, outbox: impl Into<OutboxFile>) -> Builder {
    let credentials = emulator.credentials();
    aws_iot::mutual_tls(
        emulator.endpoint(),
        Material::bytes(credentials.certificate_pem.clone()),
        Material::bytes(credentials.key_pem.clone()),
    )
    .root_ca(Material::bytes(emulator.authority().ca_pem()))
    .port(emulator.port())
    .client_id("outbox-device")
    .outbox(outbox)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_before_the_first_connection_is_sent_by_the_next_run_of_the_program() {
    let emulator = Emulator::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = || OutboxFile::new(directory.path().join("outbox")).drain_rate(DrainRate::unlimited());

    // A run without a network.
    let nowhere = from_nowhere(file());
    let client = nowhere.connect_lazily().await.unwrap();
    for n in 0..10 {
        let _ack = client.publish_durably(Message::new("outbox/test", n.to_string()).unwrap()).await.unwrap();
    }
    client.close(Duration::ZERO).await.unwrap();
    assert!(client.damaged_outbox().is_none());

    // The next one has one.
    let watcher =
        device(&emulator, directory.path().join("other")).client_id("watcher").connect().await.unwrap();
    let mut messages = watcher.subscribe("outbox/test", QoS::AtLeastOnce).await.unwrap();
    let client = device(&emulator, file()).connect().await.unwrap();
    for n in 0..10 {
        let message = timeout(Duration::from_secs(20), messages.next()).await.unwrap().unwrap();
        assert_eq!(message.payload(), n.to_string().as_bytes());
    }
    let leftover = client.close(Duration::from_secs(10)).await.unwrap();
    assert!(leftover.is_empty(), "{leftover:?}");
}

/// Without a network.
fn nowhere() -> Builder {
    aws_iot::over(aws_iot::from_fn(async |_attempt| {
        let unreachable = std::io::ErrorKind::NetworkUnreachable;
        Err::<tokio::io::DuplexStream, _>(ConnectError::from_io(Phase::Tcp, unreachable.into()))
    }))
}

/// A device without a network.
fn from_nowhere(file: OutboxFile) -> Builder {
    nowhere().outbox(file)
}

#[tokio::test]
async fn an_outbox_that_cannot_be_opened_is_said_before_anything_is_dialled() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("missing").join("outbox");
    let error = from_nowhere(OutboxFile::new(&path)).connect_lazily().await.unwrap_err();
    assert!(matches!(error, Error::Outbox(_)));
    assert!(error.to_string().contains("does not exist: make it"), "{error}");
    let file = directory.path().join("outbox");
    let first = from_nowhere(OutboxFile::new(&file)).connect_lazily().await.unwrap();
    let error = from_nowhere(OutboxFile::new(&file)).connect_lazily().await.unwrap_err();
    assert!(matches!(&error, Error::Outbox(error) if error.kind() == StoreErrorKind::InUse), "{error}");
    drop(first);
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_the_client_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("outbox");
    std::fs::write(&file, "no database").unwrap();
    let client = from_nowhere(OutboxFile::new(&file)).connect_lazily().await.unwrap();
    let aside = client.damaged_outbox().unwrap();
    assert_eq!(std::fs::read(aside).unwrap(), b"no database");
    let _ack = client.publish_durably(Message::new("a", "b").unwrap()).await.unwrap();
}

#[tokio::test]
async fn without_an_outbox_nothing_can_be_published_durably() {
    let client = nowhere().connect_lazily().await.unwrap();
    let error = client.publish_durably(Message::new("a", "b").unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("keeps no messages on disk"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_kept_goes_on_with_the_next_run_of_the_program() {
    let emulator = Emulator::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("outbox");
    let device = || {
        let credentials = emulator.credentials();
        aws_iot::mutual_tls(
            emulator.endpoint(),
            Material::bytes(credentials.certificate_pem.clone()),
            Material::bytes(credentials.key_pem.clone()),
        )
        .root_ca(Material::bytes(emulator.authority().ca_pem()))
        .port(emulator.port())
        .version(Version::V5)
        .session_expiry(Duration::from_secs(600))
        .outbox(OutboxFile::new(&file).keep_session(true))
    };
    let client = device().connect().await.unwrap();
    assert!(client.left_subscriptions().is_empty());
    let messages = client.subscribe("kept/one", QoS::AtLeastOnce).await.unwrap();
    let _other = client.subscribe("kept/two", QoS::AtLeastOnce).await.unwrap();
    client.close(Duration::from_secs(10)).await.unwrap();
    drop(messages);

    let other = directory.path().join("other");
    let publisher = self::device(&emulator, other).client_id("publisher").connect().await.unwrap();
    publisher.publish(Message::new("kept/one", "meanwhile").unwrap()).await.unwrap().await.unwrap();

    // Another run: with the client id that was generated, and no clean start.
    let client = device().connect_lazily().await.unwrap();
    let left: Vec<&str> = client.left_subscriptions().iter().map(TopicFilter::as_str).collect();
    assert_eq!(left, ["kept/one", "kept/two"]);
    let mut messages = client.subscribe("kept/one", QoS::AtLeastOnce).await.unwrap();
    let message = timeout(Duration::from_secs(20), messages.next()).await.unwrap().unwrap();
    assert_eq!(message.payload(), b"meanwhile");
    client.unsubscribe("kept/two").await.unwrap();
    client.close(Duration::from_secs(10)).await.unwrap();
    let client = device().connect_lazily().await.unwrap();
    assert_eq!(client.left_subscriptions().len(), 1);
}
