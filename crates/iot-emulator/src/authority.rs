//! A certificate authority for one run: made at start, kept in memory, gone with the emulator.

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// 9999-12-31T23:59:59Z, in seconds since 1970: the last instant that a certificate can name.
const END_OF_TIME: u64 = 253_402_300_799;

/// Issues the emulator's own certificate and those of its clients. ECDSA P-256, all made at run time.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What a client needs: whom to trust, and its own certificate and key, all as PEM.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// The certificate of the authority that signed the emulator's.
    pub ca_pem: String,
    /// The client's certificate.
    pub certificate_pem: String,
    /// The client's private key, PKCS#8.
    pub key_pem: String,
}

/// Where [`Credentials::write_to`] has put them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CredentialFiles {
    /// `ca.pem`
    pub ca: PathBuf,
    /// `device.pem`
    pub certificate: PathBuf,
    /// `device.key`
    pub key: PathBuf,
}

impl CredentialFiles {
    /// The files in a directory, whether they exist or not.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        let file = |name| directory.join(name);
        Self { ca: file("ca.pem"), certificate: file("device.pem"), key: file("device.key") }
    }

    /// Where the `iot-emulator` program puts its files unless told otherwise: a directory in the system's temporary one,
    /// for each port its own.
    #[must_use]
    pub fn usual_directory(port: u16) -> PathBuf {
        std::env::temp_dir().join(format!("iot-emulator-certs-{port}"))
    }

    /// Those of the `iot-emulator` program that runs on this machine with this port; `None`: there seems to be none.
    ///
    /// This is for samples and tests that are to find it by themselves. A program that was killed has left its files
    /// behind, so it is looked whether something listens at the port of the loopback address, for at most a second.
    #[must_use]
    pub fn of_running(port: u16) -> Option<Self> {
        let files = Self::in_directory(&Self::usual_directory(port));
        let there = [&files.ca, &files.certificate, &files.key].iter().all(|file| file.is_file());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listens = || TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok();
        (there && listens()).then_some(files)
    }

    /// Deletes the files, and their directory if it is empty then. What cannot be deleted stays.
    pub fn remove(&self) {
        for file in [&self.ca, &self.certificate, &self.key] {
            let _ = fs::remove_file(file);
        }
        let _ = self.ca.parent().map(fs::remove_dir);
    }
}

impl Authority {
    /// A new authority with a key that nobody else has.
    ///
    /// # Errors
    /// The system has no random numbers to give.
    pub fn new() -> io::Result<Self> {
        let mut params = params("iot-emulator throw-away CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(io::Error::other)?;
        Ok(Self { issuer })
    }

    /// The authority's certificate.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.issuer.pem()
    }

    /// Issues a client certificate.
    ///
    /// # Errors
    /// The system has no random numbers to give.
    pub fn issue_client(&self, common_name: &str) -> io::Result<Credentials> {
        self.issue_client_with(params(common_name))
    }

    /// Issues a client certificate that is good for a time only: for tests of what has expired, or is not valid yet.
    /// Instants are rounded down to seconds, and brought into the years 1970 to 9999.
    ///
    /// # Errors
    /// The system has no random numbers to give.
    pub fn issue_client_valid(
        &self,
        common_name: &str,
        not_before: SystemTime,
        not_after: SystemTime,
    ) -> io::Result<Credentials> {
        let date = |at: SystemTime| {
            let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds.min(END_OF_TIME))
        };
        let mut params = params(common_name);
        params.not_before = date(not_before);
        params.not_after = date(not_after);
        self.issue_client_with(params)
    }

    fn issue_client_with(&self, mut params: CertificateParams) -> io::Result<Credentials> {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let (certificate_pem, _, key) = self.issue(params)?;
        Ok(Credentials { ca_pem: self.ca_pem(), certificate_pem, key_pem: key.serialize_pem() })
    }

    /// Issues a server certificate for host names and addresses.
    pub(crate) fn issue_server(
        &self,
        names: &[String],
    ) -> io::Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
        let mut params = params("iot-emulator");
        params.subject_alt_names = CertificateParams::new(names)
            .map_err(|error| {
                let text = format!("a server name is neither a host name nor an address: {error}");
                io::Error::new(io::ErrorKind::InvalidInput, text)
            })?
            .subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (_, der, key) = self.issue(params)?;
        Ok((der, PrivatePkcs8KeyDer::from(key.serialize_der()).into()))
    }

    /// What verifies client certificates.
    pub(crate) fn ca_der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    fn issue(&self, mut params: CertificateParams) -> io::Result<(String, CertificateDer<'static>, KeyPair)> {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        Ok((certificate.pem(), certificate.der().clone(), key))
    }
}

impl Credentials {
    /// Writes `ca.pem`, `device.pem` and `device.key` into a directory, which is made if it does not exist. On Unix
    /// the key can be read by its owner only.
    ///
    /// # Errors
    /// The directory or a file cannot be written.
    pub fn write_to(&self, directory: &Path) -> io::Result<CredentialFiles> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(directory)?;
        let files = CredentialFiles::in_directory(directory);
        write_new(&files.ca, &self.ca_pem, 0o644)?;
        write_new(&files.certificate, &self.certificate_pem, 0o644)?;
        write_new(&files.key, &self.key_pem, 0o600)?;
        Ok(files)
    }
}

/// Replaces the file by a new one that has its mode from the start, so a key is not readable by others even for a
/// moment, and a link that someone put there is not followed.
fn write_new(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path)?.write_all(content.as_bytes())
}

/// The names that the emulator's certificate is always good for, and more.
pub(crate) fn server_names(bind: IpAddr, more: &[String]) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(String::from).into();
    let address = (!bind.is_unspecified()).then(|| bind.to_string());
    for name in address.iter().chain(more) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    // Wide enough for devices whose clock is not set.
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    params
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("ca_pem", &self.ca_pem()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("ca_pem", &self.ca_pem)
            .field("certificate_pem", &self.certificate_pem)
            .field("key_pem", &"redacted")
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_the_key() {
        let credentials = Authority::new().unwrap().issue_client("device").unwrap();
        assert!(credentials.key_pem.starts_with("-----BEGIN PRIVATE KEY-----"));
        let shown = format!("{credentials:?}");
        assert!(shown.contains("redacted") && !shown.contains("PRIVATE KEY"));
    }

    #[test]
    fn the_key_file_is_readable_by_its_owner_only_even_over_an_older_one() {
        let directory = tempfile::tempdir().unwrap();
        let credentials = Authority::new().unwrap().issue_client("device").unwrap();
        fs::write(directory.path().join("device.key"), "older, and readable by everyone").unwrap();
        let files = credentials.write_to(directory.path()).unwrap();
        assert_eq!(fs::read_to_string(&files.key).unwrap(), credentials.key_pem);
        assert_eq!(fs::read_to_string(&files.ca).unwrap(), credentials.ca_pem);
        assert_eq!(fs::read_to_string(&files.certificate).unwrap(), credentials.certificate_pem);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&files.key).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn instants_that_no_certificate_can_name_are_brought_into_range() {
        let authority = Authority::new().unwrap();
        let far = UNIX_EPOCH + Duration::from_secs(END_OF_TIME * 2);
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert!(authority.issue_client_valid("device", before, far).is_ok());
    }

    #[test]
    fn server_names_that_are_no_names_are_refused() {
        let authority = Authority::new().unwrap();
        assert!(authority.issue_server(&["not a name\u{e9}".into()]).is_err());
        let names = server_names("192.0.2.1".parse().unwrap(), &["iot.test".into(), "localhost".into()]);
        assert_eq!(names, ["localhost", "127.0.0.1", "::1", "192.0.2.1", "iot.test"]);
        assert!(authority.issue_server(&names).is_ok());
    }
}
