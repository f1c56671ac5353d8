//! Wants another number of a thing every second: updates what is desired in its shadow, and prints what the service says.
//! With no arguments it meets the other shadow samples at a local AWS IoT Core (the emulator), which it starts if none runs;
//! with -e and -c and -k, or -e and -w, it talks to a real endpoint. `--count N` ends after N updates, Ctrl-C at any time.
//! Shows: requests with answers of their own, a rejection that is expected (there is no shadow to delete at first), timeouts.
//! Exit codes: 0 done, 1 something failed, 2 wrong arguments.

use std::process::ExitCode;
use std::time::Duration;

use aws_iot::shadow::{ShadowClient, Update};
use clap::Parser;
use examples::{Failure, ShadowArgs, end, say, warn};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

/// Updates what is desired in the shadow of a thing every second.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    shadow: ShadowArgs,
}

/// What is desired.
#[derive(Serialize)]
struct Wish {
    property: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    end(args.shadow.run("basicShadowUpdater", async |shadow| talk(shadow, args.shadow.count).await).await)
}

async fn talk(shadow: &ShadowClient, count: Option<u64>) -> Result<(), Failure> {
    // Whatever was there is of an earlier run.
    match shadow.delete().await {
        Ok(_) => say("Delete request accepted!")?,
        Err(error) if error.is_missing() => say("There was no shadow to delete.")?,
        Err(error) => return Err(error.into()),
    }
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut property, mut accepted) = (0, 0);
    while count.is_none_or(|count| accepted < count) {
        ticks.tick().await;
        match shadow.update(Update::new().desired(Wish { property })).await {
            Ok(answer) => {
                accepted += 1;
                say("~~~~~~~~~~~~~~~~~~~~~~~")?;
                let token = answer.client_token.unwrap_or_default();
                say(format_args!("Update request with token: {token} accepted!"))?;
                say(format_args!("property: {property}"))?;
                say("~~~~~~~~~~~~~~~~~~~~~~~\n")?;
            }
            // An outage is no reason to end: the next update may get through.
            Err(error) if error.is_retryable() => warn(format_args!("Update failed: {error}.")),
            Err(error) => return Err(error.into()),
        }
        property += 1;
    }
    Ok(())
}
