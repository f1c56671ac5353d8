//! Tables in Markdown, as wide as their columns need.

use std::fmt::Write as _;

use crate::harness::Measured;
use crate::workload::Version;

/// Decode or encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Decode,
    Encode,
}

impl Direction {
    pub const BOTH: [Self; 2] = [Self::Decode, Self::Encode];

    pub fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Encode => "encode",
        }
    }
}

/// What stands under a codec's name in a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Measured(Measured),
    /// The codec does not do this at all.
    Absent,
    /// The codec was asked and gave something else than the workload holds.
    Fails(String),
}

impl Cell {
    fn measured(&self) -> Option<&Measured> {
        if let Self::Measured(measured) = self { Some(measured) } else { None }
    }

    fn show(&self, figure: impl Fn(&Measured) -> String) -> String {
        match self {
            Self::Measured(measured) => figure(measured),
            Self::Absent => "-".into(),
            Self::Fails(_) => "fails".into(),
        }
    }
}

/// What a column is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Floor,
    Peer,
    Ours,
}

/// A column's codec.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub role: Role,
    /// Whether what it decodes borrows from the receive buffer.
    pub borrows: bool,
}

/// All rows of one version and direction.
#[derive(Debug)]
pub struct Table {
    pub version: Version,
    pub direction: Direction,
    pub columns: Vec<Column>,
    pub rows: Vec<(String, Vec<Cell>)>,
}

impl Table {
    /// Nanoseconds, allocations, and what failed.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "### {}, {}: ns a packet, median (best batch)\n\n",
            self.version.name(),
            self.direction.name()
        );
        text += &self.times();
        let _ = write!(
            text,
            "\n### {}, {}: allocations a packet\n\n",
            self.version.name(),
            self.direction.name()
        );
        text += &self.allocations();
        for (row, cells) in &self.rows {
            for (column, cell) in self.columns.iter().zip(cells) {
                if let Cell::Fails(why) = cell {
                    let _ = write!(text, "\n{} fails: {row}: {why}", column.name);
                }
            }
        }
        text
    }

    fn times(&self) -> String {
        let shown = self.shown();
        let mut head = vec!["row".to_owned()];
        head.extend(shown.iter().map(|at| self.columns[*at].name.clone()));
        let comparisons = self.comparisons(&shown);
        head.extend(comparisons.iter().map(Comparison::head));
        let rows = self.rows.iter().map(|(name, cells)| {
            let mut line = vec![name.clone()];
            line.extend(shown.iter().map(|at| cells[*at].show(time)));
            line.extend(comparisons.iter().map(|comparison| comparison.show(&self.columns, cells)));
            line
        });
        grid(&head, &rows.collect::<Vec<_>>())
    }

    /// Ours against the fastest of all peers; what can be kept against the fastest whose packets can be kept as well.
    fn comparisons(&self, shown: &[usize]) -> Vec<Comparison<'_>> {
        let ours: Vec<&Column> =
            shown.iter().map(|at| &self.columns[*at]).filter(|column| column.role == Role::Ours).collect();
        let mut comparisons: Vec<_> =
            ours.iter().map(|ours| Comparison { ours: Some(ours.name.as_str()), owning: false }).collect();
        comparisons.push(Comparison { ours: None, owning: false });
        let measured = |at: usize| self.rows.iter().any(|(_, cells)| cells[at].measured().is_some());
        let differ = shown.iter().any(|at| {
            let column = &self.columns[*at];
            column.role == Role::Peer && column.borrows && measured(*at)
        });
        if differ && self.direction == Direction::Decode {
            let owned = ours.iter().filter(|ours| !ours.borrows);
            comparisons.extend(owned.map(|ours| Comparison { ours: Some(ours.name.as_str()), owning: true }));
            comparisons.push(Comparison { ours: None, owning: true });
        }
        comparisons
    }

    fn allocations(&self) -> String {
        let shown: Vec<_> =
            self.shown().into_iter().filter(|at| self.columns[*at].role != Role::Floor).collect();
        let mut head = vec!["row".to_owned()];
        head.extend(shown.iter().map(|at| self.columns[*at].name.clone()));
        let rows = self.rows.iter().map(|(name, cells)| {
            let mut line = vec![name.clone()];
            line.extend(shown.iter().map(|at| cells[*at].show(|cell| format!("{:.3}", cell.allocations))));
            line
        });
        grid(&head, &rows.collect::<Vec<_>>())
    }

    /// Every peer, and of the floors and ours those with anything in them.
    fn shown(&self) -> Vec<usize> {
        let something = |at: &usize| {
            self.columns[*at].role == Role::Peer
                || self.rows.iter().any(|(_, cells)| cells[*at] != Cell::Absent)
        };
        (0..self.columns.len()).filter(something).collect()
    }

    /// One object for each figure, to be read by a program.
    pub fn json(&self) -> Vec<String> {
        let mut objects = Vec::new();
        for (row, cells) in &self.rows {
            for (column, cell) in self.columns.iter().zip(cells) {
                let figures = match cell {
                    Cell::Measured(measured) => format!(
                        "\"median\":{:.3},\"best\":{:.3},\"allocations\":{:.4}",
                        measured.median, measured.best, measured.allocations
                    ),
                    Cell::Absent => continue,
                    Cell::Fails(why) => format!("\"fails\":{}", quoted(why)),
                };
                objects.push(format!(
                    "{{\"version\":{},\"direction\":{},\"row\":{},\"codec\":{},{figures}}}",
                    quoted(self.version.name()),
                    quoted(self.direction.name()),
                    quoted(row),
                    quoted(&column.name)
                ));
            }
        }
        objects
    }
}

/// A column behind the codecs: the ratio to the fastest peer, or which that is.
struct Comparison<'a> {
    /// The column of ours whose ratio it is; `None` for the name of the peer.
    ours: Option<&'a str>,
    /// Among peers only whose packets do not borrow.
    owning: bool,
}

impl Comparison<'_> {
    fn head(&self) -> String {
        let peer = if self.owning { "best owning peer" } else { "best peer" };
        self.ours.map_or(peer.to_owned(), |ours| format!("{ours} ÷ {peer}"))
    }

    fn show(&self, columns: &[Column], cells: &[Cell]) -> String {
        let fastest = |wanted: &dyn Fn(&Column) -> bool| {
            let columns = columns.iter().zip(cells).filter(|(column, _)| wanted(column));
            let medians = columns.filter_map(|(column, cell)| Some((&column.name, cell.measured()?.median)));
            medians.min_by(|a, b| a.1.total_cmp(&b.1))
        };
        let peer = fastest(&|column| column.role == Role::Peer && !(self.owning && column.borrows));
        let shown = match self.ours {
            None => peer.map(|(name, _)| name.clone()),
            Some(name) => fastest(&|column| column.role == Role::Ours && column.name == name)
                .zip(peer)
                .map(|((_, ours), (_, peer))| format!("{:.2}", ours / peer)),
        };
        shown.unwrap_or("-".into())
    }
}

fn time(measured: &Measured) -> String {
    format!("{} ({})", figure(measured.median), figure(measured.best))
}

/// Three digits are what such a measurement is worth.
fn figure(nanoseconds: f64) -> String {
    if nanoseconds < 9.95 { format!("{nanoseconds:.1}") } else { format!("{nanoseconds:.0}") }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            _ if letter < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
            }
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A Markdown table with its columns aligned, so that it reads as text too.
fn grid(head: &[String], rows: &[Vec<String>]) -> String {
    let width = |at: usize| {
        let cells = rows.iter().map(|row| &row[at]).chain([&head[at]]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(2)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    let mut line = |cells: &[String]| {
        for (at, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width - cell.chars().count());
            text += &if at == 0 { format!("| {cell}{gap} ") } else { format!("| {gap}{cell} ") };
        }
        text += "|\n";
    };
    line(head);
    let rule = |(at, width): (usize, &usize)| {
        let dashes = "-".repeat(width - 1);
        if at == 0 { format!("{dashes}-") } else { format!("{dashes}:") }
    };
    line(&widths.iter().enumerate().map(rule).collect::<Vec<_>>());
    rows.iter().for_each(|row| line(row));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(median: f64) -> Cell {
        Cell::Measured(Measured { median, best: median, allocations: 1.0 })
    }

    #[test]
    fn ours_is_compared_with_the_fastest_peer_and_the_fastest_of_its_kind() {
        let column = |name: &str, role| Column { name: name.into(), role, borrows: name == "b" };
        let failed = Cell::Fails("\"no\"".into());
        let table = Table {
            version: Version::V5,
            direction: Direction::Decode,
            columns: vec![
                column("copy", Role::Floor),
                column("a", Role::Peer),
                column("b", Role::Peer),
                column("c", Role::Peer),
                column("ours", Role::Ours),
            ],
            rows: vec![("x".into(), vec![cell(1.0), failed, cell(40.0), cell(80.0), cell(20.0)])],
        };
        let times = table.times();
        let words: Vec<&str> = times.lines().last().unwrap().split('|').map(str::trim).collect();
        assert_eq!(words[3..], ["fails", "40 (40)", "80 (80)", "20 (20)", "0.50", "b", "0.25", "c", ""]);
        assert!(table.markdown().ends_with("\na fails: x: \"no\""));
        assert!(table.json()[1].ends_with(r#""codec":"a","fails":"\"no\""}"#));
    }

    #[test]
    fn a_table_is_aligned() {
        let text = grid(&["row".into(), "n".into()], &[vec!["a".into(), "1.5".into()]]);
        assert_eq!(text, "| row |   n |\n| --- | --: |\n| a   | 1.5 |\n");
    }
}
