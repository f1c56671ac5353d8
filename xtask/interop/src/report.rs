//! A line for each check and the count at the end.

use std::fmt::Display;
use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

/// What a check says when it fails.
pub(crate) use mosquitto::Failure;

/// A check that needs longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Report {
    /// Only checks whose names have these words are run.
    only: Option<String>,
    passed: usize,
    failed: usize,
}

impl Report {
    /// `only`: words in the names of the checks to run; without them all are.
    pub(crate) fn new(only: Option<String>) -> Self {
        Self { only, ..Self::default() }
    }

    /// Whether a check of this name is to be run.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|words| name.contains(words.as_str()))
    }

    /// Runs a check; what it returns stands behind its line.
    pub(crate) async fn check<T: Display>(
        &mut self,
        name: &str,
        check: impl Future<Output = Result<T, Failure>>,
    ) {
        if !self.wants(name) {
            return;
        }
        let outcome = tokio::time::timeout(PATIENCE, check).await;
        match outcome {
            Ok(Ok(detail)) => {
                self.passed += 1;
                println!("ok      {name}: {detail}");
            }
            Ok(Err(error)) => {
                self.failed += 1;
                println!("FAILED  {name}: {error}");
            }
            Err(_) => {
                self.failed += 1;
                println!("FAILED  {name}: no end after {} s", PATIENCE.as_secs());
            }
        }
    }

    /// The totals; nothing checked is a failure, too.
    pub(crate) fn close(self) -> ExitCode {
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 && self.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Fails with a sentence unless `holds`.
pub(crate) fn ensure(holds: bool, otherwise: impl Into<String>) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(otherwise.into().into()) }
}
