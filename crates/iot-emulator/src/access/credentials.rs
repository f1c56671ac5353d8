//! AWS credentials: what requests are signed with.

use std::fmt;
use std::time::SystemTime;

/// An access key with its secret, for good or for a while.
///
/// ```
/// use iot_emulator::AwsCredentials;
///
/// let credentials = AwsCredentials::new("AKIDEXAMPLE", "hush").with_session_token("token");
/// assert!(!format!("{credentials:?}").contains("hush"));
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AwsCredentials {
    /// Names the credentials.
    pub access_key_id: String,
    /// What signs.
    pub secret_access_key: String,
    /// Goes with temporary credentials, and has to be shown with every signature.
    pub session_token: Option<String>,
    /// When they are good no longer.
    pub expires: Option<SystemTime>,
}

impl AwsCredentials {
    /// Credentials that do not expire.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
            session_token: None,
            expires: None,
        }
    }

    /// With the token of temporary credentials.
    #[must_use]
    pub fn with_session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(token.into());
        self
    }

    /// Good until then.
    #[must_use]
    pub fn with_expiry(mut self, at: SystemTime) -> Self {
        self.expires = Some(at);
        self
    }
}

impl fmt::Debug for AwsCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsCredentials")
            .field("access_key_id", &self.access_key_id)
            .field("secret_access_key", &"redacted")
            .field("session_token", &self.session_token.as_ref().map(|_| "redacted"))
            .field("expires", &self.expires)
            .finish()
    }
}
