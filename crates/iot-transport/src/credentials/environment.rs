//! Credentials out of environment variables.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use aws_credential_types::provider::future;
use zeroize::Zeroizing;

use super::keys::{self, Named};
use super::{Credentials, CredentialsError, ProvideCredentials};

const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";

/// Credentials out of the environment variables `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, for temporary
/// ones, `AWS_SESSION_TOKEN`.
///
/// The variables are read anew at each call. White space around a value is no part of it, and an empty value
/// counts as not set. The credentials have no expiry, since the environment tells none. The rules are those of
/// [AWS access keys](https://docs.aws.amazon.com/sdkref/latest/guide/feature-static-credentials.html) in the AWS
/// SDKs and Tools Reference Guide.
///
/// # Errors
///
/// - [`CredentialsError::CredentialsNotLoaded`] when the key, the secret or both are not set, be there a token or
///   not; the text names what is missing.
/// - [`CredentialsError::InvalidConfiguration`] when a variable is not Unicode, or holds what no key has.
///
/// ```
/// use iot_transport::credentials::{Environment, ProvideCredentials};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let environment = Environment::from_fn(|name| match name {
///     "AWS_ACCESS_KEY_ID" => Some("AKIDEXAMPLE"),
///     "AWS_SECRET_ACCESS_KEY" => Some("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
///     _ => None,
/// });
/// let credentials = environment.provide_credentials().await.unwrap();
/// assert_eq!(credentials.access_key_id(), "AKIDEXAMPLE");
/// # }
/// ```
#[derive(Clone)]
pub struct Environment(Arc<Lookup>);

/// From a variable's name to its value.
type Lookup = dyn Fn(&str) -> Option<OsString> + Send + Sync;

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(|name| env::var_os(name)))
    }

    /// Looks variables up here instead of in the process's environment: for tests, and for programs that get
    /// their settings in another way. The function is called with a variable's name, at each call anew.
    pub fn from_fn<F, S>(lookup: F) -> Self
    where
        F: Fn(&str) -> Option<S> + Send + Sync + 'static,
        S: Into<OsString>,
    {
        Self(Arc::new(move |name| lookup(name).map(Into::into)))
    }

    /// The value of a variable, unless it is empty.
    pub(super) fn get_os(&self, name: &str) -> Option<OsString> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// The value of a variable without the white space around it, unless nothing is left.
    pub(super) fn get(&self, name: &str) -> Result<Option<Zeroizing<String>>, CredentialsError> {
        let Some(value) = self.get_os(name) else { return Ok(None) };
        let value = value.into_string().map(Zeroizing::new).map_err(|_| {
            let text = format!("{name} of the environment is not Unicode; set it again");
            CredentialsError::invalid_configuration(text)
        })?;
        let trimmed = value.trim();
        Ok((!trimmed.is_empty()).then(|| Zeroizing::new(trimmed.to_owned())))
    }

    fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let key = self.get(ACCESS_KEY_ID)?;
        let secret = self.get(SECRET_ACCESS_KEY)?;
        let token = self.get(SESSION_TOKEN)?;
        let (Some(key), Some(secret)) = (&key, &secret) else {
            let text = match (key.is_some(), secret.is_some(), token.is_some()) {
                (true, ..) => format!("{ACCESS_KEY_ID} is set and {SECRET_ACCESS_KEY} is not; set both"),
                (_, true, _) => format!("{SECRET_ACCESS_KEY} is set and {ACCESS_KEY_ID} is not; set both"),
                (.., true) => format!(
                    "{SESSION_TOKEN} is set, but neither {ACCESS_KEY_ID} nor {SECRET_ACCESS_KEY}; set all three"
                ),
                _ => format!("{ACCESS_KEY_ID} and {SECRET_ACCESS_KEY} are not set"),
            };
            return Err(CredentialsError::not_loaded(text));
        };
        let named = |name: &str, text| Named { name: format!("{name} of the environment"), text };
        let token = token.as_ref().map(|token| named(SESSION_TOKEN, token.as_str()));
        keys::credentials(
            &named(ACCESS_KEY_ID, key.as_str()),
            &named(SECRET_ACCESS_KEY, secret.as_str()),
            token.as_ref(),
            None,
            "Environment",
        )
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self::new()
    }
}

impl ProvideCredentials for Environment {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(self.credentials())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}
