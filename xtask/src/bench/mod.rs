//! `cargo xtask bench`: what is measured, by the names under which people look for it.

pub mod instructions;

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::cargo::{cargo, workspace_root};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// mqtt-codec.
    Codec,
    /// mqtt-codec next to other codecs.
    CodecPeers,
    /// iot-session.
    Session,
    /// aws-iot next to other clients.
    Peers,
}

impl Subject {
    /// The bench in the package `benches`, or the manifest of the workspace that builds what others made.
    const fn place(self) -> Result<&'static str, &'static str> {
        match self {
            Self::Codec => Ok("codec"),
            Self::Session => Ok("session"),
            Self::CodecPeers => Err("benches/peers-codec/Cargo.toml"),
            Self::Peers => Err("benches/peers/Cargo.toml"),
        }
    }
}

/// Measures; `arguments` go to the bench.
///
/// # Errors
/// When the bench does not build or fails.
pub fn run(subject: Subject, arguments: &[OsString]) -> crate::Result {
    let mut command = command(&workspace_root()?, subject, arguments);
    if command.status().map_err(|error| format!("cannot run {command:?}: {error}"))?.success() {
        Ok(())
    } else {
        Err(format!("the bench failed: {command:?}").into())
    }
}

/// Cargo finds `CARGO_TARGET_DIR` by itself; a relative one counts from the root in both cases.
fn command(root: &Path, subject: Subject, arguments: &[OsString]) -> Command {
    let mut command = cargo(root);
    match subject.place() {
        Ok(bench) => command.args(["bench", "--package", "benches", "--bench", bench, "--"]),
        Err(manifest) => command.args(["run", "--release", "--locked", "--manifest-path", manifest, "--"]),
    };
    command.args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(subject: Subject, arguments: &[&str]) -> String {
        let arguments: Vec<OsString> = arguments.iter().map(Into::into).collect();
        let command = command(Path::new("."), subject, &arguments);
        command.get_args().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn without_peers_it_is_the_bench_of_this_workspace() {
        assert_eq!(words(Subject::Codec, &["--test"]), "bench --package benches --bench codec -- --test");
        assert_eq!(words(Subject::Session, &[]), "bench --package benches --bench session --");
    }

    #[test]
    fn with_peers_it_is_a_release_build_of_the_workspace_apart() {
        assert_eq!(
            words(Subject::CodecPeers, &["--quick", "--rows", "mix"]),
            "run --release --locked --manifest-path benches/peers-codec/Cargo.toml -- --quick --rows mix"
        );
        assert_eq!(
            words(Subject::Peers, &["--check"]),
            "run --release --locked --manifest-path benches/peers/Cargo.toml -- --check"
        );
    }

    #[test]
    fn the_workspaces_apart_are_there() {
        for manifest in [Subject::CodecPeers, Subject::Peers].map(|subject| subject.place().unwrap_err()) {
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(manifest).is_file());
        }
    }
}
