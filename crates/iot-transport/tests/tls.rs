//! TLS handshakes that succeed and that fail, with every provider compiled in.
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

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Ca, TLS12, TLS13, parameters, providers, rsa, sec1, self_signed_server};
use iot_transport::tls::rustls::HandshakeKind;
use iot_transport::tls::rustls::crypto::CryptoProvider;
use iot_transport::tls::rustls::time_provider::TimeProvider;
use iot_transport::tls::rustls::{ServerConfig, SupportedProtocolVersion};
use iot_transport::{
    Attempt, BoxConnector, ConnectError, ConnectErrorKind as Kind, Connector, Identity, Material, Phase, Tcp,
    Tls, TlsOptions, TrustAnchors, explain_io, from_fn,
};
use rcgen::{ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P384_SHA384, date_time_ymd};
use rustls_pki_types::UnixTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

fn attempt() -> Attempt {
    Attempt::within(1, Duration::from_secs(30))
}

/// A server on loopback that sends back whatever it gets, and its port.
async fn echo_server(config: ServerConfig) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut buffer = [0; 64];
                while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                    stream.write_all(&buffer[..n]).await.unwrap();
                    stream.flush().await.unwrap();
                }
            });
        }
    });
    port
}

async fn echoes<C: Connector>(connector: C) -> C::Io {
    let mut stream = connector.connect(&attempt()).await.unwrap_or_else(|error| panic!("{error}"));
    let mut read = [0; 4];
    stream.write_all(b"ping").await.unwrap();
    stream.flush().await.unwrap();
    stream.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"ping");
    stream
}

fn options(ca: &Ca, provider: &Arc<CryptoProvider>) -> TlsOptions {
    TlsOptions::new(ca.anchors()).provider(provider.clone())
}

/// A TLS connector over an in-memory pipe, and the pipe's other end.
fn over_a_pipe(options: TlsOptions) -> (impl Connector, DuplexStream) {
    let (ours, theirs) = duplex(64 * 1024);
    let ours = Mutex::new(Some(ours));
    let inner = from_fn(move |attempt: Attempt| {
        attempt.enter(Phase::Tcp);
        std::future::ready(Ok(ours.lock().unwrap().take().unwrap()))
    });
    (Tls::new(inner.with_endpoint("broker.example", 8883), options), theirs)
}

/// Every crypto provider with every version of TLS.
fn everywhere() -> impl Iterator<Item = (Arc<CryptoProvider>, &'static [&'static SupportedProtocolVersion])> {
    providers().into_iter().flat_map(|provider| [TLS12, TLS13].map(|versions| (provider.clone(), versions)))
}

async fn refusal(connector: impl Connector) -> ConnectError {
    let attempt = attempt();
    let error = connector.connect(&attempt).await.map(drop).unwrap_err();
    assert_eq!((error.phase(), attempt.phase()), (Phase::Tls, Phase::Tls));
    error
}

#[tokio::test]
async fn client_certificates_work_in_every_key_form_and_version_boxed_or_not() {
    let ca = Ca::new();
    for provider in providers() {
        for versions in [TLS12, TLS13] {
            let server = ca.server(&provider, versions, &parameters(&["127.0.0.1"]), Some(&ca));
            let port = echo_server(server).await;
            let p256 = KeyPair::generate().unwrap();
            let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
            for (pair, key) in
                [(&p256, p256.serialize_pem()), (&p256, sec1(&p256)), (&p384, p384.serialize_pem())]
            {
                let certificate = Material::bytes(ca.sign(&["device"], pair));
                let options =
                    options(&ca, &provider).identity(Identity::new(certificate, Material::bytes(key)));
                echoes(Tls::new(Tcp::new("127.0.0.1", port), options.clone())).await;
                echoes(BoxConnector::new(Tls::new(Tcp::new("127.0.0.1", port), options))).await;
            }
        }
    }
}

#[tokio::test]
async fn rsa_keys_work_as_pkcs8_and_as_pkcs1() {
    let ca = Ca::new();
    let (pair, pkcs1) = rsa();
    let pkcs8 = pair.serialize_pem();
    assert!(pkcs8.starts_with("-----BEGIN PRIVATE KEY-----"));
    assert!(pkcs1.starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    let certificate = Material::bytes(ca.sign(&["device"], &pair));
    for provider in providers() {
        let port = echo_server(ca.server(&provider, TLS13, &parameters(&["127.0.0.1"]), Some(&ca))).await;
        for key in [&pkcs8, &pkcs1] {
            let identity = Identity::new(certificate.clone(), Material::bytes(key.as_str()));
            echoes(Tls::new(Tcp::new("127.0.0.1", port), options(&ca, &provider).identity(identity))).await;
        }
    }
}

#[tokio::test]
async fn files_are_read_again_for_each_attempt_and_sessions_resume_while_they_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let (ca, other) = (Ca::new(), Ca::new());
    for provider in providers() {
        let port = echo_server(ca.server(&provider, TLS13, &parameters(&["localhost"]), None)).await;
        std::fs::write(&path, other.pem()).unwrap();
        let options = TlsOptions::new(TrustAnchors::ca(Material::file(&path))).provider(provider.clone());
        let tls = Arc::new(Tls::new(Tcp::new("127.0.0.1", port), options.server_name("localhost")));
        let connect = || {
            let tls = tls.clone();
            from_fn(move |attempt| {
                let tls = tls.clone();
                async move { tls.connect(&attempt).await }
            })
        };

        let error = refusal(connect()).await;
        assert_eq!(error.kind(), Kind::CertificateRejected, "{error}");
        std::fs::write(&path, ca.pem()).unwrap();
        let kind = |stream: iot_transport::tls::TlsStream<_>| stream.get_ref().1.handshake_kind();
        assert_eq!(kind(echoes(connect()).await), Some(HandshakeKind::Full));
        assert_eq!(kind(echoes(connect()).await), Some(HandshakeKind::Resumed));
        std::fs::write(&path, other.pem()).unwrap();
        assert_eq!(refusal(connect()).await.kind(), Kind::CertificateRejected);
    }
}

#[tokio::test]
async fn a_server_of_another_name_or_ca_is_refused_with_what_it_showed() {
    let ca = Ca::new();
    for (provider, versions) in everywhere() {
        let names = parameters(&["a.example", "*.b.example", "127.0.0.1"]);
        let port = echo_server(ca.server(&provider, versions, &names, None)).await;
        let tcp = Tcp::new("127.0.0.1", port);

        echoes(Tls::new(tcp.clone(), options(&ca, &provider).server_name("x.b.example"))).await;
        let error = refusal(Tls::new(tcp.clone(), options(&ca, &provider).server_name("c.example"))).await;
        assert_eq!((error.kind(), error.is_retryable()), (Kind::CertificateRejected, false));
        assert_eq!(
            error.to_string(),
            format!(
                "TLS handshake with 127.0.0.1:{port} failed: the server's certificate is not valid for the \
                 name c.example: it carries a.example, *.b.example, 127.0.0.1; connect by a name that it \
                 carries, or find out who answers there"
            )
        );

        for (stranger, expected) in [
            (
                Ca::named("another CA"),
                "the server's certificate is signed by a CA that is not among the trust anchors; pass the CA \
                 that signed it, or find out who answers there",
            ),
            // This one has the same name, so that only the signature tells them apart.
            (
                Ca::new(),
                "a signature in the server's certificate chain is wrong: a CA among the trust anchors has the \
                 right name and another key; pass the CA that signed it",
            ),
        ] {
            let error = refusal(Tls::new(tcp.clone(), options(&stranger, &provider))).await;
            assert_eq!((error.kind(), error.is_retryable()), (Kind::CertificateRejected, false));
            assert_eq!(error.reason(), expected);
        }
    }
}

#[tokio::test]
async fn a_server_that_no_ca_vouches_for_is_refused() {
    let ca = Ca::new();
    for (provider, versions) in everywhere() {
        let names = parameters(&["127.0.0.1"]);
        let mut for_clients = names.clone();
        for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        for (server, expected) in [
            (
                self_signed_server(&provider, versions, &names),
                "the server's certificate is signed by a CA that is not among the trust anchors; pass the CA \
                 that signed it, or find out who answers there",
            ),
            (
                ca.server_itself(&provider, versions),
                "the server presents a CA's certificate as its own; give it a certificate signed by that CA",
            ),
            (
                ca.server(&provider, versions, &for_clients, None),
                "the server's certificate is not meant for a server; it needs the key usage serverAuth",
            ),
        ] {
            let port = echo_server(server).await;
            let error = refusal(Tls::new(Tcp::new("127.0.0.1", port), options(&ca, &provider))).await;
            assert_eq!((error.kind(), error.is_retryable()), (Kind::CertificateRejected, false), "{error}");
            assert_eq!(error.reason(), expected);
        }
    }
}

#[tokio::test]
async fn certificates_outside_their_dates_are_told_by_the_clock_that_was_passed() {
    #[derive(Debug)]
    struct Clock(Option<u64>);
    impl TimeProvider for Clock {
        fn current_time(&self) -> Option<UnixTime> {
            self.0.map(|seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
        }
    }
    let ca = Ca::new();
    for (provider, versions) in everywhere() {
        let mut params = parameters(&["127.0.0.1"]);
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        let port = echo_server(ca.server(&provider, versions, &params, None)).await;
        let at = |time| {
            Tls::new(Tcp::new("127.0.0.1", port), options(&ca, &provider).clock(Arc::new(Clock(time))))
        };

        echoes(at(Some(1_590_000_000))).await;
        for (time, expected) in [
            (
                Some(1_767_225_600),
                "the server's certificate expired on 2021-01-01, and this device's clock says 2026-01-01; \
                 renew the certificate, or set the clock",
            ),
            (
                Some(189_302_400),
                "the server's certificate is valid only from 2020-01-01, and this device's clock says \
                 1976-01-01; set the clock",
            ),
            (
                None,
                "this device does not know what time it is, so the dates of the server's certificate cannot \
                 be checked; set its clock",
            ),
        ] {
            let error = refusal(at(time)).await;
            assert_eq!((error.reason(), error.is_retryable()), (expected, true));
            let kind = if time.is_some() { Kind::CertificateRejected } else { Kind::Configuration };
            assert_eq!(error.kind(), kind);
        }
    }
}

#[tokio::test]
async fn a_missing_or_foreign_client_certificate_is_explained_during_or_after_the_handshake() {
    let ca = Ca::new();
    let foreign = |by: Ca| {
        let key = KeyPair::generate().unwrap();
        let certificate = by.sign(&["device"], &key);
        Identity::new(Material::bytes(certificate), Material::bytes(key.serialize_pem()))
    };
    for (provider, versions) in everywhere() {
        for (identity, expected) in [
            (None, "the server requires a client certificate and was given none; pass the device's"),
            (
                Some(foreign(Ca::named("another CA"))),
                "the server does not know the CA that signed the client certificate; register that CA",
            ),
            // The name is one that the server knows, the key is not.
            (
                Some(foreign(Ca::new())),
                "the server could not verify our side of the handshake; check the client certificate",
            ),
        ] {
            let mut options = options(&ca, &provider);
            if let Some(identity) = identity {
                options = options.identity(identity);
            }
            let server = ca.server(&provider, versions, &parameters(&["127.0.0.1"]), Some(&ca));
            let tls = Tls::new(Tcp::new("127.0.0.1", echo_server(server).await), options);
            let text = if versions == TLS12 {
                let error = refusal(tls).await;
                assert_eq!(
                    (error.kind(), error.is_retryable()),
                    (Kind::ClientCertificateRejected, true),
                    "{error}"
                );
                error.reason().to_owned()
            } else {
                // The client is done before the server has looked at its certificate.
                let mut stream = tls.connect(&attempt()).await.unwrap();
                let error = stream.read(&mut [0; 1]).await.unwrap_err();
                let text = explain_io(&error).expect("an alert");
                assert_eq!(ConnectError::from(error).kind(), Kind::ClientCertificateRejected);
                text
            };
            assert!(text.starts_with(expected), "{text}");
        }
    }
}

#[tokio::test]
async fn application_protocols_are_agreed_on_or_told() {
    let ca = Ca::new();
    for provider in providers() {
        let mut server = ca.server(&provider, TLS13, &parameters(&["127.0.0.1"]), None);
        server.alpn_protocols = vec![b"mqtt".to_vec()];
        let port = echo_server(server).await;
        let tls = |alpn| Tls::new(Tcp::new("127.0.0.1", port), options(&ca, &provider).alpn(alpn));
        let stream = echoes(tls(["h2", "mqtt"])).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"mqtt"[..]));
        let error = refusal(tls(["h2", "http/1.1"])).await;
        assert_eq!(error.kind(), Kind::Protocol);
        assert!(error.reason().contains("application protocols (ALPN)"), "{error}");
    }
}

#[tokio::test]
async fn a_peer_that_hangs_up_or_speaks_no_tls_is_told() {
    let ca = Ca::new();
    for provider in providers() {
        let (tls, theirs) = over_a_pipe(options(&ca, &provider));
        drop(theirs);
        let error = refusal(tls).await;
        assert_eq!(error.kind(), Kind::Closed);
        assert!(
            error.to_string().starts_with("TLS handshake with broker.example:8883 failed: the server closed")
        );

        let (tls, mut theirs) = over_a_pipe(options(&ca, &provider));
        theirs.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let error = refusal(tls).await;
        assert_eq!(error.kind(), Kind::Protocol);
        assert!(error.reason().starts_with("the server's answer is not TLS"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stalls_is_left_exactly_at_the_deadline() {
    for provider in providers() {
        let (tls, _theirs) = over_a_pipe(options(&Ca::new(), &provider));
        let attempt = Attempt::within(1, Duration::from_secs(30));
        let error = tls.connect(&attempt).await.map(drop).unwrap_err();
        let just_after = Attempt::new(1, attempt.deadline() + Duration::from_millis(1));
        assert!(attempt.remaining().is_zero() && !just_after.remaining().is_zero());
        assert_eq!((error.kind(), error.phase(), attempt.phase()), (Kind::TimedOut, Phase::Tls, Phase::Tls));
        assert!(
            error.reason().starts_with("the server did not finish the handshake before the deadline"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn giving_up_in_the_middle_of_a_handshake_closes_the_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for provider in providers() {
        let options = options(&Ca::new(), &provider);
        let tls = BoxConnector::new(Tls::new(Tcp::new("127.0.0.1", port), options));
        let dialling = tokio::spawn(async move { tls.connect(&attempt()).await.map(drop) });
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut hello = [0; 1024];
        assert!(peer.read(&mut hello).await.unwrap() > 0);
        dialling.abort();
        assert!(dialling.await.unwrap_err().is_cancelled());
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).await.unwrap();
    }
}
