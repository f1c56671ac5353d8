//! From options to rustls's configuration, made anew only when the files have changed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::client::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{Error as RustlsError, InconsistentKeys, RootCertStore};
use rustls_pki_types::UnixTime;

use super::pem::Text;
use super::{TlsOptions, TlsSetupError, TlsSetupErrorKind as Kind};

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

/// Options, and the configuration last made of them.
pub(super) struct Loader {
    options: TlsOptions,
    last: Mutex<Option<(Material, Arc<ClientConfig>)>>,
}

/// All that files can change.
#[derive(PartialEq)]
struct Material {
    anchors: Vec<Text>,
    identity: Option<(Text, Text)>,
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
        let material = Material::read(&self.options)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((same, config)) = &*last
            && *same == material
        {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(build(&self.options, &material)?);
        *last = Some((material, Arc::clone(&config)));
        Ok(config)
    }
}

impl Material {
    fn read(options: &TlsOptions) -> Result<Self, TlsSetupError> {
        let anchors = options.anchors.0.iter().map(|pem| pem.read("trust anchors"));
        let identity = match &options.identity {
            Some(ours) => {
                Some((ours.certificates.read("client certificate")?, ours.key.read("private key")?))
            }
            None => None,
        };
        Ok(Self { anchors: anchors.collect::<Result<_, _>>()?, identity })
    }
}

fn build(options: &TlsOptions, material: &Material) -> Result<ClientConfig, TlsSetupError> {
    if options.alpn.iter().any(|protocol| protocol.is_empty() || protocol.len() > 255) {
        let text = "an application protocol (ALPN) is empty or longer than 255 bytes";
        return Err(TlsSetupError::new(Kind::ApplicationProtocol, text));
    }
    let provider = options.provider.clone().or_else(default_provider).ok_or_else(|| {
        let text = "there is no crypto provider: turn on the feature `ring` or `aws-lc-rs` of iot-transport, \
                    or pass one with TlsOptions::provider";
        TlsSetupError::new(Kind::Provider, text)
    })?;
    let roots = roots(&material.anchors)?;
    let identity = match &material.identity {
        Some((certificates, key)) => Some(certified_key(certificates, key, &provider)?),
        None => None,
    };
    let clock = options.clock.clone().unwrap_or_else(|| Arc::new(SystemClock));
    let builder = ClientConfig::builder_with_details(provider, clock)
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            TlsSetupError::new(Kind::Provider, "the crypto provider has no cipher for TLS").because(error)
        })?
        .with_root_certificates(roots);
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols.clone_from(&options.alpn);
    Ok(config)
}

fn roots(anchors: &[Text]) -> Result<RootCertStore, TlsSetupError> {
    let mut roots = RootCertStore::empty();
    for text in anchors {
        for certificate in text.certificates()? {
            roots.add(certificate).map_err(|error| unusable_certificate(text, error))?;
        }
    }
    Ok(roots)
}

fn certified_key(
    certificates: &Text,
    key: &Text,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsSetupError> {
    let chain = certificates.certificates()?;
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
    text.wrong(Kind::UnusableCertificate, "a certificate in it cannot be parsed; copy the file again")
        .because(error)
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
}
