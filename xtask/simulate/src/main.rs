//! `simulate`: seeds in, findings out.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use clap::Parser;
use simulate::plan::Plan;
use simulate::shrink::shrink;
use simulate::watchdog::Watchdog;
use simulate::world::{Report, run};

/// Runs the client, a model of a broker and an adversary on one virtual clock, once for each seed.
///
/// A seed that fails is printed as a line that repeats it, then with as few steps as still fail. Exits with 1 then.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask simulate", bin_name = "cargo xtask simulate")]
struct Options {
    /// How many seeds.
    #[arg(long, default_value_t = 2000)]
    seeds: u64,
    /// The first one.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many steps each has.
    #[arg(long, default_value_t = 60)]
    steps: usize,
    /// Only these steps of the plan, by number, as a shrunken seed names them: `3,17,18`.
    #[arg(long, value_delimiter = ',')]
    only: Option<Vec<usize>>,
    /// Threads. Default: one for each core.
    #[arg(long)]
    jobs: Option<usize>,
    /// Stop at the first seed that fails, and do not shrink it.
    #[arg(long)]
    quick: bool,
    /// Put documented faults into a copy of the sources, one at a time, and see whether 2,000 seeds find each.
    ///
    /// Builds the simulator once for each fault. A text limits it to faults with that in their names.
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    mutants: Option<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let result = match &options.mutants {
        Some(name) => simulate::mutants::run(name, options.seeds, options.steps),
        None => seeds(&options),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Sums {
    steps: BTreeMap<&'static str, u64>,
    published: u64,
    arrived: u64,
    received: u64,
    connections: u64,
    failed: Vec<(u64, Vec<String>)>,
}

impl Sums {
    fn add(&mut self, seed: u64, report: Report) {
        for (step, times) in report.steps {
            *self.steps.entry(step).or_default() += times;
        }
        self.published += report.published;
        self.arrived += report.arrived;
        self.received += report.received;
        self.connections += report.connections;
        if !report.faults.is_empty() {
            self.failed.push((seed, report.faults));
        }
    }
}

fn plan(options: &Options, seed: u64) -> Plan {
    let plan = Plan::new(seed, options.steps);
    match &options.only {
        Some(numbers) => plan.only(numbers),
        None => plan,
    }
}

fn seeds(options: &Options) -> Result<bool, String> {
    let jobs =
        options.jobs.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let (next, stop, sums) = (AtomicU64::new(0), AtomicBool::new(false), Mutex::new(Sums::default()));
    let watchdog = Watchdog::default();
    let work = || -> Result<(), String> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= options.seeds || stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let seed = options.from.wrapping_add(number);
            watchdog.begins(seed);
            let report = run(&plan(options, seed))?;
            watchdog.ends(seed);
            if !report.faults.is_empty() && options.quick {
                stop.store(true, Ordering::Relaxed);
            }
            sums.lock().unwrap_or_else(PoisonError::into_inner).add(seed, report);
        }
    };
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        // A thread that spins cannot be stopped, but for the process.
        scope.spawn(|| {
            let is_done = is_done;
            if let Some(seed) = watchdog.watch(&is_done) {
                let steps = options.steps;
                println!("seed {seed} fails: cargo xtask simulate --seeds 1 --from {seed} --steps {steps}");
                println!("  it does not end: something is due at each instant, and time stands still");
                std::process::exit(1);
            }
        });
        let _done = done;
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a run panicked".to_owned())?)
    })?;
    let mut sums = sums.into_inner().unwrap_or_else(PoisonError::into_inner);
    sums.failed.sort();
    for (seed, faults) in sums.failed.iter().take(if options.quick { 1 } else { 5 }) {
        println!("seed {seed} fails: cargo xtask simulate --seeds 1 --from {seed} --steps {}", options.steps);
        faults.iter().take(3).for_each(|fault| println!("  {fault}"));
        if options.quick || options.only.is_some() {
            continue;
        }
        let plan = Plan::new(*seed, options.steps);
        let kept = shrink(&plan);
        let list: Vec<String> = kept.iter().map(ToString::to_string).collect();
        println!(
            "  shrunk: cargo xtask simulate --seeds 1 --from {seed} --steps {} --only {}",
            options.steps,
            list.join(",")
        );
        let small = plan.clone().only(&kept);
        println!("  {:?}", small.settings);
        small.steps.iter().for_each(|step| println!("  after {} ms: {:?}", step.after, step.what));
        run(&small)?.faults.iter().take(3).for_each(|fault| println!("  -> {fault}"));
    }
    let faults: Vec<String> = sums.steps.iter().map(|(step, times)| format!("{step} {times}")).collect();
    println!(
        "{} seeds of {} steps: {} published, {} arrived, {} received, {} connections, {} seeds failed",
        options.seeds,
        options.steps,
        sums.published,
        sums.arrived,
        sums.received,
        sums.connections,
        sums.failed.len()
    );
    println!("{}", faults.join(", "));
    Ok(sums.failed.is_empty())
}
