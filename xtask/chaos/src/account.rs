//! Every number accounted for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What the broker writes within so much time of running is on its disk.
const WRITTEN_WITHIN: Duration = Duration::from_secs(3);

/// A time in which the broker did nothing.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    /// When it was about to be stopped or killed.
    pub from: Instant,
    /// When it went on, or was there again.
    pub to: Instant,
    /// Whether it was killed, and not only stopped.
    pub killed: bool,
}

/// Whether what was acknowledged then may have been lost with the broker's life: it had not run for long enough until it was killed.
/// What it sent before may have come to us until it was back.
fn may_be_lost(acked: Instant, outages: &[Outage]) -> bool {
    outages.iter().filter(|kill| kill.killed && acked <= kill.to).any(|kill| {
        let stopped = outages.iter().filter(|outage| !outage.killed && outage.to <= kill.from);
        let stopped: Duration =
            stopped.map(|outage| outage.to.saturating_duration_since(outage.from.max(acked))).sum();
        kill.from.saturating_duration_since(acked).saturating_sub(stopped) < WRITTEN_WITHIN
    })
}

/// What became of each number that was published on a topic.
#[derive(Debug, Default)]
pub struct Account {
    /// Acknowledged, and when.
    acked: BTreeMap<u64, Instant>,
    /// Told otherwise, as a sentence.
    told: BTreeMap<u64, String>,
    published: u64,
    /// In the order in which they came, as often as they did.
    received: Vec<u64>,
    at_most_once: Vec<u64>,
    sent_at_most_once: u64,
}

/// The sums of an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Numbers that were published.
    pub published: u64,
    /// Of these, acknowledged.
    pub acked: u64,
    /// Of these, whose publisher was told otherwise.
    pub told: u64,
    /// Numbers that arrived.
    pub arrived: u64,
    /// How often one arrived again.
    pub again: u64,
    /// Acknowledged shortly before the broker was killed, and lost by it.
    pub lost_by_broker: u64,
    /// QoS 0: published, arrived.
    pub at_most_once: (u64, u64),
}

impl Account {
    /// The next number.
    pub fn publish(&mut self) -> u64 {
        self.published += 1;
        self.published - 1
    }

    /// The next number at QoS 0.
    pub fn publish_at_most_once(&mut self) -> u64 {
        self.sent_at_most_once += 1;
        self.sent_at_most_once - 1
    }

    /// It was acknowledged.
    pub fn acked(&mut self, number: u64, at: Instant) {
        self.acked.insert(number, at);
    }

    /// Its publisher was told this instead.
    pub fn told(&mut self, number: u64, what: String) {
        self.told.insert(number, what);
    }

    /// It arrived.
    pub fn received(&mut self, number: u64) {
        self.received.push(number);
    }

    /// It arrived, at QoS 0.
    pub fn received_at_most_once(&mut self, number: u64) {
        self.at_most_once.push(number);
    }

    /// Numbers whose outcome is not known yet.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.published - (self.acked.len() + self.told.len()) as u64
    }

    /// Acknowledged numbers that have not arrived.
    #[must_use]
    pub fn missing(&self) -> Vec<u64> {
        let arrived: BTreeSet<u64> = self.received.iter().copied().collect();
        self.acked.keys().filter(|number| !arrived.contains(number)).copied().collect()
    }

    /// Looks at all of it. What the broker acknowledged shortly before it was killed and did not write is its own loss, and is
    /// counted.
    ///
    /// # Errors
    /// A sentence for each thing that must not be.
    pub fn close(&self, outages: &[Outage]) -> Result<Sums, Vec<String>> {
        let mut faults = Vec::new();
        let mut lost_by_broker = 0;
        for number in self.missing() {
            let Some(acked) = self.acked.get(&number) else { continue };
            if may_be_lost(*acked, outages) {
                lost_by_broker += 1;
                continue;
            }
            let after =
                outages.iter().rfind(|outage| outage.from <= *acked).map(|outage| *acked - outage.from);
            let before =
                outages.iter().find(|outage| outage.from > *acked).map(|outage| outage.from - *acked);
            faults.push(format!(
                "{number} was acknowledged and has not arrived ({after:.3?} after an outage of the broker began, {before:.3?} before \
                 the next)"
            ));
        }
        if self.open() > 0 {
            faults.push(format!("nobody was told what became of {} numbers", self.open()));
        }
        let (mut seen, mut again, mut last) = (BTreeSet::new(), 0, None);
        for number in &self.received {
            if !seen.insert(*number) {
                again += 1;
                continue;
            }
            if last.is_some_and(|last| *number < last) {
                faults.push(format!("{number} arrived for the first time after {last:?}"));
            }
            last = last.max(Some(*number));
            if *number >= self.published {
                faults.push(format!("{number} arrived, which nobody published"));
            }
        }
        let once: BTreeSet<u64> = self.at_most_once.iter().copied().collect();
        if once.len() != self.at_most_once.len() {
            faults.push(format!("{} QoS 0 messages were doubled", self.at_most_once.len() - once.len()));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Sums {
            published: self.published,
            acked: self.acked.len() as u64,
            told: self.told.len() as u64,
            arrived: seen.len() as u64,
            again,
            lost_by_broker,
            at_most_once: (self.sent_at_most_once, once.len() as u64),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods, reason = "instants to compare")]
    fn now() -> Instant {
        Instant::now()
    }

    /// Five numbers, all acknowledged.
    fn five() -> Account {
        let mut account = Account::default();
        for number in 0..5 {
            assert_eq!(account.publish(), number);
            account.acked(number, now());
        }
        account
    }

    fn arrived(account: &mut Account, numbers: &[u64]) {
        numbers.iter().for_each(|number| account.received(*number));
    }

    #[test]
    fn what_arrives_at_least_once_and_in_order_is_right() {
        let mut account = five();
        arrived(&mut account, &[0, 1, 2, 1, 2, 3, 4]);
        let sums = account.close(&[]).unwrap();
        assert_eq!((sums.published, sums.acked, sums.arrived, sums.again), (5, 5, 5, 2));
    }

    #[test]
    fn a_lost_a_reordered_a_foreign_and_an_open_number_are_noticed() {
        let mut account = five();
        arrived(&mut account, &[0, 1, 3, 4]);
        assert!(account.close(&[]).unwrap_err()[0].starts_with("2 was acknowledged and has not arrived"));
        let mut account = five();
        arrived(&mut account, &[0, 2, 1, 3, 4]);
        assert!(account.close(&[]).unwrap_err()[0].starts_with("1 arrived for the first time after"));
        let mut account = five();
        arrived(&mut account, &[0, 1, 2, 3, 4, 9]);
        assert_eq!(account.close(&[]).unwrap_err(), ["9 arrived, which nobody published"]);
        let mut account = five();
        arrived(&mut account, &[0, 1, 2, 3, 4]);
        account.publish();
        assert_eq!(account.close(&[]).unwrap_err(), ["nobody was told what became of 1 numbers"]);
    }

    #[test]
    fn what_the_broker_lost_with_its_life_is_its_own_and_only_that() {
        let mut account = five();
        arrived(&mut account, &[0, 1, 2, 3]);
        let begin = now();
        let outage = |from, to, killed| {
            let at = |seconds| begin + Duration::from_secs(seconds);
            Outage { from: at(from), to: at(to), killed }
        };
        let lost = |outages: &[Outage]| account.close(outages).map_or(0, |sums| sums.lost_by_broker);
        assert_eq!(lost(&[outage(1, 2, true)]), 1);
        assert_eq!(lost(&[outage(6, 7, true)]), 0, "it had the time to write it");
        assert_eq!(
            lost(&[outage(1, 5, false), outage(6, 7, true)]),
            1,
            "it was stopped for most of that time"
        );
        assert_eq!(lost(&[outage(1, 2, false), outage(6, 7, true)]), 0);
        assert_eq!(lost(&[outage(1, 5, false)]), 0, "it lives");
        let late = Outage { from: begin - Duration::from_secs(1), ..outage(0, 1, true) };
        assert_eq!(lost(&[late]), 1, "its last words came when it was dead");
        let faults = account.close(&[]).unwrap_err();
        assert!(faults[0].starts_with("4 was acknowledged and has not arrived"), "{faults:?}");
    }

    #[test]
    fn a_doubled_qos_0_message_is_noticed() {
        let mut account = Account::default();
        let number = account.publish_at_most_once();
        account.received_at_most_once(number);
        assert_eq!(account.close(&[]).unwrap().at_most_once, (1, 1));
        account.received_at_most_once(number);
        assert_eq!(account.close(&[]).unwrap_err(), ["1 QoS 0 messages were doubled"]);
    }
}
