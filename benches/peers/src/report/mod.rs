//! What comes of all runs: tables in Markdown, a chart, and what is wrong.

mod chart;
mod rows;
mod table;

pub use chart::chart;
pub use table::{Column, Table};

/// A figure over all runs.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    /// Of an even number of figures the median is the mean of the two in the middle.
    fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let upper = *figures.get(figures.len() / 2)?;
        let lower = *figures.get(figures.len().saturating_sub(1) / 2)?;
        Some(Self { least: *figures.first()?, median: f64::midpoint(lower, upper), most: *figures.last()? })
    }

    fn cell(self, decimals: usize) -> String {
        let Self { least, median, most } = self;
        if least == most {
            return format!("{median:.decimals$}");
        }
        format!("{median:.decimals$} ({least:.decimals$}–{most:.decimals$})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_the_runs_counts() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0]).unwrap();
        assert_eq!(spread, Spread { least: 1.0, median: 2.0, most: 3.0 });
        assert_eq!(spread.cell(1), "2.0 (1.0–3.0)");
        assert_eq!(Spread::of(vec![4.0, 1.0]).unwrap().median, 2.5);
        assert_eq!(Spread::of(vec![7.0]).unwrap().cell(0), "7");
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
