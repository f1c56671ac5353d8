//! AWS's own device SDKs for Python against our emulator, as AWS IoT Core behaves: messages, and the Device Shadow service.

use std::path::Path;

use iot_emulator::Emulator;
use iot_emulator::broker::Behaviour;
use tempfile::TempDir;

use crate::python;
use crate::report::{Failure, Report, ensure};

/// What the first SDK insists on for a WebSocket; it reads the region from it.
const HOST: &str = "example-ats.iot.us-east-1.amazonaws.com";

/// What a script prints when all of it has worked, a line for each; behind it there is only the end of the connection.
const STEPS: [&str; 6] = [
    "20 messages there and back",
    "get of a missing shadow rejected with 404",
    "update accepted",
    "delta received",
    "get returns what was desired, and reported",
    "delete accepted",
];

pub(crate) async fn run(report: &mut Report) {
    let started = async { Ok::<_, Failure>((start().await?, TempDir::new()?)) }.await;
    let (emulator, certs) = match started {
        Ok(started) => started,
        Err(error) => {
            return report.check("start the emulator for SDKs", async { Err::<String, _>(error) }).await;
        }
    };
    if let Err(error) = emulator.credentials().write_to(certs.path()) {
        return report.check("write certificates", async { Err::<String, _>(error.into()) }).await;
    }
    for (sdk, name, script, version) in [
        ("v1", "AWSIoTPythonSDK", "sdk_v1.py", "3.1.1"),
        ("v2", "awsiotsdk", "sdk_v2.py", "3.1.1"),
        ("v2", "awsiotsdk", "sdk_v2.py", "5"),
    ] {
        for (door, signed) in [("mutual TLS", false), ("WebSocket with SigV4", true)] {
            // Side by side, a thing for each would do; one after another they also find what the last one has left behind.
            let thing =
                format!("python-{sdk}-{}-{}", version.replace('.', ""), if signed { "wss" } else { "tls" });
            let check = device(&emulator, certs.path(), script, version, &thing, signed);
            report.check(&format!("emulator, {name}, {door}, MQTT {version}"), check).await;
        }
    }
    emulator.shutdown().await;
}

async fn start() -> Result<Emulator, Failure> {
    let builder = Emulator::builder().behaviour(Behaviour::aws()).https(true);
    Ok(builder.region("us-east-1").server_name(HOST).start().await?)
}

/// One of the scripts; it comes by a certificate, or signs with the emulator's credentials.
async fn device(
    emulator: &Emulator,
    certs: &Path,
    script: &str,
    version: &str,
    thing: &str,
    signed: bool,
) -> Result<String, Failure> {
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
    let output = command.output().await?;
    let said = String::from_utf8_lossy(&output.stdout);
    let seen: Vec<&str> = said.lines().collect();
    let wrong = || {
        let error = String::from_utf8_lossy(&output.stderr);
        format!("ended with {} after \"{}\": {error}", output.status, seen.join(", "))
    };
    ensure(output.status.success() && seen == STEPS, wrong())?;
    Ok(seen.join(", "))
}
