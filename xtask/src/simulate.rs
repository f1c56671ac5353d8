//! The simulator, in the package `simulate`: built with optimisation and with its assertions.

use std::ffi::OsString;

use crate::Result;
use crate::cargo::{cargo, workspace_root};

/// Builds and runs it with these arguments.
///
/// # Errors
/// When a seed fails, or a fault is not found.
pub fn run(arguments: &[OsString]) -> Result {
    let mut command = cargo(&workspace_root()?);
    command.args(["run", "--quiet", "--profile", "simulate", "--package", "simulate", "--"]).args(arguments);
    if command.status()?.success() { Ok(()) } else { Err("the simulation failed".into()) }
}
