//! Clients over WebSocket whose credentials, or connections, do not last.
#![cfg(all(feature = "websocket", feature = "cognito", feature = "iot-credentials", feature = "proxy"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

mod common;

use std::time::{Duration, SystemTime};

use aws_iot::crates::iot_transport::Attempt;
use aws_iot::credentials::CredentialsError;
use aws_iot::{Backoff, Builder, QoS, Status, Version};
use common::{BOTH, Told, assert_hides, connect_error, failed, keys, refused, there_and_back, websocket};
use iot_emulator::{AwsCredentials, Emulator};

#[tokio::test]
async fn a_running_client_takes_up_rotated_credentials_at_its_very_next_attempt() {
    for version in BOTH {
        let emulator = Emulator::start().await.unwrap();
        let old = emulator.aws_credentials();
        let (answers, told) = Told::new();
        answers.send(Ok(keys(&old))).unwrap();
        let client = websocket(&emulator, told.clone()).version(version).connect().await.unwrap();
        let mut status = client.status();

        let new = AwsCredentials::new("AKIDNEW", "a secret that is new").with_session_token("a+new/token==");
        emulator.set_aws_credentials(new.clone());
        there_and_back(&client).await;
        assert!(emulator.kick("device").await);
        answers.send(Ok(keys(&old))).unwrap();
        let error = failed(&mut status, "403").await;
        assert_eq!(connect_error(&error).http_status(), Some(403));
        assert!(error.is_retryable());
        assert_hides(&error, &[&old.secret_access_key]);
        // Nobody asked for more than that: the next attempt is the first to see the new ones.
        answers.send(Ok(keys(&new))).unwrap();
        status.wait_for(Status::is_connected).await.unwrap();
        assert!(told.is_empty().await);
        assert_eq!((client.stats().attempts, client.stats().connections), (3, 2));
        there_and_back(&client).await;
        client.disconnect().await.unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "temporary credentials are measured by the system's date")]
fn in_twelve_hours() -> SystemTime {
    SystemTime::now() + Duration::from_secs(12 * 3_600)
}

#[tokio::test]
async fn a_client_whose_temporary_credentials_are_revoked_long_before_they_expire_comes_back_with_others() {
    for version in BOTH {
        let emulator = Emulator::start().await.unwrap();
        let temporary = |key: &str, secret: &str| {
            let mut credentials = AwsCredentials::new(key, secret).with_session_token("a+token/==");
            credentials.expires = Some(in_twelve_hours());
            credentials
        };
        let (old, new) =
            (temporary("AKIDOLD", "a secret of old"), temporary("AKIDNEW", "a secret that is new"));
        emulator.set_aws_credentials(old.clone());
        let (answers, told) = Told::new();
        answers.send(Ok(keys(&old))).unwrap();
        let client = websocket(&emulator, told.clone()).version(version).connect().await.unwrap();
        let mut status = client.status();

        emulator.set_aws_credentials(new.clone());
        answers.send(Ok(keys(&new))).unwrap();
        assert!(emulator.kick("device").await);
        // The second attempt shows what was kept; its refusal is why the third asks.
        status.wait_for(|status| matches!(status, Status::Disconnected { .. })).await.unwrap();
        tokio::time::timeout(Duration::from_secs(20), status.wait_for(Status::is_connected))
            .await
            .unwrap()
            .unwrap();
        assert_eq!((client.stats().attempts, client.stats().connections), (3, 2));
        assert!(told.is_empty().await);
        there_and_back(&client).await;
    }
}

#[tokio::test]
async fn a_client_whose_provider_fails_for_a_while_comes_online_by_itself() {
    let emulator = Emulator::start().await.unwrap();
    let (answers, told) = Told::new();
    let good = keys(&emulator.aws_credentials());
    let sealed = || Err(CredentialsError::provider_error("the vault is sealed"));
    answers.send(sealed()).unwrap();
    let error = refused(websocket(&emulator, told.clone()).connect().await);
    assert!(error.is_retryable() && error.to_string().contains("the vault is sealed"), "{error}");

    // The first connection is waited for, if that is wished for.
    for answer in [sealed(), sealed(), Ok(good.clone())] {
        answers.send(answer).unwrap();
    }
    let client = websocket(&emulator, told.clone()).retry_first(true).connect().await.unwrap();
    assert_eq!(client.stats().attempts, 3);
    let mut status = client.status();

    // A later one always is.
    assert!(emulator.kick("device").await);
    for _ in 0..3 {
        answers.send(sealed()).unwrap();
        let error = failed(&mut status, "the vault is sealed").await;
        assert!(error.to_string().contains("credential lookup"), "{error}");
        status.wait_for(|status| matches!(status, Status::Connecting { .. })).await.unwrap();
    }
    answers.send(Ok(good)).unwrap();
    status.wait_for(Status::is_connected).await.unwrap();
    assert_eq!((client.stats().attempts, client.stats().connections), (7, 2));
    there_and_back(&client).await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_never_answers_ends_the_attempt_at_the_connect_timeout_and_is_named() {
    // Nothing is dialled, so the clock may stand still.
    let (_answers, never) = Told::new();
    let builder = aws_iot::websocket("localhost", never).region("us-east-1");
    let attempt = Attempt::within(1, Duration::from_secs(7));
    let error = refused(builder.connect_timeout(Duration::from_secs(7)).connect().await);
    let just_after = Attempt::new(1, attempt.deadline() + Duration::from_millis(1));
    assert!(attempt.remaining().is_zero() && !just_after.remaining().is_zero());
    assert!(error.is_retryable() && error.to_string().contains("credential lookup"), "{error}");
}

/// Longer than what is cut off it, and told from others by its first byte.
fn payload(number: usize) -> Vec<u8> {
    vec![u8::try_from(number % 251).unwrap(); 500]
}

#[tokio::test]
async fn a_cut_after_any_of_the_servers_first_400_bytes_loses_neither_client_nor_message() {
    let emulator = Emulator::start().await.unwrap();
    let builder = websocket(&emulator, keys(&emulator.aws_credentials())).version(Version::V5);
    cuts(&emulator, builder.session_expiry(Duration::from_secs(600))).await;
}

#[tokio::test]
async fn a_cut_in_mqtt_3_loses_neither_either() {
    let emulator = Emulator::start().await.unwrap();
    let builder = websocket(&emulator, keys(&emulator.aws_credentials())).version(Version::V3_1_1);
    cuts(&emulator, builder.clean_start(false)).await;
}

async fn cuts(emulator: &Emulator, builder: Builder) {
    let client = builder
        .backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(1), Duration::from_secs(20)))
        .connect_interval(Duration::ZERO)
        .connect()
        .await
        .unwrap();
    let mut messages = client.subscribe("news", QoS::AtLeastOnce).await.unwrap();
    let mut status = client.status();
    for cut in 0..=400 {
        let before = client.stats();
        emulator.cut_after(cut);
        assert!(emulator.kick("device").await, "{cut}");
        // For the session: it waits there, or goes into the connection that is cut, and comes again.
        emulator.publish("news", payload(cut), QoS::AtLeastOnce, false).await.unwrap();
        let message = async {
            loop {
                let message = messages.next().await.unwrap();
                if message.payload() == payload(cut) {
                    break;
                }
                // One that came twice, as QoS 1 may.
                assert_eq!(message.payload(), payload(cut.saturating_sub(1)), "{cut}");
            }
        };
        tokio::time::timeout(Duration::from_secs(20), message).await.unwrap();
        tokio::time::timeout(Duration::from_secs(20), status.wait_for(Status::is_connected))
            .await
            .unwrap()
            .unwrap();
        assert!(client.stats().attempts >= before.attempts + 2, "{cut} was cut: {:?}", client.stats());
        // The client is where the emulator says it is.
        there_and_back(&client).await;
    }
}
