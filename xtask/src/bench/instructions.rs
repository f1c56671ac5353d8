//! `cargo xtask bench instructions`: what a message costs in instructions, beside what it cost when that was last written down.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::cargo::{cargo, stdout_of, workspace_root};

/// Where the counts are that others are held to.
const BASELINE: &str = "benches/instructions.txt";
/// Each workload is done so many times, and twice as many; what is between the two counts is no set-up.
const TIMES: u64 = 500;

/// What to do with the counts.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Write the counts down as those that others are held to.
    #[arg(long)]
    update: bool,
    /// How many percent more than that is a failure.
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0)]
    tolerance: f64,
    /// Count only what has these words in its name.
    #[arg(value_name = "WORDS", conflicts_with = "update")]
    only: Option<String>,
}

/// Counts, prints a table, and compares or writes down.
///
/// # Errors
/// There is no valgrind, the bench does not build, a count is too far above its baseline, or one of the two is missing.
pub fn run(options: &Options) -> Result {
    let root = workspace_root()?;
    if Command::new("valgrind").arg("--version").output().is_err() {
        return Err("there is no valgrind, which counts: install valgrind".into());
    }
    let program = build(&root)?;
    let mut listing = Command::new(&program);
    listing.arg("--list");
    let listing = stdout_of(listing)?;
    let names = listing.lines().filter(|name| options.only.as_ref().is_none_or(|words| name.contains(words)));
    let mut counts = BTreeMap::new();
    for name in names {
        let (once, twice) = (count(&program, name, TIMES)?, count(&program, name, 2 * TIMES)?);
        let each = twice.checked_sub(once).ok_or("more times took fewer instructions")? / TIMES;
        counts.insert(name.to_owned(), each);
    }
    if counts.is_empty() {
        return Err("nothing was counted: `--list` of the bench names the workloads".into());
    }
    let path = root.join(BASELINE);
    if options.update {
        fs::write(&path, written(&counts))?;
        println!("{}", written(&counts));
        return Ok(());
    }
    let text = fs::read_to_string(&path).map_err(|error| format!("{BASELINE}: {error}"))?;
    let mut baseline = read(&text)?;
    if let Some(words) = &options.only {
        baseline.retain(|name, _| name.contains(words.as_str()));
    }
    let (table, faults) = compare(&counts, &baseline, options.tolerance);
    print!("{table}");
    if faults.is_empty() {
        Ok(())
    } else {
        let advice = "if that has to be so, write it down with --update, and say in the commit why";
        Err(format!("{}; {advice}", faults.join("; ")).into())
    }
}

/// The bench as a program.
fn build(root: &Path) -> Result<PathBuf> {
    let mut build = cargo(root);
    build.args(["bench", "--package", "benches", "--bench", "instructions", "--no-run"]);
    // What is inlined depends on it, whatever the profile and the environment say.
    build.env("CARGO_PROFILE_BENCH_DEBUG", "false");
    build.args(["--message-format", "json"]).stderr(std::process::Stdio::inherit());
    let messages = stdout_of(build)?;
    let programs = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let is_it = |message: &serde_json::Value| {
        message.pointer("/target/name").and_then(serde_json::Value::as_str) == Some("instructions")
    };
    let found =
        programs.filter(is_it).find_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)));
    found.ok_or_else(|| "cargo names no program of the bench `instructions`".into())
}

/// Instructions of the whole program.
fn count(program: &Path, name: &str, times: u64) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program).arg(name);
    let output = valgrind.arg(times.to_string()).output()?;
    let words = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{name} under valgrind ended with {}:\n{words}", output.status).into());
    }
    collected(&words).ok_or_else(|| format!("valgrind counted nothing for {name}:\n{words}").into())
}

/// `==7== Collected : 123456`.
fn collected(words: &str) -> Option<u64> {
    let line = words.lines().find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok()
}

fn written(counts: &BTreeMap<String, u64>) -> String {
    let mut text = String::from(
        "# Instructions of one message on x86_64, counted by callgrind: `cargo xtask bench instructions --update` writes them.\n",
    );
    for (name, count) in counts {
        let _ = writeln!(text, "{count:>8}  {name}");
    }
    text
}

fn read(text: &str) -> Result<BTreeMap<String, u64>> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| {
            let (count, name) =
                line.trim().split_once("  ").ok_or_else(|| format!("{BASELINE}: {line:?}"))?;
            Ok((name.to_owned(), count.parse().map_err(|_| format!("{BASELINE}: {line:?}"))?))
        })
        .collect()
}

/// A table, and what is wrong.
fn compare(
    counts: &BTreeMap<String, u64>,
    baseline: &BTreeMap<String, u64>,
    tolerance: f64,
) -> (String, Vec<String>) {
    let mut table = format!("{:>8}  {:>8}  {:>8}\n", "now", "before", "change");
    let mut faults = Vec::new();
    for (name, now) in counts {
        let Some(before) = baseline.get(name) else {
            let _ = writeln!(table, "{now:>8}  {:>8}  {:>8}  {name}", "", "new");
            faults.push(format!("{name} is in no baseline"));
            continue;
        };
        #[expect(clippy::cast_precision_loss, reason = "counts of instructions are far below 2^53")]
        let change = (*now as f64 / (*before).max(1) as f64 - 1.0) * 100.0;
        let _ = writeln!(table, "{now:>8}  {before:>8}  {change:>+7.1}%  {name}");
        // Counts are whole: of two that differ by the very tolerance, rounding is not to decide.
        if change > tolerance + 1e-9 {
            faults.push(format!("{name} takes {change:.1} % more instructions, {tolerance} % are let pass"));
        }
    }
    for name in baseline.keys().filter(|name| !counts.contains_key(*name)) {
        faults.push(format!("{name} was not counted"));
    }
    (table, faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(list: &[(&str, u64)]) -> BTreeMap<String, u64> {
        list.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let given = counts(&[("a b", 1), ("c", 123_456_789)]);
        assert_eq!(read(&written(&given)).unwrap(), given);
        assert!(read("x y\n").is_err());
    }

    #[test]
    fn more_than_the_tolerance_is_a_fault_and_less_is_none() {
        let before = counts(&[("a", 1000), ("b", 1000), ("c", 1000)]);
        let (table, faults) = compare(&counts(&[("a", 1050), ("b", 1051), ("c", 10)]), &before, 5.0);
        assert_eq!(faults, ["b takes 5.1 % more instructions, 5 % are let pass"]);
        assert!(table.contains("-99.0%  c"), "{table}");
    }

    #[test]
    fn what_is_missing_on_either_side_is_a_fault() {
        let (_, faults) = compare(&counts(&[("a", 1)]), &counts(&[("b", 1)]), 5.0);
        assert_eq!(faults, ["a is in no baseline", "b was not counted"]);
    }

    #[test]
    fn the_count_is_read_from_what_valgrind_says() {
        assert_eq!(collected("==7== Events    : Ir\n==7== Collected : 32870\n==7== \n"), Some(32_870));
        assert_eq!(collected("==7== nothing\n"), None);
    }
}
