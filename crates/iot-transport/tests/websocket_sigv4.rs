//! A signed upgrade, against a peer written by hand.
#![cfg(feature = "sigv4")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]
#![allow(unreachable_pub, dead_code, reason = "the shared helpers serve other tests too")]

mod peer;

use std::time::Duration;

use iot_transport::{Connector, WebSocket};
use peer::{attempt, echo, pipe, switching};

#[tokio::test]
async fn of_a_signed_request_only_signature_and_token_are_secrets() {
    use iot_transport::SigV4;
    use iot_transport::credentials::Credentials;

    for (name, shown) in [
        ("X-Amz-Credential", true),
        ("X-Amz-Date", true),
        ("X-Amz-SignedHeaders", true),
        ("X-Amz-Signature", false),
        ("X-Amz-Security-Token", false),
    ] {
        let (inner, mut peer) = pipe(4096);
        let given =
            Credentials::new("AKIDEXAMPLE", "secret", Some("TOKEN/EXAMPLE+abc==".into()), None, "test");
        let socket = WebSocket::new(inner).authorizer(SigV4::new(given).region("eu-west-1"));
        let attempt = attempt();
        let answering = async {
            let head = peer.head().await;
            let query = head[0].split(['?', ' ']).nth(2).unwrap();
            let value = query
                .split('&')
                .find_map(|part| part.strip_prefix(name))
                .unwrap()
                .trim_start_matches('=')
                .to_owned();
            peer.say(echo(&[format!("no {name} {value}")])).await;
            value
        };
        let (result, value) = tokio::join!(socket.connect(&attempt), answering);
        let error = result.map(drop).unwrap_err();
        assert_eq!(error.to_string().contains(&value), shown, "{error}");
        assert_eq!(error.reason().contains("repeats part of the request"), !shown, "{error}");
    }
}

#[tokio::test]
async fn temporary_credentials_are_kept_until_they_are_refused() {
    use iot_transport::SigV4;
    use iot_transport::credentials::aws_credential_types::provider::future;
    use iot_transport::credentials::{Credentials, CredentialsError, ProvideCredentials};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{SystemTime, UNIX_EPOCH};

    fn noon() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_705_320_000)
    }

    /// A new access key each time, good for an hour.
    #[derive(Debug)]
    struct Numbered(Arc<AtomicUsize>);

    impl ProvideCredentials for Numbered {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            let expiry = noon() + Duration::from_secs(3600);
            let given = Credentials::new(format!("KEY{number}"), "secret", None, Some(expiry), "test");
            future::ProvideCredentials::ready(Ok::<_, CredentialsError>(given))
        }
    }

    let asked = Arc::new(AtomicUsize::new(0));
    let signer = SigV4::new(Numbered(Arc::clone(&asked))).region("eu-west-1").clock(noon);
    let mut keys = Vec::new();
    for refuses in [false, false, true, false] {
        let (inner, mut peer) = pipe(4096);
        let socket = WebSocket::new(inner).authorizer(signer.clone());
        let attempt = attempt();
        let answering = async {
            let head = peer.head().await;
            peer.say(if refuses { "HTTP/1.1 403 Forbidden\r\n\r\n".into() } else { switching(&head, "") })
                .await;
            drop(peer);
            head
        };
        let (result, head) = tokio::join!(socket.connect(&attempt), answering);
        assert_eq!(result.is_err(), refuses);
        keys.extend(["KEY1", "KEY2"].into_iter().filter(|key| head[0].contains(key)));
    }
    assert_eq!(keys, ["KEY1", "KEY1", "KEY1", "KEY2"]);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}
