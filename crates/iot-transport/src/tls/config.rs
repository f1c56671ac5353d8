//! From options to rustls's configuration, made anew only when the files have changed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientConfig, ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{Error as RustlsError, InconsistentKeys, RootCertStore};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::der::{self, Seconds, Validity};
use super::facts::{CertificateFacts, Showing};
use super::material::{ANCHORS, Material, Text};
use super::options::Kind as IdentityKind;
use super::{TlsOptions, TlsSetupError, TlsSetupErrorKind as Kind};

/// How many sessions are kept to be resumed: what rustls keeps for one server.
const SESSIONS: usize = 8;

/// The crypto provider that is used unless another is passed: ring with the feature `ring` (whether or not
/// `aws-lc-rs` is on too), aws-lc-rs with that feature alone, none with neither. The process-wide default is
/// never looked at.
#[must_use]
pub fn default_provider() -> Option<Arc<CryptoProvider>> {
    #[cfg(feature = "ring")]
    return Some(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(all(feature = "aws-lc-rs", not(feature = "ring")))]
    return Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
    None
}

/// What a client certificate is called in errors.
const CERTIFICATE: &str = "client certificate";

/// What is in a client certificate.
pub(super) fn facts(
    certificates: &Material,
    provider: Option<&CryptoProvider>,
) -> Result<Option<CertificateFacts>, TlsSetupError> {
    let Some(own) = certificates.read(CERTIFICATE)?.certificates()?.into_iter().next() else {
        return Ok(None);
    };
    let default = default_provider();
    let facts = CertificateFacts::of(&own);
    Ok(match provider.or(default.as_deref()) {
        Some(provider) => facts.map(|facts| facts.with_id(&own, provider)),
        None => facts,
    })
}

/// Options, and the configuration last made of them.
pub(super) struct Loader {
    options: TlsOptions,
    last: Mutex<Option<Made>>,
}

/// All that files can change.
#[derive(PartialEq)]
struct Inputs {
    anchors: Vec<Text>,
    identity: Option<(Text, Text)>,
}

/// A configuration and what it was made of.
struct Made {
    inputs: Inputs,
    config: Arc<ClientConfig>,
    /// Of the client certificate, if its dates can be read.
    validity: Option<Validity>,
}

impl Loader {
    pub(super) fn new(options: TlsOptions) -> Self {
        Self { options, last: Mutex::new(None) }
    }

    pub(super) fn options(&self) -> &TlsOptions {
        &self.options
    }

    /// Whether a configuration was made before.
    pub(super) fn was_good(&self) -> bool {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Reads the files; the configuration is the same one as before unless they differ.
    pub(super) fn load(&self) -> Result<Arc<ClientConfig>, TlsSetupError> {
        let inputs = Inputs::read(&self.options)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = last.as_ref().filter(|made| made.inputs == inputs) {
            self.check_dates(made)?;
            return Ok(Arc::clone(&made.config));
        }
        let made = build(&self.options, inputs)?;
        self.check_dates(&made)?;
        Ok(Arc::clone(&last.insert(made).config))
    }

    fn check_dates(&self, made: &Made) -> Result<(), TlsSetupError> {
        let (Some((text, _)), Some(validity)) = (&made.inputs.identity, &made.validity) else {
            return Ok(());
        };
        // Without a clock the server's certificate cannot be checked either, which says so.
        let Some(now) = clock(&self.options).current_time() else { return Ok(()) };
        let now = Seconds(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        let (kind, what) = if self.options.present_outdated {
            return Ok(());
        } else if now > validity.not_after {
            (Kind::ExpiredCertificate, format!("it expired on {}: renew it, or", validity.not_after))
        } else if now < validity.not_before {
            (Kind::CertificateNotYetValid, format!("it is not valid before {}:", validity.not_before))
        } else {
            return Ok(());
        };
        Err(text.wrong(kind, &format!("{what} set this device's clock, which says {now}")))
    }
}

impl Inputs {
    fn read(options: &TlsOptions) -> Result<Self, TlsSetupError> {
        let anchors = options.anchors.materials.iter().map(|material| material.read(ANCHORS));
        let identity = match options.identity.as_ref().map(|identity| &identity.0) {
            Some(IdentityKind::Materials { certificates, key }) => {
                Some((certificates.read(CERTIFICATE)?, key.read("private key")?))
            }
            Some(IdentityKind::Resolver(_)) | None => None,
        };
        Ok(Self { anchors: anchors.collect::<Result<_, _>>()?, identity })
    }
}

fn clock(options: &TlsOptions) -> Arc<dyn TimeProvider> {
    options.clock.clone().unwrap_or_else(|| Arc::new(SystemClock))
}

fn build(options: &TlsOptions, inputs: Inputs) -> Result<Made, TlsSetupError> {
    if options.alpn.iter().any(|protocol| protocol.is_empty() || protocol.len() > 255) {
        let text = "an application protocol (ALPN) is empty or longer than 255 bytes";
        return Err(TlsSetupError::new(Kind::ApplicationProtocol, text));
    }
    let provider = options.provider.clone().or_else(default_provider).ok_or_else(|| {
        let text = "there is no crypto provider: turn on the feature `ring` or `aws-lc-rs` of iot-transport, \
                    or pass one with TlsOptions::provider";
        TlsSetupError::new(Kind::Provider, text)
    })?;
    let verifier = verifier(options, &inputs.anchors, &provider)?;
    let verifier = match &options.presented {
        Some(presented) => Arc::new(Showing { verifier, presented: presented.clone() }) as _,
        None => verifier,
    };
    let mut validity = None;
    let resolver: Option<Arc<dyn ResolvesClientCert>> = match options.identity.as_ref().map(|ours| &ours.0) {
        Some(IdentityKind::Resolver(resolver)) => Some(Arc::clone(resolver)),
        Some(IdentityKind::Materials { .. }) | None => match &inputs.identity {
            Some((certificates, key)) => {
                let certified = certified_key(certificates, key, &provider)?;
                validity = certified.cert.first().and_then(|certificate| der::validity(certificate));
                Some(Arc::new(SingleCertAndKey::from(certified)))
            }
            None => None,
        },
    };
    let builder = ClientConfig::builder_with_details(provider, clock(options))
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            TlsSetupError::new(Kind::Provider, "the crypto provider has no cipher for TLS").because(error)
        })?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match resolver {
        Some(resolver) => builder.with_client_cert_resolver(resolver),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols.clone_from(&options.alpn);
    // A connector leads to one server: what a fleet in one process would keep for 32 others is memory without a use.
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(Made { inputs, config: Arc::new(config), validity })
}

/// Who checks the server's certificate: always chain, dates and name.
fn verifier(
    options: &TlsOptions,
    anchors: &[Text],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsSetupError> {
    #[cfg(not(any(
        feature = "dangerous-accept-any-server",
        feature = "platform-verifier",
        feature = "amazon-roots"
    )))]
    let _ = options;
    #[cfg(feature = "dangerous-accept-any-server")]
    if options.accept_any_server {
        return Ok(Arc::new(super::dangerous::AcceptAnyServer::new(provider)));
    }
    #[cfg(feature = "platform-verifier")]
    if options.anchors.platform {
        return platform_verifier(anchors, provider);
    }
    let mut roots = RootCertStore::empty();
    #[cfg(feature = "amazon-roots")]
    if options.anchors.amazon {
        roots.extend(amazon_roots().cloned());
    }
    for text in anchors {
        for certificate in text.certificates()? {
            roots.add(certificate).map_err(|error| unusable_certificate(text, error))?;
        }
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    verifier.map(|verifier| verifier as _).map_err(|error| {
        TlsSetupError::new(
            Kind::NoCertificate,
            "there is no trust anchor to check the server's certificate with",
        )
        .because(error)
    })
}

#[cfg(feature = "platform-verifier")]
fn platform_verifier(
    anchors: &[Text],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsSetupError> {
    use rustls_platform_verifier::Verifier;
    let mut more: Vec<CertificateDer<'static>> = Vec::new();
    for text in anchors {
        more.extend(text.certificates()?);
    }
    #[cfg(target_os = "android")]
    let verifier = if more.is_empty() {
        Verifier::new(Arc::clone(provider))
    } else {
        Err(RustlsError::General("Android takes no anchors beside its own".into()))
    };
    #[cfg(not(target_os = "android"))]
    let verifier = Verifier::new_with_extra_roots(more, Arc::clone(provider));
    verifier.map(|verifier| Arc::new(verifier) as _).map_err(|error| {
        let what = "the operating system's trust anchors cannot be used; install its package of CA certificates, or \
                    pass the CA";
        TlsSetupError::new(Kind::PlatformVerifier, what).because(error)
    })
}

/// Amazon Root CA 1 to 4, by their subjects.
#[cfg(feature = "amazon-roots")]
fn amazon_roots() -> impl Iterator<Item = &'static rustls_pki_types::TrustAnchor<'static>> {
    const NAME: &[u8] = b"Amazon Root CA ";
    webpki_roots::TLS_SERVER_ROOTS
        .iter()
        .filter(|anchor| anchor.subject.windows(NAME.len()).any(|window| window == NAME))
}

fn certified_key(
    certificates: &Text,
    key: &Text,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsSetupError> {
    let chain: Vec<CertificateDer<'static>> = certificates.certificates()?;
    let private_key = provider.key_provider.load_private_key(key.private_key()?).map_err(|error| {
        let what = "the crypto provider cannot use this key; it may be damaged, or of a kind other than RSA \
                    of 2048 bits or more, ECDSA on P-256 or P-384, and Ed25519";
        key.wrong(Kind::UnusablePrivateKey, what).because(error)
    })?;
    let certified = CertifiedKey::new(chain, private_key);
    match certified.keys_match() {
        Ok(()) | Err(RustlsError::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(RustlsError::InconsistentKeys(_)) => {
            let what = format!(
                "it is not the key of the certificate from {}; take both from the same download or renewal, \
                 and put the device's own certificate first in its file",
                certificates.origin
            );
            Err(key.wrong(Kind::KeyMismatch, &what))
        }
        Err(error) => Err(unusable_certificate(certificates, error)),
    }
}

fn unusable_certificate(text: &Text, error: RustlsError) -> TlsSetupError {
    let outdated_form = text.certificates().is_ok_and(|all| all.iter().any(|one| der::is_version_1(one)));
    let what = if outdated_form {
        "it is an X.509 certificate of version 1, which is not taken; issue it again as version 3 (`openssl x509 -req` \
         makes one when it is given extensions by -extfile)"
    } else {
        "a certificate in it cannot be parsed; copy the file again"
    };
    text.wrong(Kind::UnusableCertificate, what).because(error)
}

/// The system's clock; a time before 1970 is no time, where rustls's own clock would panic.
#[derive(Debug)]
struct SystemClock;

impl TimeProvider for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "a certificate's dates need the wall clock unless one was passed"
    )]
    fn current_time(&self) -> Option<UnixTime> {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok().map(UnixTime::since_unix_epoch)
    }
}

#[cfg(all(test, any(feature = "ring", feature = "aws-lc-rs")))]
mod tests {
    use super::*;

    #[test]
    fn ring_wins_when_both_providers_are_on() {
        let random = format!("{:?}", default_provider().unwrap().secure_random);
        assert_eq!(random, if cfg!(feature = "ring") { "Ring" } else { "AwsLcRs" });
    }

    #[cfg(feature = "amazon-roots")]
    #[test]
    fn amazons_four_roots_are_there_and_nobody_elses() {
        let subjects: Vec<_> =
            amazon_roots().map(|anchor| String::from_utf8_lossy(&anchor.subject)).collect();
        assert_eq!(subjects.len(), 4, "{subjects:?}");
        for number in 1..=4 {
            let name = format!("Amazon Root CA {number}");
            assert_eq!(subjects.iter().filter(|subject| subject.contains(&name)).count(), 1, "{subjects:?}");
        }
    }
}
