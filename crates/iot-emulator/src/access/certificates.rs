//! Client certificates that were taken back: they pass the handshake, and get no further.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, PoisonError};

use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// SHA-256 of a certificate, which is what AWS IoT calls its identifier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fingerprint(Box<[u8]>);

/// Those that are not active.
#[derive(Debug, Default)]
pub(crate) struct Certificates(Mutex<BTreeSet<Fingerprint>>);

impl Fingerprint {
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(digest(&SHA256, certificate).as_ref().into())
    }

    pub(crate) fn of_pem(pem: &str) -> io::Result<Self> {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("not a certificate: {error}"))
        })?;
        Ok(Self::of(&certificate))
    }
}

impl Certificates {
    pub(crate) fn set_active(&self, certificate: Fingerprint, active: bool) {
        let mut inactive = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if active {
            inactive.remove(&certificate);
        } else {
            inactive.insert(certificate);
        }
    }

    pub(crate) fn is_active(&self, certificate: &Fingerprint) -> bool {
        !self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(certificate)
    }
}
