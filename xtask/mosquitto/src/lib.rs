//! A Mosquitto of our own: plain TCP and mutual TLS on free loopback ports, its files in a temporary directory. For checks
//! against a broker that nobody here wrote.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// What goes wrong with it.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Where Debian puts the broker; elsewhere it is on the path.
const DEBIAN: &str = "/usr/sbin/mosquitto";

/// A running broker; it is killed when this is dropped.
#[derive(Debug)]
pub struct Mosquitto {
    child: Child,
    files: TempDir,
    /// Where it listens without TLS.
    pub plain_port: u16,
    /// Where it listens with mutual TLS.
    pub tls_port: u16,
}

impl Mosquitto {
    /// Starts it, and waits until it listens.
    ///
    /// # Errors
    /// It is not installed, or does not listen after 10 s.
    pub async fn start() -> Result<Self, Failure> {
        Self::with_window(0).await
    }

    /// With this Receive Maximum; 0: none.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn with_window(messages: u16) -> Result<Self, Failure> {
        Self::with(messages, true).await
    }

    /// Keeps nothing on disk: for measurements, which writing at every change would dominate. 100 messages may be
    /// unacknowledged, as with AWS IoT Core.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn in_memory() -> Result<Self, Failure> {
        Self::with(100, false).await
    }

    async fn with(messages: u16, persistent: bool) -> Result<Self, Failure> {
        let files = TempDir::new()?;
        write_certificates(files.path())?;
        let (plain_port, tls_port) = (free_port()?, free_port()?);
        let dir = files.path().display();
        let config = format!(
            "per_listener_settings false\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages {messages}\nset_tcp_nodelay true\n\
             persistence {persistent}\npersistence_location {dir}/\nautosave_interval 1\nautosave_on_changes true\n\
             listener {plain_port} 127.0.0.1\n\
             listener {tls_port} 127.0.0.1\ncafile {dir}/ca.pem\ncertfile {dir}/server.pem\nkeyfile {dir}/server.key\n\
             require_certificate true\n",
        );
        std::fs::write(files.path().join("mosquitto.conf"), config)?;
        let child = spawn(files.path())?;
        let broker = Self { child, files, plain_port, tls_port };
        broker.ready().await?;
        Ok(broker)
    }

    /// One of its files: `ca.pem`, `device.pem`, `device.key`, `log`.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Kills the broker the hard way.
    ///
    /// # Errors
    /// The system does not let us.
    pub async fn kill(&mut self) -> Result<(), Failure> {
        self.child.kill().await?;
        Ok(())
    }

    /// Starts it again with what it has on disk.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn restart(&mut self) -> Result<(), Failure> {
        self.child = spawn(self.files.path())?;
        self.ready().await
    }

    /// Stops it in the middle of whatever it does, or lets it go on.
    ///
    /// # Errors
    /// There is no process, or no program `kill`.
    pub async fn pause(&self, paused: bool) -> Result<(), Failure> {
        let id = self.child.id().ok_or("mosquitto does not run")?;
        let signal = if paused { "-STOP" } else { "-CONT" };
        let status = Command::new("kill").args([signal, &id.to_string()]).status().await?;
        if status.success() { Ok(()) } else { Err(format!("kill {signal} {id} failed").into()) }
    }

    async fn ready(&self) -> Result<(), Failure> {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..500 {
            ticks.tick().await;
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.tls_port)).await.is_ok() {
                return Ok(());
            }
        }
        let log = std::fs::read_to_string(self.file("log")).unwrap_or_default();
        Err(format!("mosquitto does not listen after 10 s; its log: {log}").into())
    }
}

fn spawn(dir: &Path) -> Result<Child, Failure> {
    let program = if Path::new(DEBIAN).exists() { DEBIAN } else { "mosquitto" };
    let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("log"))?;
    let mut command = Command::new(program);
    command.arg("-c").arg(dir.join("mosquitto.conf")).stdin(std::process::Stdio::null()).kill_on_drop(true);
    command.stdout(log.try_clone()?).stderr(log);
    command.spawn().map_err(|error| format!("{program} could not be started: {error}").into())
}

/// A port that was free a moment ago.
///
/// # Errors
/// The system has none.
pub fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A CA, a server certificate for `localhost` and a device certificate, made anew: `ca.pem`, `server.pem`, `server.key`,
/// `device.pem` and `device.key` in this directory.
///
/// # Errors
/// They cannot be made or written.
pub fn write_certificates(dir: &Path) -> Result<(), Failure> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "test CA");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    std::fs::write(dir.join("ca.pem"), ca.pem())?;
    for (name, subjects) in
        [("server", vec!["localhost".to_owned(), "127.0.0.1".to_owned()]), ("device", Vec::new())]
    {
        let mut params = CertificateParams::new(subjects)?;
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        std::fs::write(dir.join(format!("{name}.pem")), params.signed_by(&key, &ca)?.pem())?;
        std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem())?;
    }
    // Started as root, Mosquitto gives its rights up before it reads its files.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o777))?;
    }
    Ok(())
}
