//! Certificates and keys as PEM or DER: where they come from, and what is wrong with them.
//!
//! The decoder's own errors quote the text, which may be a private key: they are put into other words and
//! dropped.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls_pki_types::pem::{Error as PemError, PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::{Zeroize as _, Zeroizing};

use super::der;
use super::{TlsSetupError, TlsSetupErrorKind as Kind};
use crate::file;

/// What trust anchors are called in errors.
pub(super) const ANCHORS: &str = "trust anchors";

/// The largest file, or text given as bytes, that is read: 1 MiB.
pub const FILE_LIMIT: usize = 1024 * 1024;

/// A certificate, a chain of them or a private key, as PEM text or DER: bytes, or the name of a file that is read anew
/// for each attempt.
///
/// DER is told from PEM by its first byte, and by having no BEGIN line; it holds one certificate or one key, where PEM may
/// hold several. Bytes are wiped from memory when the last clone is dropped. `Debug` shows a file's path, and of bytes only how many there are.
///
/// ```
/// use iot_transport::Material;
///
/// let key = Material::bytes("-----BEGIN PRIVATE KEY-----...");
/// assert_eq!(format!("{key:?}"), "Material(30 bytes)");
/// assert_eq!(format!("{:?}", Material::file("/etc/device.key")), r#"Material("/etc/device.key")"#);
/// ```
#[derive(Clone)]
pub struct Material(Source);

#[derive(Clone)]
enum Source {
    Bytes(Arc<Zeroizing<Vec<u8>>>),
    File(PathBuf),
}

impl Material {
    /// These bytes.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Source::Bytes(Arc::new(Zeroizing::new(bytes.into()))))
    }

    /// What is in this file, of at most [`FILE_LIMIT`] bytes.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    pub(super) fn is_file(&self) -> bool {
        matches!(self.0, Source::File(_))
    }

    /// The bytes and the words to speak of them with; `item` is what it should hold ("private key").
    pub(super) fn read(&self, item: &'static str) -> Result<Text, TlsSetupError> {
        let (origin, bytes) = match &self.0 {
            Source::Bytes(bytes) => ("the given bytes".to_owned(), Arc::clone(bytes)),
            Source::File(path) => {
                let origin = path.display().to_string();
                let bytes = file::read(path, FILE_LIMIT).map_err(|error| unreadable(item, &origin, error))?;
                (origin, Arc::new(bytes))
            }
        };
        let text = Text { item, origin, bytes };
        if text.bytes.len() > FILE_LIMIT {
            return Err(text.wrong(
                Kind::TooLarge,
                "it is larger than 1 MiB, which no certificate or key is; check the path",
            ));
        }
        if text.bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(text.wrong(Kind::Empty, "it is empty"));
        }
        Ok(text)
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Bytes(bytes) => write!(f, "Material({} bytes)", bytes.len()),
            Source::File(path) => write!(f, "Material({path:?})"),
        }
    }
}

/// PEM text or DER that was read, and where it came from. Two are equal if their bytes are.
pub(super) struct Text {
    item: &'static str,
    pub(super) origin: String,
    bytes: Arc<Zeroizing<Vec<u8>>>,
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Text {
    /// Every certificate in the text; at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
        self.no_archive(Kind::NoCertificate)?;
        if self.is_der() && der::validity(&self.bytes).is_some() {
            return Ok(vec![CertificateDer::from(self.bytes.to_vec())]);
        }
        let mut certificates = Vec::new();
        let mut key_seen = false;
        for section in self.sections() {
            let (kind, mut der) = section.map_err(|error| self.malformed(&error))?;
            if kind == SectionKind::Certificate {
                certificates.push(CertificateDer::from(der));
            } else {
                key_seen |= is_key(kind);
                der.zeroize();
            }
        }
        if !certificates.is_empty() {
            return Ok(certificates);
        }
        Err(if key_seen || self.is_encrypted() || self.is_der_key() {
            self.wrong(
                Kind::KeyInsteadOfCertificate,
                match self.item {
                    ANCHORS => "it holds a private key; give the certificate of the CA",
                    _ => "it holds a private key where a certificate is expected; were the two swapped?",
                },
            )
        } else {
            self.wrong(Kind::NoCertificate, &format!("it holds no certificate{}", self.what_it_is("x509")))
        })
    }

    /// The first private key in the text: a copy for the crypto provider, which takes it over.
    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsSetupError> {
        self.no_archive(Kind::NoPrivateKey)?;
        if self.is_der()
            && let Ok(key) = PrivateKeyDer::try_from(self.bytes.as_slice())
        {
            return Ok(key.clone_key());
        }
        let mut certificate_seen = false;
        for section in self.sections() {
            let (kind, mut der) = match section {
                Err(_) if self.is_encrypted() => break,
                section => section.map_err(|error| self.malformed(&error))?,
            };
            certificate_seen |= kind == SectionKind::Certificate;
            if !is_key(kind) {
                // A section of an unknown kind may be a secret as well.
                der.zeroize();
            } else if let Some(key) = PrivateKeyDer::from_pem(kind, der) {
                return Ok(key);
            }
        }
        Err(if self.is_encrypted() {
            self.wrong(
                Kind::EncryptedPrivateKey,
                "the key is encrypted, and nobody is there to type its passphrase; decrypt it with \
                 `openssl pkey -in encrypted.pem -out plain.pem`, and let only this program read the result",
            )
        } else if certificate_seen || der::validity(&self.bytes).is_some() {
            self.wrong(
                Kind::CertificateInsteadOfKey,
                "it holds a certificate where a private key is expected; were the two swapped?",
            )
        } else {
            self.wrong(Kind::NoPrivateKey, &format!("it holds no private key{}", self.what_it_is("pkey")))
        })
    }

    pub(super) fn wrong(&self, kind: Kind, what: &str) -> TlsSetupError {
        TlsSetupError::new(kind, format!("{} from {}: {what}", self.item, self.origin))
    }

    fn sections(&self) -> impl Iterator<Item = Result<(SectionKind, Vec<u8>), PemError>> {
        PemObject::pem_slice_iter(&self.bytes)
    }

    fn contains(&self, part: &[u8]) -> bool {
        self.bytes.windows(part.len()).any(|window| window == part)
    }

    /// A note in front of PEM text may begin with the same byte, a zero.
    fn no_archive(&self, kind: Kind) -> Result<(), TlsSetupError> {
        if !self.is_der() || !der::is_pkcs12(&self.bytes) {
            return Ok(());
        }
        let what = "it is a PKCS#12 archive; take it apart with `openssl pkcs12 -in FILE -nodes -out FILE.pem`, give \
                    the result as certificate and as key, and let only this program read it";
        Err(self.wrong(kind, what))
    }

    fn is_der(&self) -> bool {
        self.bytes.first() == Some(&0x30) && !self.contains(b"-----BEGIN")
    }

    fn is_der_key(&self) -> bool {
        self.is_der() && PrivateKeyDer::try_from(self.bytes.as_slice()).is_ok()
    }

    fn is_encrypted(&self) -> bool {
        if self.is_der() {
            return der::is_encrypted_key(&self.bytes);
        }
        self.contains(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || self.contains(b"Proc-Type: 4,ENCRYPTED")
    }

    fn malformed(&self, error: &PemError) -> TlsSetupError {
        const LONGEST_BEGIN: usize = 80;
        let line_breaks_lost = self
            .bytes
            .split(|byte| matches!(byte, b'\n' | b'\r'))
            .any(|line| line.starts_with(b"-----BEGIN ") && line.len() > LONGEST_BEGIN);
        let what = match error {
            _ if line_breaks_lost => {
                "the line breaks of the PEM text are lost, or written as the two characters \\n; it needs \
                 real ones"
            }
            PemError::MissingSectionEnd { .. } => "the PEM text is cut off: a BEGIN line has no END line",
            PemError::IllegalSectionStart { .. } => "a BEGIN line of the PEM text is damaged",
            _ => "the PEM text between BEGIN and END is not valid base64; copy the file again",
        };
        self.wrong(Kind::Malformed, what)
    }

    /// What the text is instead, and how to mend that.
    fn what_it_is(&self, command: &str) -> String {
        if self.is_der() {
            return format!(
                "; it looks like DER, but of something else: `openssl {command} -inform der -in FILE -text` tells what"
            );
        }
        let kinds = self.sections().flatten().map(|(kind, mut der)| {
            der.zeroize();
            kind
        });
        let kinds: Vec<_> = kinds.collect();
        if kinds.contains(&SectionKind::Csr) {
            "; it holds a certificate request, which a CA has yet to sign".into()
        } else if kinds.contains(&SectionKind::PublicKey) {
            "; it holds a public key".into()
        } else {
            "; PEM text begins with a line like -----BEGIN CERTIFICATE----- or -----BEGIN PRIVATE KEY-----"
                .into()
        }
    }
}

fn is_key(kind: SectionKind) -> bool {
    matches!(kind, SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey)
}

fn unreadable(item: &str, origin: &str, error: io::Error) -> TlsSetupError {
    let (kind, what) = match error.kind() {
        io::ErrorKind::NotFound => (Kind::Missing, "the file does not exist; check the path".to_owned()),
        io::ErrorKind::PermissionDenied => {
            (Kind::Unreadable, "this program may not read the file; check its owner and mode".to_owned())
        }
        _ => (Kind::Unreadable, format!("the file cannot be read: {error}")),
    };
    TlsSetupError::new(kind, format!("{item} from {origin}: {what}")).because(error)
}
