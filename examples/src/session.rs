//! The frame of a sample: connected, talking until it is done or interrupted, disconnected.

use aws_iot::{Builder, Client, Layers};
use iot_emulator::{CredentialFiles, Emulator};

use crate::{Failure, Interrupt, say};

/// Connects by this name or, without one, by the builder's, lets the sample talk until it has said all or is interrupted, and leaves in order; the emulator,
/// if there is one, is shut down behind it.
///
/// # Errors
/// What the sample says, or why there is no connection.
pub async fn session<L: Layers>(
    (builder, emulator): (Builder<L>, Option<Emulator>),
    client_id: Option<&str>,
    mut interrupt: Interrupt,
    talk: impl AsyncFnOnce(&Client) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let builder = match client_id {
        Some(client_id) => builder.client_id(client_id),
        None => builder,
    };
    let client = tokio::select! {
        client = builder.connect() => client?,
        () = interrupt.requested() => return Ok(()),
    };
    let result = async {
        match client_id {
            Some(client_id) => say(format_args!("Connected as {client_id}."))?,
            None => say("Connected.")?,
        }
        tokio::select! {
            result = talk(&client) => result,
            () = interrupt.requested() => say("Interrupted."),
        }
    }
    .await;
    let left = client.disconnect().await;
    if let Some(emulator) = emulator {
        // If it wrote any: nobody is to take them for those of an emulator that runs.
        let files = CredentialFiles::in_directory(&CredentialFiles::usual_directory(emulator.port()));
        emulator.shutdown().await;
        files.remove();
    }
    result?;
    left?;
    say("Disconnected.")
}
