//! Accounts of numbered messages: what was lost, what came twice, what came out of order.

use std::fmt;
use std::str::FromStr;

/// Numbers from here on are no numbers of ours.
const HIGHEST: usize = 100_000_000;

/// Which numbers came. Each payload begins with its number.
#[derive(Debug, Default)]
pub struct Ledger {
    seen: Vec<bool>,
    report: Report,
}

impl Ledger {
    pub fn enter(&mut self, payload: &[u8]) {
        let number = payload.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let number = number.and_then(|number| usize::try_from(number).ok()).filter(|n| *n < HIGHEST);
        let Some(number) = number else {
            self.report.broken = true;
            return;
        };
        let late = number < self.seen.len();
        if !late {
            self.seen.resize(number + 1, false);
        }
        if std::mem::replace(&mut self.seen[number], true) {
            self.report.duplicates += 1;
        } else {
            self.report.messages += 1;
            self.report.reordered += usize::from(late);
        }
        self.report.end = self.seen.len();
    }

    /// All that came, again or not.
    pub fn count(&self) -> u64 {
        (self.report.messages + self.report.duplicates) as u64
    }

    pub fn report(&self) -> Report {
        self.report
    }
}

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Different messages.
    pub messages: usize,
    /// Messages that came again.
    pub duplicates: usize,
    /// One more than the highest number.
    pub end: usize,
    /// Messages that came after one with a higher number.
    pub reordered: usize,
    /// Whether something came that nobody expected.
    pub broken: bool,
}

impl Report {
    /// Whether it is this many messages, each of them once. Another order is no failure: a client that hands messages to
    /// tasks promises none.
    pub fn check(self, sent: usize) -> Result<(), String> {
        if (Self { reordered: 0, ..self })
            == (Self { messages: sent, end: sent, duplicates: 0, reordered: 0, broken: false })
        {
            return Ok(());
        }
        Err(format!(
            "{sent} messages were sent, {} came, {} of them again; highest number {}{}",
            self.messages + self.duplicates,
            self.duplicates,
            self.end,
            if self.broken { "; something came that is not expected" } else { "" }
        ))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, duplicates, end, reordered, broken } = self;
        write!(f, "{messages} {duplicates} {end} {reordered} {}", u8::from(*broken))
    }
}

impl FromStr for Report {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let numbers: Result<Vec<usize>, _> = line.split_whitespace().map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[messages, duplicates, end, reordered, broken]) => {
                Ok(Self { messages, duplicates, end, reordered, broken: broken != 0 })
            }
            _ => Err(format!("the broker said {line:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(numbers: &[u64]) -> Ledger {
        let mut ledger = Ledger::default();
        for number in numbers {
            ledger.enter(&number.to_be_bytes());
        }
        ledger
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let report = Report { messages: 7, duplicates: 1, end: 9, reordered: 2, broken: true };
        assert_eq!(report.to_string().parse(), Ok(report));
        assert!("7 1 9".parse::<Report>().is_err());
    }

    #[test]
    fn lost_and_duplicated_messages_are_noticed() {
        let report = ledger(&[0, 1, 3, 3]).report();
        assert_eq!(report, Report { messages: 3, duplicates: 1, end: 4, ..Report::default() });
        assert!(report.check(4).is_err() && report.check(3).is_err());
        assert!(ledger(&[0, 2]).report().check(2).is_err(), "one lost, one too many");
        assert!(ledger(&[0, 1, 1]).report().check(3).is_err());
        assert_eq!(ledger(&[0, 1, 2]).report().check(3), Ok(()));
        assert!(ledger(&[0, 1, 2]).report().check(4).is_err());
    }

    #[test]
    fn another_order_is_told_and_is_no_failure() {
        let report = ledger(&[0, 2, 1]).report();
        assert_eq!(report.reordered, 1);
        assert_eq!(report.check(3), Ok(()));
    }

    #[test]
    fn what_has_no_number_is_noticed() {
        let mut ledger = ledger(&[0]);
        ledger.enter(b"short");
        assert!(ledger.report().check(1).is_err());
    }
}
