//! `no-clock-in-stages`: what is deterministic stays so. Time, bytes and randomness come in through the caller.

use super::Found;
use crate::Result;
use crate::tidy::report::Violation;
use crate::tidy::tokens::{PathUse, paths, without_tests};
use crate::tidy::tree::Tree;

/// Beginnings of the paths of deterministic code: `.../stage` is `stage.rs`, `stage/` and `stages.rs`.
const DETERMINISTIC: &[&str] = &[
    "crates/mqtt-codec/src/",
    "crates/iot-session/src/proto",
    "crates/iot-session/src/stage",
    "crates/iot-session/src/layers",
    "crates/iot-session/src/machine",
    "crates/iot-emulator/src/broker",
];
/// The codec's adapter for tokio-util, which is a feature.
const EXCEPT: &[&str] = &["crates/mqtt-codec/src/tokio_util.rs"];

const RUNTIMES: &[&str] = &["tokio", "tokio_util", "tokio_rustls"];
const RANDOM: &[&str] = &["rand", "rand_core", "getrandom", "fastrand"];

pub(super) fn check(tree: &Tree, found: Found<'_>) -> Result {
    for file in tree.rust_files() {
        let deterministic = DETERMINISTIC.iter().any(|start| file.path.starts_with(start));
        if !deterministic || EXCEPT.contains(&file.path.as_str()) || tree.is_test_only(file) {
            continue;
        }
        for path in paths(without_tests(file.tokens())) {
            if let Some(instead) = forbidden(&path) {
                let message = format!("`{}` in deterministic code: {instead}", path.segments.join("::"));
                found(Violation::new(&file.path, path.line, message));
            }
        }
    }
    Ok(())
}

/// What to do instead of using `path`, if it must not be used.
fn forbidden(path: &PathUse) -> Option<&'static str> {
    let segments: Vec<&str> =
        path.segments.iter().map(String::as_str).filter(|segment| *segment != "self").collect();
    let reads_clock = |pair: &[&str]| matches!(pair, ["Instant" | "SystemTime", "now"]);
    if segments.windows(2).any(reads_clock) {
        return Some("time comes in through `Now`");
    }
    match segments.as_slice() {
        // Alone it is a variable or a module of ours; in a `use` or before `::` it is the crate.
        [name] if !path.imported && !path.glob || *name == "crate" => None,
        [name, ..] if RUNTIMES.contains(name) => Some("a runtime belongs in the driver"),
        [name, ..] if RANDOM.contains(name) => Some("randomness comes in through the configuration"),
        ["std"] if path.glob || path.renamed => Some("name what you use of it, so that it can be checked"),
        ["std", "time", "Duration", ..] => None,
        ["std", "time", ..] => Some("time comes in through `Now`; only `std::time::Duration` is free to use"),
        ["std", "thread", ..] => Some("threads belong in the driver"),
        ["std", "net", ..] => Some("sockets belong in a transport"),
        ["std", "fs", ..] => Some("files belong in the driver"),
        _ => None,
    }
}
