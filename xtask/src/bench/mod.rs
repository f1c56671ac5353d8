//! `cargo xtask bench`: what is measured, by the names under which people look for it.

pub mod instructions;

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::cargo::{cargo, workspace_root};

/// What can be measured alone or next to what others made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// mqtt-codec.
    Codec,
    /// iot-session.
    Session,
}

impl Subject {
    /// The bench in the package `benches`.
    const fn name(self) -> &'static str {
        match self {
            Self::Codec => "codec",
            Self::Session => "session",
        }
    }

    /// The workspace of the bench that builds other people's.
    const fn peers(self) -> &'static str {
        match self {
            Self::Codec => "benches/peers-codec/Cargo.toml",
            Self::Session => "benches/peers/Cargo.toml",
        }
    }
}

/// Measures, alone or next to peers; `arguments` go to the bench.
///
/// # Errors
/// When the bench does not build or fails.
pub fn run(subject: Subject, peers: bool, arguments: &[OsString]) -> Result {
    let mut command = command(&workspace_root()?, subject, peers, arguments);
    if command.status().map_err(|error| format!("cannot run {command:?}: {error}"))?.success() {
        Ok(())
    } else {
        Err(format!("the bench failed: {command:?}").into())
    }
}

/// Cargo finds `CARGO_TARGET_DIR` by itself; a relative one counts from the root in both cases.
fn command(root: &Path, subject: Subject, peers: bool, arguments: &[OsString]) -> Command {
    let mut command = cargo(root);
    if peers {
        command.args(["run", "--release", "--locked", "--manifest-path", subject.peers(), "--"]);
    } else {
        command.args(["bench", "--package", "benches", "--bench", subject.name(), "--"]);
    }
    command.args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(subject: Subject, peers: bool, arguments: &[&str]) -> String {
        let arguments: Vec<OsString> = arguments.iter().map(Into::into).collect();
        let command = command(Path::new("."), subject, peers, &arguments);
        command.get_args().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn without_peers_it_is_the_bench_of_this_workspace() {
        assert_eq!(
            words(Subject::Codec, false, &["--test"]),
            "bench --package benches --bench codec -- --test"
        );
        assert_eq!(words(Subject::Session, false, &[]), "bench --package benches --bench session --");
    }

    #[test]
    fn with_peers_it_is_a_release_build_of_the_workspace_apart() {
        assert_eq!(
            words(Subject::Codec, true, &["--quick", "--rows", "mix"]),
            "run --release --locked --manifest-path benches/peers-codec/Cargo.toml -- --quick --rows mix"
        );
        assert_eq!(
            words(Subject::Session, true, &["--check"]),
            "run --release --locked --manifest-path benches/peers/Cargo.toml -- --check"
        );
    }

    #[test]
    fn the_workspaces_apart_are_there() {
        for subject in [Subject::Codec, Subject::Session] {
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(subject.peers()).is_file());
        }
    }
}
