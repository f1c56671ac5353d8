//! The broker as the bench sees it.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use mosquitto::Mosquitto;
use tempfile::TempDir;

use super::{Command, Order};
use crate::ledger::Report;
use crate::processes::{self, SINK, WITNESS};
use crate::workload::Transport;

/// Which broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One that only acknowledges, echoes and counts.
    Sink,
    /// Mosquitto, as it is used.
    Mosquitto,
}

/// A broker that runs. It ends when this is dropped.
pub struct Broker {
    process: Process,
    ports: [u16; 2],
    files: Files,
}

/// Where its certificates are.
enum Files {
    Own(TempDir),
    /// It ends when this is dropped, for which it needs its runtime.
    Mosquitto(Box<Mosquitto>, #[expect(dead_code, reason = "kept for its end")] tokio::runtime::Runtime),
}

impl Broker {
    pub fn start(kind: Kind) -> Result<Self, String> {
        match kind {
            Kind::Sink => {
                let files = TempDir::new().map_err(|error| error.to_string())?;
                mosquitto::write_certificates(files.path()).map_err(|error| error.to_string())?;
                let (process, ports) = Self::sink([0, 0], &files)?;
                Ok(Self { process, ports, files: Files::Own(files) })
            }
            Kind::Mosquitto => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.map_err(|error| error.to_string())?;
                let broker = runtime.block_on(Mosquitto::in_memory()).map_err(|error| error.to_string())?;
                let ports = [broker.plain_port, broker.tls_port];
                let (process, _) = Process::start(&[WITNESS, &broker.plain_port.to_string()])?;
                Ok(Self { process, ports, files: Files::Mosquitto(Box::new(broker), runtime) })
            }
        }
    }

    fn sink(ports: [u16; 2], files: &TempDir) -> Result<(Process, [u16; 2]), String> {
        let [plain, tls] = ports.map(|port| port.to_string());
        Process::start(&[SINK, &plain, &tls, &files.path().display().to_string()])
    }

    /// Where a client connects to, and where its files are.
    pub fn port(&self, transport: Transport) -> (u16, Option<PathBuf>) {
        let directory = match &self.files {
            Files::Own(files) => files.path().to_owned(),
            Files::Mosquitto(broker, _) => broker.file(""),
        };
        match transport {
            Transport::Tcp => (self.ports[0], None),
            Transport::Tls => (self.ports[1], Some(directory)),
        }
    }

    /// Whether it can be restarted and knows its sessions.
    pub fn restarts(&self) -> bool {
        matches!(self.files, Files::Own(_))
    }

    /// What came since this was last asked for.
    pub fn report(&mut self) -> Result<Report, String> {
        self.process.ask(Command::Report)?.parse()
    }

    pub fn sessions(&mut self) -> Result<u64, String> {
        let line = self.process.ask(Command::Sessions)?;
        line.parse().map_err(|_| format!("the broker said {line:?}"))
    }

    /// Makes messages for whoever subscribed.
    pub fn make(&mut self, order: Order) -> Result<(), String> {
        self.process.ask(Command::Make(order)).map(drop)
    }

    /// Ends it without a word and starts it again on the same ports.
    pub fn restart(&mut self) -> Result<(), String> {
        let Files::Own(files) = &self.files else { return Err("this broker is not restarted".into()) };
        self.process.kill();
        (self.process, self.ports) = Self::sink(self.ports, files)?;
        Ok(())
    }
}

/// The process of the sink, or of the witness.
struct Process {
    child: Child,
    lines: BufReader<ChildStdout>,
    /// It ends when this is closed.
    stdin: Option<ChildStdin>,
}

impl Process {
    /// Starts it. Its first line are two ports.
    fn start(arguments: &[&str]) -> Result<(Self, [u16; 2]), String> {
        let mut command = processes::this(arguments)?;
        let mut child = command.stdin(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
        let stdin = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().ok_or("the broker has no output")?);
        let mut process = Self { child, lines, stdin };
        let line = process.line()?;
        let ports: Vec<u16> = line.split(' ').filter_map(|port| port.parse().ok()).collect();
        let ports = ports.try_into().map_err(|_| format!("the broker said {line:?}"))?;
        Ok((process, ports))
    }

    fn ask(&mut self, command: Command) -> Result<String, String> {
        let stdin = self.stdin.as_mut().ok_or("the broker is gone")?;
        writeln!(stdin, "{command}").map_err(|error| error.to_string())?;
        self.line()
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        self.lines.read_line(&mut line).map_err(|error| error.to_string())?;
        Ok(line.trim().to_owned())
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.stdin.take());
        self.kill();
    }
}
