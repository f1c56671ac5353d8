//! The ways in: what clients need to know for them, and what can be changed about them while the emulator runs.

use std::io;

use super::Emulator;
use crate::access::{AwsCredentials, Fingerprint};
use crate::authority::Credentials;

/// # Ways in
impl Emulator {
    /// The port that is as AWS's 443, if [asked for](super::Builder::https).
    #[must_use]
    pub fn https_port(&self) -> Option<u16> {
        self.https.map(|address| address.port())
    }

    /// The region that signatures have to be made for.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.shared.service.verifier.region
    }

    /// AWS credentials that the emulator accepts.
    #[must_use]
    pub fn aws_credentials(&self) -> AwsCredentials {
        self.shared.service.vault.configured()
    }

    /// Accepts these AWS credentials from now on, and no longer those before. Connections go on.
    pub fn set_aws_credentials(&self, credentials: AwsCredentials) {
        self.shared.service.vault.configure(credentials);
    }

    /// The role alias that the credential provider knows: `GET /role-aliases/<alias>/credentials`.
    #[must_use]
    pub fn role_alias(&self) -> &str {
        &self.shared.service.role_alias
    }

    /// The Cognito identity pool.
    #[must_use]
    pub fn identity_pool(&self) -> &str {
        &self.shared.service.identity_pool
    }

    /// Takes a client certificate back: it passes the handshake, but CONNECT closes the connection, and the credential
    /// provider refuses it. Connections go on.
    ///
    /// # Errors
    /// The certificate is not one.
    pub fn deactivate_certificate(&self, credentials: &Credentials) -> io::Result<()> {
        self.set_active(credentials, false)
    }

    /// Takes [`deactivate_certificate`](Self::deactivate_certificate) back.
    ///
    /// # Errors
    /// The certificate is not one.
    pub fn activate_certificate(&self, credentials: &Credentials) -> io::Result<()> {
        self.set_active(credentials, true)
    }

    fn set_active(&self, credentials: &Credentials, active: bool) -> io::Result<()> {
        let certificate = Fingerprint::of_pem(&credentials.certificate_pem)?;
        self.shared.service.certificates.set_active(certificate, active);
        Ok(())
    }
}
