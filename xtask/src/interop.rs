//! Interoperability: finds, installs or names Mosquitto, has a Python environment with the programs from PyPI, then runs
//! the checks of the package `interop`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::cargo::{cargo, stdout_of, workspace_root};

/// What the checks start: the broker, its two clients, and what keeps their output unbuffered.
const PROGRAMS: [&str; 4] = ["mosquitto", "mosquitto_pub", "mosquitto_sub", "stdbuf"];
/// The Debian packages that hold them.
const PACKAGES: [&str; 3] = ["mosquitto", "mosquitto-clients", "coreutils"];

/// Runs every check, or those with these words in their names, and prints a line for each.
///
/// # Errors
/// When Mosquitto is not there and cannot be installed, or a check fails.
pub fn run(only: Option<&str>) -> Result {
    if !missing().is_empty() {
        install()?;
    }
    let missing = missing();
    if !missing.is_empty() {
        return Err(format!("still not to be found: {}", missing.join(", ")).into());
    }
    let root = workspace_root()?;
    let python = python(&root)?;
    let mut checks = cargo(&root);
    checks.args(["run", "--quiet", "--package", "interop", "--"]).args(only);
    let status = checks.env("INTEROP_PYTHON", python).status()?;
    if status.success() { Ok(()) } else { Err("an interoperability check failed".into()) }
}

/// The interpreter of a virtual environment below the target directory that has what `requirements.txt` lists. It is made
/// once, and anew when the list changes.
fn python(root: &Path) -> Result<PathBuf> {
    let requirements = root.join("xtask/interop/requirements.txt");
    let wanted = fs::read_to_string(&requirements)?;
    let home = target_directory(root)?.join("interop-python");
    let python = home.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let installed = home.join("installed.txt");
    if python.is_file() && fs::read_to_string(&installed).is_ok_and(|there| there == wanted) {
        return Ok(python);
    }
    println!("installing what xtask/interop/requirements.txt lists into {}", home.display());
    let mut make = Command::new(if cfg!(windows) { "python" } else { "python3" });
    step(make.args(["-m", "venv", "--clear"]).arg(&home), "install Python 3 with its module venv")?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    step(install.arg(&requirements), "check the connection to the package index")?;
    fs::write(installed, wanted)?;
    Ok(python)
}

/// Runs a command to its end; says what to do if it fails.
fn step(command: &mut Command, advice: &str) -> Result {
    let output = command.output().map_err(|error| format!("{command:?}: {error}; {advice}"))?;
    if output.status.success() {
        return Ok(());
    }
    let why = [output.stdout, output.stderr].concat();
    Err(format!("{command:?} failed; {advice}:\n{}", String::from_utf8_lossy(&why)).into())
}

fn target_directory(root: &Path) -> Result<PathBuf> {
    let mut command = cargo(root);
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: serde_json::Value = serde_json::from_str(&stdout_of(command)?)?;
    let directory = metadata.get("target_directory").and_then(serde_json::Value::as_str);
    Ok(PathBuf::from(directory.ok_or("`cargo metadata` names no target directory")?))
}

fn missing() -> Vec<&'static str> {
    PROGRAMS.into_iter().filter(|program| !is_there(program)).collect()
}

/// Whether a program is on the path, or where Debian keeps its servers.
fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| dir.join(program).is_file())
        || Path::new("/usr/sbin").join(program).is_file()
}

/// Installs the packages where that is possible without a question: on Debian and Ubuntu, as root.
fn install() -> Result {
    let by_hand = format!("install {} by your system's package manager", PACKAGES.join(" and "));
    if !is_there("apt-get") {
        return Err(format!("Mosquitto is missing: {by_hand}").into());
    }
    println!("installing {}", PACKAGES.join(", "));
    for args in
        [vec!["update"], [vec!["install", "-y", "--no-install-recommends"], PACKAGES.to_vec()].concat()]
    {
        let output = Command::new("apt-get").args(&args).env("DEBIAN_FRONTEND", "noninteractive").output()?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(format!("apt-get {} failed; {by_hand}:\n{why}", args.join(" ")).into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn programs_are_found_on_the_path() {
        assert!(super::is_there("cargo"));
        assert!(!super::is_there("no-such-program-anywhere"));
    }
}
