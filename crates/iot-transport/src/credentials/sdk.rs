//! Credentials from the chain of the AWS SDK for Rust.

use aws_config::Region;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_credential_types::provider::future;

use super::{Credentials, CredentialsError, ProvideCredentials};

/// Credentials from the whole chain of the AWS SDK for Rust: the environment; the profile in the files `config` and
/// `credentials`, roles included; web identity tokens; containers; the metadata of an EC2 instance.
///
/// It follows [Credential provider chain](https://docs.aws.amazon.com/sdk-for-rust/latest/dg/credproviders.html). The
/// SDK's chain reads the files once, and remembers what went wrong then: here it is put together anew at each call, so
/// that rotated keys and mended files are found without a restart. Temporary credentials are not kept: put
/// [`Cached`](super::Cached) around it. SSO and `credential_process` are there if the program turns on the features `sso`
/// and `credentials-process` of `aws-config`.
///
/// The **region**, which the services that are asked for a role need, is that of [`region`](Self::region); else of
/// `AWS_REGION`, of the profile, or of the instance. It has nothing to do with the region of the broker, which signing
/// takes from its endpoint.
///
/// # Errors
///
/// Those of the SDK, shown by [`explain`](super::explain()); [`CredentialsError::CredentialsNotLoaded`] when nothing in
/// the chain has credentials. On a device that is no EC2 instance, finding that out takes a second or more.
///
/// Cancelling: dropping the future gives up the request.
///
/// ```
/// use iot_transport::credentials::{AwsConfigChain, Cached};
///
/// let credentials = Cached::new(AwsConfigChain::new().region("eu-west-1").profile("sensors"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct AwsConfigChain {
    region: Option<String>,
    profile: Option<String>,
}

impl AwsConfigChain {
    /// The chain as the environment sets it up.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the services of this region. Default: the SDK's, as told above.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Takes this profile. Default: `AWS_PROFILE`, else `default`.
    #[must_use]
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = Some(profile.into());
        self
    }

    async fn load(&self) -> Result<Credentials, CredentialsError> {
        let mut builder = DefaultCredentialsChain::builder();
        if let Some(region) = &self.region {
            builder = builder.region(Region::new(region.clone()));
        }
        if let Some(profile) = &self.profile {
            builder = builder.profile_name(profile);
        }
        builder.build().await.provide_credentials().await
    }
}

impl ProvideCredentials for AwsConfigChain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}
