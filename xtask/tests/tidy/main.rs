//! Each rule of `cargo xtask tidy` catches what is planted for it, where it is planted, and nothing else.
//!
//! The fixture is a small tree in which every rule holds, made anew for each test. What would break a rule in this very
//! repository (a path of one machine, say) is put together from pieces.
#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

mod fixture;

mod dependencies;
mod documents;
mod sources;
mod stages;

use fixture::Fixture;

#[test]
fn a_clean_tree_passes_every_rule() {
    let fixture = Fixture::clean();
    let report = fixture.check();
    assert_eq!(report.violations, []);
    assert_eq!(report.notes, []);
    assert_eq!(report.rules_run, xtask::tidy::rule_names().len());
    assert!(report.files_read >= 10, "{} files read", report.files_read);
}

#[test]
fn a_tree_without_files_is_an_error() {
    let empty = tempfile::tempdir().unwrap();
    assert!(xtask::tidy::check(empty.path()).is_err());
    assert!(xtask::tidy::check(&empty.path().join("missing")).is_err());
}

#[test]
fn a_file_that_is_not_rust_is_reported_since_no_rule_can_read_it() {
    let mut fixture = Fixture::clean();
    fixture.write("examples/src/lib.rs", "//! Samples.\n\nfn broken( {\n");
    fixture.assert_one("parses", "examples/src/lib.rs", 3);
    fixture.write("examples/src/lib.rs", "//! Samples.\n\nfn whole() {}\nleft\n");
    fixture.assert_one("parses", "examples/src/lib.rs", 4);
}

#[test]
fn what_tools_made_is_not_read() {
    let mut fixture = Fixture::clean();
    let private = format!("/{}/somebody\n", "home");
    for path in
        ["target/debug/out.txt", "fuzz/corpus/decode/seed", ".git/config", "Cargo.lock", "docs/ca.pem"]
    {
        fixture.write(path, &private);
    }
    fixture.assert_clean();
}

#[test]
fn a_violation_is_printed_as_path_line_rule_and_message() {
    let mut fixture = Fixture::clean();
    fixture.append("README.md", "[gone](docs/gone.md)\n");
    let report = fixture.check();
    let printed: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
    assert_eq!(printed, ["README.md:4: links: `docs/gone.md` leads nowhere: there is no docs/gone.md"]);
}
