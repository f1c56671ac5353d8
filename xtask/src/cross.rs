//! `cargo xtask cross`: the crates compile for the machines that devices have.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::cargo::{cargo, stdout_of, timed, workspace_root};

/// A target and what is compiled for it.
struct Target {
    triple: &'static str,
    /// The C compiler that crypto needs, and the package that has it on Debian and Ubuntu.
    c: Option<(&'static str, &'static str)>,
    flags: &'static [&'static str],
}

const DEVICE: &[&str] = &[
    "--package",
    "aws-iot",
    "--no-default-features",
    "--features",
    "ring,shadow,blocking,config,outbox,proxy",
];
const CODEC: &[&str] = &["--package", "mqtt-codec", "--no-default-features"];

const TARGETS: &[Target] = &[
    Target { triple: "x86_64-unknown-linux-musl", c: Some(("musl-gcc", "musl-tools")), flags: DEVICE },
    Target {
        triple: "aarch64-unknown-linux-gnu",
        c: Some(("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross")),
        flags: DEVICE,
    },
    Target {
        // Nothing is linked, so that the compiler for another C library does.
        triple: "aarch64-unknown-linux-musl",
        c: Some(("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross")),
        flags: DEVICE,
    },
    Target {
        triple: "armv7-unknown-linux-gnueabihf",
        c: Some(("arm-linux-gnueabihf-gcc", "gcc-arm-linux-gnueabihf libc6-dev-armhf-cross")),
        flags: DEVICE,
    },
    Target { triple: "thumbv7em-none-eabihf", c: None, flags: CODEC },
];

/// Checks each target that can be had: that is installed, or that rustup can install.
///
/// # Errors
/// There is no C compiler for a target, or something does not compile.
pub fn run() -> Result {
    let root = workspace_root()?;
    let mut checked = 0usize;
    for target in TARGETS {
        if let Err(error) = install(&root, target.triple) {
            println!("NONE   {:<30} cannot be had here, and is not checked: {error}", target.triple);
            continue;
        }
        let (outcome, seconds) = timed(|| check(&root, target));
        outcome.map_err(|error| format!("{}: {error}", target.triple))?;
        checked += 1;
        println!("ok     {:<30} {seconds:>6.1} s  {}", target.triple, target.flags.join(" "));
    }
    println!("{checked} of {} targets checked", TARGETS.len());
    Ok(())
}

/// Has Rust's part of a target, for the toolchain of the directory that it runs in.
fn install(root: &Path, triple: &str) -> Result {
    let mut rustc = Command::new("rustc");
    rustc.current_dir(root).args(["--print", "target-libdir", "--target", triple]);
    if stdout_of(rustc).is_ok_and(|directory| Path::new(directory.trim()).exists()) {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup.current_dir(root).args(["target", "add", triple]);
    stdout_of(rustup).map(drop)
}

fn check(root: &Path, target: &Target) -> Result {
    let mut check = cargo(root);
    check.args(["check", "--quiet", "--target", target.triple]).args(target.flags);
    if let Some((compiler, package)) = target.c {
        if Command::new(compiler).arg("--version").output().is_err() {
            return Err(format!("there is no {compiler}: install {package}").into());
        }
        check.env(variable(target.triple), compiler);
    }
    stdout_of(check).map(|_| ())
}

/// Where the crate `cc` looks for the C compiler of a target.
fn variable(triple: &str) -> String {
    format!("CC_{}", triple.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_is_the_one_that_cc_reads() {
        assert_eq!(variable("armv7-unknown-linux-gnueabihf"), "CC_armv7_unknown_linux_gnueabihf");
    }

    #[test]
    fn devices_are_checked_without_what_needs_more_than_a_c_compiler() {
        for target in TARGETS.iter().filter(|target| target.c.is_some()) {
            assert!(target.flags.contains(&"--no-default-features"), "{}", target.triple);
            assert!(!target.flags.iter().any(|flag| flag.contains("aws-lc-rs")), "{}", target.triple);
        }
    }
}
