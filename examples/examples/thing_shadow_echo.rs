//! A thing that does whatever is desired of it, at once, and reports that: its shadow never has a difference for long.
//! With no arguments it meets the other shadow samples at a local AWS IoT Core (the emulator), which it starts if none runs;
//! with -e and -c and -k, or -e and -w, it talks to a real endpoint. `--count N` ends after N deltas, Ctrl-C at any time.
//! Shows: deltas and requests on one shadow, and that both share the connection; what was desired before it ran is done, too.
//! Exit codes: 0 done, 1 something failed, 2 wrong arguments.

use std::process::ExitCode;
use std::time::Duration;

use aws_iot::shadow::{ShadowClient, Update, Value};
use clap::Parser;
use examples::{Failure, ShadowArgs, end, say, warn};
use tokio::time::sleep;

/// Reports what is desired in the shadow of a thing.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    shadow: ShadowArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    end(args.shadow.run("ThingShadowEcho", async |shadow| talk(shadow, args.shadow.count).await).await)
}

async fn talk(shadow: &ShadowClient, count: Option<u64>) -> Result<(), Failure> {
    let mut deltas = shadow.deltas().await?;
    deltas.catch_up();
    say(format_args!("Echoing the deltas of {}.", shadow.id().thing))?;
    let mut seen = 0;
    while count.is_none_or(|count| seen < count) {
        let Some(delta) = deltas.next().await else {
            return Err(Failure::Failed(
                "the subscription of the deltas has ended: is it allowed?".to_owned(),
            ));
        };
        seen += 1;
        say(format_args!("Received a delta message: {}", delta.state))?;
        say("Request to update the reported state...")?;
        report(shadow, &delta.state).await?;
    }
    Ok(())
}

/// Reports until it is accepted: an outage is no reason to end.
async fn report(shadow: &ShadowClient, state: &Value) -> Result<(), Failure> {
    loop {
        let update = Update::new().reported(state);
        match shadow.update(update).wait_for_connection(true).await {
            Ok(answer) => return say(format_args!("Accepted as version {}.", answer.version)),
            Err(error) if error.is_retryable() => warn(format_args!("Update failed: {error}.")),
            Err(error) => return Err(error.into()),
        }
        sleep(Duration::from_secs(1)).await;
    }
}
