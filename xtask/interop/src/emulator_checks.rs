//! Clients that nobody here wrote against our emulator.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use iot_emulator::{AwsCredentials, Emulator};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::python;
use crate::report::{Failure, Report, ensure};

struct Peer<'a> {
    emulator: &'a Emulator,
    certs: &'a Path,
    version: &'static str,
}

pub(crate) async fn run(report: &mut Report) {
    let started = async { Ok::<_, Failure>((Emulator::start().await?, TempDir::new()?)) }.await;
    let (emulator, certs) = match started {
        Ok(started) => started,
        Err(error) => return report.check("start the emulator", async { Err::<String, _>(error) }).await,
    };
    if let Err(error) = emulator.credentials().write_to(certs.path()) {
        return report.check("write certificates", async { Err::<String, _>(error.into()) }).await;
    }
    for version in ["mqttv311", "mqttv5"] {
        let peer = Peer { emulator: &emulator, certs: certs.path(), version };
        for qos in ["0", "1"] {
            report
                .check(&format!("emulator, mosquitto_pub and _sub, {version}, QoS {qos}"), peer.hello(qos))
                .await;
        }
        report.check(&format!("emulator, mosquitto_sub, {version}, retained"), peer.retained()).await;
        report.check(&format!("emulator, mosquitto_sub, {version}, will"), peer.will()).await;
        report.check(&format!("emulator, mosquitto_sub, {version}, stored session"), peer.session()).await;
    }
    for version in ["3.1.1", "5"] {
        for temporary in [false, true] {
            let kind = if temporary { "temporary" } else { "lasting" };
            let name = format!("emulator, awscrt, WebSocket with SigV4, {kind} credentials, MQTT {version}");
            report.check(&name, awscrt(&emulator, certs.path(), version, temporary)).await;
        }
    }
    report
        .check("emulator, mosquitto_pub without a certificate", no_certificate(&emulator, certs.path()))
        .await;
    emulator.shutdown().await;
}

/// AWS's own client runtime, which signs for itself.
async fn awscrt(
    emulator: &Emulator,
    certs: &Path,
    version: &str,
    temporary: bool,
) -> Result<String, Failure> {
    let aws = AwsCredentials::new("AKIDINTEROP", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    let aws = if temporary { aws.with_session_token("TOKEN/EXAMPLE+abc==") } else { aws };
    emulator.set_aws_credentials(aws.clone());
    let mut command = python::python()?;
    command.args(python::script("awscrt_client.py")).args(["--mqtt", version, "--region", emulator.region()]);
    command.arg("--port").arg(emulator.port().to_string()).arg("--ca").arg(certs.join("ca.pem"));
    command.args(["--access-key", &aws.access_key_id, "--secret", &aws.secret_access_key]);
    if let Some(token) = &aws.session_token {
        command.args(["--token", token]);
    }
    let output = command.output().await?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let wrong = format!("ended with {}: {said} {}", output.status, String::from_utf8_lossy(&output.stderr));
    ensure(output.status.success() && said == "20 messages", wrong)?;
    Ok(said)
}

impl Peer<'_> {
    fn command(&self, program: &str, args: &[&str]) -> Command {
        // Their lines at once, not when a buffer is full.
        let mut command = Command::new("stdbuf");
        command.args([
            "-oL",
            program,
            "-h",
            "localhost",
            "-p",
            &self.emulator.port().to_string(),
            "-V",
            self.version,
            "--cafile",
        ]);
        command.arg(self.certs.join("ca.pem")).arg("--cert").arg(self.certs.join("device.pem"));
        command.arg("--key").arg(self.certs.join("device.key")).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
        command
    }

    async fn publish(&self, args: &[&str]) -> Result<(), Failure> {
        let output = self.command("mosquitto_pub", args).output().await?;
        ensure(output.status.success(), format!("mosquitto_pub ended with {}", output.status))
    }

    /// A mosquitto_sub that has its SUBACK (`-d` says so).
    async fn subscribe(&self, args: &[&str]) -> Result<(Child, Lines<BufReader<ChildStdout>>), Failure> {
        let mut child = self.command("mosquitto_sub", &[&["-d"], args].concat()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        until(&mut lines, |line| line.contains("Subscribed")).await?;
        Ok((child, lines))
    }

    async fn hello(&self, qos: &str) -> Result<&'static str, Failure> {
        let (_child, mut lines) = self.subscribe(&["-t", "interop/+", "-q", qos, "-v"]).await?;
        for n in 0..20 {
            let payload = format!("hello {n}");
            self.publish(&["-t", "interop/emulator", "-q", qos, "-m", &payload]).await?;
            until(&mut lines, |line| line == format!("interop/emulator {payload}")).await?;
        }
        Ok("20 messages")
    }

    async fn retained(&self) -> Result<&'static str, Failure> {
        self.publish(&["-t", "kept", "-q", "1", "-r", "-m", "value"]).await?;
        let (_child, mut lines) = self.subscribe(&["-t", "kept", "-q", "1", "-F", "%t %r %p"]).await?;
        until(&mut lines, |line| line == "kept 1 value").await?;
        self.publish(&["-t", "kept", "-q", "1", "-r", "-n"]).await?;
        until(&mut lines, |line| line == "kept 0 ").await?;
        Ok("kept, flagged, cleared")
    }

    async fn will(&self) -> Result<&'static str, Failure> {
        let (_watcher, mut lines) = self.subscribe(&["-t", "will/#", "-q", "1", "-v"]).await?;
        let dying = ["-t", "x", "--will-topic", "will/topic", "--will-payload", "gone", "--will-qos", "1"];
        let (mut child, _) = self.subscribe(&dying).await?;
        child.kill().await?;
        until(&mut lines, |line| line == "will/topic gone").await?;
        Ok("published after kill -9")
    }

    async fn session(&self) -> Result<&'static str, Failure> {
        let id = format!("stored-{}", self.version);
        let mut args = vec!["-i", &id, "-c", "-q", "1", "-t", "stored", "-v"];
        if self.version == "mqttv5" {
            args.extend(["-x", "600"]);
        }
        let (mut child, _) = self.subscribe(&args).await?;
        child.kill().await?;
        for payload in ["1", "2", "3"] {
            self.publish(&["-t", "stored", "-q", "1", "-m", payload]).await?;
        }
        let mut child = self.command("mosquitto_sub", &args).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        for payload in ["stored 1", "stored 2", "stored 3"] {
            let line = until(&mut lines, |line| line.starts_with("stored ")).await?;
            ensure(line == payload, format!("{line} instead of {payload}"))?;
        }
        Ok("3 messages kept in order while away")
    }
}

/// The first line that fits, within 10 s.
async fn until(
    lines: &mut Lines<BufReader<ChildStdout>>,
    fits: impl Fn(&str) -> bool,
) -> Result<String, Failure> {
    let search = async {
        while let Some(line) = lines.next_line().await? {
            if fits(&line) {
                return Ok(line);
            }
        }
        Err::<String, Failure>("the peer ended early".into())
    };
    tokio::time::timeout(Duration::from_secs(10), search)
        .await
        .map_err(|_| "the peer did not print it in 10 s")?
}

async fn no_certificate(emulator: &Emulator, certs: &Path) -> Result<&'static str, Failure> {
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "localhost", "-p", &emulator.port().to_string(), "-t", "a", "-m", "b", "--cafile"]);
    let output = command.arg(certs.join("ca.pem")).stdin(Stdio::null()).kill_on_drop(true).output().await?;
    ensure(!output.status.success(), "was accepted")?;
    Ok("refused")
}
