//! Connects by mutual TLS, subscribes to a topic, publishes a numbered message once a second and prints what arrives.
//! With no arguments it starts a local AWS IoT Core (the emulator) and talks to that; with -e, -r, -c and -k it talks
//! to a real endpoint. `--count N` ends after N messages; Ctrl-C disconnects cleanly at any time.
//! Shows: the builder, a subscription as a stream, the outcome of a publish, connection status, clean disconnect.
//! Exit codes: 0 done, 1 something failed, 2 wrong arguments. Needs: #[tokio::main].
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a sample talks to its user")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use aws_iot::{Ack, Client, Delivery, Message, Messages, OpError, Pem, QoS, Status, Version};
use clap::{Parser, ValueEnum};
use iot_emulator::Emulator;

/// Publishes to and subscribes from AWS IoT Core, or a local emulator when no endpoint is given.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The endpoint: `aws iot describe-endpoint --endpoint-type iot:Data-ATS`. Without it a local emulator is started.
    #[arg(short, long)]
    endpoint: Option<String>,
    /// The CA that signed the server's certificate, PEM
    #[arg(short, long = "rootCA", value_name = "FILE")]
    root_ca: Option<PathBuf>,
    /// The device's certificate, PEM
    #[arg(short, long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// The device's private key, PEM (PKCS#1, PKCS#8 or SEC1)
    #[arg(short, long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The port; on 443 the protocol is chosen by ALPN [default: 8883]
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// The client id; the policy must allow it
    #[arg(long = "clientId", default_value = "basicPubSub")]
    client_id: String,
    /// The topic to publish to and to subscribe to
    #[arg(short, long, default_value = "sdk/test/Rust")]
    topic: String,
    /// What to do
    #[arg(short, long, value_enum, default_value_t = Mode::Both)]
    mode: Mode,
    /// The message to publish
    #[arg(short = 'M', long, default_value = "Hello World!")]
    message: String,
    /// The protocol version
    #[arg(long = "mqtt", value_enum, default_value_t = Protocol::V5)]
    protocol: Protocol,
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

#[derive(Clone, Copy, ValueEnum)]
enum Protocol {
    #[value(name = "3.1.1")]
    V3_1_1,
    #[value(name = "5")]
    V5,
}

/// What ends the sample early: a sentence and an exit code.
struct Failure(String, u8);

impl From<aws_iot::Error> for Failure {
    fn from(error: aws_iot::Error) -> Self {
        Self(error.to_string(), 1)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(sentence, code)) => {
            eprintln!("error: {sentence}");
            ExitCode::from(code)
        }
    }
}

async fn run(args: Args) -> Result<(), Failure> {
    let (builder, emulator) = connection(&args).await?;
    let client = builder
        .client_id(&args.client_id)
        .version(match args.protocol {
            Protocol::V3_1_1 => Version::V3_1_1,
            Protocol::V5 => Version::V5,
        })
        .connect()
        .await?;
    println!("Connected as {}.", args.client_id);
    let result = talk(&client, &args).await;
    client.disconnect().await?;
    println!("Disconnected.");
    if let Some(emulator) = emulator {
        emulator.shutdown().await;
    }
    result
}

/// Where to connect to: what the arguments say, or a local AWS IoT Core.
async fn connection(args: &Args) -> Result<(aws_iot::Builder, Option<Emulator>), Failure> {
    let usage = |sentence: &str| Err(Failure(sentence.to_owned(), 2));
    if let Some(endpoint) = &args.endpoint {
        let (cert, key, root_ca) = match (&args.cert, &args.key, &args.root_ca) {
            (Some(cert), Some(key), Some(root_ca)) => (cert, key, root_ca),
            (Some(_), None, _) => return usage("-c needs -k: give the private key of the certificate, too"),
            (None, Some(_), _) => return usage("-k needs -c: give the certificate of the private key, too"),
            (None, None, _) => {
                return usage("-e needs -c and -k: the device's certificate and its private key");
            }
            (_, _, None) => {
                return usage("-e needs -r: the CA of the endpoint, for example AmazonRootCA1.pem");
            }
        };
        let mut builder =
            aws_iot::mutual_tls(endpoint, Pem::file(cert), Pem::file(key)).root_ca(Pem::file(root_ca));
        if let Some(port) = args.port {
            builder = builder.port(port);
        }
        return Ok((builder, None));
    }
    if args.cert.is_some() || args.key.is_some() || args.root_ca.is_some() || args.port.is_some() {
        return usage(
            "-c, -k, -r and -p need -e: without an endpoint a local emulator with its own keys is used",
        );
    }
    let emulator = Emulator::start().await.map_err(|error| {
        Failure(format!("the emulator could not be started on a loopback port: {error}"), 1)
    })?;
    println!("Started a local AWS IoT Core on {}:{}.", emulator.endpoint(), emulator.port());
    let credentials = emulator.credentials();
    let certificate = Pem::bytes(credentials.certificate_pem.clone());
    let builder =
        aws_iot::mutual_tls(emulator.endpoint(), certificate, Pem::bytes(credentials.key_pem.clone()))
            .root_ca(Pem::bytes(credentials.ca_pem.clone()))
            .port(emulator.port());
    Ok((builder, Some(emulator)))
}

async fn talk(client: &Client, args: &Args) -> Result<(), Failure> {
    let mut messages = match args.mode {
        Mode::Publish => None,
        Mode::Subscribe | Mode::Both => Some(client.subscribe(args.topic.as_str(), QoS::AtLeastOnce).await?),
    };
    if messages.is_some() {
        println!("Subscribed to {}.", args.topic);
    }
    let mut status = client.status();
    status.mark_unchanged();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let mut waiting: Option<Ack> = None;
    let (mut sequence, mut finished) = (0u64, 0u64);
    while args.count.is_none_or(|count| finished < count) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {
                println!("Interrupted.");
                break;
            }
            message = next(&mut messages) => {
                let Some(message) = message else { break };
                finished += 1;
                println!("Received on {}: {}", message.topic(), String::from_utf8_lossy(message.payload()));
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
                        println!("Published message {sequence} to {}.", args.topic);
                        finished += u64::from(messages.is_none());
                    }
                    Err(error) => eprintln!("Message {sequence} was not acknowledged: {error}."),
                }
            }
            Ok(()) = status.changed() => report(&status.borrow_and_update()),
        }
    }
    Ok(())
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

fn report(status: &Status) {
    match status {
        Status::Connected(connected) => {
            println!("Online (session {}).", if connected.session_present { "resumed" } else { "new" });
        }
        Status::Disconnected { error, retry_in } => match retry_in {
            Some(delay) => eprintln!("Offline: {error}; trying again in {} s.", delay.as_secs_f32()),
            None => eprintln!("Offline: {error}."),
        },
        _ => {}
    }
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
