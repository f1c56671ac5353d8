//! Programs from PyPI on free loopback ports: a broker that speaks WebSocket, a WebSocket in front of Mosquitto, an HTTP
//! proxy. `cargo xtask interop` has put them where the environment says.

use std::ffi::{OsStr, OsString};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use mosquitto::{Mosquitto, free_port};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::report::Failure;

/// Where the interpreter is that has the packages.
const INTERPRETER: &str = "INTEROP_PYTHON";

/// A server that runs until it is dropped.
pub(crate) struct Server {
    child: Child,
    files: TempDir,
    pub(crate) port: u16,
}

/// The interpreter, to be given a module or a script.
pub(crate) fn python() -> Result<Command, Failure> {
    let path = std::env::var_os(INTERPRETER)
        .ok_or_else(|| format!("{INTERPRETER} is not set: run the checks by `cargo xtask interop`"))?;
    let mut command = Command::new(path);
    command.env("PYTHONUNBUFFERED", "1").stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

/// `wss` in front of a Mosquitto's plain port, with Mosquitto's own certificate.
pub(crate) async fn websockify(broker: &Mosquitto) -> Result<Server, Failure> {
    let port = free_port()?;
    let (certificate, key) = (broker.file("server.pem"), broker.file("server.key"));
    let from = format!("127.0.0.1:{port}");
    let to = format!("127.0.0.1:{}", broker.plain_port);
    let args: [&OsStr; 8] = [
        "--ssl-only".as_ref(),
        "--cert".as_ref(),
        certificate.as_ref(),
        "--key".as_ref(),
        key.as_ref(),
        from.as_ref(),
        to.as_ref(),
        "--heartbeat=1".as_ref(),
    ];
    serve(&script("websockify_mqtt.py"), &args, TempDir::new()?, port).await
}

/// An MQTT 3.1.1 broker that speaks WebSocket itself, without TLS.
pub(crate) async fn amqtt() -> Result<Server, Failure> {
    let (port, files) = (free_port()?, TempDir::new()?);
    let config = format!(
        "listeners:\n  default:\n    type: ws\n    bind: 127.0.0.1:{port}\nplugins:\n  \
         amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n"
    );
    let path = files.path().join("amqtt.yaml");
    std::fs::write(&path, config)?;
    serve(&module("amqtt.scripts.broker_script"), &["-c".as_ref(), path.as_ref()], files, port).await
}

/// The user name and password that [`proxy`] asks for.
pub(crate) const PROXY_LOGIN: (&str, &str) = ("device", "open sesame");

/// An HTTP proxy that wants a password.
pub(crate) async fn proxy() -> Result<Server, Failure> {
    let port = free_port()?;
    let (user, password) = PROXY_LOGIN;
    let login = format!("{user}:{password}");
    let (port_text, files) = (port.to_string(), TempDir::new()?);
    let data = files.path().join("data");
    let args: [&OsStr; 11] = [
        "--hostname".as_ref(),
        "127.0.0.1".as_ref(),
        "--port".as_ref(),
        port_text.as_ref(),
        "--num-workers".as_ref(),
        "1".as_ref(),
        "--num-acceptors=1".as_ref(),
        "--basic-auth".as_ref(),
        login.as_ref(),
        "--data-dir".as_ref(),
        data.as_ref(),
    ];
    serve(&module("proxy"), &args, files, port).await
}

/// A script of ours around somebody's library.
pub(crate) fn script(name: &str) -> Vec<OsString> {
    vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name).into()]
}

fn module(name: &str) -> Vec<OsString> {
    vec!["-m".into(), name.into()]
}

/// Starts a program and waits until it listens.
async fn serve(program: &[OsString], args: &[&OsStr], files: TempDir, port: u16) -> Result<Server, Failure> {
    let log = std::fs::File::create(files.path().join("log"))?;
    let mut command = python()?;
    command.args(program).args(args).process_group(0).stdout(log.try_clone()?).stderr(log);
    let child = command.spawn().map_err(|error| format!("{program:?} could not be started: {error}"))?;
    let server = Server { child, files, port };
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..400 {
        ticks.tick().await;
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() {
            return Ok(server);
        }
    }
    Err(format!("{program:?} does not listen after 20 s; its log: {}", server.log()).into())
}

impl Drop for Server {
    /// With the processes that it started itself: they are in its group, and would stay.
    fn drop(&mut self) {
        if let Some(group) = self.child.id() {
            let _ = std::process::Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status();
        }
    }
}

impl Server {
    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(Path::new(self.files.path()).join("log")).unwrap_or_default()
    }
}
