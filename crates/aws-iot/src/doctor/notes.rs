//! The report as it grows.

use tokio::time::Instant;

use super::report::{Check, Finding, Outcome, Report, Step};

/// The report as it grows.
pub(super) struct Notes<'a> {
    pub(super) report: Report,
    observer: &'a mut (dyn FnMut(&Check) + Send),
    since: Instant,
}

/// A step failed: there is no way on.
pub(super) struct Stop;

impl<'a> Notes<'a> {
    pub(super) fn new(subject: String, observer: &'a mut (dyn FnMut(&Check) + Send)) -> Self {
        Self { report: Report { subject, checks: Vec::new() }, observer, since: now() }
    }

    pub(super) fn note(&mut self, step: Step, outcome: Outcome) -> Result<(), Stop> {
        let now = now();
        let took = now.saturating_duration_since(self.since);
        self.since = now;
        let check = Check { step, outcome, took };
        (self.observer)(&check);
        let failed = check.is_failed();
        self.report.checks.push(check);
        if failed { Err(Stop) } else { Ok(()) }
    }

    pub(super) fn pass(&mut self, step: Step, detail: impl Into<String>) -> Result<(), Stop> {
        self.note(step, Outcome::Passed { detail: detail.into() })
    }

    pub(super) fn fail(&mut self, step: Step, finding: Finding) -> Stop {
        let _ = self.note(step, Outcome::Failed(finding));
        Stop
    }

    pub(super) fn skip(&mut self, step: Step, why: &str) {
        let _ = self.note(step, Outcome::Skipped { why: why.into() });
    }

    /// Every step that comes before this one and was not looked at.
    pub(super) fn skip_before(&mut self, last: Option<Step>, why: &str) {
        for step in Step::ALL {
            if Some(step) == last {
                return;
            }
            if self.report.check(step).is_none() {
                self.skip(step, why);
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "how long each step took is measured here and nowhere else")]
fn now() -> Instant {
    Instant::now()
}
