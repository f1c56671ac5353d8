//! Everything that can be wrong with certificates and keys, told before anything is dialled.
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

use std::error::Error as _;
use std::fs;
use std::time::Duration;

use common::{Ca, pem, providers, sec1};
use iot_transport::{
    Attempt, ConnectErrorKind, Connector, Identity, Material, Phase, Tcp, Tls, TlsOptions, TlsSetupError,
    TlsSetupErrorKind as Kind, TrustAnchors, from_fn,
};
use rcgen::KeyPair;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

struct Device {
    ca: Ca,
    key: KeyPair,
    certificate: String,
}

impl Device {
    fn new() -> Self {
        let (ca, key) = (Ca::new(), KeyPair::generate().unwrap());
        let certificate = ca.sign(&["device"], &key);
        Self { ca, key, certificate }
    }

    fn check(&self, certificate: &Material, key: &Material) -> Result<(), TlsSetupError> {
        let mut results = providers().into_iter().map(|provider| {
            TlsOptions::new(self.ca.anchors())
                .identity(Identity::new(certificate.clone(), key.clone()))
                .provider(provider)
                .check()
        });
        let first = results.next().unwrap();
        for other in results {
            assert_eq!(format!("{other:?}"), format!("{first:?}"), "the providers disagree");
        }
        first
    }

    fn key_error(&self, key: impl Into<Vec<u8>>) -> TlsSetupError {
        let key = key.into();
        let error = self
            .check(&Material::bytes(self.certificate.as_str()), &Material::bytes(key.clone()))
            .unwrap_err();
        nothing_leaks(&error, &key);
        error
    }

    fn certificate_error(&self, certificate: impl Into<Vec<u8>>) -> TlsSetupError {
        self.check(&Material::bytes(certificate), &Material::bytes(self.key.serialize_pem())).unwrap_err()
    }
}

/// No run of 16 bytes of the text's body turns up in the error or in anything under it.
fn nothing_leaks(error: &TlsSetupError, text: &[u8]) {
    let shown = format!("{error} {error:?} {:?}", error.source());
    for run in String::from_utf8_lossy(text).lines().filter(|line| !line.starts_with("-----")) {
        let run: String = run.chars().take(16).collect();
        assert!(run.len() < 16 || !shown.contains(&run), "{shown}");
    }
}

fn assert_says(error: &TlsSetupError, kind: Kind, text: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(error.to_string(), text);
}

#[test]
fn good_ones_pass_in_every_form_and_from_one_text_for_both() {
    let device = Device::new();
    let certificate = Material::bytes(device.certificate.as_str());
    device.check(&certificate, &Material::bytes(device.key.serialize_pem())).unwrap();
    device.check(&certificate, &Material::bytes(sec1(&device.key))).unwrap();
    let both = Material::bytes(format!("a note\r\n{}{}", device.key.serialize_pem(), device.certificate));
    device.check(&both, &both).unwrap();
    // 0 is the first byte of DER, too.
    let noted = Material::bytes(format!("0 errors\n{}{}", device.key.serialize_pem(), device.certificate));
    device.check(&noted, &noted).unwrap();
    let error = device.key_error("0 -----BEGIN ENCRYPTED PRIVATE KEY-----\n");
    assert_eq!(error.kind(), Kind::EncryptedPrivateKey, "{error}");
}

#[test]
fn a_file_that_is_missing_or_no_file_or_too_large_or_empty_is_named() {
    let device = Device::new();
    let dir = tempfile::tempdir().unwrap();
    let error = |path: &std::path::Path| {
        device.check(&Material::bytes(device.certificate.as_str()), &Material::file(path)).unwrap_err()
    };

    let path = dir.path().join("device.key");
    let shown = path.display();
    let missing = error(&path);
    let text = format!("private key from {shown}: the file does not exist; check the path");
    assert_says(&missing, Kind::Missing, &text);
    assert!(missing.source().unwrap().is::<std::io::Error>());

    let text = format!(
        "private key from {}: the file cannot be read: it is not a regular file",
        dir.path().display()
    );
    assert_says(&error(dir.path()), Kind::Unreadable, &text);

    fs::write(&path, " \n").unwrap();
    assert_says(&error(&path), Kind::Empty, &format!("private key from {shown}: it is empty"));

    fs::write(&path, vec![b'x'; iot_transport::tls::FILE_LIMIT + 1]).unwrap();
    let text = format!(
        "private key from {shown}: it is larger than 1 MiB, which no certificate or key is; check the path"
    );
    assert_says(&error(&path), Kind::TooLarge, &text);

    fs::write(&path, device.key.serialize_pem()).unwrap();
    device.check(&Material::bytes(device.certificate.as_str()), &Material::file(&path)).unwrap();
}

#[test]
fn a_text_without_what_is_wanted_says_what_it_is_instead() {
    let device = Device::new();
    let hint = "PEM text begins with a line like -----BEGIN CERTIFICATE----- or -----BEGIN PRIVATE KEY-----";
    let text = format!("client certificate from the given bytes: it holds no certificate; {hint}");
    assert_says(&device.certificate_error("hello"), Kind::NoCertificate, &text);
    let text = format!("private key from the given bytes: it holds no private key; {hint}");
    assert_says(&device.key_error("hello"), Kind::NoPrivateKey, &text);

    let error = device.certificate_error(pem("CERTIFICATE REQUEST", &[1, 2, 3]));
    assert!(
        error.to_string().ends_with("it holds a certificate request, which a CA has yet to sign"),
        "{error}"
    );
    let error = device.key_error(device.key.public_key_pem());
    assert!(error.to_string().ends_with("it holds no private key; it holds a public key"), "{error}");
    let error = device.key_error([0x30, 3, 2, 1, 7]);
    assert_eq!(error.kind(), Kind::NoPrivateKey);
    assert!(error.to_string().contains("it looks like DER, but of something else: `openssl pkey"), "{error}");
}

#[test]
fn der_is_taken_as_it_is_and_what_it_is_instead_is_told() {
    let device = Device::new();
    let der = |text: &str| CertificateDer::from_pem_slice(text.as_bytes()).unwrap().to_vec();
    let (certificate, key) = (der(&device.certificate), device.key.serialize_der());
    let bytes = |der: &[u8]| Material::bytes(der);
    device.check(&bytes(&certificate), &bytes(&key)).unwrap();
    device.check(&Material::bytes(device.certificate.as_str()), &bytes(&key)).unwrap();
    let older = PrivateKeyDer::from_pem_slice(sec1(&device.key).as_bytes()).unwrap();
    device.check(&bytes(&certificate), &bytes(older.secret_der())).unwrap();
    let anchors = TrustAnchors::ca(Material::bytes(der(&device.ca.pem())));
    TlsOptions::new(anchors).provider(providers().remove(0)).check().unwrap();

    let error = device.certificate_error(key);
    assert_eq!(error.kind(), Kind::KeyInsteadOfCertificate, "{error}");
    assert_eq!(device.key_error(certificate).kind(), Kind::CertificateInsteadOfKey);
    let archive = [0x30, 8, 0x02, 1, 3, 0x30, 3, 0x06, 1, 42];
    for error in [device.key_error(archive), device.certificate_error(archive)] {
        assert!(error.to_string().contains("a PKCS#12 archive"), "{error}");
    }
    let anchors = TrustAnchors::ca(Material::bytes(device.key.serialize_pem()));
    let error = TlsOptions::new(anchors).provider(providers().remove(0)).check().unwrap_err();
    assert!(error.to_string().ends_with("it holds a private key; give the certificate of the CA"), "{error}");
    // PKCS#8 as OpenSSL encrypts it: an algorithm, then what it made of the key.
    let encrypted = [0x30, 9, 0x30, 3, 0x06, 1, 42, 0x04, 2, 1, 2];
    assert_eq!(device.key_error(encrypted).kind(), Kind::EncryptedPrivateKey);
}

#[test]
fn swapped_files_are_recognised() {
    let device = Device::new();
    assert_says(
        &device.certificate_error(device.key.serialize_pem()),
        Kind::KeyInsteadOfCertificate,
        "client certificate from the given bytes: it holds a private key where a certificate is expected; \
         were the two swapped?",
    );
    assert_says(
        &device.key_error(device.certificate.as_str()),
        Kind::CertificateInsteadOfKey,
        "private key from the given bytes: it holds a certificate where a private key is expected; were the \
         two swapped?",
    );
}

#[test]
fn an_encrypted_key_is_refused_with_the_command_that_decrypts_it() {
    let device = Device::new();
    let old_style = pem("RSA PRIVATE KEY", &[7; 96]).replacen(
        '\n',
        "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0011\n\n",
        1,
    );
    for encrypted in [pem("ENCRYPTED PRIVATE KEY", &[7; 96]), old_style] {
        assert_says(
            &device.key_error(encrypted),
            Kind::EncryptedPrivateKey,
            "private key from the given bytes: the key is encrypted, and nobody is there to type its \
             passphrase; decrypt it with `openssl pkey -in encrypted.pem -out plain.pem`, and let only this \
             program read the result",
        );
    }
}

#[test]
fn damaged_text_says_how_it_is_damaged_and_quotes_nothing() {
    let device = Device::new();
    let key = device.key.serialize_pem().replace("\r\n", "\n");
    let malformed = |key: &str, what: &str| {
        assert_says(
            &device.key_error(key),
            Kind::Malformed,
            &format!("private key from the given bytes: {what}"),
        );
    };
    malformed(key.split_at(key.len() / 2).0, "the PEM text is cut off: a BEGIN line has no END line");
    malformed(&key.replacen("KEY-----", "KEY--", 1), "a BEGIN line of the PEM text is damaged");
    malformed(
        &key.replacen("\nM", "\n*", 1),
        "the PEM text between BEGIN and END is not valid base64; copy the file again",
    );
    let lost =
        r"the line breaks of the PEM text are lost, or written as the two characters \n; it needs real ones";
    malformed(&key.replace('\n', r"\n"), lost);
    malformed(key.replace('\n', r"\n").trim_end_matches(r"\n"), lost);
    malformed(&key.replace('\n', " "), lost);
}

#[test]
fn what_decodes_and_is_no_key_or_certificate_is_told() {
    let device = Device::new();
    // The labels of PKCS#1, SEC1 and PKCS#8 are all taken for keys.
    for label in ["RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY"] {
        let error = device.key_error(pem(label, &[0x30, 3, 2, 1, 0]));
        assert_eq!(error.kind(), Kind::UnusablePrivateKey, "{error}");
        assert!(
            error.to_string().contains("from the given bytes: the crypto provider cannot use this key"),
            "{error}"
        );
    }
    let error = device.certificate_error(pem("CERTIFICATE", &[0x30, 3, 2, 1, 0]));
    assert_says(
        &error,
        Kind::UnusableCertificate,
        "client certificate from the given bytes: a certificate in it cannot be parsed; copy the file again",
    );
    let anchors = TrustAnchors::ca(Material::bytes(device.ca.pem()))
        .and(Material::bytes(pem("CERTIFICATE", &[0x30, 0])));
    let error = TlsOptions::new(anchors).check().unwrap_err();
    assert_eq!(error.kind(), Kind::UnusableCertificate);
    assert!(error.to_string().starts_with("trust anchors from the given bytes: "), "{error}");
}

#[test]
fn a_key_of_another_certificate_is_told_with_both_places() {
    let device = Device::new();
    let error = device.key_error(KeyPair::generate().unwrap().serialize_pem());
    assert_says(
        &error,
        Kind::KeyMismatch,
        "private key from the given bytes: it is not the key of the certificate from the given bytes; take \
         both from the same download or renewal, and put the device's own certificate first in its file",
    );
}

#[test]
fn names_and_protocols_are_checked_too() {
    let anchors = Ca::new().anchors();
    let check = |host: &str| Tls::new(Tcp::new(host, 8883), TlsOptions::new(anchors.clone())).check();
    for host in ["broker.example", "127.0.0.1", "[::1]"] {
        check(host).unwrap();
    }
    let error = check("mqtts://user:hunter2@broker").unwrap_err();
    assert_eq!(error.kind(), Kind::ServerName);
    assert!(!format!("{error} {error:?}").contains("hunter2"));

    let nameless = from_fn(async |_: Attempt| Ok(tokio::io::empty()));
    let error = Tls::new(nameless.clone(), TlsOptions::new(anchors.clone())).check().unwrap_err();
    assert!(error.to_string().contains("TlsOptions::server_name"), "{error}");
    Tls::new(nameless, TlsOptions::new(anchors.clone()).server_name("broker.example")).check().unwrap();

    let error = TlsOptions::new(anchors).alpn([""]).check().unwrap_err();
    assert_eq!(error.kind(), Kind::ApplicationProtocol);
}

#[test]
fn nothing_that_can_be_printed_holds_key_material() {
    let device = Device::new();
    let key = device.key.serialize_pem();
    let options = TlsOptions::new(device.ca.anchors())
        .identity(Identity::new(Material::bytes(device.certificate.as_str()), Material::bytes(key.as_str())));
    let shown = format!("{:?}", Tls::new(Tcp::new("broker.example", 8883), options));
    assert!(shown.contains(&format!("Material({} bytes)", key.len())), "{shown}");
    let body = key.lines().nth(1).unwrap();
    assert!(!shown.contains(body) && !shown.contains(&format!("{:?}", key.as_bytes())), "{shown}");
}

#[tokio::test]
async fn a_wrong_setup_fails_the_attempt_before_anything_is_dialled() {
    let device = Device::new();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let inner =
        from_fn(async |_: Attempt| -> Result<tokio::io::Empty, _> { panic!("nothing is to be dialled") })
            .with_endpoint("broker.example", 8883);
    let tls = Tls::new(inner, TlsOptions::new(TrustAnchors::ca(Material::file(&path))));
    let attempt = Attempt::within(1, Duration::from_secs(20));

    let error = tls.connect(&attempt).await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ConnectErrorKind::Configuration, Phase::Tls));
    assert_eq!(attempt.phase(), Phase::Tls);
    assert!(!error.is_retryable() && error.source().unwrap().is::<TlsSetupError>());
    assert_eq!(
        error.to_string(),
        format!(
            "TLS handshake with broker.example:8883 failed: trust anchors from {}: the file does not exist; \
             check the path",
            path.display()
        )
    );

    // Files that were good once may be in the middle of being replaced: then it is worth another try.
    fs::write(&path, device.ca.pem()).unwrap();
    tls.check().unwrap();
    fs::write(&path, "").unwrap();
    let error = tls.connect(&attempt).await.unwrap_err();
    assert!(error.kind() == ConnectErrorKind::Configuration && error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn a_key_of_another_certificate_fails_the_attempt_before_anything_is_dialled() {
    let device = Device::new();
    let inner =
        from_fn(async |_: Attempt| -> Result<tokio::io::Empty, _> { panic!("nothing is to be dialled") })
            .with_endpoint("broker.example", 8883);
    let other = KeyPair::generate().unwrap().serialize_pem();
    let identity = Identity::new(Material::bytes(device.certificate.as_str()), Material::bytes(other));
    for provider in providers() {
        let options =
            TlsOptions::new(device.ca.anchors()).identity(identity.clone()).provider(provider.clone());
        let error =
            Tls::new(inner.clone(), options).connect(&Attempt::within(1, Duration::from_secs(20))).await;
        let error = error.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ConnectErrorKind::Configuration, Phase::Tls));
        assert!(!error.is_retryable());
        assert!(
            error.to_string().contains("it is not the key of the certificate from the given bytes"),
            "{error}"
        );
    }
}
