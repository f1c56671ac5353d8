//! What a run measured: numbers with names, which go from process to process as a line of text.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What a run measured: numbers with names.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// Messages published, those before the measurement included: what a broker has to know of.
    pub const SENT: &str = "sent";

    pub fn set(&mut self, name: &str, figure: f64) {
        self.0.insert(name.to_owned(), figure);
    }

    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    pub fn sent(&self) -> usize {
        self.get(Self::SENT).unwrap_or_default() as usize
    }

    /// These, and those.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// The rate of so many messages, and the CPU time of each in microseconds.
    pub fn pace(&mut self, messages: u64, (elapsed, cpu): (Duration, Duration)) {
        self.set("rate", messages as f64 / elapsed.as_secs_f64());
        self.set("cpu", cpu.as_secs_f64() * 1e6 / messages as f64);
    }

    /// Median, 99th percentile and longest of these, in microseconds.
    pub fn trips(&mut self, mut trips: Vec<Duration>) {
        trips.sort_unstable();
        for (name, percent) in [("p50", 50), ("p99", 99), ("max", 100)] {
            self.set(name, quantile(&trips, percent));
        }
    }
}

/// In microseconds; `sorted` is sorted. Of fewer than a hundred the 99th in a hundred is the largest.
fn quantile(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).map_or(0.0, |trip| trip.as_secs_f64() * 1e6)
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures: Vec<String> = self.0.iter().map(|(name, figure)| format!("{name}={figure}")).collect();
        f.write_str(&figures.join(" "))
    }
}

impl FromStr for Figures {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let figure = |word: &str| {
            let (name, figure) = word.split_once('=')?;
            Some((name.to_owned(), figure.parse().ok()?))
        };
        let figures: Option<_> = line.split_whitespace().map(figure).collect();
        figures.map(Self).ok_or_else(|| format!("the client said {line:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_as_they_were_written() {
        let mut figures = Figures::default();
        figures.set(Figures::SENT, 44_000.0);
        figures.pace(500, (Duration::from_secs(2), Duration::from_millis(5)));
        assert_eq!(
            (figures.sent(), figures.get("rate"), figures.get("cpu")),
            (44_000, Some(250.0), Some(10.0))
        );
        assert_eq!(figures.to_string().parse(), Ok(figures));
        assert!("thread panicked".parse::<Figures>().is_err());
    }

    #[test]
    fn quantiles_are_trips_that_were_made() {
        let mut figures = Figures::default();
        figures.trips((1..=200).rev().map(Duration::from_micros).collect());
        assert_eq!(["p50", "p99", "max"].map(|name| figures.get(name)), [100.0, 198.0, 200.0].map(Some));
        let few: Vec<Duration> = (1..=5).map(Duration::from_micros).collect();
        assert_eq!((quantile(&few, 99), quantile(&[], 50)), (5.0, 0.0));
    }
}
