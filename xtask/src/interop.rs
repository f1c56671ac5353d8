//! Interoperability: has Mosquitto installed, has a Python environment with the programs from PyPI, then runs
//! the checks of the package `interop`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::cargo::{cargo, target_directory, workspace_root};
use crate::mosquitto;

/// Runs every check, or those with these words in their names, and prints a line for each.
///
/// # Errors
/// When Mosquitto is not there and cannot be installed, or a check fails.
pub fn run(only: Option<&str>) -> Result {
    mosquitto::install()?;
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
