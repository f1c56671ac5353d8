//! Publish and subscribe through an HTTP proxy.
//!
//! Shows: a tunnel by CONNECT, through which TLS goes as it is, so that the proxy sees the endpoint's name and nothing else.
//! It holds for every door: mutual TLS, or WebSocket by `-w`. Without arguments it talks to a local AWS IoT Core through a
//! proxy of its own:
//!
//! ```text
//! cargo run --release --example basic_pub_sub_proxy -- --count 3
//! ```
//!
//! For real ones: `-e ENDPOINT -c CERT -k KEY --proxy HOST:PORT`, and `--proxyUser` with `PROXY_PASSWORD` in the environment
//! where the proxy asks who it is.

use std::process::ExitCode;

use aws_iot::{Address, Proxy};
use clap::Parser;
use examples::{ConnectionArgs, Failure, Interrupt, LocalProxy, end, exchange, say, session};

/// Publish and subscribe through an HTTP proxy
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The proxy, spoken to without TLS. Without it one is started on this machine, for the local emulator
    #[arg(long, value_name = "HOST:PORT")]
    proxy: Option<Address>,
    /// The user name to show the proxy; its password is taken from the environment variable PROXY_PASSWORD
    #[arg(long = "proxyUser", value_name = "NAME", requires = "proxy")]
    proxy_user: Option<String>,
    /// The client identifier, which the policy must allow [default: what the file of settings says, else basic_pub_sub_proxy]
    #[arg(long = "clientId")]
    client_id: Option<String>,
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
    let (proxy, _own) = proxy(args).await?;
    let (builder, emulator) = args.connection.builder().await?;
    let connection = (builder.proxy(proxy), emulator);
    let talk = async |client: &aws_iot::Client| exchange(client, &args.topic, args.count).await;
    session(
        connection,
        args.connection.client_id(args.client_id.as_deref(), "basic_pub_sub_proxy"),
        interrupt,
        talk,
    )
    .await
}

/// The proxy to go through, which is one of this sample's own if no other is given.
async fn proxy(args: &Args) -> Result<(Proxy, Option<LocalProxy>), Failure> {
    let Some(address) = &args.proxy else {
        if args.connection.has_endpoint() {
            return Err(Failure::Usage(
                "-e needs --proxy HOST:PORT: the way there is what this shows".to_owned(),
            ));
        }
        let own = LocalProxy::start().await?;
        say(format_args!("Started a proxy on {}.", own.address()))?;
        return Ok((Proxy::new(own.address().ip().to_string(), own.address().port()), Some(own)));
    };
    let port = address.port().ok_or_else(|| Failure::Usage("--proxy needs a port: HOST:PORT".to_owned()))?;
    let proxy = Proxy::new(address.host(), port);
    let Some(user) = &args.proxy_user else { return Ok((proxy, None)) };
    let password = std::env::var("PROXY_PASSWORD").map_err(|_| {
        Failure::Usage("--proxyUser needs the password in the variable PROXY_PASSWORD".to_owned())
    })?;
    Ok((proxy.basic_auth(user, password), None))
}
