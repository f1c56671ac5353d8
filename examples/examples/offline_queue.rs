//! What becomes of messages that are published without a connection: a queue of five gets seven of them.
//! It starts a local AWS IoT Core (the emulator), cuts the connection itself, publishes seven messages, and lets it come back.
//! `--drop oldest` drops the oldest two instead of the newest two; `--rate N` drains N messages per second instead of two.
//! Shows: the offline queue, its bounds, policies and draining rate, futures of outcomes that span an outage, and notices.
//! Exit codes: 0 as expected, 1 something failed, 2 wrong arguments.

use std::process::ExitCode;
use std::time::Duration;

use aws_iot::{Client, DrainRate, DropPolicy, Message, OfflineQueue, QoS, Status};
use clap::{Parser, ValueEnum};
use examples::{ConnectionArgs, Failure, Interrupt, end, say, session};
use iot_emulator::Emulator;
use tokio::time::{Instant, timeout};

/// Publishes seven messages into an offline queue of five.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Which ones go when the queue is full
    #[arg(long, value_enum, default_value_t = Policy::Newest)]
    drop: Policy,
    /// How many messages per second go out once the connection is back
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=1000))]
    rate: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Policy {
    Newest,
    Oldest,
}

const TOPIC: &str = "sdk/test/Rust";

#[tokio::main]
async fn main() -> ExitCode {
    end(run(&Args::parse()).await)
}

async fn run(args: &Args) -> Result<(), Failure> {
    let interrupt = Interrupt::listen()?;
    let policy = match args.drop {
        Policy::Newest => DropPolicy::DropNewest,
        Policy::Oldest => DropPolicy::DropOldest,
    };
    let rate = DrainRate::every(Duration::from_secs(1) / u32::try_from(args.rate).unwrap_or(u32::MAX));
    let queue = OfflineQueue::bounded(5).when_full(policy).drain_rate(rate);
    let (builder, emulator) = ConnectionArgs::own_emulator().await?;
    let connection = (builder.offline_queue(queue), None);
    let result =
        session(connection, Some("offlineQueue"), interrupt, async |client| talk(client, &emulator).await)
            .await;
    emulator.shutdown().await;
    result
}

#[expect(clippy::disallowed_methods, reason = "it shows how much time really passes")]
async fn talk(client: &Client, emulator: &Emulator) -> Result<(), Failure> {
    let mut messages = client.subscribe(TOPIC, QoS::AtLeastOnce).await?;
    let mut status = client.status();
    emulator.stop_accepting().await;
    emulator.kick("offlineQueue").await;
    let closed = |_| Failure::Failed("the client is closed".to_owned());
    status.wait_for(|status| matches!(status, Status::Disconnected { .. })).await.map_err(closed)?;
    say("The connection is cut.")?;

    let mut acks = Vec::new();
    for number in 1..=7 {
        acks.push(client.publish(Message::new(TOPIC, number.to_string())?).await?);
        say(format_args!("Published {number}, offline."))?;
    }
    emulator.resume_accepting().await.map_err(|error| Failure::Failed(error.to_string()))?;
    client.online().await?;
    say("The connection is back.")?;

    let start = Instant::now();
    while let Ok(Some(message)) = timeout(Duration::from_secs(2), messages.next()).await {
        let after = start.elapsed().as_secs_f32();
        say(format_args!("Received {} after {after:.1} s.", String::from_utf8_lossy(message.payload())))?;
    }
    for (number, ack) in (1..).zip(acks) {
        match ack.await {
            Ok(_) => say(format_args!("{number} was acknowledged."))?,
            Err(error) => say(format_args!("{number} was dropped: {error}."))?,
        }
    }
    Ok(())
}
