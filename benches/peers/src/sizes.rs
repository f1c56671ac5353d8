//! The smallest useful program with each client: it connects by mutual TLS, publishes one message, waits until it is
//! acknowledged, and disconnects. An example for each; built for size, stripped.

use std::path::{Path, PathBuf};
use std::process::Command;

use mqtt_codec::Version;

use crate::brokers::{Broker, Kind};
use crate::clients::{Client, Error, Inbox, Target};
use crate::workload::Transport;

/// The examples, and what they are about.
const PROGRAMS: &[(&str, &str)] = &[
    ("smallest_ours", "aws-iot"),
    ("smallest_rumqttc", "rumqttc (MQTT 3.1.1)"),
    ("smallest_rumqttc_next", "rumqttc-next (MQTT 5)"),
    ("smallest_gneiss", "gneiss-mqtt"),
    ("smallest_mqtt5", "mqtt5"),
];

/// Builds them all, sees that they work, and prints how large they are.
pub fn run() -> Result<(), String> {
    let mut broker = Broker::start(Kind::Sink)?;
    println!("| smallest program with | bytes | KiB |\n|---|---|---|");
    for (example, client) in PROGRAMS {
        let program = build(example)?;
        let (port, files) = broker.port(Transport::Tls);
        let mut command = Command::new(&program);
        command.arg(port.to_string()).arg(files.unwrap_or_default());
        let status = command.status().map_err(|error| format!("{}: {error}", program.display()))?;
        if !status.success() {
            return Err(format!("{example}: {status}"));
        }
        broker.report()?.check(1).map_err(|error| format!("{example}: {error}"))?;
        let bytes = std::fs::metadata(&program).map_err(|error| error.to_string())?.len();
        println!("| {client} | {bytes} | {} |", bytes / 1024);
    }
    Ok(())
}

/// Builds an example and says where it is: beside this program, under the name of the profile.
fn build(example: &str) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--locked", "--profile", "size", "--example", example]);
    command.arg("--manifest-path").arg(manifest);
    let status = command.status().map_err(|error| format!("cargo: {error}"))?;
    if !status.success() {
        return Err(format!("{example} does not build"));
    }
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = here.parent().and_then(Path::parent).ok_or("this program is in no target directory")?;
    Ok(target.join("size").join("examples").join(example))
}

/// The program.
pub fn smallest<C: Client>(version: Version) -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (port, files) = arguments.next().zip(arguments.next()).ok_or("a port and a directory are needed")?;
    let target = Target {
        port: port.parse()?,
        files: Some(files.into()),
        version,
        client_id: "smallest".into(),
        nodelay: false,
        keep_alive: 60,
        payload: 64,
    };
    crate::use_one_provider();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut client = C::connect(&target, &Inbox::default()).await?;
        client.publish(0..1).await?;
        client.disconnect().await
    })
}
