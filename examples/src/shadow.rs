//! What the samples of shadows share: their flags, and their frame.

use aws_iot::shadow::{ShadowClient, ShadowError, ShadowId, SyncError};
use clap::Args;

use crate::{ConnectionArgs, Failure, Interrupt, session};

/// The flags of the samples of shadows.
#[derive(Debug, Args)]
pub struct ShadowArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The client id; the policy must allow it [default: the sample's name]
    #[arg(long = "clientId")]
    client_id: Option<String>,
    /// The name of the thing
    #[arg(short = 'n', long = "thingName", default_value = "Bot")]
    thing: String,
    /// The name of the shadow [default: the classic shadow, which has none]
    #[arg(long = "shadowName")]
    shadow: Option<String>,
    /// Ends after this many deltas, or updates [default: goes on]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Without -e: the port of the local AWS IoT Core, one that runs or else one that is started; 0 starts one at any port
    #[arg(long = "emulator", value_name = "PORT", default_value_t = 8883)]
    emulator: u16,
}

impl ShadowArgs {
    /// Connects, lets the sample do what it does with the shadow until it is done or interrupted, and leaves in order.
    ///
    /// # Errors
    /// What the sample says, or why there is no connection.
    pub async fn run(
        &self,
        sample: &str,
        talk: impl AsyncFnOnce(&ShadowClient) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let id = match &self.shadow {
            Some(name) => ShadowId::named(&self.thing, name),
            None => ShadowId::classic(&self.thing),
        };
        let id = id.map_err(|error| Failure::Usage(format!("{error} (-n, --shadowName)")))?;
        let interrupt = Interrupt::listen()?;
        let connection = self.connection.builder_at(self.emulator).await?;
        let client_id = self.connection.client_id(self.client_id.as_deref(), sample);
        session(connection, client_id, interrupt, async |client| talk(&client.shadow(id)).await).await
    }
}

impl From<ShadowError> for Failure {
    fn from(error: ShadowError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<SyncError> for Failure {
    fn from(error: SyncError) -> Self {
        Self::Failed(error.to_string())
    }
}
