//! Credentials of iot-transport from the emulator's services, and the WebSockets that they open.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

mod common;
mod dial;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::BOTH;
use dial::{assert_hides, dial, fail, https, identity, signed, speaks_mqtt, tcp, trusting};
use iot_emulator::{Credentials as Device, Emulator};
use iot_transport::credentials::{
    Cached, Cognito, Credentials, CredentialsError, IotCredentialProvider, ProvideCredentials, explain,
};
use iot_transport::{ConnectErrorKind as Kind, Phase, SigV4, Tcp, Tls, alpn};

const REGION: &str = "us-east-1";

fn cognito(emulator: &Emulator, pool: &str) -> Cognito {
    Cognito::over(pool, https(emulator)).unwrap()
}

/// With a device's certificate.
fn device(emulator: &Emulator, device: &Device) -> Tls<Tcp> {
    Tls::new(tcp(emulator), trusting(emulator).identity(identity(device)).alpn([alpn::HTTP]))
}

fn provider(emulator: &Emulator) -> IotCredentialProvider {
    let connector = device(emulator, emulator.credentials());
    IotCredentialProvider::over(emulator.role_alias(), connector).unwrap().thing_name("device")
}

/// Opens a WebSocket with what this gives.
async fn opens(emulator: &Emulator, credentials: impl ProvideCredentials + 'static) {
    let connector = signed(emulator, SigV4::new(credentials).region(REGION));
    for version in BOTH {
        speaks_mqtt(dial(&connector).await, version).await;
    }
}

#[tokio::test]
async fn a_guest_of_the_identity_pool_gets_credentials_that_open_the_websocket() {
    let emulator = Emulator::start().await.unwrap();
    let pool = Arc::new(cognito(&emulator, emulator.identity_pool()));
    let shared: Arc<dyn ProvideCredentials> = pool.clone();
    opens(&emulator, shared).await;
    let identity = pool.identity_id().unwrap();
    let again = cognito(&emulator, emulator.identity_pool()).identity(identity.clone());
    opens(&emulator, Cached::new(again)).await;
    assert_eq!(pool.identity_id(), Some(identity), "asked for once");
}

#[tokio::test]
async fn who_has_logged_in_gets_credentials_where_guests_get_none() {
    let emulator = Emulator::builder().unauthenticated_identities(false).start().await.unwrap();
    let login = async || Ok(HashMap::from([("accounts.example".to_owned(), "token".to_owned())]));
    opens(&emulator, cognito(&emulator, emulator.identity_pool()).logins(login)).await;
    let guest = cognito(&emulator, emulator.identity_pool());
    let error = explain(&guest.provide_credentials().await.unwrap_err());
    assert!(error.contains("NotAuthorizedException") && error.contains("allow guest access"), "{error}");
}

#[tokio::test]
async fn a_device_certificate_gets_credentials_that_open_the_websocket() {
    let emulator = Emulator::builder().https(true).role_alias("sensors_1").start().await.unwrap();
    opens(&emulator, provider(&emulator)).await;
    // The port for HTTP needs no protocol name.
    let port = emulator.https_port().unwrap();
    let options = trusting(&emulator).identity(identity(emulator.credentials()));
    let provider = IotCredentialProvider::new(&format!("localhost:{port}"), "sensors_1", options).unwrap();
    opens(&emulator, Cached::new(provider)).await;
}

#[tokio::test]
async fn the_refusals_of_both_services_say_what_to_do_and_reach_the_attempt() {
    let emulator = Emulator::start().await.unwrap();
    let unknown = "us-east-1:11111111-1111-1111-1111-111111111111";
    let other_alias =
        IotCredentialProvider::over("other-alias", device(&emulator, emulator.credentials())).unwrap();
    let without = IotCredentialProvider::over(emulator.role_alias(), https(&emulator)).unwrap();
    let revoked = emulator.authority().issue_client("revoked").unwrap();
    emulator.deactivate_certificate(&revoked).unwrap();
    let revoked = IotCredentialProvider::over(emulator.role_alias(), device(&emulator, &revoked)).unwrap();
    let cases: [(Box<dyn ProvideCredentials>, [&str; 2]); 4] = [
        (Box::new(cognito(&emulator, unknown)), [unknown, "check the identity pool's identifier"]),
        (Box::new(other_alias), ["the alias other-alias exists", "with status 403"]),
        (Box::new(without), ["presents its certificate", "with status 403"]),
        (Box::new(revoked), ["is registered and active", "with status 403"]),
    ];
    for (source, words) in cases {
        let error = source.provide_credentials().await.unwrap_err();
        assert!(matches!(error, CredentialsError::ProviderError(_)), "{error:?}");
        let told = explain(&error);
        assert!(words.iter().all(|word| told.contains(word)), "{told}");

        let source = iot_transport::credentials::SharedCredentialsProvider::new(Boxed(source));
        let error = fail(&signed(&emulator, SigV4::new(source).region(REGION))).await;
        assert_eq!((error.kind(), error.phase()), (Kind::Credentials, Phase::Credentials), "{error}");
        assert!(error.is_retryable() && words.iter().all(|word| error.reason().contains(word)), "{error}");
        assert!(error.to_string().starts_with("credential lookup for localhost:"), "{error}");
    }
}

#[tokio::test]
async fn short_lived_credentials_are_refreshed_before_the_server_finds_them_expired() {
    // 2024-01-15T12:00:00Z, for both sides.
    let time = Arc::new(AtomicU64::new(1_705_320_000));
    let clock = {
        let time = Arc::clone(&time);
        move || UNIX_EPOCH + Duration::from_secs(time.load(Ordering::Relaxed))
    };
    let emulator = Emulator::builder()
        .wall_clock(clock.clone())
        .credential_lifetime(Duration::from_secs(900))
        .start()
        .await
        .unwrap();
    let sources: [Box<dyn ProvideCredentials>; 2] =
        [Box::new(provider(&emulator)), Box::new(cognito(&emulator, emulator.identity_pool()))];
    for source in sources {
        let once = Boxed(source);
        let bare = once.provide_credentials().await.unwrap();
        let given = Arc::new(Mutex::new(Vec::new()));
        let cached = Cached::new(Logged(once, Arc::clone(&given))).clock(clock.clone());
        let keep = cached.clone();
        let signer = SigV4::new(cached).region(REGION).clock(clock.clone());
        let connector = signed(&emulator, signer);
        for (seconds, asked) in [(0, 1), (500, 1), (150, 2), (500, 2), (1_000, 3)] {
            time.fetch_add(seconds, Ordering::Relaxed);
            speaks_mqtt(dial(&connector).await, BOTH[1]).await;
            assert_eq!(given.lock().unwrap().len(), asked);
        }
        assert!(keep.provide_credentials().await.unwrap().expiry() > Some(clock()));
        // Without it, the emulator would have said no.
        let outdated = SigV4::new(bare.clone()).region(REGION).clock(clock.clone());
        let error = fail(&signed(&emulator, outdated)).await;
        assert_eq!(error.http_status(), Some(403), "{error}");
        assert!(error.reason().contains("the temporary credentials had expired"), "{error}");
        assert_hides(&error, &[bare.secret_access_key(), bare.session_token().unwrap()]);
    }
}

type Expiries = Arc<Mutex<Vec<Option<SystemTime>>>>;
type Given<'a> = iot_transport::credentials::aws_credential_types::provider::future::ProvideCredentials<'a>;

/// A provider of any type.
#[derive(Debug)]
struct Boxed(Box<dyn ProvideCredentials>);

impl ProvideCredentials for Boxed {
    fn provide_credentials<'a>(&'a self) -> Given<'a>
    where
        Self: 'a,
    {
        self.0.provide_credentials()
    }
}

/// A provider, and when what it gave expires.
#[derive(Debug)]
struct Logged<P>(P, Expiries);

impl<P: ProvideCredentials> ProvideCredentials for Logged<P> {
    fn provide_credentials<'a>(&'a self) -> Given<'a>
    where
        Self: 'a,
    {
        Given::new(async {
            let credentials: Credentials = self.0.provide_credentials().await?;
            self.1.lock().unwrap().push(credentials.expiry());
            Ok(credentials)
        })
    }
}
