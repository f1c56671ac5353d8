//! `cargo xtask tidy`: the rules that no compiler holds.
//!
//! A rule is a function from the files to the [`Report`], in a file of its own under `rules/`. It looks at tokens and
//! parsed manifests, not at lines, so that a comment or a string that only mentions a thing is not taken for it.

mod manifest;
mod report;
mod rules;
mod tokens;
mod tree;

use std::path::Path;

pub use report::{Report, Violation};
use rules::RULES;
use tree::Tree;

use crate::Result;
use crate::cargo::workspace_root;

/// Checks the repository that holds this package and prints what it finds.
///
/// # Errors
/// When a rule is violated, or no file could be read.
pub fn run() -> Result {
    let report = check(&workspace_root()?)?;
    for note in &report.notes {
        println!("note: {note}");
    }
    for violation in &report.violations {
        println!("{violation}");
    }
    println!(
        "tidy: {} rules over {} files: {} violations",
        report.rules_run,
        report.files_read,
        report.violations.len()
    );
    if report.violations.is_empty() { Ok(()) } else { Err("the violations above need a hand".into()) }
}

/// Prints the name of each rule and what it holds.
pub fn print_rules() {
    for rule in RULES {
        println!("{:<22}{}", rule.name, rule.holds);
    }
}

/// The names of all rules.
#[must_use]
pub fn rule_names() -> Vec<&'static str> {
    RULES.iter().map(|rule| rule.name).collect()
}

/// Checks every rule over the files below `root`.
///
/// # Errors
/// When `root` cannot be walked or holds no file to check: a check of nothing must not pass.
pub fn check(root: &Path) -> Result<Report> {
    let tree = Tree::read(root)?;
    if tree.files().is_empty() {
        return Err(format!("no file to check below {}", root.display()).into());
    }
    let mut report = Report { files_read: tree.files().len(), ..Report::default() };
    for rule in RULES {
        (rule.check)(&tree, &mut |violation| {
            let violation = Violation { rule: rule.name, ..violation };
            if violation.is_note { report.notes.push(violation) } else { report.violations.push(violation) }
        })?;
        report.rules_run += 1;
    }
    report.sort();
    Ok(report)
}
