//! Identities and connectors that the user brings, and a certificate that is good later only.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use aws_iot::crates::iot_transport::tls::default_provider;
use aws_iot::crates::iot_transport::tls::rustls::SignatureScheme;
use aws_iot::crates::iot_transport::tls::rustls::client::ResolvesClientCert;
use aws_iot::crates::iot_transport::tls::rustls::pki_types::pem::PemObject;
use aws_iot::crates::iot_transport::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use aws_iot::crates::iot_transport::tls::rustls::sign::CertifiedKey;
use aws_iot::crates::iot_transport::{Tcp, Tls, TlsOptions, TrustAnchors};
use aws_iot::{
    Attempt, Backoff, Builder, Connector, Error, Identity, Material, Message, QoS, Status, Version, from_fn,
};
use iot_emulator::{CredentialFiles, Credentials, Emulator};

/// A publish there and back.
async fn works(builder: Builder) {
    let client = builder.client_id("device").connect().await.unwrap();
    let mut messages = client.subscribe("a", QoS::AtLeastOnce).await.unwrap();
    client.publish(Message::new("a", "hello").unwrap()).await.unwrap().await.unwrap();
    assert_eq!(messages.next().await.unwrap().payload(), b"hello");
    client.disconnect().await.unwrap();
}

/// Stands for a secure element: only it has the key.
#[derive(Debug)]
struct Element {
    certified: Arc<CertifiedKey>,
    asked: AtomicUsize,
}

impl Element {
    fn with(credentials: &Credentials) -> Self {
        let certificate = CertificateDer::from_pem_slice(credentials.certificate_pem.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(credentials.key_pem.as_bytes()).unwrap();
        let key = default_provider().unwrap().key_provider.load_private_key(key).unwrap();
        let certified = Arc::new(CertifiedKey::new(vec![certificate], key));
        Self { certified, asked: AtomicUsize::new(0) }
    }
}

impl ResolvesClientCert for Element {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Some(Arc::clone(&self.certified))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_key_that_only_a_secure_element_has_signs_each_handshake() {
    let emulator = Emulator::start().await.unwrap();
    let element = Arc::new(Element::with(emulator.credentials()));
    let identity = Identity::resolver(Arc::clone(&element) as Arc<dyn ResolvesClientCert>);
    let builder = aws_iot::mutual_tls_with(emulator.endpoint(), identity)
        .root_ca(Material::bytes(emulator.credentials().ca_pem.as_str()))
        .port(emulator.port());
    works(builder.clone()).await;
    works(builder).await;
    assert_eq!(element.asked.load(Ordering::Relaxed), 2);
}

/// Both come after the handshake of TLS 1.3, when the CONNECT is on its way: not as a connection that was just closed.
#[tokio::test]
async fn a_server_that_wants_a_certificate_and_gets_none_or_no_proof_of_its_key_says_so_to_the_user() {
    let emulator = Emulator::start().await.unwrap();
    let mut mixed = emulator.credentials().clone();
    mixed.key_pem = emulator.authority().issue_client("other").unwrap().key_pem;
    let anchors = TrustAnchors::ca(Material::bytes(emulator.credentials().ca_pem.as_str()));
    let without = TlsOptions::new(anchors);
    let unproven = without.clone().identity(Identity::resolver(Arc::new(Element::with(&mixed))));
    for (options, expected) in [
        (
            without,
            "the server requires a client certificate and was given none; pass the device's certificate",
        ),
        (
            unproven,
            "the server could not verify our side of the handshake; check the client certificate and its key",
        ),
    ] {
        for version in [Version::V3_1_1, Version::V5] {
            let tls = Tls::new(Tcp::new(emulator.endpoint(), emulator.port()), options.clone());
            let error = aws_iot::over(tls).version(version).connect().await.unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(emulator.connected_clients().await.is_empty());
        }
    }
}

#[tokio::test]
async fn a_connector_of_the_users_leads_where_it_leads() {
    let emulator = Emulator::builder().plain(true).start().await.unwrap();
    let port = emulator.plain_port().unwrap();
    // What belongs to the doors of AWS IoT Core means nothing here.
    let builder = aws_iot::over(Tcp::new("127.0.0.1", port)).port(1).root_ca(Material::bytes("none"));
    let shown = format!("{builder:?}");
    assert!(
        shown.contains(&format!("127.0.0.1:{port}")) && shown.contains("connector of the user's"),
        "{shown}"
    );
    works(builder).await;

    let dialled = Arc::new(AtomicUsize::new(0));
    let connector = from_fn({
        let dialled = Arc::clone(&dialled);
        move |attempt: Attempt| {
            dialled.fetch_add(1, Ordering::Relaxed);
            async move { Tcp::new("127.0.0.1", port).connect(&attempt).await }
        }
    });
    works(aws_iot::over(connector)).await;
    assert_eq!(dialled.load(Ordering::Relaxed), 1);
}

#[expect(clippy::disallowed_methods, reason = "certificates are measured by the system's date")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[tokio::test]
async fn a_certificate_outside_its_dates_is_waited_for_if_the_first_connection_is() {
    let emulator = Emulator::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (builder, files) = before_its_dates(&emulator, directory.path());
    let error = builder.clone().connect().await.unwrap_err();
    assert!(matches!(error, Error::Tls(_)) && error.is_retryable(), "{error}");

    // Connecting is under way, and has found the files as they were, when they are replaced.
    let replaced = async {
        let good = emulator.credentials();
        fs::write(&files.key, &good.key_pem).unwrap();
        fs::write(&files.certificate, &good.certificate_pem).unwrap();
    };
    let (client, ()) = tokio::join!(builder.clone().retry_first(true).connect(), replaced);
    client.unwrap().disconnect().await.unwrap();

    // What does not heal by itself is told at once all the same.
    fs::write(&files.key, "no key").unwrap();
    let error = builder.retry_first(true).connect().await.unwrap_err();
    assert!(matches!(error, Error::Tls(_)) && !error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_certificate_outside_its_dates_is_waited_for_by_who_connects_lazily() {
    let emulator = Emulator::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (builder, files) = before_its_dates(&emulator, directory.path());
    let client = builder.clone().connect_lazily().await.unwrap();
    let mut status = client.status();
    let failed = status.wait_for(|status| matches!(status, Status::Disconnected { retry_in: Some(_), .. }));
    failed.await.unwrap();
    let good = emulator.credentials();
    fs::write(&files.key, &good.key_pem).unwrap();
    fs::write(&files.certificate, &good.certificate_pem).unwrap();
    client.online().await.unwrap();
    client.disconnect().await.unwrap();

    fs::write(&files.key, "no key").unwrap();
    let error = builder.connect_lazily().await.unwrap_err();
    assert!(matches!(error, Error::Tls(_)) && !error.is_retryable(), "{error}");
}

/// A device whose certificate is valid only in an hour.
fn before_its_dates(emulator: &Emulator, directory: &Path) -> (Builder, CredentialFiles) {
    let hour = Duration::from_secs(3_600);
    let early = emulator.authority().issue_client_valid("device", now() + hour, now() + 2 * hour).unwrap();
    let files = early.write_to(directory).unwrap();
    let builder = aws_iot::mutual_tls(
        emulator.endpoint(),
        Material::file(&files.certificate),
        Material::file(&files.key),
    )
    .root_ca(Material::file(&files.ca))
    .port(emulator.port())
    .connect_interval(Duration::ZERO)
    .backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(1), Duration::from_secs(20)));
    (builder, files)
}
