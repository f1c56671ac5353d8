//! Several sources, one after the other.

use std::fmt;
use std::sync::Arc;

use aws_credential_types::provider::future;

use super::explain::{said_by_source, tell};
use super::{
    Credentials, CredentialsError, Environment, ProvideCredentials, SharedCredentialsProvider, SharedFile,
};

/// The first of several sources that has credentials: those given explicitly, then the environment, then the
/// shared credentials file.
///
/// A source that has none ([`CredentialsError::CredentialsNotLoaded`]) lets the next one try; any other error ends
/// the search, so that a broken file is told and not passed over. Each call begins at the first source.
///
/// This is the order of the AWS IoT Device SDK for Python. Sources can be put in front of it and behind it; the
/// feature `aws-config` has the longer chain of the AWS SDK for Rust.
///
/// # Errors
///
/// When no source has credentials, [`CredentialsError::CredentialsNotLoaded`] with what each of them said and
/// what to do; else the error that ended the search, with the name of its source.
/// [`explain`](super::explain()) shows either in a sentence.
///
/// ```
/// use iot_transport::credentials::{Chain, Credentials, ProvideCredentials};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let given = Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", None, None, "example");
/// let chain = Chain::new().with_static(given);
/// assert_eq!(chain.provide_credentials().await.unwrap().access_key_id(), "AKIDEXAMPLE");
/// # }
/// ```
#[derive(Clone)]
pub struct Chain {
    sources: Vec<(String, SharedCredentialsProvider)>,
}

impl Chain {
    /// The environment of this process, then its shared credentials file.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Environment::new())
    }

    /// This environment, then the shared credentials file that it names.
    #[must_use]
    pub fn of(environment: Environment) -> Self {
        let file = SharedFile::new().environment(environment.clone());
        Self::empty().then("environment", environment).then("shared credentials file", file)
    }

    /// No source at all, to put together a chain of one's own.
    ///
    /// ```
    /// use iot_transport::credentials::{Chain, Environment, SharedFile};
    ///
    /// let chain = Chain::empty()
    ///     .then("credentials of the service", SharedFile::new().path("/etc/sensor/credentials"))
    ///     .then("environment", Environment::new());
    /// ```
    #[must_use]
    pub fn empty() -> Self {
        Self { sources: Vec::new() }
    }

    /// Puts these credentials in front of all sources. With an empty key or secret they count as not given.
    #[must_use]
    pub fn with_static(self, credentials: Credentials) -> Self {
        self.first("explicit credentials", Explicit(credentials))
    }

    /// Puts a source in front of all others; its name shows in errors.
    #[must_use]
    pub fn first(mut self, name: impl Into<String>, source: impl ProvideCredentials + 'static) -> Self {
        self.sources.insert(0, (name.into(), SharedCredentialsProvider::new(source)));
        self
    }

    /// Puts a source behind all others; its name shows in errors.
    #[must_use]
    pub fn then(mut self, name: impl Into<String>, source: impl ProvideCredentials + 'static) -> Self {
        self.sources.push((name.into(), SharedCredentialsProvider::new(source)));
        self
    }

    async fn load(&self) -> Result<Credentials, CredentialsError> {
        let mut said = Vec::with_capacity(self.sources.len());
        for (name, source) in &self.sources {
            match source.provide_credentials().await {
                Ok(credentials) => return Ok(credentials),
                Err(error @ CredentialsError::CredentialsNotLoaded(_)) => {
                    said.push(format!("{name}: {}", said_by_source(&error)));
                }
                Err(error) => return Err(tell(&Arc::new(error), Some(name))),
            }
        }
        let text = match said.as_slice() {
            [] => "the chain has no sources; add one with Chain::then".to_owned(),
            said => format!("{}; set up one of these", said.join("; ")),
        };
        Err(CredentialsError::not_loaded(text))
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

impl ProvideCredentials for Chain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.sources.iter().map(|(name, _)| name)).finish()
    }
}

/// Credentials that a program was given, which may turn out to be none.
#[derive(Debug)]
struct Explicit(Credentials);

impl ProvideCredentials for Explicit {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let missing = match (self.0.access_key_id(), self.0.secret_access_key()) {
            ("", _) => "the access key id is empty",
            (_, "") => "the secret access key is empty",
            _ => return future::ProvideCredentials::ready(Ok(self.0.clone())),
        };
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded(missing)))
    }
}
