//! What a check found.

use std::fmt;

/// What the rules found, in the order of the files.
#[derive(Debug, Default)]
pub struct Report {
    /// What must change.
    pub violations: Vec<Violation>,
    /// What is worth a thought, and fails nothing.
    pub notes: Vec<Violation>,
    /// How many rules looked.
    pub rules_run: usize,
    /// How many files they looked at.
    pub files_read: usize,
}

/// A place, the rule that it breaks, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The file, from the root, with slashes.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// The name of the rule.
    pub rule: &'static str,
    /// What is wrong and what to do.
    pub message: String,
    /// Whether it is only worth a thought.
    pub is_note: bool,
}

impl Report {
    pub(super) fn sort(&mut self) {
        for list in [&mut self.violations, &mut self.notes] {
            list.sort();
            list.dedup();
        }
    }
}

impl Violation {
    /// The rule's name is filled in by whoever runs the rule.
    pub(super) fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule: "", message: message.into(), is_note: false }
    }

    pub(super) fn note(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { is_note: true, ..Self::new(path, line, message) }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.message)
    }
}
