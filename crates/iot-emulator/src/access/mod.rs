//! Who gets in, and as whom: AWS credentials and their signatures, custom authorizers, certificates taken back.

mod authorizer;
mod certificates;
mod credentials;
mod date;
mod identities;
mod random;
mod sigv4;
mod vault;

pub use authorizer::{AuthorizerReply, AuthorizerRequest, HttpContext, MqttContext};
pub use credentials::AwsCredentials;

pub(crate) use authorizer::Authorizer;
pub(crate) use certificates::{Certificates, Fingerprint};
pub(crate) use date::iso_8601;
pub(crate) use identities::Identities;
pub(crate) use random::uuid;
pub(crate) use sigv4::{Parameter, Refusal, SignedRequest, Verifier, decoded, parameters};
pub(crate) use vault::Vault;

/// Where a connection comes from, as far as its handshake told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    pub(crate) tls: bool,
    /// The host name that the client asked for.
    pub(crate) server_name: Option<String>,
    /// The client's certificate, which the handshake has verified.
    pub(crate) certificate: Option<Fingerprint>,
}
