//! The seeds of the fuzz target `shared_credentials_file`, replayed.
#![cfg(feature = "fuzzing")]
#![allow(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use std::path::Path;

use iot_transport::fuzzing::shared_credentials_file;

#[test]
fn the_seeds_of_shared_credentials_file_hold() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/shared_credentials_file");
    let seeds: Vec<_> = std::fs::read_dir(corpus).unwrap().map(|seed| seed.unwrap().path()).collect();
    assert!(seeds.len() >= 24, "{} seeds", seeds.len());
    for seed in seeds {
        shared_credentials_file(&std::fs::read(seed).unwrap());
    }
}
