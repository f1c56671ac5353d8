//! The settings that are about who gets in.

use std::time::{Duration, SystemTime};

use super::Builder;
use super::clock::WallClock;
use crate::access::{AuthorizerReply, AuthorizerRequest, AwsCredentials};

/// # Who gets in
impl Builder {
    /// The region that signatures have to be made for. Default: `us-east-1`.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.service.region = region.into();
        self
    }

    /// The credentials that requests for a WebSocket are signed with. Default: the emulator makes some, which
    /// [`aws_credentials`](super::Emulator::aws_credentials) returns.
    pub fn aws_credentials(mut self, credentials: AwsCredentials) -> Self {
        self.service.aws_credentials = Some(credentials);
        self
    }

    /// How far a signature's date may be away from now, either way. Default: 5 minutes.
    pub fn signature_window(mut self, window: Duration) -> Self {
        self.service.signature_window = window;
        self
    }

    /// Where the date comes from that signatures and the expiry of credentials are measured by. Default: the system.
    /// Handshakes take the system's date all the same.
    pub fn wall_clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.service.clock = WallClock::new(now);
        self
    }

    /// Decides about clients that come with neither certificate nor signature. It runs in the client's task, and
    /// must not block. Default: there is none, and such clients are refused.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use iot_emulator::{AuthorizerReply, Emulator};
    ///
    /// let emulator = Emulator::builder()
    ///     .custom_authorizer(|request| match request.token.as_deref() {
    ///         Some("let me in") => AuthorizerReply::allow(),
    ///         _ => AuthorizerReply::deny(),
    ///     })
    ///     .start()
    ///     .await?;
    /// # emulator.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn custom_authorizer(
        mut self,
        decide: impl Fn(&AuthorizerRequest) -> AuthorizerReply + Send + Sync + 'static,
    ) -> Self {
        self.service.authorizer.set(decide);
        self
    }

    /// The parameter, or header, that holds the token for the custom authorizer. Default: `token`.
    pub fn authorizer_token_key(mut self, name: impl Into<String>) -> Self {
        self.service.authorizer.token_key = name.into();
        self
    }

    /// The role alias that the credential provider knows. Default: `emulator`.
    pub fn role_alias(mut self, name: impl Into<String>) -> Self {
        self.service.role_alias = name.into();
        self
    }

    /// The Cognito identity pool. Default: `us-east-1:00000000-0000-0000-0000-000000000000`.
    pub fn identity_pool(mut self, id: impl Into<String>) -> Self {
        self.service.identity_pool = id.into();
        self
    }

    /// Whether the identity pool has identities without a login. Default: yes.
    pub fn unauthenticated_identities(mut self, allowed: bool) -> Self {
        self.service.unauthenticated_identities = allowed;
        self
    }

    /// How long temporary credentials are good for. Default: 1 hour.
    pub fn credential_lifetime(mut self, lifetime: Duration) -> Self {
        self.service.credential_lifetime = lifetime;
        self
    }
}
