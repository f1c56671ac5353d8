//! Chaos and soak, in the package `chaos`, against a Mosquitto that is installed if it is missing.

use std::ffi::OsString;

use crate::Result;
use crate::cargo::{cargo, workspace_root};
use crate::mosquitto;

/// Builds it with optimisation and runs one of its commands with these arguments.
///
/// # Errors
/// When something is lost or grows, or Mosquitto is not to be had.
pub fn run(command: &str, arguments: &[OsString]) -> Result {
    mosquitto::install()?;
    let mut chaos = cargo(&workspace_root()?);
    chaos
        .args(["run", "--quiet", "--profile", "simulate", "--package", "chaos", "--", command])
        .args(arguments);
    if chaos.status()?.success() { Ok(()) } else { Err(format!("{command} failed").into()) }
}
