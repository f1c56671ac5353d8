//! Connectors nested three deep, and a peer that falls silent in one phase after the other: each time the attempt is left
//! exactly at the deadline that all phases share, and the error names the phase.
#![cfg(all(feature = "proxy", feature = "sigv4", any(feature = "ring", feature = "aws-lc-rs")))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]
#![allow(unreachable_pub, dead_code, reason = "the shared helpers serve other tests too")]

mod common;
mod peer;

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use common::{Ca, TLS12, TLS13, parameters, providers};
use iot_transport::credentials::aws_credential_types::provider::future;
use iot_transport::credentials::{Cached, Chain, Credentials, ProvideCredentials, SharedCredentialsProvider};
use iot_transport::tls::rustls::ServerConfig;
use iot_transport::{
    Attempt, ConnectError, ConnectErrorKind as Kind, Connector, HttpProxy, Phase, SigV4, Tls, TlsOptions,
    WebSocket, from_fn,
};
use peer::{Peer, header, switching};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::TlsAcceptor;

const HOST: &str = "broker.example";
const LIMIT: Duration = Duration::from_secs(30);
/// What each phase that is not the last takes, so that a deadline of its own for a phase would show.
const SLOW: Duration = Duration::from_secs(7);

/// Gives credentials after a while, or never.
#[derive(Debug, Clone)]
struct Provider {
    answers: bool,
}

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            if !self.answers {
                pending::<()>().await;
            }
            tokio::time::advance(SLOW).await;
            Ok(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
        })
    }
}

/// Proxy, TLS and WebSocket on the other side, each after a while; it falls silent in this phase, if in any.
async fn serve(stream: DuplexStream, server: Arc<ServerConfig>, silent: Option<Phase>) {
    let mut proxy = Peer(stream);
    let head = proxy.head().await;
    assert_eq!(head[0], "CONNECT broker.example:443 HTTP/1.1");
    hold(silent, Phase::Proxy).await;
    proxy.say("HTTP/1.1 200 OK\r\n\r\n").await;
    hold(silent, Phase::Tls).await;
    let mut stream = TlsAcceptor::from(server).accept(proxy.0).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head: Vec<String> = String::from_utf8(head).unwrap().trim_end().lines().map(str::to_owned).collect();
    assert!(head[0].starts_with("GET /mqtt?") && header(&head, "host") == Some(HOST), "{head:?}");
    hold(silent, Phase::Upgrade).await;
    stream.write_all(switching(&head, "").as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    pending::<()>().await;
}

/// Keeps the other side waiting for a while, or for ever if this is the phase to be silent in.
async fn hold(silent: Option<Phase>, phase: Phase) {
    if silent == Some(phase) {
        pending::<()>().await;
    }
    tokio::time::advance(SLOW).await;
}

/// One attempt through WebSocket in TLS in a proxy's tunnel, with a peer that falls silent in this phase.
async fn nest(silent: Option<Phase>, server: ServerConfig, options: TlsOptions) -> Result<(), ConnectError> {
    let server = Arc::new(server);
    let dial = from_fn(move |attempt: Attempt| {
        let server = Arc::clone(&server);
        async move {
            attempt.enter(Phase::Tcp);
            let (ours, theirs) = duplex(64 * 1024);
            if silent == Some(Phase::Tcp) {
                pending::<()>().await;
            }
            tokio::spawn(serve(theirs, server, silent));
            Ok(ours)
        }
    });
    let tunnel = HttpProxy::new(dial.with_endpoint("proxy.example", 3128), HOST, 443);
    let provider = Provider { answers: silent != Some(Phase::Credentials) };
    let signer = SigV4::new(provider).region("eu-west-1");
    let connector = WebSocket::new(Tls::new(tunnel, options)).authorizer(signer);
    let attempt = Attempt::within(1, LIMIT);
    let result = connector.connect(&attempt).await.map(drop);
    if let (Some(silent), Err(error)) = (silent, &result) {
        assert_exactly_at(&attempt);
        assert_eq!(
            (error.kind(), error.phase(), attempt.phase()),
            (Kind::TimedOut, silent, silent),
            "{error}"
        );
        assert!(error.is_retryable() && error.http_status().is_none());
        assert!(error.to_string().starts_with(&silent.to_string()), "{error}");
    }
    result
}

/// The clock is paused: it has gone to the deadline and not beyond.
fn assert_exactly_at(attempt: &Attempt) {
    let just_after = Attempt::new(1, attempt.deadline() + Duration::from_millis(1));
    assert!(attempt.remaining().is_zero() && !just_after.remaining().is_zero());
}

#[tokio::test(start_paused = true)]
async fn websocket_in_tls_in_a_proxy_is_left_at_the_one_deadline_whichever_phase_stalls() {
    let ca = Ca::new();
    for provider in providers() {
        for versions in [TLS12, TLS13] {
            let server = || ca.server(&provider, versions, &parameters(&[HOST]), None);
            let options = || TlsOptions::new(ca.anchors()).provider(Arc::clone(&provider));
            for (silent, words) in [
                (
                    Phase::Credentials,
                    "credential lookup for broker.example:443 failed: the credentials were not there",
                ),
                (Phase::Tcp, "TCP connection to proxy.example:3128 failed: the deadline passed"),
                (
                    Phase::Proxy,
                    "proxy tunnel to broker.example:443 through proxy.example:3128 failed: the proxy did not",
                ),
                (
                    Phase::Tls,
                    "TLS handshake with broker.example:443 failed: the server did not finish the handshake",
                ),
                (
                    Phase::Upgrade,
                    "WebSocket upgrade with broker.example:443 failed: the server did not answer the upgrade",
                ),
            ] {
                let error = nest(Some(silent), server(), options()).await.unwrap_err();
                assert!(error.to_string().starts_with(words), "{error}");
            }
            // The same peer, silent never: it takes 28 s.
            nest(None, server(), options()).await.unwrap();
        }
    }
}

/// How the attempt ends whose credentials come from here.
async fn without_credentials(provider: impl ProvideCredentials + 'static) -> ConnectError {
    let dial = from_fn(async |_: Attempt| -> Result<DuplexStream, ConnectError> {
        panic!("dialled before there was anything to sign with")
    });
    let signer = SigV4::new(provider).region("eu-west-1");
    let connector = WebSocket::new(dial.with_endpoint(HOST, 443)).authorizer(signer);
    let attempt = Attempt::within(1, LIMIT);
    let error = connector.connect(&attempt).await.map(drop).unwrap_err();
    assert_exactly_at(&attempt);
    assert_eq!(attempt.phase(), Phase::Credentials);
    error
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_never_answers_is_left_at_the_deadline_however_it_is_wrapped() {
    let never = Provider { answers: false };
    let cached = Cached::new(never.clone());
    let providers = [
        SharedCredentialsProvider::new(never.clone()),
        SharedCredentialsProvider::new(cached.clone()),
        SharedCredentialsProvider::new(cached),
        SharedCredentialsProvider::new(Chain::empty().then("the silent one", never)),
    ];
    for provider in providers {
        let error = without_credentials(provider).await;
        assert_eq!((error.kind(), error.phase()), (Kind::TimedOut, Phase::Credentials), "{error}");
        assert!(error.is_retryable(), "{error}");
        assert_eq!(error.address(), Some("broker.example:443"));
    }
}

#[cfg(all(feature = "cognito", feature = "iot-credentials"))]
#[tokio::test(start_paused = true)]
async fn a_service_of_credentials_that_never_answers_is_left_by_its_own_limit_or_at_the_deadline() {
    use iot_transport::credentials::{Cognito, IotCredentialProvider};

    let silent = || {
        let dial = from_fn(async |_: Attempt| {
            let (ours, theirs) = duplex(64 * 1024);
            tokio::spawn(async move {
                let _open = theirs;
                pending::<()>().await;
            });
            Ok(ours)
        });
        dial.with_endpoint("service.example", 443)
    };
    let hour = Duration::from_secs(3_600);
    let pool = Cognito::over("eu-west-1:0", silent()).unwrap().timeout(hour);
    let device = IotCredentialProvider::over("alias", silent()).unwrap().timeout(hour);
    for provider in [SharedCredentialsProvider::new(pool), SharedCredentialsProvider::new(device)] {
        let error = without_credentials(provider).await;
        assert_eq!((error.kind(), error.phase()), (Kind::TimedOut, Phase::Credentials), "{error}");
    }

    // Ten seconds by default, which leaves time to say what it was.
    let device = IotCredentialProvider::over("alias", silent()).unwrap();
    let connector = WebSocket::new(silent()).authorizer(SigV4::new(device).region("eu-west-1"));
    let attempt = Attempt::within(1, LIMIT);
    let error = connector.connect(&attempt).await.map(drop).unwrap_err();
    assert_eq!(attempt.remaining(), LIMIT - Duration::from_secs(10));
    assert_eq!((error.kind(), error.phase()), (Kind::Credentials, Phase::Credentials), "{error}");
    assert!(error.is_retryable() && error.reason().contains("service.example:443"), "{error}");
}
