//! The bench itself: clients take turns, what they measured becomes tables.

use std::fmt::Write as _;

use crate::brokers::{Broker, Kind};
use crate::clients::{self, Entry};
use crate::options::Options;
use crate::processes;
use crate::report::{Column, Table, chart};
use crate::system;
use crate::workload::{Case, Job, Transport, Workload};

/// Descriptors that a process needs beside its connections.
const SPARE: u64 = 200;

/// Measures, and prints what came of it.
pub fn run(options: &Options) -> Result<(), String> {
    let mut broker = Broker::start(options.broker)?;
    let chosen: Vec<(usize, &Entry)> = clients::ALL
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.ours || entry.name.contains(&options.only))
        .collect();
    let mut columns: Vec<Column> = chosen.iter().map(|(_, entry)| Column::new(entry)).collect();
    let (mut done, mut notes) = (Vec::new(), String::new());
    for &case in &options.cases {
        let count = options.count.unwrap_or(case.workload.count(options.quick));
        if let Some(why) = impossible(&broker, case, count) {
            let _ = writeln!(notes, "\nSkipped: {case}, {why}.");
            continue;
        }
        done.push(case);
        let start = system::now();
        let job = Job { case, count, time: case.workload.time(options.quick), threads: options.threads };
        // A quick run is short enough to go without the round that is not counted.
        let first = usize::from(options.quick);
        for round in first..=options.runs {
            for turn in 0..chosen.len() {
                let at = (round + turn) % chosen.len();
                let (number, entry) = chosen[at];
                if !entry.runs(case.workload) || columns[at].is_invalid(case) {
                    continue;
                }
                match processes::measure(&mut broker, number, &job, options.quick) {
                    Ok(figures) if round > 0 => columns[at].add(case, figures),
                    Ok(_) => {}
                    Err(error) => {
                        eprintln!("invalid run: {}, {case}: {error}", entry.name);
                        columns[at].invalid(case, error);
                    }
                }
            }
        }
        eprintln!("{case}: {:.1} s", (system::now() - start).as_secs_f64());
    }
    let tables = Table::of(&columns);
    report(&tables, &done, options, &notes)
}

fn report(tables: &[Table<'_>], cases: &[Case], options: &Options, notes: &str) -> Result<(), String> {
    for table in tables {
        println!("{}", table.markdown(cases));
    }
    let threads = if options.threads { "a thread for each core" } else { "one thread" };
    let broker = if options.broker == Kind::Sink { "the null broker" } else { "Mosquitto, with a witness" };
    println!(
        "Medians of {} (least–most) against {broker}; each client on {threads}. {}",
        if options.runs == 1 { "1 run".into() } else { format!("{} runs", options.runs) },
        system::machine()
    );
    print!("{notes}");
    let mut complaints = Vec::new();
    for table in tables {
        for (ours, line) in table.invalid() {
            println!("\nInvalid: {line}.");
            if ours {
                complaints.push(line);
            }
        }
        complaints.extend(table.complaints(cases, options.check_cpu, options.check_stalls));
    }
    if let Some(file) = &options.svg {
        std::fs::write(file, chart(tables, cases)).map_err(|error| format!("{file}: {error}"))?;
    }
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("; ")) }
}

/// Why it cannot be measured here.
fn impossible(broker: &Broker, case: Case, count: u64) -> Option<String> {
    let needed = match case.workload {
        Workload::Idle | Workload::Fleet => count + SPARE,
        _ => SPARE,
    };
    let allowed = system::descriptors();
    if allowed < needed {
        return Some(format!("{needed} descriptors are needed and `ulimit -n` allows {allowed}"));
    }
    let restarts = case.workload == Workload::Fleet && !broker.restarts();
    restarts.then(|| "only the null broker tells how many sessions are back".into())
}

/// What there is.
pub fn list() {
    println!("Clients:");
    for entry in clients::ALL {
        println!("  {} ({:?})", entry.name, entry.version);
    }
    println!("\nWorkloads, and over what:");
    for case in Workload::cases(&[], false).unwrap_or_default() {
        let transport = if case.transport == Transport::Tls { "mutual TLS" } else { "TCP" };
        println!("  {} over {transport}", case.workload.name());
    }
}
