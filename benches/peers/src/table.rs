//! The tables, and what is wrong with what they say.

use std::fmt::Write as _;

use mqtt_codec::Version;

use crate::clients::{Entry, WINDOW};
use crate::workload::{Figures, Workload};

/// A round trip this long, in microseconds, waited for something: on Linux a delayed acknowledgement takes 40 ms.
const STALL: f64 = 35_000.0;

/// The runs of a client.
#[derive(Debug, Clone)]
pub struct Column {
    name: &'static str,
    version: Version,
    ours: bool,
    runs: Vec<(Workload, Figures)>,
}

impl Column {
    pub const fn new(entry: &Entry) -> Self {
        Self { name: entry.name, version: entry.version, ours: entry.ours, runs: Vec::new() }
    }

    pub fn add(&mut self, workload: Workload, figures: Figures) {
        self.runs.push((workload, figures));
    }

    fn spread(&self, row: &Row) -> Option<Spread> {
        let of = |(workload, figures): &(Workload, Figures)| {
            (*workload == row.workload).then(|| (row.figure)(figures))
        };
        Spread::of(self.runs.iter().filter_map(of).collect())
    }
}

/// A figure over all runs.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let median = *figures.get(figures.len() / 2)?;
        Some(Self { least: *figures.first()?, median, most: *figures.last()? })
    }

    fn cell(self, decimals: usize) -> String {
        let Self { least, median, most } = self;
        format!("{median:.decimals$} ({least:.decimals$}–{most:.decimals$})")
    }
}

/// A figure of a workload.
struct Row {
    workload: Workload,
    name: &'static str,
    figure: fn(&Figures) -> f64,
    decimals: usize,
    more_is_better: bool,
}

impl Row {
    const fn new(workload: Workload, name: &'static str, figure: fn(&Figures) -> f64) -> Self {
        Self { workload, name, figure, decimals: 0, more_is_better: false }
    }
}

const CPU: Row = Row {
    decimals: 3,
    ..Row::new(Workload::Window, "window: CPU s for 100k messages", |figures| figures.cpu / 10.0)
};
const ROWS: &[Row] = &[
    Row { more_is_better: true, ..Row::new(Workload::Window, "window: messages/s", |figures| figures.rate) },
    CPU,
    Row::new(Workload::RoundTrip, "round trip: p50 µs", |figures| figures.p50),
    Row::new(Workload::RoundTrip, "round trip: p99 µs", |figures| figures.p99),
    Row::new(Workload::RoundTrip, "round trip: max µs", |figures| figures.max),
    Row {
        decimals: 3,
        ..Row::new(Workload::RoundTrip, "round trip: CPU s for 100k messages", |figures| figures.cpu / 10.0)
    },
    Row::new(Workload::PausedWrites, "paused writes: p50 µs", |figures| figures.p50),
    Row::new(Workload::PausedWrites, "paused writes: p99 µs", |figures| figures.p99),
    Row::new(Workload::PausedWrites, "paused writes: max µs", |figures| figures.max),
];

/// The clients of one version.
pub struct Table<'a> {
    version: Version,
    columns: Vec<&'a Column>,
}

impl<'a> Table<'a> {
    pub fn of(columns: &'a [Column]) -> Vec<Self> {
        let of = |version| Self {
            version,
            columns: columns.iter().filter(|column| column.version == version).collect(),
        };
        [Version::V3_1_1, Version::V5].map(of).into()
    }

    pub fn markdown(&self, workloads: &[Workload]) -> String {
        let version = if self.version.is_v5() { "5" } else { "3.1.1" };
        let mut text = format!("### MQTT {version}, QoS 1, 64 B, window {WINDOW}\n\n| |");
        for column in &self.columns {
            let _ = write!(text, " {} |", column.name);
        }
        let _ = write!(text, " ours ÷ best peer |\n|---|{}---|", "---|".repeat(self.columns.len()));
        for row in ROWS.iter().filter(|row| workloads.contains(&row.workload)) {
            let _ = write!(text, "\n| {} |", row.name);
            for column in &self.columns {
                let cell = column.spread(row).map_or("–".into(), |spread| spread.cell(row.decimals));
                let _ = write!(text, " {cell} |");
            }
            let ratio = self.ours(row).zip(self.best_peer(row)).map(|(ours, best)| ours / best);
            let _ = write!(text, " {} |", ratio.map_or("–".into(), |ratio| format!("{ratio:.2}")));
        }
        text.push('\n');
        text
    }

    /// The median.
    fn ours(&self, row: &Row) -> Option<f64> {
        let column = self.columns.iter().find(|column| column.ours)?;
        column.spread(row).map(|spread| spread.median)
    }

    /// The best median.
    fn best_peer(&self, row: &Row) -> Option<f64> {
        let peers = self.columns.iter().filter(|column| !column.ours);
        let medians = peers.filter_map(|column| column.spread(row)).map(|spread| spread.median);
        medians.reduce(if row.more_is_better { f64::max } else { f64::min })
    }

    /// What must not be.
    pub fn complaints(&self, cpu: bool, stalls: bool) -> Vec<String> {
        let mut complaints = Vec::new();
        if cpu
            && let Some((ours, best)) = self.ours(&CPU).zip(self.best_peer(&CPU))
            && ours > best
        {
            complaints.push(format!("{:?}: {}: ours {ours:.3}, best peer {best:.3}", self.version, CPU.name));
        }
        for row in ROWS.iter().filter(|row| stalls && row.name.ends_with("p99 µs")) {
            if let Some(p99) = self.ours(row).filter(|p99| *p99 >= STALL) {
                complaints.push(format!("{:?}: {}: {p99:.0}, a stall", self.version, row.name));
            }
        }
        complaints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(ours: bool, cpu: &[f64], p99: f64) -> Column {
        let name = if ours { "ours" } else { "peer" };
        let mut column = Column { name, version: Version::V5, ours, runs: Vec::new() };
        for cpu in cpu {
            column.add(Workload::Window, Figures { cpu: *cpu, rate: 1e6 / cpu, ..Figures::default() });
            column.add(Workload::PausedWrites, Figures { p99, ..Figures::default() });
        }
        column
    }

    #[test]
    fn the_median_of_the_runs_counts() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0]);
        assert_eq!(spread, Some(Spread { least: 1.0, median: 2.0, most: 3.0 }));
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn ours_is_compared_with_the_best_peer() {
        let columns = [
            column(true, &[4.0, 5.0, 60.0], 90.0),
            column(false, &[10.0], 70.0),
            column(false, &[20.0], 99.0),
        ];
        let tables = Table::of(&columns);
        let text = tables[1].markdown(&Workload::ALL);
        assert!(text.contains("| window: CPU s for 100k messages | 0.500 (0.400–6.000) | 1.000 (1.000–1.000) | 2.000 (2.000–2.000) | 0.50 |"), "{text}");
        assert!(text.contains("| window: messages/s | 200000 (16667–250000) | 100000 (100000–100000) | 50000 (50000–50000) | 2.00 |"), "{text}");
        assert_eq!(tables[1].complaints(true, true), Vec::<String>::new());
    }

    #[test]
    fn more_cpu_and_stalls_are_complained_of_when_asked_for() {
        let columns = [column(true, &[11.0], 41_000.0), column(false, &[10.0], 70.0)];
        let table = &Table::of(&columns)[1];
        assert_eq!(table.complaints(false, false).len(), 0);
        assert_eq!(table.complaints(false, true).len(), 1);
        assert_eq!(table.complaints(true, true).len(), 2);
    }
}
