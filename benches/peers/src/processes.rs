//! The processes of the bench: this program again, with other arguments.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::brokers::{Broker, Order, sink, witness};
use crate::clients::{self, Entry, Target};
use crate::figures::Figures;
use crate::measure::{ACKNOWLEDGED, READY};
use crate::system::{now, pause};
use crate::workload::{Job, Workload};

/// First arguments of the other processes.
pub const SINK: &str = "sink";
pub const WITNESS: &str = "witness";
pub const CLIENT: &str = "client";
/// What a client's process says when it fails begins with this.
const FAILED: &str = "failed: ";

/// Longer than any run takes: that of a fleet, all others, and those of peers when it has to be quick.
const LIMITS: [Duration; 3] = [Duration::from_secs(600), Duration::from_secs(60), Duration::from_secs(5)];
/// How long a fleet may take to come back.
const STORM: Duration = Duration::from_secs(180);

/// Runs a job in a process of its own, by the client of this number, and checks what came of it.
pub fn measure(broker: &mut Broker, number: usize, job: &Job, quick: bool) -> Result<Figures, String> {
    // What an earlier run left, one that failed perhaps.
    broker.report()?;
    let (port, files) = broker.port(job.case.transport);
    let files = files.map_or("-".into(), |files| files.display().to_string());
    let arguments = [
        number.to_string(),
        job.case.to_string(),
        job.count.to_string(),
        job.time.as_millis().to_string(),
        job.case.workload.keep_alive(quick).to_string(),
        job.threads.to_string(),
        port.to_string(),
        files,
    ];
    let mut command = this(&[CLIENT])?;
    command.args(arguments).stdin(Stdio::piped());
    let started = now();
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let limit = match job.case.workload {
        Workload::Fleet => LIMITS[0],
        _ if quick && !clients::ALL[number].ours => LIMITS[2],
        _ => LIMITS[1],
    };
    let said = follow(&mut child, broker, job, (started, limit));
    if said.is_err() {
        // It may have ended by itself, and says how.
        let ended = child.try_wait().ok().flatten();
        let _ = child.kill();
        let _ = child.wait();
        return said.map_err(|error| ended.map_or(error.clone(), |status| format!("{error} ({status})")));
    }
    child.wait().map_err(|error| error.to_string())?;
    let figures = said?;
    let report = broker.report()?;
    report.check(figures.sent())?;
    Ok(figures)
}

/// Does what the client says it is time for, until it says its figures.
fn follow(
    child: &mut Child,
    broker: &mut Broker,
    job: &Job,
    (started, limit): (Instant, Duration),
) -> Result<Figures, String> {
    let output = BufReader::new(child.stdout.take().ok_or("the client has no output")?);
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        output.lines().map_while(Result::ok).try_for_each(|line| sender.send((line, now())))
    });
    let mut more = Figures::default();
    loop {
        let left = limit.saturating_sub(now() - started);
        let (line, at) = lines.recv_timeout(left).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("not done after {} s", limit.as_secs()),
            RecvTimeoutError::Disconnected => "it ended".to_owned(),
        })?;
        match line.as_str() {
            ACKNOWLEDGED => more.set("start", (at - started).as_secs_f64() * 1e3),
            READY if job.case.workload == Workload::Fleet => {
                more.set("storm", storm(broker, job.count)?);
                let stdin = child.stdin.as_mut().ok_or("the client does not listen")?;
                writeln!(stdin, "back").map_err(|error| error.to_string())?;
            }
            READY => broker.make(order(job))?,
            _ if line.starts_with(FAILED) => return Err(line),
            _ => return line.parse::<Figures>().map(|figures| figures.and(more)),
        }
    }
}

/// The messages that this client is to receive.
fn order(job: &Job) -> Order {
    let workload = job.case.workload;
    Order {
        messages: job.total(),
        size: workload.payload(),
        filters: workload.filters(),
        at_least_once: workload != Workload::Flood,
    }
}

/// Restarts the broker. Seconds until all sessions are back.
fn storm(broker: &mut Broker, sessions: u64) -> Result<f64, String> {
    broker.restart()?;
    let start = now();
    loop {
        let elapsed = now() - start;
        let back = broker.sessions()?;
        if back >= sessions {
            return Ok(elapsed.as_secs_f64());
        }
        if elapsed > STORM {
            return Err(format!("{back} of {sessions} sessions came back within {} s", STORM.as_secs()));
        }
        pause(Duration::from_millis(20));
    }
}

/// Whatever this process is, if it is not the bench itself.
pub fn other(arguments: &[String]) -> Option<Result<(), String>> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [SINK, plain, tls, files] => Some(parse(plain).and_then(|plain| {
            let ports = [plain, parse(tls)?];
            sink::run(ports, Path::new(files))
        })),
        [WITNESS, port] => Some(parse(port).and_then(witness::run)),
        [CLIENT, number, case, count, time, keep_alive, threads, port, files] => {
            Some(client(number, [case, count, time, keep_alive, threads, port, files]))
        }
        _ => None,
    }
}

/// The client's process: does its job and prints its figures.
fn client(number: &str, words: [&str; 7]) -> Result<(), String> {
    let [case, count, time, keep_alive, threads, port, files] = words;
    let entry = clients::ALL.get(parse::<usize>(number)?).ok_or("no such client")?;
    let time = Duration::from_millis(parse(time)?);
    let job = Job { case: case.parse()?, count: parse(count)?, time, threads: parse(threads)? };
    let files = (files != "-").then(|| PathBuf::from(files));
    let target = target(entry, &job, parse(port)?, files, parse(keep_alive)?);
    match (entry.run)(&job, &target) {
        Ok(figures) => println!("{figures}"),
        Err(error) => println!("{FAILED}{error}"),
    }
    Ok(())
}

fn target(entry: &Entry, job: &Job, port: u16, files: Option<PathBuf>, keep_alive: u16) -> Target {
    Target {
        port,
        files,
        version: entry.version,
        client_id: "bench".into(),
        nodelay: entry.nodelay,
        keep_alive,
        payload: job.case.workload.payload(),
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("what is {text}?"))
}

/// This program again; it may write to our standard error.
pub fn this(arguments: &[&str]) -> Result<Command, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::piped());
    Ok(command)
}
