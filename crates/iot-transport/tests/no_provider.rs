//! TLS without a provider feature: one has to be passed.
#![cfg(all(feature = "tls", not(any(feature = "ring", feature = "aws-lc-rs"))))]
#![allow(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use iot_transport::tls::default_provider;
use iot_transport::{Material, TlsOptions, TlsSetupErrorKind, TrustAnchors};

#[test]
fn its_absence_is_told_with_the_remedy() {
    assert!(default_provider().is_none());
    let anchors =
        TrustAnchors::ca(Material::bytes("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"));
    let error = TlsOptions::new(anchors).check().unwrap_err();
    assert_eq!(error.kind(), TlsSetupErrorKind::Provider);
    assert_eq!(
        error.to_string(),
        "there is no crypto provider: turn on the feature `ring` or `aws-lc-rs` of iot-transport, or pass \
         one with TlsOptions::provider"
    );
}
