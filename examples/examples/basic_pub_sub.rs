//! Connects by mutual TLS, or by WebSocket with AWS credentials (-w), subscribes to a topic, publishes a numbered message
//! once a second and prints what arrives. With no arguments it starts a local AWS IoT Core (the emulator) and talks to
//! that; with -e and -c and -k, or -e and -w, to a real endpoint. `--count N` ends after N messages, Ctrl-C at any time.
//! Shows: the builder, a subscription as a stream, outcomes of publishes, the status; and that an outage needs nothing done.
//! Exit codes: 0 done, 1 something failed, 2 wrong arguments.

use std::process::ExitCode;
use std::time::Duration;

use aws_iot::{Ack, Client, Delivery, Message, Messages, OpError, QoS, Status, TopicFilter, TopicName};
use clap::{Parser, ValueEnum};
use examples::{ConnectionArgs, Failure, Interrupt, end, say, session, warn};
use tokio::time::MissedTickBehavior;

/// Publishes to and subscribes from AWS IoT Core, or a local emulator when no endpoint is given.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The client id; the policy must allow it [default: what the file of settings says, else basicPubSub]
    #[arg(long = "clientId")]
    client_id: Option<String>,
    /// The topic to publish to and to subscribe to
    #[arg(short, long, default_value = "sdk/test/Rust")]
    topic: String,
    /// What to do
    #[arg(short, long, value_enum, default_value_t = Mode::Both)]
    mode: Mode,
    /// The message to publish
    #[arg(short = 'M', long, default_value = "Hello World!")]
    message: String,
    /// Ends after this many messages were received (with `--mode publish`: were acknowledged) [default: goes on]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Mode {
    Publish,
    Subscribe,
    Both,
}

#[tokio::main]
async fn main() -> ExitCode {
    end(run(&Args::parse()).await)
}

async fn run(args: &Args) -> Result<(), Failure> {
    check_topic(args)?;
    let interrupt = Interrupt::listen()?;
    let connection = args.connection.builder().await?;
    session(
        connection,
        args.connection.client_id(args.client_id.as_deref(), "basicPubSub"),
        interrupt,
        async |client| talk(client, args).await,
    )
    .await
}

/// A topic that is published to has no wildcards and belongs to no shared subscription.
fn check_topic(args: &Args) -> Result<(), Failure> {
    let topic = args.topic.as_str();
    let fits = match args.mode {
        Mode::Subscribe => TopicFilter::try_from(topic).map(|_| ()),
        Mode::Publish | Mode::Both => TopicName::try_from(topic).map(|_| ()),
    };
    let (what, advice) = match args.mode {
        Mode::Subscribe => ("no topic filter", "give another one by -t"),
        Mode::Publish | Mode::Both => {
            ("no topic to publish to", "give another one by -t, or only listen by -m subscribe")
        }
    };
    fits.map_err(|error| Failure::Usage(format!("{topic:?} is {what}: {error}; {advice}")))?;
    if args.mode != Mode::Subscribe && topic.starts_with("$share/") {
        return Err(Failure::Usage(format!("a shared subscription cannot be published to; {advice}")));
    }
    Ok(())
}

async fn talk(client: &Client, args: &Args) -> Result<(), Failure> {
    let mut status = client.status();
    let mut messages = match args.mode {
        Mode::Publish => None,
        Mode::Subscribe | Mode::Both => Some(subscribe(client, args).await?),
    };
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut waiting: Option<Ack> = None;
    let (mut sequence, mut finished) = (0u64, 0u64);
    while args.count.is_none_or(|count| finished < count) {
        tokio::select! {
            message = next(&mut messages) => {
                let Some(message) = message else { break };
                finished += 1;
                say(format_args!("Received on {}: {}", message.topic(), String::from_utf8_lossy(message.payload())))?;
            }
            _ = ticks.tick(), if args.mode != Mode::Subscribe && waiting.is_none() => {
                sequence += 1;
                waiting = Some(client.publish(numbered(args, sequence)?).await?);
            }
            outcome = outcome(&mut waiting) => {
                waiting = None;
                // An outage is no reason to end: the next message may get through.
                match outcome {
                    Ok(_) => {
                        say(format_args!("Published message {sequence} to {}.", args.topic))?;
                        finished += u64::from(messages.is_none());
                    }
                    Err(error) => warn(format_args!("Message {sequence} was not acknowledged: {error}.")),
                }
            }
            Ok(()) = status.changed() => {
                let now = status.borrow_and_update().clone();
                report(&now)?;
            }
        }
    }
    Ok(())
}

async fn subscribe(client: &Client, args: &Args) -> Result<Messages, Failure> {
    let messages = client.subscribe(args.topic.as_str(), QoS::AtLeastOnce).await?;
    say(format_args!("Subscribed to {}.", args.topic))?;
    Ok(messages)
}

fn numbered(args: &Args, sequence: u64) -> Result<Message, aws_iot::Error> {
    let payload = format!(r#"{{"message": {}, "sequence": {sequence}}}"#, json_string(&args.message));
    Ok(Message::new(args.topic.as_str(), payload)?)
}

/// The next message, or none ever when nothing was subscribed.
async fn next(messages: &mut Option<Messages>) -> Option<Message> {
    match messages {
        Some(messages) => messages.next().await,
        None => std::future::pending().await,
    }
}

/// The outcome of the publish that is under way, if one is.
async fn outcome(waiting: &mut Option<Ack>) -> Result<Delivery, OpError> {
    match waiting {
        Some(ack) => ack.await,
        None => std::future::pending().await,
    }
}

fn report(status: &Status) -> Result<(), Failure> {
    match status {
        Status::Connected(connected) => {
            say(format_args!(
                "Online, {} session.",
                if connected.session_present { "the same" } else { "a new" }
            ))?;
        }
        Status::Disconnected { error, retry_in: Some(delay) } => {
            warn(format_args!("Offline: {error}; trying again in {} s.", delay.as_secs_f32()));
        }
        Status::Disconnected { error, .. } => warn(format_args!("Offline: {error}.")),
        _ => {}
    }
    Ok(())
}

/// A JSON string literal (RFC 8259, section 7).
fn json_string(text: &str) -> String {
    let mut json = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c < ' ' => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}
