//! The seeds of `differential`, and what they show.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fuzz::differential::{Disagreement, KNOWN, compare, disagreements};

fn seeds() -> Vec<(String, Vec<u8>)> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/differential");
    let entries = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap()))
        .collect()
}

#[test]
fn the_seeds_hold() {
    for (_, seed) in seeds() {
        compare(&seed);
    }
}

#[test]
fn each_known_disagreement_is_shown_by_a_seed() {
    let seeds = seeds();
    let found: Vec<Disagreement> = seeds.iter().flat_map(|(_, seed)| disagreements(seed)).collect();
    for known in KNOWN {
        let shown = found.iter().any(|one| one.known().is_some_and(|class| std::ptr::eq(class, known)));
        assert!(shown, "nothing shows {known:?}: the list has grown stale");
    }
}

#[test]
fn valid_seeds_are_agreed_upon() {
    let valid: BTreeSet<String> = seeds()
        .into_iter()
        .filter(|(name, _)| name.starts_with("v3-") || name.starts_with("v5-"))
        .filter(|(_, seed)| disagreements(seed).is_empty())
        .map(|(name, _)| name)
        .collect();
    assert!(valid.len() >= 29, "each packet in each version: {valid:?}");
}

#[test]
fn the_readme_lists_every_class() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    for known in KNOWN {
        assert!(readme.contains(known.clause), "fuzz/README.md does not give the clause of {known:?}");
    }
}
