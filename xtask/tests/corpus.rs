//! The seed corpora of the fuzz targets, replayed.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use std::path::Path;

/// Feeds each seed of a target to its body; how many there were.
fn replay(target: &str, body: impl Fn(&[u8])) -> usize {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let seeds =
        std::fs::read_dir(&corpus).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    seeds.inspect(|seed| body(seed)).count()
}

#[test]
fn the_seeds_of_decode_hold() {
    assert!(replay("decode", mqtt_codec::fuzzing::decode) >= 32);
}

#[test]
fn the_seeds_of_chunking_hold() {
    assert!(replay("chunking", mqtt_codec::fuzzing::chunking) >= 32);
}

#[test]
fn the_seeds_of_machine_hold() {
    assert!(replay("machine", iot_session::fuzzing::machine) >= 16);
}
