//! `cargo xtask bench`: what is measured, by the names under which people look for it.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::cargo::{cargo, workspace_root};

/// The workspace of the bench that builds other codecs.
const PEERS_CODEC: &str = "benches/peers-codec/Cargo.toml";

/// Measures mqtt-codec, alone or next to its peers; `arguments` go to the bench.
///
/// # Errors
/// When the bench does not build or fails.
pub fn codec(peers: bool, arguments: &[OsString]) -> Result {
    let mut command = codec_command(&workspace_root()?, peers, arguments);
    if command.status().map_err(|error| format!("cannot run {command:?}: {error}"))?.success() {
        Ok(())
    } else {
        Err(format!("the bench failed: {command:?}").into())
    }
}

/// Cargo finds `CARGO_TARGET_DIR` by itself; a relative one counts from the root in both cases.
fn codec_command(root: &Path, peers: bool, arguments: &[OsString]) -> Command {
    let mut command = cargo(root);
    if peers {
        command.args(["run", "--release", "--locked", "--manifest-path", PEERS_CODEC, "--"]);
    } else {
        command.args(["bench", "--package", "benches", "--bench", "codec", "--"]);
    }
    command.args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(peers: bool, arguments: &[&str]) -> String {
        let arguments: Vec<OsString> = arguments.iter().map(Into::into).collect();
        let command = codec_command(Path::new("."), peers, &arguments);
        command.get_args().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn without_peers_it_is_the_bench_of_this_workspace() {
        assert_eq!(words(false, &["--test"]), "bench --package benches --bench codec -- --test");
    }

    #[test]
    fn with_peers_it_is_a_release_build_of_the_workspace_apart() {
        assert_eq!(
            words(true, &["--quick", "--rows", "mix"]),
            "run --release --locked --manifest-path benches/peers-codec/Cargo.toml -- --quick --rows mix"
        );
    }

    #[test]
    fn the_workspace_apart_is_there() {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PEERS_CODEC).is_file());
    }
}
