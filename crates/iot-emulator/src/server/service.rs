//! What the service knows: credentials, who may have some, and who decides about the rest.

use std::io;
use std::time::{Duration, SystemTime};

use super::clock::WallClock;
use crate::access::{
    Authorizer, AwsCredentials, Certificates, Identities, Refusal, SignedRequest, Vault, Verifier,
};

/// How a [`Service`] is to be.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) region: String,
    pub(super) signature_window: Duration,
    pub(super) clock: WallClock,
    /// Made up if there are none.
    pub(super) aws_credentials: Option<AwsCredentials>,
    pub(super) authorizer: Authorizer,
    pub(super) role_alias: String,
    pub(super) identity_pool: String,
    pub(super) unauthenticated_identities: bool,
    pub(super) credential_lifetime: Duration,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Service {
    pub(super) clock: WallClock,
    pub(super) vault: Vault,
    pub(super) verifier: Verifier,
    pub(super) authorizer: Authorizer,
    pub(super) certificates: Certificates,
    pub(super) role_alias: String,
    pub(super) identity_pool: String,
    pub(super) unauthenticated_identities: bool,
    pub(super) identities: Identities,
    credential_lifetime: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            signature_window: Duration::from_secs(300),
            clock: WallClock::default(),
            aws_credentials: None,
            authorizer: Authorizer::default(),
            role_alias: "emulator".to_owned(),
            identity_pool: "us-east-1:00000000-0000-0000-0000-000000000000".to_owned(),
            unauthenticated_identities: true,
            credential_lifetime: Duration::from_secs(3_600),
        }
    }
}

impl Service {
    pub(super) fn new(settings: Settings) -> io::Result<Self> {
        let credentials = match settings.aws_credentials {
            Some(credentials) => credentials,
            None => Vault::generate()?,
        };
        Ok(Self {
            clock: settings.clock,
            vault: Vault::new(credentials),
            verifier: Verifier { region: settings.region, window: settings.signature_window },
            authorizer: settings.authorizer,
            certificates: Certificates::default(),
            role_alias: settings.role_alias,
            identity_pool: settings.identity_pool,
            unauthenticated_identities: settings.unauthenticated_identities,
            identities: Identities::default(),
            credential_lifetime: settings.credential_lifetime,
        })
    }

    /// Whether a request is signed with credentials that are known, now.
    pub(super) fn verify(&self, request: SignedRequest<'_>) -> Result<(), Refusal> {
        self.verifier.verify(request, |key| self.vault.find(key), self.clock.now())
    }

    /// Temporary credentials, and when they expire.
    pub(super) fn issue_credentials(&self) -> io::Result<(AwsCredentials, SystemTime)> {
        let now = self.clock.now();
        let credentials = self.vault.issue(now, self.credential_lifetime)?;
        let expires = credentials.expires.unwrap_or(now);
        Ok((credentials, expires))
    }
}
