//! The tables.

use std::fmt::Write as _;

use mqtt_codec::Version;

use super::Spread;
use super::rows::{ROWS, Row};
use crate::clients::Entry;
use crate::figures::Figures;
use crate::workload::{Case, Transport};

/// A round trip this long, in microseconds, waited for something: on Linux a delayed acknowledgement takes 40 ms.
const STALL: f64 = 35_000.0;

/// The runs of a client.
#[derive(Debug, Clone)]
pub struct Column {
    name: &'static str,
    version: Version,
    ours: bool,
    runs: Vec<(Case, Figures)>,
    /// Runs that are no measurement, and why.
    invalid: Vec<(Case, String)>,
}

impl Column {
    pub const fn new(entry: &Entry) -> Self {
        let Entry { name, version, ours, .. } = *entry;
        Self { name, version, ours, runs: Vec::new(), invalid: Vec::new() }
    }

    pub fn add(&mut self, case: Case, figures: Figures) {
        self.runs.push((case, figures));
    }

    /// A run that is no measurement: lost messages, an error, no end.
    pub fn invalid(&mut self, case: Case, why: String) {
        self.invalid.push((case, why));
    }

    /// Whether this was no measurement before.
    pub fn is_invalid(&self, case: Case) -> bool {
        self.invalid.iter().any(|(of, _)| *of == case)
    }

    fn spread(&self, case: Case, row: &Row) -> Option<Spread> {
        let runs = self.runs.iter().filter(|(of, _)| *of == case);
        Spread::of(runs.filter_map(|(_, figures)| row.of(figures)).collect())
    }

    /// What only runs without a failure count for.
    fn median(&self, case: Case, row: &Row) -> Option<f64> {
        if self.is_invalid(case) {
            return None;
        }
        self.spread(case, row).map(|spread| spread.median)
    }

    fn cell(&self, case: Case, row: &Row) -> String {
        if self.is_invalid(case) {
            return "invalid".into();
        }
        self.spread(case, row).map_or("–".into(), |spread| spread.cell(row.decimals))
    }
}

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

    pub const fn version(&self) -> &'static str {
        if self.version.is_v5() { "MQTT 5" } else { "MQTT 3.1.1" }
    }

    /// A row for each figure of each case. The arrow says where better is, the ratio is in bold where ours is.
    pub fn markdown(&self, cases: &[Case]) -> String {
        let mut text = format!("### {}\n\n| |", self.version());
        for column in &self.columns {
            let _ = write!(text, " {} |", column.name);
        }
        let _ = writeln!(text, " ours ÷ best peer |\n|---|{}---|", "---|".repeat(self.columns.len()));
        for (case, row) in rows(cases) {
            let arrow = if row.more_is_better { '↑' } else { '↓' };
            let _ = write!(text, "| {} {arrow} |", title(case, row));
            for column in &self.columns {
                let _ = write!(text, " {} |", column.cell(case, row));
            }
            let _ = writeln!(text, " {} |", self.ratio(case, row));
        }
        text
    }

    fn ratio(&self, case: Case, row: &Row) -> String {
        let Some((ours, best)) = self.ours(case, row).zip(self.best_peer(case, row)) else {
            return "–".into();
        };
        match row.gain(ours, best) {
            Some(gain) if gain > 1.0 => format!("**{:.2}**", ours / best),
            Some(_) => format!("{:.2}", ours / best),
            None => "–".into(),
        }
    }

    /// How many times better than the best peer ours is, for each row that is charted.
    pub fn gains(&self, cases: &[Case]) -> Vec<(String, f64)> {
        let charted = rows(cases).filter(|(_, row)| row.charted);
        let gain = |(case, row): (Case, &Row)| {
            let gain = row.gain(self.ours(case, row)?, self.best_peer(case, row)?)?;
            Some((title(case, row), gain))
        };
        charted.filter_map(gain).collect()
    }

    fn ours(&self, case: Case, row: &Row) -> Option<f64> {
        self.columns.iter().find(|column| column.ours)?.median(case, row)
    }

    fn best_peer(&self, case: Case, row: &Row) -> Option<f64> {
        let peers = self.columns.iter().filter(|column| !column.ours);
        let medians = peers.filter_map(|column| column.median(case, row));
        if row.more_is_better { medians.max_by(f64::total_cmp) } else { medians.min_by(f64::total_cmp) }
    }

    /// Every run that is no measurement, and whether it is ours.
    pub fn invalid(&self) -> Vec<(bool, String)> {
        let of = |column: &&Column| {
            let (ours, name) = (column.ours, column.name);
            let line = move |(case, why): &(Case, String)| {
                (ours, format!("{name}, {}, {case}: {why}", self.version()))
            };
            column.invalid.iter().map(line).collect::<Vec<_>>()
        };
        self.columns.iter().flat_map(of).collect()
    }

    /// What is wrong with ours: more CPU time than the best peer, when that is looked at, and stalls, when they are.
    pub fn complaints(&self, cases: &[Case], cpu: bool, stalls: bool) -> Vec<String> {
        let mut complaints = Vec::new();
        for (case, row) in rows(cases) {
            let Some(ours) = self.ours(case, row) else { continue };
            let what = format!("{}, {}", self.version(), title(case, row));
            if cpu && row.is_cpu() && self.best_peer(case, row).is_some_and(|best| ours > best) {
                complaints.push(format!("{what}: ours {ours:.3} is more than the best peer's"));
            }
            if stalls && row.shows_stalls() && ours >= STALL {
                complaints.push(format!("{what}: {ours:.0}, a stall"));
            }
        }
        complaints
    }
}

fn rows(cases: &[Case]) -> impl Iterator<Item = (Case, &'static Row)> {
    let of = |case: &Case| {
        let case = *case;
        ROWS.iter().filter(move |row| row.workload == case.workload).map(move |row| (case, row))
    };
    cases.iter().flat_map(of)
}

fn title(case: Case, row: &Row) -> String {
    format!("{} {}", if case.transport == Transport::Tls { "TLS" } else { "TCP" }, row.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Workload;

    const WINDOW: Case = Case { workload: Workload::Qos1, transport: Transport::Tcp };
    const TRIPS: Case = Case { workload: Workload::RoundTrip, transport: Transport::Tls };

    fn column(ours: bool, cpu: &[f64], p99: f64) -> Column {
        let name = if ours { "ours" } else { "peer" };
        let (runs, invalid) = (Vec::new(), Vec::new());
        let mut column = Column { name, version: Version::V5, ours, runs, invalid };
        for cpu in cpu {
            column.add(WINDOW, format!("cpu={cpu} rate={}", 1e6 / cpu).parse().unwrap());
            column.add(TRIPS, format!("p50=50 p99={p99}").parse().unwrap());
        }
        column
    }

    #[test]
    fn ours_is_compared_with_the_best_peer() {
        let columns = [
            column(true, &[4.0, 5.0, 60.0], 90.0),
            column(false, &[10.0], 70.0),
            column(false, &[20.0], 99.0),
        ];
        let table = &Table::of(&columns)[1];
        let text = table.markdown(&[WINDOW, TRIPS]);
        for row in [
            "| TCP QoS 1: CPU s for 100k ↓ | 0.500 (0.400–6.000) | 1.000 | 2.000 | **0.50** |",
            "| TCP QoS 1: acknowledged/s ↑ | 200000 (16667–250000) | 100000 | 50000 | **2.00** |",
            "| TCP QoS 1: allocations each ↓ | – | – | – | – |",
            "| TLS round trip: p99 µs ↓ | 90 | 70 | 99 | 1.29 |",
        ] {
            assert!(text.contains(row), "{row} in {text}");
        }
        let gains = table.gains(&[WINDOW]);
        assert_eq!(gains[0], ("TCP QoS 1: acknowledged/s".to_owned(), 2.0));
        assert_eq!(gains[1], ("TCP QoS 1: CPU s for 100k".to_owned(), 2.0));
        assert_eq!(table.complaints(&[WINDOW, TRIPS], true, true), Vec::<String>::new());
    }

    #[test]
    fn a_client_whose_run_is_invalid_is_nobody_to_compare_with_and_is_named() {
        let mut columns =
            [column(true, &[5.0], 90.0), column(false, &[1.0], 70.0), column(false, &[10.0], 70.0)];
        columns[1].invalid(WINDOW, "lost 3".into());
        let table = &Table::of(&columns)[1];
        assert!(table.markdown(&[WINDOW]).contains("100k ↓ | 0.500 | invalid | 1.000 | **0.50** |"));
        assert_eq!(table.invalid(), [(false, "peer, MQTT 5, qos1/tcp: lost 3".to_owned())]);
    }

    #[test]
    fn more_cpu_and_stalls_are_complained_of_when_asked_for() {
        let columns = [column(true, &[11.0], 41_000.0), column(false, &[10.0], 70.0)];
        let table = &Table::of(&columns)[1];
        let complaints = |cpu, stalls| table.complaints(&[WINDOW, TRIPS], cpu, stalls).len();
        assert_eq!((complaints(false, false), complaints(false, true), complaints(true, true)), (0, 1, 2));
    }
}
