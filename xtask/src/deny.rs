//! What comes in from outside: licences, bans, duplicate versions and sources, by cargo-deny.

use crate::Result;
use crate::cargo::{cargo, install, workspace_root};

/// Checks everything of `deny.toml` but the advisories, which need the network and change by the day.
///
/// # Errors
/// When something is not allowed, or cargo-deny cannot be had.
pub fn run() -> Result {
    let root = workspace_root()?;
    install(&root, "deny")?;
    let mut command = cargo(&root);
    command.args(["deny", "check", "--deny", "warnings", "bans", "licenses", "sources"]);
    if command.status()?.success() { Ok(()) } else { Err("deny.toml does not allow what is there".into()) }
}
