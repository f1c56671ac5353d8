//! Keys that stay where they are, and other people's trust anchors.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]
#![allow(unreachable_pub, dead_code, reason = "the shared helpers serve other tests too")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Ca, TLS12, TLS13, parameters, providers};
use iot_transport::tls::rustls::SignatureScheme;
use iot_transport::tls::rustls::client::ResolvesClientCert;
use iot_transport::tls::rustls::sign::{CertifiedKey, Signer, SigningKey};
use iot_transport::tls::rustls::{ServerConfig, SignatureAlgorithm};
use iot_transport::{Attempt, ConnectError, ConnectErrorKind, Connector, Identity, Tls, TlsOptions, from_fn};
use rcgen::KeyPair;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::TlsAcceptor;

/// What a driver for a secure element would be: it signs, and counts how often.
#[derive(Debug)]
struct SecureElement {
    certificate: CertificateDer<'static>,
    inside: Arc<dyn SigningKey>,
    asked: AtomicUsize,
}

/// The handle that rustls gets: it has no key, only the element.
#[derive(Debug)]
struct Handle(Arc<dyn SigningKey>);

impl SigningKey for Handle {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        self.0.choose_scheme(offered)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

impl ResolvesClientCert for SecureElement {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let key = Arc::new(Handle(Arc::clone(&self.inside)));
        Some(Arc::new(CertifiedKey::new(vec![self.certificate.clone()], key)))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Connects to a server with this configuration over a pipe, and has one byte sent back.
async fn echo(options: TlsOptions, server: ServerConfig) -> Result<(), ConnectError> {
    let (ours, theirs) = duplex(64 * 1024);
    let serving = tokio::spawn(async move {
        let mut stream = TlsAcceptor::from(Arc::new(server)).accept(theirs).await?;
        let byte = stream.read_u8().await?;
        stream.write_u8(byte).await?;
        stream.flush().await
    });
    let ours = std::sync::Mutex::new(Some(ours));
    let pipe = from_fn(move |_| std::future::ready(Ok(ours.lock().unwrap().take().unwrap())));
    let tls = Tls::new(pipe.with_endpoint("broker.example", 8883), options);
    let mut stream = tls.connect(&Attempt::within(1, Duration::from_secs(10))).await?;
    stream.write_u8(7).await?;
    stream.flush().await?;
    let echoed = stream.read_u8().await?;
    assert_eq!(echoed, 7);
    serving.await.unwrap().unwrap();
    Ok(())
}

#[tokio::test]
async fn a_key_that_stays_in_a_secure_element_signs_each_handshake() {
    let (ca, key) = (Ca::new(), KeyPair::generate().unwrap());
    let certificate = CertificateDer::from_pem_slice(ca.sign(&["device"], &key).as_bytes()).unwrap();
    for provider in providers() {
        let der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let inside = provider.key_provider.load_private_key(der).unwrap();
        let element =
            Arc::new(SecureElement { certificate: certificate.clone(), inside, asked: AtomicUsize::new(0) });
        let options = TlsOptions::new(ca.anchors())
            .provider(provider.clone())
            .identity(Identity::resolver(Arc::clone(&element) as _));
        for versions in [TLS12, TLS13] {
            let server = ca.server(&provider, versions, &parameters(&["broker.example"]), Some(&ca));
            echo(options.clone(), server).await.unwrap();
        }
        assert_eq!(element.asked.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test]
async fn a_secure_element_with_the_key_of_another_certificate_is_told_by_the_servers_refusal() {
    let (ca, key, other) = (Ca::new(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let certificate = CertificateDer::from_pem_slice(ca.sign(&["device"], &key).as_bytes()).unwrap();
    for provider in providers() {
        let der = PrivateKeyDer::try_from(other.serialize_der()).unwrap();
        let inside = provider.key_provider.load_private_key(der).unwrap();
        let element = SecureElement { certificate: certificate.clone(), inside, asked: AtomicUsize::new(0) };
        let options = TlsOptions::new(ca.anchors())
            .provider(provider.clone())
            .identity(Identity::resolver(Arc::new(element)));
        for versions in [TLS12, TLS13] {
            let server = ca.server(&provider, versions, &parameters(&["broker.example"]), Some(&ca));
            // With TLS 1.3 it is the first read that fails.
            let error = echo(options.clone(), server).await.unwrap_err();
            assert_eq!(error.kind(), ConnectErrorKind::ClientCertificateRejected, "{error}");
            assert!(error.reason().contains("check the client certificate and its key"), "{error}");
        }
    }
}

#[cfg(feature = "amazon-roots")]
#[tokio::test]
async fn amazons_roots_vouch_for_nobody_else_unless_another_ca_is_added() {
    let ca = Ca::new();
    for provider in providers() {
        let server = || ca.server(&provider, TLS13, &parameters(&["broker.example"]), None);
        let amazon = TlsOptions::new(iot_transport::TrustAnchors::amazon()).provider(provider.clone());
        let error = echo(amazon, server()).await.unwrap_err();
        assert!(error.reason().contains("not among the trust anchors"), "{error}");
        let both = iot_transport::TrustAnchors::amazon().and(iot_transport::Material::bytes(ca.pem()));
        echo(TlsOptions::new(both).provider(provider.clone()), server()).await.unwrap();
    }
}

#[cfg(all(feature = "platform-verifier", target_os = "linux"))]
#[tokio::test]
async fn the_systems_anchors_can_be_had_and_added_to() {
    let ca = Ca::new();
    for provider in providers() {
        let server = || ca.server(&provider, TLS13, &parameters(&["broker.example"]), None);
        let more = iot_transport::TrustAnchors::platform().and(iot_transport::Material::bytes(ca.pem()));
        echo(TlsOptions::new(more).provider(provider.clone()), server()).await.unwrap();
        // Alone they are those of this system, which may have none: either way nobody trusts our CA.
        let alone = TlsOptions::new(iot_transport::TrustAnchors::platform()).provider(provider.clone());
        assert!(!echo(alone, server()).await.unwrap_err().is_retryable());
    }
}

#[cfg(feature = "dangerous-accept-any-server")]
#[tokio::test]
async fn the_switch_for_tests_takes_any_server() {
    let (ca, other) = (Ca::new(), Ca::named("another CA"));
    for provider in providers() {
        for versions in [TLS12, TLS13] {
            let server = || ca.server(&provider, versions, &parameters(&["elsewhere.example"]), None);
            let options = TlsOptions::new(other.anchors()).provider(provider.clone());
            echo(options.clone(), server()).await.unwrap_err();
            echo(options.dangerous_accept_any_server(), server()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_certificates_say_is_told_of_both_sides_though_the_server_is_not_trusted() {
    use iot_transport::Material;
    use iot_transport::tls::{CertificateFacts, Presented};
    let (ca, other, key) = (Ca::named("their CA"), Ca::named("our CA"), KeyPair::generate().unwrap());
    let (certificate, key) = (other.sign(&["device"], &key), key.serialize_pem());
    for provider in providers() {
        let presented = Presented::default();
        let identity = Identity::new(Material::bytes(certificate.as_str()), Material::bytes(key.as_str()));
        let options = TlsOptions::new(other.anchors()).provider(provider.clone()).identity(identity);
        let own = options.client_certificate().unwrap().unwrap();
        assert!(own.issuer().contains("CN=our CA"), "{own}");
        assert!(own.not_before().unwrap() < own.not_after().unwrap(), "{own}");
        let id = own.id().unwrap();
        assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");

        let server = ca.server(&provider, TLS13, &parameters(&["broker.example"]), None);
        echo(options.presented(presented.clone()), server).await.unwrap_err();
        let chain = presented.chain();
        assert!(chain[0].issuer().contains("CN=their CA") && chain[0].id().is_none(), "{chain:?}");
    }
    let nobody = TlsOptions::new(ca.anchors());
    assert_eq!(nobody.client_certificate().unwrap(), None);
    assert_eq!(CertificateFacts::of(b"no certificate"), None);
}
