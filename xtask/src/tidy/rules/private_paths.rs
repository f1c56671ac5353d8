//! `private-paths`: the text is about the product, and reads the same on every machine.

use super::Found;
use crate::Result;
use crate::tidy::report::Violation;
use crate::tidy::tree::Tree;

/// Top-level directories of somebody's machine. (Their slashes are added below, or this file would break its own rule.)
const PRIVATE: &[&str] = &["work", "root", "home"];
/// The same, but fine in a workflow that runs on a throw-away machine.
const TEMPORARY: &str = "tmp";

pub(super) fn check(tree: &Tree, found: Found<'_>) -> Result {
    for file in tree.files() {
        let temporary = (!file.path.starts_with(".github/")).then_some(TEMPORARY);
        for (number, line) in file.lines() {
            for directory in PRIVATE.iter().copied().chain(temporary) {
                let path = format!("/{directory}/");
                if line.match_indices(&path).any(|(at, _)| is_absolute(line, at)) {
                    let message =
                        format!("`{path}` is a path of one machine: make it relative, or ask for it");
                    found(Violation::new(&file.path, number, message));
                }
            }
            if names_issue(line) {
                let message = "an issue by its number means nothing to a reader: say what it is about";
                found(Violation::new(&file.path, number, message));
            }
        }
    }
    Ok(())
}

/// Whether the slash at `at` begins a path, and does not go on with one, or with a URL.
fn is_absolute(line: &str, at: usize) -> bool {
    let before = line.get(..at).and_then(|before| before.chars().next_back());
    !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '~' | '}' | '*'))
}

/// Whether a number sign and a number follow the word "issue" or "issues".
fn names_issue(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.split("issue").skip(1).any(|rest| {
        let rest = rest.strip_prefix('s').unwrap_or(rest).trim_start();
        rest.strip_prefix('#').is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
    })
}
