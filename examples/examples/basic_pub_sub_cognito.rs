//! Publish and subscribe over WebSocket with credentials from an Amazon Cognito identity pool.
//!
//! Shows: temporary credentials of an identity without a login, which are asked for again shortly before they expire,
//! a builder that signs every attempt anew, and a message there and back each second. Without arguments it talks to a
//! local AWS IoT Core that it starts itself, which plays Cognito, too:
//!
//! ```text
//! cargo run --release --example basic_pub_sub_cognito -- --count 3
//! ```
//!
//! For a pool of your own, the role of its unauthenticated identities must allow iot:Connect, iot:Publish,
//! iot:Subscribe and iot:Receive: `-e ENDPOINT -C REGION:POOL-ID`.

use std::path::PathBuf;
use std::process::ExitCode;

use aws_iot::crates::iot_transport::{Tcp, Tls, alpn};
use aws_iot::credentials::Cognito;
use aws_iot::{Address, Builder, Material, TlsOptions, TrustAnchors};
use clap::Parser;
use examples::{Failure, Interrupt, end, exchange, session, start_emulator};
use iot_emulator::Emulator;

/// Publish and subscribe with credentials from an Amazon Cognito identity pool
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The endpoint: `aws iot describe-endpoint --endpoint-type iot:Data-ATS`. Without it a local emulator is started
    #[arg(short, long, requires = "pool")]
    endpoint: Option<String>,
    /// The identity pool, which lets in identities without a login
    #[arg(short = 'C', long = "CognitoIdentityPoolID", value_name = "REGION:UUID", requires = "endpoint")]
    pool: Option<String>,
    /// The CA that signed the servers' certificates, PEM or DER [default: Amazon's roots]
    #[arg(short, long = "rootCA", value_name = "FILE", requires = "endpoint")]
    root_ca: Option<PathBuf>,
    /// The port of the endpoint [default: the endpoint's, else 443]
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..), requires = "endpoint")]
    port: Option<u16>,
    /// Where Cognito is, if it is not the service of the pool's region: HOST:PORT
    #[arg(long, value_name = "HOST:PORT", requires = "endpoint")]
    cognito: Option<Address>,
    /// The AWS region, where the endpoint's name does not tell it [default: the pool's]
    #[arg(long, requires = "endpoint")]
    region: Option<String>,
    /// The client identifier, which the pool's role must allow
    #[arg(long = "clientId", default_value = "basic_pub_sub_cognito")]
    client_id: String,
    /// The topic to publish to and to subscribe to
    #[arg(short, long, default_value = "sdk/test/Rust")]
    topic: String,
    /// Ends after this many messages were received [default: goes on]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    end(run(&Args::parse()).await)
}

async fn run(args: &Args) -> Result<(), Failure> {
    let interrupt = Interrupt::listen()?;
    let connection = match (&args.endpoint, &args.pool) {
        (Some(endpoint), Some(pool)) => (to(args, endpoint, pool)?, None),
        _ => to_emulator().await.map(|(builder, emulator)| (builder, Some(emulator)))?,
    };
    session(connection, Some(&args.client_id), interrupt, async |client| {
        exchange(client, &args.topic, args.count).await
    })
    .await
}

fn to(args: &Args, endpoint: &str, pool: &str) -> Result<Builder, Failure> {
    let anchors = match &args.root_ca {
        Some(file) => TrustAnchors::ca(Material::file(file)),
        None => TrustAnchors::amazon(),
    };
    let tls = TlsOptions::new(anchors).alpn([alpn::HTTP]);
    let cognito = match &args.cognito {
        Some(address) => {
            let tcp = Tcp::new(address.host(), address.port().unwrap_or(443));
            Cognito::over(pool, Tls::new(tcp, tls))
        }
        None => Cognito::new(pool, tls),
    };
    let cognito = cognito.map_err(|error| Failure::Usage(aws_iot::credentials::explain(&error)))?;
    let mut builder = aws_iot::websocket(endpoint, cognito);
    if let Some(region) = args.region.as_deref().or_else(|| region_of_pool(endpoint, pool)) {
        builder = builder.region(region);
    }
    if let Some(file) = &args.root_ca {
        builder = builder.root_ca(Material::file(file));
    }
    Ok(match args.port {
        Some(port) => builder.port(port),
        None => builder,
    })
}

/// The pool is where the endpoint is, as far as its name does not tell otherwise.
fn region_of_pool<'a>(endpoint: &str, pool: &'a str) -> Option<&'a str> {
    if aws_iot::region_of(endpoint).is_ok() { None } else { pool.split(':').next() }
}

async fn to_emulator() -> Result<(Builder, Emulator), Failure> {
    let emulator = start_emulator().await?;
    let ca = Material::bytes(emulator.credentials().ca_pem.as_str());
    let tls = TlsOptions::new(TrustAnchors::ca(ca.clone())).alpn([alpn::HTTP]);
    let service = Tls::new(Tcp::new(emulator.endpoint(), emulator.port()), tls);
    let cognito = Cognito::over(emulator.identity_pool(), service)
        .map_err(|error| Failure::Failed(aws_iot::credentials::explain(&error)))?;
    let builder = aws_iot::websocket(emulator.endpoint(), cognito)
        .region(emulator.region())
        .root_ca(ca)
        .port(emulator.port());
    Ok((builder, emulator))
}
