//! What a certificate says about itself, for people who look for it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::hash::HashAlgorithm;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::der::{self, Seconds, Validity};

/// What a certificate says about itself, none of it verified: whose it is, who signed it, and from when to when it is good.
///
/// `Display` is a phrase: `CN=device, signed by CN=our CA, good from 2026-01-01 00:00:00 UTC to 2027-01-01 00:00:00 UTC`.
///
/// ```
/// use iot_transport::tls::CertificateFacts;
///
/// assert_eq!(CertificateFacts::of(b"no certificate"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    subject: String,
    issuer: String,
    validity: Validity,
    id: Option<String>,
}

impl CertificateFacts {
    /// Of a certificate in DER; `None` if it is none.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (issuer, subject) = der::names(certificate)?;
        Some(Self { subject, issuer, validity: der::validity(certificate)?, id: None })
    }

    pub(super) fn with_id(self, certificate: &[u8], provider: &CryptoProvider) -> Self {
        Self { id: sha256(certificate, provider), ..self }
    }

    /// Whose it is: `CN=device`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Who signed it: `CN=Amazon Root CA 1, O=Amazon`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The first moment at which it is good.
    #[must_use]
    pub fn not_before(&self) -> Option<SystemTime> {
        time(self.validity.not_before)
    }

    /// The last moment at which it is good.
    #[must_use]
    pub fn not_after(&self) -> Option<SystemTime> {
        time(self.validity.not_after)
    }

    /// The SHA-256 of the certificate in hexadecimal digits, which is its certificate id in AWS IoT. Only the
    /// [client's own](super::TlsOptions::client_certificate) has it, and only if the crypto provider knows SHA-256.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

impl fmt::Display for CertificateFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, issuer, validity, id: _ } = self;
        let Validity { not_before, not_after } = validity;
        write!(f, "{subject}, signed by {issuer}, good from {not_before} to {not_after}")
    }
}

fn time(seconds: Seconds) -> Option<SystemTime> {
    let since = Duration::from_secs(seconds.0.unsigned_abs());
    if seconds.0 < 0 { UNIX_EPOCH.checked_sub(since) } else { UNIX_EPOCH.checked_add(since) }
}

/// By the hash of a cipher suite: no crate is pulled in for it.
fn sha256(bytes: &[u8], provider: &CryptoProvider) -> Option<String> {
    let mut hashes = provider.cipher_suites.iter().map(|suite| match suite {
        rustls::SupportedCipherSuite::Tls12(suite) => suite.common.hash_provider,
        rustls::SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider,
    });
    let hash = hashes.find(|hash| hash.algorithm() == HashAlgorithm::SHA256)?.hash(bytes);
    Some(hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Keeps the certificates that a server presented last, whether or not they passed: see
/// [`TlsOptions::presented`](super::TlsOptions::presented). Clones share it.
///
/// ```
/// use iot_transport::{TlsOptions, TrustAnchors, tls::Presented};
///
/// let presented = Presented::default();
/// let options = TlsOptions::new(TrustAnchors::default()).presented(presented.clone());
/// assert!(presented.chain().is_empty()); // nobody was connected to yet
/// ```
#[derive(Clone, Debug, Default)]
pub struct Presented(Arc<Mutex<Vec<CertificateFacts>>>);

impl Presented {
    /// The server's own certificate first, then those that lead to its CA.
    #[must_use]
    pub fn chain(&self) -> Vec<CertificateFacts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) {
        let all = std::iter::once(end_entity).chain(intermediates);
        let chain = all.filter_map(|certificate| CertificateFacts::of(certificate)).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = chain;
    }
}

/// A verifier that shows what it is to verify.
#[derive(Debug)]
pub(super) struct Showing {
    pub(super) verifier: Arc<dyn ServerCertVerifier>,
    pub(super) presented: Presented,
}

impl ServerCertVerifier for Showing {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.presented.set(end_entity, intermediates);
        self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.verifier.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.verifier.root_hint_subjects()
    }
}
