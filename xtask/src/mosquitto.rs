//! Finds, installs or names Mosquitto.

use std::env;
use std::path::Path;
use std::process::Command;

use crate::Result;

/// What the checks start: the broker, its two clients, and what keeps their output unbuffered.
const PROGRAMS: [&str; 4] = ["mosquitto", "mosquitto_pub", "mosquitto_sub", "stdbuf"];
/// The Debian packages that hold them.
const PACKAGES: [&str; 3] = ["mosquitto", "mosquitto-clients", "coreutils"];

/// Installs Mosquitto if it is missing.
///
/// # Errors
/// It cannot be installed here; says what to do.
pub fn install() -> Result {
    if !missing().is_empty() {
        by_apt()?;
    }
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("still not to be found: {}", missing.join(", ")).into())
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
fn by_apt() -> Result {
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
