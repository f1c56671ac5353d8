//! AWS credentials for signing: where they come from, in which order, and how long they are kept.
//!
//! A source of credentials is a [`ProvideCredentials`], the trait of the AWS SDK for Rust, so that any provider
//! made for it fits here, and these fit there. Nothing here keeps what it gave: each call reads the environment
//! and the files anew, so that rotated keys are found without a restart. [`Cached`] around a source that is asked
//! over the network keeps temporary credentials until shortly before they expire.
//!
//! | source | where the credentials come from | feature |
//! |---|---|---|
//! | [`Credentials`] | they are at hand | `sigv4` |
//! | [`Environment`] | `AWS_ACCESS_KEY_ID` and its companions | `sigv4` |
//! | [`SharedFile`] | `~/.aws/credentials` | `sigv4` |
//! | [`Chain`] | the first of several sources that has some | `sigv4` |
#![cfg_attr(
    feature = "cognito",
    doc = "| [`Cognito`] | an Amazon Cognito identity pool, with a login or without | `cognito` |"
)]
#![cfg_attr(
    feature = "iot-credentials",
    doc = "| [`IotCredentialProvider`] | the device's certificate, by the AWS IoT credential provider | `iot-credentials` |"
)]
#![cfg_attr(
    feature = "aws-config",
    doc = "| [`AwsConfigChain`] | all that the AWS SDK for Rust knows: roles, containers, EC2, web identity | `aws-config` |"
)]
//!
//! Cancelling: dropping the future of any of them gives up the request. A file read that is under way runs to its
//! end on tokio's blocking pool, where its result is dropped.
//!
//! A source of one's own gives a future of its credentials:
//!
//! ```
//! use iot_transport::credentials::{Credentials, CredentialsError, ProvideCredentials, future};
//!
//! #[derive(Debug)]
//! struct Vault;
//!
//! impl Vault {
//!     async fn ask(&self) -> Result<Credentials, CredentialsError> {
//!         // An expiry lets `SigV4` and `Cached` keep them; without one they are asked for at each attempt.
//!         Ok(Credentials::new("AKIDEXAMPLE", "secret", None, None, "vault"))
//!     }
//! }
//!
//! impl ProvideCredentials for Vault {
//!     fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
//!     where
//!         Self: 'a,
//!     {
//!         future::ProvideCredentials::new(self.ask())
//!     }
//! }
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # assert!(Vault.provide_credentials().await.is_ok());
//! # }
//! ```
//!
//! ```
//! use iot_transport::credentials::{Chain, Environment, ProvideCredentials, explain};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let variables = |name: &str| match name {
//! #     "AWS_ACCESS_KEY_ID" => Some("AKIDEXAMPLE"),
//! #     "AWS_SECRET_ACCESS_KEY" => Some("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
//! #     _ => None,
//! # };
//! # let chain = Chain::of(Environment::from_fn(variables));
//! # let _ = stringify!(
//! let chain = Chain::new();
//! # );
//! match chain.provide_credentials().await {
//!     Ok(credentials) => println!("signing as {}", credentials.access_key_id()),
//!     Err(error) => println!("{}", explain(&error)),
//! }
//! # assert!(chain.provide_credentials().await.is_ok());
//! # }
//! ```

mod cached;
mod chain;
mod clock;
#[cfg(feature = "cognito")]
mod cognito;
#[cfg(feature = "iot-credentials")]
mod device;
mod environment;
mod explain;
mod keys;
mod profiles;
#[cfg(feature = "aws-config")]
mod sdk;
#[cfg(any(feature = "cognito", feature = "iot-credentials"))]
mod service;
mod shared_file;
#[cfg(any(feature = "cognito", feature = "iot-credentials"))]
mod timestamp;

pub use aws_credential_types;
pub use aws_credential_types::Credentials;
pub use aws_credential_types::provider::error::CredentialsError;
pub use aws_credential_types::provider::future;
pub use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
pub use cached::Cached;
pub use chain::Chain;
pub(crate) use clock::Clock;
#[cfg(feature = "cognito")]
#[cfg_attr(docsrs, doc(cfg(feature = "cognito")))]
pub use cognito::Cognito;
#[cfg(feature = "iot-credentials")]
#[cfg_attr(docsrs, doc(cfg(feature = "iot-credentials")))]
pub use device::IotCredentialProvider;
pub use environment::Environment;
pub use explain::explain;
#[cfg(feature = "fuzzing")]
pub(crate) use profiles::{FILE_LIMIT, LINE_LIMIT, Profiles};
#[cfg(feature = "aws-config")]
#[cfg_attr(docsrs, doc(cfg(feature = "aws-config")))]
pub use sdk::AwsConfigChain;
pub use shared_file::SharedFile;
