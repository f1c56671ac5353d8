//! Client certificates outside their dates: told before anything is dialled, unless asked to leave it to the server.
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

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{Ca, parameters, providers};
use iot_transport::tls::rustls::time_provider::TimeProvider;
use iot_transport::{
    Attempt, ConnectErrorKind, Connector, Identity, Material, Tls, TlsOptions, TlsSetupErrorKind as Kind,
    from_fn,
};
use rcgen::{KeyPair, date_time_ymd};
use rustls_pki_types::UnixTime;
use tokio::io::DuplexStream;

/// A clock that stands still.
#[derive(Debug)]
struct At(UnixTime);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

#[test]
fn a_certificate_outside_its_dates_is_told_with_them_and_with_the_clock() {
    let (ca, key) = (Ca::new(), KeyPair::generate().unwrap());
    let mut params = parameters(&["device"]);
    params.not_before = date_time_ymd(2024, 1, 15);
    params.not_after = date_time_ymd(2025, 1, 15);
    let certificate = ca.issue(&params, &key);
    let identity = Identity::new(Material::bytes(certificate), Material::bytes(key.serialize_pem()));
    let at = |seconds| {
        TlsOptions::new(ca.anchors())
            .identity(identity.clone())
            .provider(providers().remove(0))
            .clock(Arc::new(At(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))))
    };
    at(1_720_000_000).check().unwrap();

    let error = at(1_740_000_000).check().unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (Kind::ExpiredCertificate, true));
    assert_eq!(
        error.to_string(),
        "client certificate from the given bytes: it expired on 2025-01-15 00:00:00 UTC: renew it, or set this \
         device's clock, which says 2025-02-19 21:20:00 UTC"
    );
    let error = at(0).check().unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (Kind::CertificateNotYetValid, true));
    assert!(error.to_string().contains("not valid before 2024-01-15 00:00:00 UTC"), "{error}");
    assert!(error.to_string().ends_with("says 1970-01-01 00:00:00 UTC"), "{error}");

    at(0).present_outdated(true).check().unwrap();
}

#[tokio::test]
async fn a_certificate_that_expires_while_the_device_runs_is_found_out_at_the_next_attempt() {
    /// A clock that is set by hand.
    #[derive(Debug)]
    struct Set(AtomicU64);
    impl TimeProvider for Set {
        fn current_time(&self) -> Option<UnixTime> {
            Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
        }
    }
    let (ca, key) = (Ca::new(), KeyPair::generate().unwrap());
    let mut params = parameters(&["device"]);
    params.not_after = date_time_ymd(2025, 1, 15);
    let identity =
        Identity::new(Material::bytes(ca.issue(&params, &key)), Material::bytes(key.serialize_pem()));
    let clock = Arc::new(Set(AtomicU64::new(1_720_000_000)));
    let options = TlsOptions::new(ca.anchors())
        .identity(identity)
        .provider(providers().remove(0))
        .clock(Arc::clone(&clock) as _);
    let nobody =
        from_fn(async |_| Err::<DuplexStream, _>(io::Error::from(io::ErrorKind::ConnectionRefused).into()));
    let tls = Tls::new(nobody.with_endpoint("broker.example", 8883), options);
    let attempt = Attempt::within(1, Duration::from_secs(5));
    assert_eq!(tls.connect(&attempt).await.unwrap_err().kind(), ConnectErrorKind::Refused);
    clock.0.store(1_740_000_000, Ordering::Relaxed);
    let error = tls.connect(&attempt).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ConnectErrorKind::Configuration, true), "{error}");
    assert!(error.to_string().contains("expired on 2025-01-15"), "{error}");
}

#[test]
fn a_certificate_of_version_1_is_told_from_a_damaged_one() {
    // Made by hand, since nobody makes them on purpose: the fields behind the version that is not there.
    let element =
        |tag: u8, contents: &[u8]| [&[tag, u8::try_from(contents.len()).unwrap()], contents].concat();
    let dates = [element(0x17, b"240115120000Z"), element(0x17, b"490115120000Z")].concat();
    let fields = [
        element(0x02, &[1]),
        element(0x30, &[]),
        element(0x30, &[]),
        element(0x30, &dates),
        element(0x30, &[]),
        element(0x30, &[]),
    ];
    let certificate = element(0x30, &element(0x30, &fields.concat()));
    let key = KeyPair::generate().unwrap();
    let identity = Identity::new(Material::bytes(certificate), Material::bytes(key.serialize_der()));
    let options = TlsOptions::new(Ca::new().anchors()).identity(identity).provider(providers().remove(0));
    let error = options.check().unwrap_err();
    assert_eq!(error.kind(), Kind::UnusableCertificate);
    assert!(error.to_string().contains("X.509 certificate of version 1"), "{error}");
}
