//! The rules, one a file.

mod dependencies;
mod documented;
mod file_length;
mod links;
mod lints;
mod no_clock_in_stages;
mod no_ignored_tests;
mod private_paths;

use super::report::Violation;
use super::tree::Tree;
use crate::Result;

/// Where a rule puts what it finds.
type Found<'a> = &'a mut dyn FnMut(Violation);

/// A rule and how to check it.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) holds: &'static str,
    pub(super) check: fn(&Tree, Found<'_>) -> Result,
}

/// Every rule, in the order they are checked.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "parses", holds: "every .rs file is Rust", check: parses },
    Rule {
        name: "dependencies",
        holds: "crates depend on each other in one direction, and the core on little else",
        check: dependencies::check,
    },
    Rule {
        name: "no-clock-in-stages",
        holds: "a stage or the codec uses no runtime, clock, thread, socket, file or randomness",
        check: no_clock_in_stages::check,
    },
    Rule {
        name: "file-length",
        holds: "a file holds one idea, in 500 lines at most",
        check: file_length::check,
    },
    Rule { name: "documented", holds: "every public item has a doc comment", check: documented::check },
    Rule {
        name: "lints",
        holds: "every member takes the workspace's lints, and every exception gives its reason",
        check: lints::check,
    },
    Rule {
        name: "no-ignored-tests",
        holds: "no test is ignored or unfinished, and none sleeps without saying why",
        check: no_ignored_tests::check,
    },
    Rule {
        name: "private-paths",
        holds: "no text names a path of one machine or the number of an issue",
        check: private_paths::check,
    },
    Rule {
        name: "links",
        holds: "every relative link in the documents leads to a file",
        check: links::check,
    },
];

/// A file that is not Rust would slip past the rules that read tokens.
fn parses(tree: &Tree, found: Found<'_>) -> Result {
    for file in tree.rust_files() {
        if let Some((line, message)) = file.broken() {
            found(Violation::new(&file.path, *line, format!("not Rust: {message}")));
        }
    }
    Ok(())
}
