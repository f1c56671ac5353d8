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
        for at in shown.iter().filter(|at| self.columns[**at].role == Role::Ours) {
            head.push(format!("{} ÷ best peer", self.columns[*at].name));
        }
        head.push("best peer".into());
        let rows = self.rows.iter().map(|(name, cells)| {
            let mut line = vec![name.clone()];
            line.extend(shown.iter().map(|at| cells[*at].show(time)));
            let best = self.best_peer(cells);
            for at in shown.iter().filter(|at| self.columns[**at].role == Role::Ours) {
                let ratio =
                    cells[*at].measured().zip(best).map(|(ours, (_, best))| ours.median / best.median);
                line.push(ratio.map_or("-".into(), |ratio| format!("{ratio:.2}")));
            }
            line.push(best.map_or("-".into(), |(name, _)| name.to_owned()));
            line
        });
        grid(&head, &rows.collect::<Vec<_>>())
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

    /// The columns with anything in them: a codec without MQTT 5 takes no room there.
    fn shown(&self) -> Vec<usize> {
        let something = |at: &usize| self.rows.iter().any(|(_, cells)| cells[*at] != Cell::Absent);
        (0..self.columns.len()).filter(something).collect()
    }

    fn best_peer<'a>(&'a self, cells: &'a [Cell]) -> Option<(&'a str, &'a Measured)> {
        let peers = self.columns.iter().zip(cells).filter(|(column, _)| column.role == Role::Peer);
        let measured = peers.filter_map(|(column, cell)| Some((column.name.as_str(), cell.measured()?)));
        measured.min_by(|a, b| a.1.median.total_cmp(&b.1.median))
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
    fn ours_is_compared_with_the_fastest_peer() {
        let column = |name: &str, role| Column { name: name.into(), role };
        let table = Table {
            version: Version::V5,
            direction: Direction::Decode,
            columns: vec![
                column("copy", Role::Floor),
                column("a", Role::Peer),
                column("b", Role::Peer),
                column("ours", Role::Ours),
            ],
            rows: vec![("x".into(), vec![cell(1.0), Cell::Fails("\"no\"".into()), cell(40.0), cell(10.0)])],
        };
        assert_eq!(
            table.times().lines().last().unwrap(),
            "| x   | 1.0 (1.0) | fails | 40 (40) | 10 (10) |             0.25 |         b |"
        );
        assert!(table.markdown().ends_with("\na fails: x: \"no\""));
        assert!(table.json()[1].ends_with(r#""codec":"a","fails":"\"no\""}"#));
    }

    #[test]
    fn a_table_is_aligned() {
        let text = grid(&["row".into(), "n".into()], &[vec!["a".into(), "1.5".into()]]);
        assert_eq!(text, "| row |   n |\n| --- | --: |\n| a   | 1.5 |\n");
    }
}
