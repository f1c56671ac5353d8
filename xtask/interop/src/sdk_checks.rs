//! AWS's own device SDKs for Python against our emulator, as AWS IoT Core behaves: messages, and the Device Shadow service.

use std::path::Path;

use iot_emulator::Emulator;
use iot_emulator::broker::Behaviour;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::python;
use crate::report::{Failure, Report, ensure};

/// What the first SDK insists on for a WebSocket; it reads the region from it.
const HOST: &str = "example-ats.iot.us-east-1.amazonaws.com";

/// What a script prints when its messages have come, a line for each.
const MESSAGES: [&str; 2] = ["20 messages there and back, QoS 0", "20 messages there and back, QoS 1"];

/// What a script prints for each shadow whose life went well; behind the last one there is only the end of the connection.
const LIFE: [&str; 5] = [
    "get of a missing shadow rejected with 404",
    "update accepted",
    "delta received",
    "get returns what was desired, and reported",
    "delete accepted",
];

/// The SDKs, with the script for each, the version of MQTT, and the words before the steps of each shadow.
const DEVICES: [(&str, &str, &str, &[&str]); 3] = [
    ("AWSIoTPythonSDK", "sdk_v1.py", "3.1.1", &[""]),
    ("awsiotsdk", "sdk_v2.py", "3.1.1", &["", "named: "]),
    ("awsiotsdk", "sdk_v2.py", "5", &["", "named: "]),
];

/// Devices at work, side by side, and what they talk to. The first SDK sleeps most of the time; other checks can run meanwhile.
pub(crate) struct Devices {
    emulator: Emulator,
    /// What the scripts read while they start.
    _certs: TempDir,
    running: Vec<(String, JoinHandle<Result<String, Failure>>)>,
}

impl Devices {
    /// Starts those that the report wants.
    pub(crate) async fn start(report: &Report) -> Result<Self, Failure> {
        let (emulator, certs) = (emulator().await?, TempDir::new()?);
        emulator.credentials().write_to(certs.path())?;
        let mut running = Vec::new();
        for (sdk, script, version, shadows) in DEVICES {
            for (door, signed) in [("mutual TLS", false), ("WebSocket with SigV4", true)] {
                let name = format!("emulator, {sdk}, {door}, MQTT {version}");
                if report.wants(&name) {
                    // A thing for each, and topics called after it.
                    let thing = format!("python-{}", running.len());
                    let command = command(&emulator, certs.path(), script, version, &thing, signed)?;
                    running.push((name, tokio::spawn(device(command, shadows))));
                }
            }
        }
        Ok(Self { emulator, _certs: certs, running })
    }

    /// Waits for each, and says how it went.
    pub(crate) async fn finish(self, report: &mut Report) {
        for (name, mut device) in self.running {
            report.check(&name, async { (&mut device).await? }).await;
            // One that hangs is stopped.
            device.abort();
        }
        self.emulator.shutdown().await;
    }
}

async fn emulator() -> Result<Emulator, Failure> {
    let builder = Emulator::builder().behaviour(Behaviour::aws()).https(true);
    Ok(builder.region("us-east-1").server_name(HOST).start().await?)
}

/// One of the scripts; it comes by a certificate, or signs with the emulator's credentials.
fn command(
    emulator: &Emulator,
    certs: &Path,
    script: &str,
    version: &str,
    thing: &str,
    signed: bool,
) -> Result<Command, Failure> {
    let mut command = python::python()?;
    command.args(python::script(script)).args(["--mqtt", version, "--thing", thing]);
    command.arg("--ca").arg(certs.join("ca.pem"));
    if signed {
        let port = emulator.https_port().ok_or("no port for WebSockets")?;
        let aws = emulator.aws_credentials();
        command.args(["--port", &port.to_string(), "--host", HOST, "--region", emulator.region()]);
        command.args(["--access-key", &aws.access_key_id, "--secret", &aws.secret_access_key]);
    } else {
        command.args(["--port", &emulator.port().to_string()]);
        command.arg("--cert").arg(certs.join("device.pem")).arg("--key").arg(certs.join("device.key"));
    }
    Ok(command)
}

/// Runs the script to its end. It has to print every step, for each of the shadows, and nothing else.
async fn device(mut command: Command, shadows: &[&str]) -> Result<String, Failure> {
    let output = command.output().await?;
    let said = String::from_utf8_lossy(&output.stdout);
    let seen: Vec<&str> = said.lines().collect();
    let messages = MESSAGES.iter().map(|&step| step.to_owned());
    let life = |shadow| LIFE.iter().map(move |step| format!("{shadow}{step}"));
    let wanted: Vec<String> = messages.chain(shadows.iter().flat_map(life)).collect();
    let wrong = || {
        let error = String::from_utf8_lossy(&output.stderr);
        format!("ended with {} after \"{}\": {error}", output.status, seen.join("; "))
    };
    ensure(output.status.success() && seen == wanted, wrong())?;
    Ok(seen.join("; "))
}
