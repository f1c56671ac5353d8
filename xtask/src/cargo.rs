//! Running cargo from within cargo.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::Result;

/// The directory of the workspace's `Cargo.toml`.
///
/// # Errors
/// When not run through `cargo xtask`, which says where this package is.
pub fn workspace_root() -> Result<PathBuf> {
    let package =
        env::var_os("CARGO_MANIFEST_DIR").ok_or("run me as `cargo xtask`: CARGO_MANIFEST_DIR is not set")?;
    let root = Path::new(&package).parent().ok_or("the xtask package has no parent directory")?;
    Ok(root.to_path_buf())
}

/// A cargo command in `root`, by the very cargo that runs us.
#[must_use]
pub fn cargo(root: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// What `command` prints on its standard output.
///
/// # Errors
/// When it cannot be started, fails (then the error holds its standard error), or prints no UTF-8.
pub fn stdout_of(mut command: Command) -> Result<String> {
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// What `cargo metadata` says of this workspace's own packages, as JSON.
///
/// # Errors
/// Cargo fails.
pub fn metadata(root: &Path) -> Result<String> {
    let mut command = cargo(root);
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    stdout_of(command)
}

/// Where this workspace is built.
///
/// # Errors
/// Cargo fails, or does not say.
pub fn target_directory(root: &Path) -> Result<PathBuf> {
    let metadata: serde_json::Value = serde_json::from_str(&metadata(root)?)?;
    let directory = metadata.get("target_directory").and_then(serde_json::Value::as_str);
    Ok(directory.ok_or("`cargo metadata` names no target directory")?.into())
}

/// Runs `work` and says how many seconds it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = now();
    let value = work();
    (value, now().duration_since(start).as_secs_f64())
}

#[expect(clippy::disallowed_methods, reason = "a build tool reports how long a build took")]
fn now() -> Instant {
    Instant::now()
}

/// Has `cargo NAME`, from the package `cargo-NAME`: installs it when it is missing.
///
/// # Errors
/// It cannot be installed.
pub fn install(root: &Path, name: &str) -> Result {
    if cargo(root).args([name, "--version"]).output()?.status.success() {
        return Ok(());
    }
    let package = format!("cargo-{name}");
    println!("{package} is missing: installing it with `cargo install {package} --locked`");
    if cargo(root).args(["install", &package, "--locked"]).status()?.success() {
        Ok(())
    } else {
        Err(format!("{package} could not be installed: see the lines above").into())
    }
}
