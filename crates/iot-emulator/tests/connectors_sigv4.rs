//! WebSockets of iot-transport, signed by Signature Version 4, and why they are refused.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

mod common;
mod dial;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::BOTH;
use common::http::now;
use dial::{assert_hides, dial, fail, keys, signed, speaks_mqtt};
use iot_emulator::{AwsCredentials, Emulator};
use iot_transport::{ConnectError, ConnectErrorKind as Kind, Phase, SigV4};
use mqtt_codec::Version;

const MINUTE: Duration = Duration::from_secs(60);
const REGION: &str = "us-east-1";

/// 2024-01-15T12:00:00Z
fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_705_320_000)
}

fn mine() -> AwsCredentials {
    AwsCredentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
}

fn temporary() -> AwsCredentials {
    mine().with_session_token("IQoJb3JpZ2luX2VjEOP//+/wEaCXVz LXdlc3QtMiJ=")
}

/// An emulator whose clock stands at noon and which knows these credentials.
async fn at_noon(credentials: AwsCredentials) -> Emulator {
    Emulator::builder().wall_clock(noon).aws_credentials(credentials).start().await.unwrap()
}

/// How a signature made with these credentials at this time is refused; neither they nor the signature are shown.
async fn refusal(
    emulator: &Emulator,
    credentials: &AwsCredentials,
    region: &str,
    time: SystemTime,
) -> ConnectError {
    let signer = SigV4::new(keys(credentials)).region(region).clock(move || time);
    let url = signer.presigned_url(emulator.endpoint(), "/mqtt", &keys(credentials), time).unwrap();
    let signature = url.split_once("X-Amz-Signature=").unwrap().1.split('&').next().unwrap().to_owned();
    assert_eq!(signature.len(), 64);
    let connector = signed(emulator, signer);
    let error = fail(&connector).await;
    assert_eq!((error.kind(), error.phase()), (Kind::HttpRefused, Phase::Upgrade), "{error}");
    assert_eq!((error.http_status(), error.is_retryable()), (Some(403), true), "{error}");
    assert!(error.to_string().starts_with("WebSocket upgrade with localhost:"), "{error}");
    let token = credentials.session_token.clone().unwrap_or_else(|| "no such token".to_owned());
    let encoded = token.split('/').next().unwrap().to_owned();
    let secrets = [&credentials.secret_access_key, &token, &encoded, &signature];
    assert_hides(&error, &secrets.map(String::as_str));
    let shown = format!("{connector:?}");
    assert!(secrets.iter().all(|secret| !shown.contains(secret.as_str())), "{shown}");
    error
}

#[tokio::test]
async fn a_signature_opens_a_websocket_over_tls_with_a_session_token_or_without() {
    for credentials in [mine(), temporary()] {
        let emulator = Emulator::builder()
            .https(true)
            .region("eu-central-1")
            .aws_credentials(credentials.clone())
            .start()
            .await
            .unwrap();
        let connector = signed(&emulator, SigV4::new(keys(&credentials)).region("eu-central-1"));
        for version in BOTH {
            speaks_mqtt(dial(&connector).await, version).await;
        }
    }
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_by_how_much_and_which_way() {
    let emulator = at_noon(mine()).await;
    for (time, words) in [
        (noon() + 6 * MINUTE, "360 s ahead of the server's"),
        (noon() - 30 * MINUTE, "1800 s behind the server's"),
    ] {
        let error = refusal(&emulator, &mine(), REGION, time).await;
        assert!(error.reason().contains(words), "{error}");
        assert!(error.reason().contains("set the clock"), "{error}");
    }
    let within = noon() + 4 * MINUTE;
    let signer = SigV4::new(keys(&mine())).region(REGION).clock(move || within);
    speaks_mqtt(dial(&signed(&emulator, signer)).await, Version::V5).await;
}

#[tokio::test]
async fn expired_credentials_a_wrong_region_and_a_wrong_secret_each_have_their_sentence() {
    let expired = temporary().with_expiry(noon() - MINUTE);
    let emulator = at_noon(expired.clone()).await;
    let expired = refusal(&emulator, &expired, REGION, noon()).await.to_string();
    assert!(expired.contains("the temporary credentials had expired"), "{expired}");
    assert!(!expired.contains("clock"), "{expired}");

    let emulator = at_noon(mine()).await;
    let elsewhere = refusal(&emulator, &mine(), "eu-west-3", noon()).await.to_string();
    assert!(elsewhere.contains("eu-west-3") && elsewhere.contains("region"), "{elsewhere}");

    let mistyped = AwsCredentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEx");
    let mistyped = refusal(&emulator, &mistyped, REGION, noon()).await.to_string();
    assert!(mistyped.contains("secret"), "{mistyped}");

    let stranger = AwsCredentials::new("AKIDUNKNOWN", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    let stranger = refusal(&emulator, &stranger, REGION, noon()).await.to_string();
    assert!(stranger.contains("access key"), "{stranger}");

    let emulator = at_noon(temporary()).await;
    let tokenless = refusal(&emulator, &mine(), REGION, noon()).await.to_string();
    assert!(tokenless.contains("session token"), "{tokenless}");

    let all = [expired, elsewhere, mistyped, stranger, tokenless].map(|text| {
        // Without the address, whose port differs.
        text.split_once(" failed: ").unwrap().1.to_owned()
    });
    for (at, text) in all.iter().enumerate() {
        assert!(all.iter().skip(at + 1).all(|other| other != text), "twice: {text}");
    }
}

#[tokio::test]
async fn the_attempt_after_a_rotation_is_signed_with_the_new_credentials() {
    let emulator = Emulator::start().await.unwrap();
    let given = Arc::new(Mutex::new(keys(&emulator.aws_credentials())));
    let connector = signed(&emulator, SigV4::new(Shared(Arc::clone(&given))).region(REGION));
    let mut before = common::Client::new(dial(&connector).await, Version::V5);
    before.connect("before").await;

    let new = temporary().with_expiry(now() + MINUTE);
    emulator.set_aws_credentials(new.clone());
    let error = fail(&connector).await;
    assert_eq!((error.http_status(), error.is_retryable()), (Some(403), true), "{error}");
    *given.lock().unwrap() = keys(&new);
    speaks_mqtt(dial(&connector).await, Version::V5).await;
    before.ping().await;
}

/// Credentials that are exchanged from outside.
#[derive(Debug)]
struct Shared(Arc<Mutex<iot_transport::credentials::Credentials>>);

impl iot_transport::credentials::ProvideCredentials for Shared {
    fn provide_credentials<'a>(
        &'a self,
    ) -> iot_transport::credentials::aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        use iot_transport::credentials::aws_credential_types::provider::future;
        future::ProvideCredentials::ready(Ok(self.0.lock().unwrap().clone()))
    }
}
