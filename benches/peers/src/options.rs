//! The command line.

use crate::brokers::Kind;
use crate::workload::{Case, Workload};

pub const HELP: &str = "\
Measures aws-iot and other MQTT clients, each in a process of its own, and prints tables in Markdown.

Usage: cargo xtask bench peers [OPTIONS]

Options:
      --quick          One short run of each, over one transport
      --broker NAME    sink, which only acknowledges, echoes and counts, or mosquitto; the default is sink
      --runs N         How many runs of each count, after one that does not; the default is 5
      --only TEXT      Only clients whose name contains TEXT, beside ours
      --workload NAME  Only this one; may be given again
      --count N        How many messages, connections or trips are measured in a run
      --threads        A runtime with a thread for each core in every client; otherwise all of a client runs on one thread
      --svg FILE       Writes a chart of the ratios
      --sizes          Builds the smallest useful program with each client instead, and prints how large it is
      --list           Prints the clients and the workloads instead
      --check          Exit with 1 when our CPU time for a QoS 1 message is above the best peer's, or when a round trip
                       stalls
      --check-stalls   Exit with 1 when a round trip of ours stalls: a 99th percentile of 35 ms and more
  -h, --help           Print this help

A run of ours that lost or doubled a message, or failed, makes it exit with 1 in any case.
";

/// What is asked for.
#[derive(Debug, PartialEq)]
pub enum Task {
    Help,
    List,
    Sizes,
    Measure(Options),
}

/// How it is measured.
#[derive(Debug, PartialEq)]
pub struct Options {
    pub quick: bool,
    pub broker: Kind,
    pub runs: usize,
    pub only: String,
    pub cases: Vec<Case>,
    pub count: Option<u64>,
    pub threads: bool,
    pub svg: Option<String>,
    pub check_cpu: bool,
    pub check_stalls: bool,
}

impl Task {
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options {
            quick: false,
            broker: Kind::Sink,
            runs: 0,
            only: String::new(),
            cases: Vec::new(),
            count: None,
            threads: false,
            svg: None,
            check_cpu: false,
            check_stalls: false,
        };
        let mut workloads = Vec::new();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            let number = |text: String| text.parse::<u64>().map_err(|_| format!("{text} is no number"));
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--broker" => options.broker = broker(&value()?)?,
                "--runs" => options.runs = usize::try_from(number(value()?)?).unwrap_or(usize::MAX),
                "--only" => options.only = value()?,
                "--workload" => workloads.push(value()?),
                "--count" => options.count = Some(number(value()?)?.max(10)),
                "--threads" => options.threads = true,
                "--svg" => options.svg = Some(value()?),
                "--check" => (options.check_cpu, options.check_stalls) = (true, true),
                "--check-stalls" => options.check_stalls = true,
                "--sizes" => return Ok(Self::Sizes),
                "--list" => return Ok(Self::List),
                "-h" | "--help" => return Ok(Self::Help),
                _ => return Err(format!("what is {argument}? See --help")),
            }
        }
        if options.runs == 0 {
            options.runs = if options.quick { 1 } else { 5 };
        }
        options.cases = Workload::cases(&workloads, options.quick)?;
        Ok(Self::Measure(options))
    }
}

fn broker(name: &str) -> Result<Kind, String> {
    match name {
        "sink" => Ok(Kind::Sink),
        "mosquitto" => Ok(Kind::Mosquitto),
        _ => Err(format!("no broker is called {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Options {
        match Task::parse(line.split_whitespace().map(str::to_owned)) {
            Ok(Task::Measure(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_read() {
        let quick = options("--quick --workload qos1 --only rumqttc --check --broker mosquitto --svg a.svg");
        assert_eq!((quick.runs, quick.cases.len(), quick.check_cpu), (1, 1, true));
        assert_eq!(
            (quick.broker, quick.only.as_str(), quick.svg.as_deref()),
            (Kind::Mosquitto, "rumqttc", Some("a.svg"))
        );
        let whole = options("--count 50 --check-stalls");
        assert_eq!((whole.runs, whole.count, whole.broker), (5, Some(50), Kind::Sink));
        assert!(whole.check_stalls && !whole.check_cpu);
        assert_eq!(options("--quick --runs 3").runs, 3);
    }

    #[test]
    fn other_tasks_and_mistakes_are_told_apart() {
        let parse = |word: &str| Task::parse(word.split_whitespace().map(str::to_owned));
        assert_eq!(parse("--help"), Ok(Task::Help));
        assert_eq!(parse("--list"), Ok(Task::List));
        assert_eq!(parse("--sizes"), Ok(Task::Sizes));
        for wrong in ["--runs", "--runs many", "--workload idling", "--fast", "--broker emqx"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
