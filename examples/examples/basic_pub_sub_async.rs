//! Publishes once a second without waiting for anything: handlers hear of messages, acknowledgements and the connection.
//! With no arguments it talks to a local AWS IoT Core (the emulator) that it starts; with -e and -c and -k, or -e and -w, to a
//! real endpoint. `--count N` ends after N acknowledgements, Ctrl-C at any time.
//! Shows: handlers (`on`, `on_notice`), and outcomes of publishes as futures that are awaited elsewhere, any number at a time.
//! Exit codes: 0 done, 1 something failed, 2 wrong arguments.

use std::process::ExitCode;
use std::time::Duration;

use aws_iot::{Client, Message, Notice, QoS};
use clap::Parser;
use examples::{ConnectionArgs, Failure, Interrupt, end, say, session, warn};
use tokio::sync::mpsc;
use tokio::time::interval;

/// Publishes and subscribes with handlers for all that happens.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The client id; the policy must allow it [default: what the file of settings says, else basicPubSubAsync]
    #[arg(long = "clientId")]
    client_id: Option<String>,
    /// The topic to publish to and to subscribe to
    #[arg(short, long, default_value = "sdk/test/Rust")]
    topic: String,
    /// Ends after this many acknowledgements [default: goes on]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    end(run(&Args::parse()).await)
}

async fn run(args: &Args) -> Result<(), Failure> {
    // Before anything is connected.
    Message::new(args.topic.as_str(), "")?;
    let interrupt = Interrupt::listen()?;
    let connection = args.connection.builder().await?;
    session(
        connection,
        args.connection.client_id(args.client_id.as_deref(), "basicPubSubAsync"),
        interrupt,
        async |client| talk(client, args).await,
    )
    .await
}

async fn talk(client: &Client, args: &Args) -> Result<(), Failure> {
    let _notices = client.on_notice(async |notice| match notice {
        Notice::Online(_) => warn("Online."),
        Notice::Offline { error, retry_in: Some(wait) } => {
            warn(format_args!("Offline: {error}; again in {wait:?}."));
        }
        Notice::Dropped { why } => warn(format_args!("A message was dropped: {why}.")),
        _ => {}
    })?;
    let _messages = client
        .on(args.topic.as_str(), QoS::AtLeastOnce, async |message: Message| {
            // Whoever closes the output has heard enough.
            let _ = say(format_args!(
                "Received on {}: {}",
                message.topic(),
                String::from_utf8_lossy(message.payload())
            ));
        })
        .await?;
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut ticks = interval(Duration::from_secs(1));
    let (mut sequence, mut acked) = (0, 0);
    while args.count.is_none_or(|count| acked < count) {
        tokio::select! {
            _ = ticks.tick() => {
                sequence += 1;
                let number = sequence;
                let ack = client.publish(Message::new(args.topic.as_str(), format!("New Message {number}"))?).await?;
                let tell = tell.clone();
                tokio::spawn(async move {
                    // Nobody listens any more: the sample has ended.
                    let _ = tell.send((number, ack.await));
                });
            }
            Some((number, outcome)) = told.recv() => match outcome {
                Ok(_) => {
                    acked += 1;
                    say(format_args!("Message {number} is acknowledged."))?;
                }
                Err(error) => warn(format_args!("Message {number} was not acknowledged: {error}.")),
            },
        }
    }
    Ok(())
}
