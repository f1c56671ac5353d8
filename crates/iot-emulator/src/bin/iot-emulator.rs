//! The local AWS IoT Core as a program: starts, says how to reach it, and runs until Ctrl-C.

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;

use clap::Parser;
use iot_emulator::broker::Behaviour;
use iot_emulator::{CredentialFiles, Emulator};

/// A local AWS IoT Core: an MQTT 3.1.1 and 5 broker behind TLS and WebSockets, with device shadows, and with
/// certificates and credentials of its own.
///
/// The certificate authority is new at every start, and its key is never written anywhere: clients have to take the
/// files of the run that they connect to.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Port for TLS: mutual TLS, unless the client asks for another protocol by ALPN; 0 takes any that is free
    #[arg(long, default_value_t = 8883)]
    port: u16,

    /// One more TLS port, as AWS's 443: HTTP and WebSockets without ALPN; 0 takes any that is free
    #[arg(long)]
    https_port: Option<u16>,

    /// Address to listen at; 0.0.0.0 lets other machines in
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,

    /// One more port without TLS, for MQTT and HTTP; 0 takes any that is free
    #[arg(long)]
    plain_port: Option<u16>,

    /// Port of the page in the browser that shows connections, shadows and messages; this machine alone reaches it. 0
    /// takes any that is free
    #[arg(long, default_value_t = 0)]
    status_port: u16,

    /// File to keep device shadows in: read at the start, written after every change [default: they are forgotten]
    #[arg(long, value_name = "FILE")]
    shadow_file: Option<PathBuf>,

    /// Directory for ca.pem, device.pem and device.key [default: iot-emulator-certs-PORT in the system's
    /// temporary directory]
    #[arg(long, value_name = "DIR")]
    certs: Option<PathBuf>,

    /// One more host name or address that the server certificate is good for; may be repeated
    #[arg(long, value_name = "NAME")]
    server_name: Vec<String>,

    /// Deviate from the MQTT standards where AWS IoT Core does, with its limits
    #[arg(long)]
    aws: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            let _ = writeln!(io::stderr(), "error: {sentence}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let mut builder =
        Emulator::builder().bind(arguments.bind).port(arguments.port).status_port(arguments.status_port);
    if let Some(file) = arguments.shadow_file {
        builder = builder.shadow_file(file);
    }
    if let Some(port) = arguments.plain_port {
        builder = builder.plain_port(port);
    }
    if let Some(port) = arguments.https_port {
        builder = builder.https_port(port);
    }
    if arguments.aws {
        builder = builder.behaviour(Behaviour::aws());
    }
    for name in arguments.server_name {
        builder = builder.server_name(name);
    }
    let emulator = builder.start().await.map_err(|error| format!("{error} (see --help)"))?;

    // One for each that runs: the next one's files are not to take the place of these.
    let of_its_own = arguments.certs.is_none();
    let directory = arguments.certs.unwrap_or_else(|| CredentialFiles::usual_directory(emulator.port()));
    // The printed commands are to work from any directory.
    let directory = std::path::absolute(&directory).unwrap_or(directory);
    let files = emulator.credentials().write_to(&directory).map_err(|error| {
        let shown = directory.display();
        format!("cannot write certificates to {shown}: {error}; choose a directory with --certs")
    })?;

    let mut stop = pin!(tokio::signal::ctrl_c());
    // Ctrl-C is caught from before the first word on.
    let stopped = tokio::select! {
        biased;
        stopped = &mut stop => stopped,
        () = async { let _ = greet(&emulator, &files); } => stop.await,
    };
    stopped
        .map_err(|error| format!("cannot wait for Ctrl-C: {error}; stop the program by its process id"))?;
    emulator.shutdown().await;
    if of_its_own {
        // Nobody is to take them for those of an emulator that runs.
        files.remove();
    }
    Ok(())
}

fn greet(emulator: &Emulator, files: &CredentialFiles) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let (endpoint, port) = (emulator.endpoint(), emulator.port());
    writeln!(out, "endpoint     {endpoint}")?;
    writeln!(out, "port         {port} (mutual TLS)")?;
    if let Some(port) = emulator.https_port() {
        writeln!(out, "https port   {port} (HTTP and WebSockets without ALPN)")?;
    }
    if let Some(port) = emulator.plain_port() {
        writeln!(out, "plain port   {port} (no TLS)")?;
    }
    if let Some(url) = emulator.status_url() {
        writeln!(out, "status page  {url}")?;
    }
    writeln!(out, "CA           {}", files.ca.display())?;
    writeln!(out, "certificate  {}", files.certificate.display())?;
    writeln!(out, "key          {}", files.key.display())?;

    let (ca, certificate, key) = (quoted(&files.ca), quoted(&files.certificate), quoted(&files.key));
    let mosquitto = format!("-h {endpoint} -p {port} --cafile {ca} --cert {certificate} --key {key}");
    writeln!(out, "\nThese files belong to this run; the next start makes new ones. In other terminals:\n")?;
    writeln!(out, "  mosquitto_sub {mosquitto} -v -t '#'")?;
    writeln!(out, "  mosquitto_pub {mosquitto} -q 1 -t hello -m world")?;
    writeln!(
        out,
        "  cargo run --release --example basic_pub_sub -- -e {endpoint} -p {port} -r {ca} -c {certificate} -k {key}"
    )?;
    // They are as new and as short-lived as the certificates, and open nothing but this emulator.
    let aws = emulator.aws_credentials();
    let (key_id, secret, region) = (aws.access_key_id, aws.secret_access_key, emulator.region());
    let port = emulator.https_port().unwrap_or(port);
    writeln!(out, "\nOver a WebSocket, signed with credentials of this run:\n")?;
    writeln!(
        out,
        "  AWS_ACCESS_KEY_ID={key_id} AWS_SECRET_ACCESS_KEY={secret} AWS_REGION={region} cargo run --release --example \
         basic_pub_sub -- -w -e {endpoint} -p {port} -r {ca}"
    )?;
    writeln!(out, "\nTemporary credentials, of the credential provider and of Amazon Cognito:\n")?;
    let alias = emulator.role_alias();
    writeln!(
        out,
        "  curl --http1.1 --cacert {ca} --cert {certificate} --key {key} https://{endpoint}:{port}/role-aliases/{alias}/credentials"
    )?;
    let pool = emulator.identity_pool();
    writeln!(
        out,
        "  curl --http1.1 --cacert {ca} https://{endpoint}:{port}/ -H 'Content-Type: application/x-amz-json-1.1' -H \
         'X-Amz-Target: AWSCognitoIdentityService.GetId' -d '{{\"IdentityPoolId\":\"{pool}\"}}'"
    )?;
    writeln!(out, "\nCtrl-C stops the emulator.")?;
    out.flush()
}

/// As a word for a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
