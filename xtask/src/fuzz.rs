//! `cargo xtask fuzz`: every fuzz target for some seconds, on a copy of its corpus or on one that grows.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, ValueEnum};
use toml::de::DeTable;

use crate::Result;
use crate::cargo::{cargo, install, timed, workspace_root};

/// Larger inputs find nothing that these do not: the longest interesting packet is a few hundred bytes.
const MAX_LEN: u32 = 4096;

/// What to run, and how.
#[derive(Debug, Args)]
pub struct Options {
    /// How long each target runs, in seconds.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub secs: u32,
    /// What watches the memory while a target runs.
    ///
    /// The crates forbid unsafe code, so that long campaigns may do without: they run some times faster.
    #[arg(long, value_enum, default_value_t = Sanitizer::Address)]
    pub sanitizer: Sanitizer,
    /// Keep what a run finds, in a directory for each target below DIR, and go on from there the next time.
    ///
    /// The committed seeds are copied there first. When left out, a run works on a copy that is thrown away.
    #[arg(long, value_name = "DIR")]
    pub corpus: Option<PathBuf>,
    /// The target to run; all of them when left out.
    pub target: Option<String>,
}

/// What watches the memory while a target runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sanitizer {
    /// Nothing does.
    None,
    /// The address sanitizer.
    Address,
}

impl Sanitizer {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Address => "address",
        }
    }
}

/// Runs the chosen target, or every one, and prints one line for each.
///
/// # Errors
/// When a target crashes or executes nothing, when there is none, or when cargo-fuzz cannot be had.
pub fn run(options: &Options) -> Result {
    let root = workspace_root()?;
    let manifest =
        fs::read_to_string(root.join("fuzz/Cargo.toml")).map_err(|e| format!("fuzz/Cargo.toml: {e}"))?;
    let targets = chosen(targets(&manifest)?, options.target.as_deref())?;
    install(&root, "fuzz")?;

    let mut build = cargo_fuzz(&root, "build", options.sanitizer);
    if !build.status()?.success() {
        return Err(format!("the fuzz targets do not build: {build:?}").into());
    }

    let mut failed = Vec::new();
    for target in &targets {
        let (executed, seconds) = timed(|| run_one(&root, target, options));
        match executed {
            Ok(executed) => println!("ok     {target}: {executed} executions in {seconds:.0} s"),
            Err(error) => {
                eprintln!("{error}");
                println!("FAILED {target}: after {seconds:.0} s");
                failed.push(target.as_str());
            }
        }
    }
    println!("{} targets fuzzed, {} failed", targets.len(), failed.len());
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", ")).into()) }
}

/// The number of inputs executed.
fn run_one(root: &Path, target: &str, options: &Options) -> Result<u64> {
    let thrown_away = tempfile::tempdir()?;
    let corpus = corpus(thrown_away.path(), options.corpus.as_deref(), target)?;
    copy_files(&root.join("fuzz/corpus").join(target), &corpus)?;

    let mut command = cargo_fuzz(root, "run", options.sanitizer);
    command.arg(target).arg(corpus).arg("--").args([
        &format!("-max_total_time={}", options.secs),
        &format!("-max_len={MAX_LEN}"),
        "-rss_limit_mb=2048",
        "-timeout=10",
        "-print_final_stats=1",
    ]);
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!(
            "{}\n{target} failed; the input that did it is in fuzz/artifacts",
            tail(&words, 60)
        )
        .into());
    }
    match executions(&words) {
        Some(executed) if executed > 0 => Ok(executed),
        _ => Err(format!("{}\n{target} executed nothing", tail(&words, 20)).into()),
    }
}

/// Where a target finds its corpus, and leaves what it adds; an absolute path, since a target runs in the
/// workspace's root.
fn corpus(thrown_away: &Path, kept: Option<&Path>, target: &str) -> Result<PathBuf> {
    let Some(kept) = kept else { return Ok(thrown_away.to_owned()) };
    let corpus = std::path::absolute(kept.join(target))?;
    fs::create_dir_all(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
    Ok(corpus)
}

/// A cargo-fuzz command. libFuzzer and the sanitizers are unstable options, which `RUSTC_BOOTSTRAP` lets a stable
/// compiler take.
fn cargo_fuzz(root: &Path, verb: &str, sanitizer: Sanitizer) -> Command {
    let mut command = cargo(root);
    command.env("RUSTC_BOOTSTRAP", "1").args(["fuzz", verb, "--fuzz-dir", "fuzz"]);
    command.args(["--sanitizer", sanitizer.name()]);
    if let Some(dir) = env::var_os("CARGO_TARGET_DIR") {
        command.arg("--target-dir").arg(dir);
    }
    command
}

/// The names of the `[[bin]]` tables of the fuzz crate.
fn targets(manifest: &str) -> Result<Vec<String>> {
    let manifest = DeTable::parse(manifest)?.into_inner();
    let bins = manifest.get("bin").and_then(|bins| bins.get_ref().as_array());
    let name =
        |bin: &toml::de::DeValue<'_>| Some(bin.as_table()?.get("name")?.get_ref().as_str()?.to_owned());
    Ok(bins.into_iter().flat_map(|bins| bins.iter()).filter_map(|bin| name(bin.get_ref())).collect())
}

fn chosen(targets: Vec<String>, only: Option<&str>) -> Result<Vec<String>> {
    if targets.is_empty() {
        return Err("fuzz/Cargo.toml lists no [[bin]]: there is no target to run".into());
    }
    match only {
        None => Ok(targets),
        Some(only) if targets.iter().any(|target| target == only) => Ok(vec![only.to_owned()]),
        Some(only) => Err(format!("no fuzz target `{only}`; there are: {}", targets.join(", ")).into()),
    }
}

/// Reads `stat::number_of_executed_units: 1234` from what libFuzzer prints at its end.
fn executions(output: &str) -> Option<u64> {
    let line =
        output.lines().rev().find_map(|line| line.trim().strip_prefix("stat::number_of_executed_units:"))?;
    line.trim().parse().ok()
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}

/// A target without a committed corpus starts from nothing.
fn copy_files(from: &Path, to: &Path) -> Result {
    if !from.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str =
        "[package]\nname = \"fuzz\"\n\n[[bin]]\nname = \"decode\"\n\n[[bin]]\nname = \"topic\"\n";

    #[test]
    fn the_targets_are_the_binaries_of_the_fuzz_crate() {
        assert_eq!(targets(MANIFEST).unwrap(), ["decode", "topic"]);
        assert!(targets("[package]\n").unwrap().is_empty());
    }

    #[test]
    fn one_target_is_chosen_by_name_and_an_unknown_name_is_answered_with_the_known_ones() {
        let all = targets(MANIFEST).unwrap();
        assert_eq!(chosen(all.clone(), None).unwrap(), all);
        assert_eq!(chosen(all.clone(), Some("topic")).unwrap(), ["topic"]);
        assert!(chosen(all, Some("other")).unwrap_err().to_string().contains("decode, topic"));
        assert!(chosen(Vec::new(), None).is_err());
    }

    #[test]
    fn executions_are_read_from_the_final_statistics() {
        let output =
            "#2\tINITED\nDone 6 runs in 1 second(s)\nstat::number_of_executed_units: 61234\nstat::peak: 3\n";
        assert_eq!(executions(output), Some(61234));
        assert_eq!(executions("stat::number_of_executed_units: many"), None);
        assert_eq!(executions("Done"), None);
    }

    #[test]
    fn a_run_works_on_a_copy_of_the_corpus() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(from.path().join("seed"), b"x").unwrap();
        copy_files(from.path(), to.path()).unwrap();
        assert_eq!(fs::read(to.path().join("seed")).unwrap(), b"x");
        copy_files(&from.path().join("missing"), to.path()).unwrap();
    }

    #[test]
    fn a_corpus_that_is_kept_has_a_directory_for_each_target() {
        let (thrown_away, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(corpus(thrown_away.path(), None, "decode").unwrap(), thrown_away.path());

        let dir = kept.path().join("grown");
        let decode = corpus(thrown_away.path(), Some(&dir), "decode").unwrap();
        assert_eq!(decode, dir.join("decode"));
        fs::write(decode.join("found"), b"x").unwrap();
        assert_eq!(corpus(thrown_away.path(), Some(&dir), "decode").unwrap(), decode);
        assert!(decode.join("found").exists());

        fs::write(kept.path().join("file"), b"").unwrap();
        assert!(corpus(thrown_away.path(), Some(&kept.path().join("file")), "decode").is_err());
    }

    #[test]
    fn the_sanitizer_is_handed_to_cargo_fuzz() {
        for sanitizer in Sanitizer::value_variants() {
            let command = cargo_fuzz(Path::new("."), "run", *sanitizer);
            let args: Vec<_> = command.get_args().filter_map(|arg| arg.to_str()).collect();
            let name = sanitizer.to_possible_value().unwrap();
            assert!(args.windows(2).any(|pair| pair == ["--sanitizer", name.get_name()]), "{args:?}");
        }
    }

    #[test]
    fn the_tail_is_the_last_lines() {
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
        assert_eq!(tail("a", 2), "a");
    }
}
