//! Faults that are put into a copy of the sources, one at a time, to see whether the simulation finds them.

mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use table::{MUTANTS, Mutant};

/// What is copied: what the simulator is built from, and the manifests of the members of the workspace.
const COPIED: [&str; 8] =
    ["Cargo.toml", "Cargo.lock", "clippy.toml", "crates", "examples", "benches", "xtask", ".cargo"];

/// Builds the simulator with each fault, or those with this text in their names, and runs up to `seeds` seeds. Prints a line
/// for each. Says whether all were found.
///
/// # Errors
/// A copy cannot be made, a fault no longer fits the sources, or does not build.
pub fn run(name: &str, seeds: u64, steps: usize) -> Result<bool, String> {
    let root = root()?;
    let home = target(&root).join("mutants");
    let tree = home.join("tree");
    fs::create_dir_all(&tree).map_err(|error| error.to_string())?;
    for part in COPIED {
        copy(&root.join(part), &tree.join(part)).map_err(|error| format!("cannot copy {part}: {error}"))?;
    }
    let chosen: Vec<&Mutant> = MUTANTS.iter().filter(|mutant| mutant.name.contains(name)).collect();
    if chosen.is_empty() {
        return Err(format!("no fault has \"{name}\" in its name"));
    }
    // Without a fault nothing may be found: else every fault seems to be.
    if let Some(line) = build_and_run(&tree, &home, seeds.min(500), steps)? {
        return Err(format!("the sources fail as they are: {line}"));
    }
    println!("| fault | found at | by |\n|---|---|---|");
    let mut survivors = 0;
    for mutant in &chosen {
        let file = tree.join(mutant.file);
        let sound = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", mutant.file))?;
        let times = sound.matches(mutant.find).count();
        if times != 1 {
            return Err(format!("{}: the text of \"{}\" occurs {times} times", mutant.file, mutant.name));
        }
        let faulty = sound.replace(mutant.find, mutant.replace);
        fs::write(&file, faulty).map_err(|error| error.to_string())?;
        let found = build_and_run(&tree, &home, seeds, steps);
        fs::write(&file, sound).map_err(|error| error.to_string())?;
        match found.map_err(|error| format!("\"{}\": {error}", mutant.name))? {
            Some(line) => println!("| {} | {line} |", mutant.name),
            None => {
                survivors += 1;
                println!("| {} | **not found** | |", mutant.name);
            }
        }
    }
    println!("{} of {} faults found by at most {seeds} seeds each", chosen.len() - survivors, chosen.len());
    Ok(survivors == 0)
}

/// The seed that fails, and the first thing that is wrong with it; `None`: none does.
fn build_and_run(tree: &Path, home: &Path, seeds: u64, steps: usize) -> Result<Option<String>, String> {
    let target = home.join("target");
    let mut build = Command::new("cargo");
    build.args(["build", "--quiet", "--profile", "simulate", "--package", "simulate"]);
    build.current_dir(tree).env("CARGO_TARGET_DIR", &target).env("RUSTFLAGS", "-Awarnings");
    let output = build.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("does not build:\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    let mut simulate = Command::new(target.join("simulate").join("simulate"));
    simulate.args(["--quick", "--seeds", &seeds.to_string(), "--steps", &steps.to_string()]);
    let output = simulate.output().map_err(|error| error.to_string())?;
    let words = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(None);
    }
    let mut lines = words.lines();
    let Some(seed) = lines.next().and_then(|line| line.strip_prefix("seed ")?.split(' ').next()) else {
        // It panicked, or an assertion of the client did.
        let words = String::from_utf8_lossy(&output.stderr);
        let why = words.lines().find(|line| !line.trim().is_empty()).unwrap_or("it ended by itself");
        return Ok(Some(format!("– | {why}")));
    };
    Ok(Some(format!("seed {seed} | {}", lines.next().unwrap_or_default().trim())))
}

/// The root of the workspace.
fn root() -> Result<PathBuf, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).ok_or("the simulator is not in its workspace")?;
    Ok(root.to_owned())
}

fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Copies what differs, so that what does not is not built again.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            if name != "target" {
                copy(&from.join(&name), &to.join(&name))?;
            }
        }
        return Ok(());
    }
    let content = fs::read(from)?;
    if fs::read(to).ok().as_ref() == Some(&content) {
        return Ok(());
    }
    fs::write(to, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_fits_the_sources_at_one_place() {
        let root = root().unwrap();
        assert!(MUTANTS.len() >= 15);
        for mutant in MUTANTS {
            let text = fs::read_to_string(root.join(mutant.file)).unwrap();
            assert_eq!(text.matches(mutant.find).count(), 1, "{}", mutant.name);
            assert_ne!(mutant.find, mutant.replace, "{}", mutant.name);
        }
        let names: std::collections::BTreeSet<&str> = MUTANTS.iter().map(|mutant| mutant.name).collect();
        assert_eq!(names.len(), MUTANTS.len());
    }
}
