//! Finds out why a device cannot connect: walks DNS, TCP, TLS, ALPN, the client certificate or the signature, CONNECT,
//! a message there and back and, with -n, a shadow; says at what fails what that means at AWS and what to do.
//! With no arguments it examines a local AWS IoT Core that it starts (the emulator); with -e and -c and -k, or -e and -w, a
//! real endpoint. Stop the device first, or give another client id by --clientId: an id is connected only once.
//! Shows: `Builder::diagnose_with`. Exit codes: 0 healthy, 1 something failed, 2 wrong arguments.

use std::process::ExitCode;
use std::time::Duration;

use aws_iot::doctor::Options;
use clap::Parser;
use examples::{ConnectionArgs, Failure, Interrupt, end, say};

/// Examines the way to AWS IoT Core, or to a local emulator when no endpoint is given.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The client id; the policy must allow it, and nobody else be connected by it [default: what the file of settings says, else doctor]
    #[arg(long = "clientId")]
    client_id: Option<String>,
    /// The topic that a message is published to and received from [default: sdk/test/doctor/ and the client id]
    #[arg(short, long)]
    topic: Option<String>,
    /// The thing whose shadow is asked for [default: none is]
    #[arg(short = 'n', long = "thingName")]
    thing: Option<String>,
    /// How many seconds a step may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return end(Err(Failure::Failed(format!("there is no thread to run on: {error}")))),
    };
    let result = runtime.block_on(run(&args));
    // A name server that does not answer keeps a thread of the runtime, which nobody is to wait for.
    runtime.shutdown_background();
    end(result)
}

async fn run(args: &Args) -> Result<(), Failure> {
    let mut interrupt = Interrupt::listen()?;
    let (builder, emulator) = args.connection.builder().await?;
    let mut options = Options::new().step_timeout(Duration::from_secs(args.timeout));
    if let Some(client_id) = args.connection.client_id(args.client_id.as_deref(), "doctor") {
        options = options.client_id(client_id);
    }
    if let Some(topic) = &args.topic {
        options = options.topic(topic);
    }
    if let Some(thing) = &args.thing {
        options = options.thing_name(thing);
    }
    let mut printed = Ok(());
    let examination = builder.diagnose_with(options, |check| {
        if printed.is_ok() {
            printed = say(check);
        }
    });
    let report = tokio::select! {
        report = examination => report,
        () = interrupt.requested() => return say("Interrupted."),
    };
    printed?;
    if let Some(emulator) = emulator {
        emulator.shutdown().await;
    }
    if report.is_healthy() { say(report.summary()) } else { Err(Failure::Failed(report.summary())) }
}
