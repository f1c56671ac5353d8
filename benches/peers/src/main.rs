//! iot-session next to other MQTT clients: `cargo xtask bench session --peers`.
//!
//! Every run of a client is a process of its own, one at a time, against a broker that only acknowledges and counts, which is
//! a process of its own, too. The clients take turns, so that a busy machine meets all of them alike. A run in which a
//! message was lost or came twice is no measurement: it ends the bench.

mod clients;
mod processes;
mod sink;
mod table;
mod workload;

use std::process::ExitCode;

use clients::Entry;
use processes::Sink;
use table::{Column, Table};
use workload::{Job, Workload};

const HELP: &str = "\
Measures iot-session and other MQTT clients, each in a process of its own, and prints tables in Markdown.

Usage: peers [OPTIONS]

Options:
      --quick          One short run of each: some 20 s
      --runs N         How many runs of each count, after one that does not; the default is 5
      --client TEXT    Only clients whose name contains TEXT, beside ours
      --workload NAME  Only window, round-trip or paused-writes
      --messages N     How many messages or pairs of messages are measured in a run
      --threads        A runtime with a thread for each core in every client; otherwise all of a client runs on one thread
      --check          Exit with 1 when our CPU time for a QoS 1 message is above the best peer's, or when a round trip
                       stalls
      --check-stalls   Exit with 1 when a round trip of ours stalls: a 99th percentile of 35 ms and more
  -h, --help           Print this help
";

/// The command line.
#[derive(Debug, PartialEq)]
struct Options {
    quick: bool,
    runs: usize,
    client: String,
    workloads: Vec<Workload>,
    messages: Option<u64>,
    threads: bool,
    check_cpu: bool,
    check_stalls: bool,
}

impl Options {
    /// `None` when help is asked for.
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options = Self {
            quick: false,
            runs: 0,
            client: String::new(),
            workloads: Vec::new(),
            messages: None,
            threads: false,
            check_cpu: false,
            check_stalls: false,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            let number = |text: String| text.parse::<u64>().map_err(|_| format!("{text} is no number"));
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--runs" => options.runs = usize::try_from(number(value()?)?).unwrap_or(usize::MAX),
                "--client" => options.client = value()?,
                "--workload" => options.workloads.push(value()?.parse()?),
                "--messages" => options.messages = Some(number(value()?)?.max(1)),
                "--threads" => options.threads = true,
                "--check" => (options.check_cpu, options.check_stalls) = (true, true),
                "--check-stalls" => options.check_stalls = true,
                "-h" | "--help" => return Ok(None),
                _ => return Err(format!("what is {argument}? See --help")),
            }
        }
        if options.runs == 0 {
            options.runs = if options.quick { 1 } else { 5 };
        }
        if options.workloads.is_empty() {
            options.workloads = Workload::ALL.to_vec();
        }
        Ok(Some(options))
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some(processes::SINK) => sink::run(),
        Some(processes::CLIENT) => processes::client(&arguments[1..]),
        _ => match Options::parse(arguments.into_iter()) {
            Ok(Some(options)) => run(&options),
            Ok(None) => {
                print!("{HELP}");
                Ok(())
            }
            Err(error) => Err(error),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let chosen: Vec<(usize, &Entry)> = clients::ALL
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.ours || entry.name.contains(&options.client))
        .collect();
    let mut sink = Sink::start()?;
    let mut columns: Vec<Column> = chosen.iter().map(|(_, entry)| Column::new(entry)).collect();
    for &workload in &options.workloads {
        let count = options.messages.unwrap_or(workload.count(options.quick));
        let job = Job { workload, count, threads: options.threads };
        // The first round is not counted.
        for round in 0..=options.runs {
            for turn in 0..chosen.len() {
                let at = (round + turn) % chosen.len();
                let (number, entry) = chosen[at];
                let figures = sink.measure(number, &job).map_err(|error| {
                    format!("{} ({:?}), {}: {error}", entry.name, entry.version, workload.name())
                })?;
                if round > 0 {
                    columns[at].add(workload, figures);
                }
            }
        }
    }
    let tables = Table::of(&columns);
    for table in &tables {
        println!("{}", table.markdown(&options.workloads));
    }
    println!("{}", machine(options));
    let complaints: Vec<String> =
        tables.iter().flat_map(|table| table.complaints(options.check_cpu, options.check_stalls)).collect();
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("; ")) }
}

/// What the figures were taken on.
fn machine(options: &Options) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let load = read("/proc/loadavg");
    let load: Vec<&str> = load.split(' ').take(3).collect();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let threads = if options.threads { "a thread for each core" } else { "one thread" };
    format!(
        "Medians of {} runs (least–most); each client on {threads}. {} · {cores} cores · load {}",
        options.runs,
        model.unwrap_or("CPU unknown"),
        load.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_command_line_is_read() {
        let options = parse("--quick --workload window --client rumqttc --check").unwrap().unwrap();
        assert_eq!((options.runs, options.workloads, options.check_cpu), (1, vec![Workload::Window], true));
        let options = parse("--messages 50 --check-stalls").unwrap().unwrap();
        assert_eq!((options.runs, options.messages), (5, Some(50)));
        assert!(options.check_stalls && !options.check_cpu);
        assert_eq!(parse("--quick --runs 3").unwrap().unwrap().runs, 3);
        assert_eq!(parse("--help"), Ok(None));
        for wrong in ["--runs", "--runs many", "--workload idle", "--fast"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_version_has_ours_and_a_peer() {
        for entry in clients::ALL {
            let same = || clients::ALL.iter().filter(|other| other.version == entry.version);
            assert_eq!(same().filter(|other| other.ours).count(), 1);
            assert!(same().any(|other| !other.ours));
        }
    }
}
