//! `chaos`: the client against a real Mosquitto, with everything that can go wrong between and inside them.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::process::ExitCode;
use std::time::Duration;

use chaos::{crash, network, soak};
use clap::Parser;
use mosquitto::Failure;

#[derive(Debug, Parser)]
#[command(name = "chaos")]
enum Command {
    /// Breaks the network and kills the broker, then kills a program with an outbox twenty times.
    Network(Network),
    /// Publishes for long, with a reconnect now and then, and watches memory, tasks, descriptors and latency.
    Soak(soak::Options),
    /// The program that is killed.
    #[command(hide = true)]
    Victim(crash::Victim),
}

#[derive(Debug, clap::Args)]
struct Network {
    /// How long the network is broken.
    #[arg(long)]
    minutes: Option<f64>,
    /// The same, in seconds.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// The seed of the schedule of faults. Default: another one each time.
    #[arg(long)]
    seed: Option<u64>,
    /// How often the program with the outbox is killed.
    #[arg(long, default_value_t = 20)]
    kills: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Network(options) => network(options).await,
        Command::Soak(options) => soak::run(&options).await,
        Command::Victim(options) => crash::victim(options).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn network(options: Network) -> Result<(), Failure> {
    let seconds = options.minutes.map_or(options.seconds, |minutes| minutes * 60.0);
    let seed = options.seed.unwrap_or_else(|| u64::from(std::process::id()) ^ clock());
    println!("seed {seed}: the network is broken for {seconds} s");
    network::run(Duration::try_from_secs_f64(seconds)?, seed).await?;
    crash::run(options.kills, seed).await
}

#[expect(clippy::disallowed_methods, reason = "only to have another seed each time")]
fn clock() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| u64::from(since.subsec_nanos()))
}
