//! Calls the client from inside a handler: each message that comes to the topic is published again to `<topic>/republish`.
//! With no arguments it talks to a local AWS IoT Core (the emulator) that it starts; with -e and -c and -k, or -e and -w, to a
//! real endpoint. `--count N` ends after N messages came back, Ctrl-C at any time.
//! Shows: handlers (`on`) beside a stream; a handler may wait for the client, nothing is blocked by it, and a panic in one is contained.
//! Exit codes: 0 done, 1 something failed, 2 wrong arguments.

use std::process::ExitCode;
use std::time::Duration;

use aws_iot::{Client, Message, QoS};
use clap::Parser;
use examples::{ConnectionArgs, Failure, Interrupt, end, say, session, warn};
use tokio::time::interval;

/// Publishes what comes to a topic again, from inside the handler.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The client id; the policy must allow it [default: what the file of settings says, else apiCallInCallback]
    #[arg(long = "clientId")]
    client_id: Option<String>,
    /// The topic to publish to; what comes there is published to <TOPIC>/republish
    #[arg(short, long, default_value = "sdk/test/Rust")]
    topic: String,
    /// Ends after this many messages came back [default: goes on]
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
        args.connection.client_id(args.client_id.as_deref(), "apiCallInCallback"),
        interrupt,
        async |client| talk(client, args).await,
    )
    .await
}

async fn talk(client: &Client, args: &Args) -> Result<(), Failure> {
    let republished = format!("{}/republish", args.topic);
    let mut back = client.subscribe(republished.as_str(), QoS::AtLeastOnce).await?;
    let own = client.clone();
    let _handler = client
        .on(args.topic.as_str(), QoS::AtLeastOnce, move |message: Message| {
            let (client, topic) = (own.clone(), republished.clone());
            async move {
                // Waits for the acknowledgement, inside the handler.
                if let Err(error) = republish(&client, &topic, &message).await {
                    warn(format_args!("Not published again: {error}."));
                }
            }
        })
        .await?;
    say(format_args!("Subscribed to {} and {}/republish.", args.topic, args.topic))?;
    let mut ticks = interval(Duration::from_secs(1));
    let (mut sequence, mut received) = (0, 0);
    while args.count.is_none_or(|count| received < count) {
        tokio::select! {
            message = back.next() => {
                let Some(message) = message else { break };
                received += 1;
                say(format_args!("Received on {}: {}", message.topic(), String::from_utf8_lossy(message.payload())))?;
            }
            _ = ticks.tick() => {
                sequence += 1;
                let _ack = client.publish(Message::new(args.topic.as_str(), format!("New Message {sequence}"))?).await?;
            }
        }
    }
    Ok(())
}

async fn republish(client: &Client, topic: &str, message: &Message) -> Result<(), aws_iot::Error> {
    client.publish(Message::new(topic, message.payload_bytes())?).await?.await?;
    Ok(())
}
