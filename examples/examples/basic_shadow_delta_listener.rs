//! Prints what is desired of a thing, whenever it changes, until it is reported: the deltas of its shadow.
//! With no arguments it meets the other shadow samples at a local AWS IoT Core (the emulator), which it starts if none runs;
//! with -e and -c and -k, or -e and -w, it talks to a real endpoint. `--count N` ends after N deltas, Ctrl-C at any time.
//! Shows: deltas as a stream, in order, each once; an outage needs nothing done, what was missed in it is delivered after it.
//! Exit codes: 0 done, 1 something failed, 2 wrong arguments.

use std::process::ExitCode;

use aws_iot::shadow::ShadowClient;
use clap::Parser;
use examples::{Failure, ShadowArgs, end, say};

/// Prints the deltas of the shadow of a thing.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    shadow: ShadowArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    end(args
        .shadow
        .run("basicShadowDeltaListener", async |shadow| talk(shadow, args.shadow.count).await)
        .await)
}

async fn talk(shadow: &ShadowClient, count: Option<u64>) -> Result<(), Failure> {
    let mut deltas = shadow.deltas().await?;
    say(format_args!("Listening to the deltas of {}.", shadow.id().thing))?;
    let mut seen = 0;
    while count.is_none_or(|count| seen < count) {
        let Some(delta) = deltas.next().await else {
            return Err(Failure::Failed(
                "the subscription of the deltas has ended: is it allowed?".to_owned(),
            ));
        };
        seen += 1;
        say("++++++++DELTA++++++++++")?;
        match delta.state.get("property") {
            Some(property) => say(format_args!("property: {property}"))?,
            None => say(format_args!("state: {}", delta.state))?,
        }
        say(format_args!("version: {}", delta.version))?;
        say("+++++++++++++++++++++++\n")?;
    }
    Ok(())
}
