//! The doctor at the doors that need features: WebSocket, custom authorizers, proxies.
#![cfg(all(feature = "websocket", feature = "proxy"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

mod examination;

use std::time::{Duration, SystemTime};

use aws_iot::credentials::aws_credential_types::provider::future;
use aws_iot::credentials::{Credentials, CredentialsError, ProvideCredentials};
use aws_iot::doctor::{Outcome, Step};
use aws_iot::{Builder, CustomAuthorizer, Material, Proxy};
use examination::{BOTH, fails_at, hides, is_whole, mutual_tls, passes, patient, skips};
use iot_emulator::{AuthorizerReply, Emulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

fn at(builder: Builder, emulator: &Emulator) -> Builder {
    let builder = builder.root_ca(Material::bytes(emulator.authority().ca_pem())).port(emulator.port());
    builder.client_id("device")
}

fn websocket(emulator: &Emulator, credentials: impl ProvideCredentials + 'static) -> Builder {
    at(aws_iot::websocket(emulator.endpoint(), credentials), emulator).region(emulator.region())
}

fn keys(emulator: &Emulator) -> Credentials {
    let aws = emulator.aws_credentials();
    Credentials::new(aws.access_key_id, aws.secret_access_key, None, None, "test")
}

#[tokio::test]
async fn a_signed_websocket_is_healthy_in_both_versions() {
    let emulator = Emulator::start().await.unwrap();
    for version in BOTH {
        let report = websocket(&emulator, keys(&emulator)).version(version).diagnose(patient()).await;
        assert!(report.is_healthy(), "{report}");
        passes(
            &report,
            &[Step::Tls, Step::Alpn, Step::Credentials, Step::Upgrade, Step::Connect, Step::Receive],
        );
        skips(&report, &[Step::ClientCertificate, Step::Proxy]);
        is_whole(&report);
        hides(&report, &[&emulator.aws_credentials().secret_access_key]);
    }
}

#[tokio::test]
async fn a_wrong_secret_is_a_signature_that_is_not_taken() {
    let emulator = Emulator::start().await.unwrap();
    let id = emulator.aws_credentials().access_key_id;
    let wrong = Credentials::new(id, "a secret of nobody", Some("a token of nobody".into()), None, "test");
    let report = websocket(&emulator, wrong).diagnose(patient()).await;
    let finding = fails_at(&report, Step::Upgrade);
    assert!(
        finding.what.contains("403") && finding.means.contains("does not take the signature"),
        "{finding:?}"
    );
    passes(&report, &[Step::Tls, Step::Credentials]);
    is_whole(&report);
    hides(&report, &["a secret of nobody", "a token of nobody", "X-Amz-Signature"]);
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_by_the_servers_date() {
    #[expect(clippy::disallowed_methods, reason = "signatures are measured by the system's date")]
    let ahead = || SystemTime::now() + Duration::from_secs(3_600);
    let emulator = Emulator::builder().wall_clock(ahead).start().await.unwrap();
    let report = websocket(&emulator, keys(&emulator)).diagnose(patient()).await;
    let finding = fails_at(&report, Step::Upgrade);
    assert!(finding.means.contains("clock is wrong") && finding.remedy.contains("NTP"), "{finding:?}");
}

#[tokio::test]
async fn a_region_that_is_missing_or_another_one_is_told() {
    let emulator = Emulator::start().await.unwrap();
    let nowhere = at(aws_iot::websocket("localhost", keys(&emulator)), &emulator);
    let finding = fails_at(&nowhere.diagnose(patient()).await, Step::Endpoint);
    assert!(finding.remedy.contains("Builder::region"), "{finding:?}");
    let report = websocket(&emulator, keys(&emulator)).region("eu-west-3").diagnose(patient()).await;
    assert!(fails_at(&report, Step::Upgrade).what.contains("eu-west-3"), "{report}");
}

#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("there are none")))
    }
}

#[tokio::test]
async fn credentials_that_are_not_there_fail_at_their_step() {
    let emulator = Emulator::start().await.unwrap();
    let report = websocket(&emulator, Nobody).diagnose(patient()).await;
    assert!(fails_at(&report, Step::Credentials).means.contains("nothing to sign with"), "{report}");
    skips(&report, &[Step::Upgrade, Step::Connect]);
    is_whole(&report);
}

#[tokio::test]
async fn a_custom_authorizer_that_denies_is_named_at_both_of_its_doors() {
    let allows =
        |request: &iot_emulator::AuthorizerRequest| request.token.as_deref() == Some("the right token");
    let builder = Emulator::builder().authorizer_token_key("key");
    let builder = builder.custom_authorizer(move |request| match allows(request) {
        true => AuthorizerReply::allow(),
        false => AuthorizerReply::deny(),
    });
    let emulator = builder.start().await.unwrap();
    let parameters =
        |token: &str| CustomAuthorizer::new().name("Fleet").token("key", token).signature("c2lnbmF0dXJl");
    let mqtt = |token| at(aws_iot::custom_authorizer("localhost", parameters(token)), &emulator);
    let upgraded =
        |token| at(aws_iot::websocket_custom_authorizer("localhost", parameters(token)), &emulator);
    for builder in [mqtt("the right token"), upgraded("the right token")] {
        let report = builder.diagnose(patient()).await;
        assert!(report.is_healthy(), "{report}");
        is_whole(&report);
    }
    let denied = "the token of nobody";
    for (builder, step) in [(mqtt(denied), Step::Connect), (upgraded(denied), Step::Upgrade)] {
        for version in BOTH {
            let report = builder.clone().version(version).diagnose(patient()).await;
            let finding = fails_at(&report, step);
            assert!(finding.means.contains("custom authorizer"), "{finding:?}");
            assert!(finding.remedy.contains("test-invoke-authorizer"), "{finding:?}");
            is_whole(&report);
            hides(&report, &[denied, "the%20token", "c2lnbmF0dXJl"]);
        }
    }
}

/// A proxy that takes every name to be this machine's and wants the password of RFC 7617's example.
async fn proxy() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            tokio::spawn(tunnel(near));
        }
    });
    port
}

async fn tunnel(mut near: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(near.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    if !head.contains("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==") {
        return near.write_all(b"HTTP/1.1 407 X\r\nContent-Length: 0\r\n\r\n").await;
    }
    let port = head.split(' ').nth(1).unwrap().rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let mut far = TcpStream::connect(("127.0.0.1", port)).await?;
    near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut near, &mut far).await.map(drop)
}

#[tokio::test]
async fn a_proxy_is_a_step_of_its_own_and_its_password_is_not_shown() {
    let emulator = Emulator::builder().server_name("iot.test").start().await.unwrap();
    let ca = emulator.authority().ca_pem();
    let device = mutual_tls("iot.test", emulator.port(), emulator.credentials(), &ca);
    let proxy = Proxy::new("localhost", proxy().await);
    let right = proxy.clone().basic_auth("Aladdin", "open sesame");
    let report = device.clone().proxy(right.clone()).diagnose(patient()).await;
    assert!(report.is_healthy(), "{report}");
    passes(&report, &[Step::Dns, Step::Tcp, Step::Proxy, Step::Connect]);
    let report = device.proxy(proxy.basic_auth("Aladdin", "close sesame")).diagnose(patient()).await;
    assert!(fails_at(&report, Step::Proxy).what.contains("407"), "{report}");
    hides(&report, &["close sesame", "QWxhZGRpbjpjbG9zZSBzZXNhbWU="]);

    let device = mutual_tls("other.test", emulator.port(), emulator.credentials(), &ca).proxy(right);
    let finding = fails_at(&device.diagnose(patient()).await, Step::Tls);
    assert!(finding.what.contains("SNI") && finding.remedy.contains("iot:Data-ATS"), "{finding:?}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_told_with_the_names_it_has() {
    let emulator = Emulator::builder().check_server_name(false).start().await.unwrap();
    let ca = emulator.authority().ca_pem();
    let proxy = Proxy::new("127.0.0.1", proxy().await).basic_auth("Aladdin", "open sesame");
    let device = mutual_tls("other.test", emulator.port(), emulator.credentials(), &ca).proxy(proxy);
    let report = device.diagnose(patient()).await;
    let finding = fails_at(&report, Step::Tls);
    assert!(finding.what.contains("other.test") && finding.what.contains("localhost"), "{finding:?}");
    assert!(finding.means.contains("another server"), "{finding:?}");
    let outcome = &report.check(Step::Dns).unwrap().outcome;
    assert!(matches!(outcome, Outcome::Skipped { .. }), "an address needs no lookup: {report}");
}
