//! The processes of the bench: this program again, with other arguments.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::clients;
use crate::sink::Report;
use crate::workload::{Figures, Job};

/// First arguments of the other processes.
pub const SINK: &str = "sink";
pub const CLIENT: &str = "client";

/// Longer than any run takes.
const LIMIT: Duration = Duration::from_secs(120);
/// How often a run's end is looked for: seldom, so that looking costs nothing.
const LOOK: Duration = Duration::from_millis(10);

/// The broker's process.
pub struct Sink {
    child: Child,
    lines: BufReader<ChildStdout>,
    /// It ends when this is closed.
    stdin: Option<ChildStdin>,
    port: u16,
}

impl Sink {
    pub fn start() -> Result<Self, String> {
        let mut child = this(&[SINK])?.stdin(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
        let stdin = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().ok_or("the sink has no output")?);
        let mut sink = Self { child, lines, stdin, port: 0 };
        let line = sink.line()?;
        sink.port = line.parse().map_err(|_| format!("the sink said {line:?}"))?;
        Ok(sink)
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        self.lines.read_line(&mut line).map_err(|error| error.to_string())?;
        Ok(line.trim().to_owned())
    }

    /// Runs a job in a process of its own, by the client of this number, and checks what came of it.
    pub fn measure(&mut self, client: usize, job: &Job) -> Result<Figures, String> {
        let Job { workload, count, threads } = job;
        let arguments =
            [client.to_string(), self.port.to_string(), workload.name().into(), count.to_string()];
        let mut command = this(&[CLIENT])?;
        command.args(arguments).arg(threads.to_string()).stdin(Stdio::null());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let mut waited = Duration::ZERO;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                break status;
            }
            if waited >= LIMIT {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("not done after {} s", LIMIT.as_secs()));
            }
            pause(LOOK);
            waited += LOOK;
        };
        let mut said = String::new();
        if let Some(mut output) = child.stdout.take() {
            output.read_to_string(&mut said).map_err(|error| error.to_string())?;
        }
        if !status.success() {
            return Err(format!("the client failed: {status}"));
        }
        let figures: Figures = said.parse()?;
        let report: Report = self.line()?.parse()?;
        report.check(figures.sent).map_err(|error| format!("invalid run: {error}"))?;
        Ok(figures)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// The client's process: does its job and prints its figures.
pub fn client(arguments: &[String]) -> Result<(), String> {
    let [number, port, workload, count, threads] = arguments else {
        return Err("this process is started by the bench only".into());
    };
    let number: usize = parse(number)?;
    let entry = clients::ALL.get(number).ok_or("no such client")?;
    let job = Job { workload: workload.parse()?, count: parse(count)?, threads: parse(threads)? };
    let figures = (entry.run)(&job, &entry.target(parse(port)?)).map_err(|error| error.to_string())?;
    println!("{figures}");
    Ok(())
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("what is {text}?"))
}

/// This program again; it may write to our standard error.
fn this(arguments: &[&str]) -> Result<Command, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::piped());
    Ok(command)
}

#[expect(clippy::disallowed_methods, reason = "a process that ends cannot be waited for with a limit")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
