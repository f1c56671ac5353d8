//! The chart: how many times better than the best peer ours is, a bar for each row and version.

use std::fmt::Write as _;

use super::Table;
use crate::workload::Case;

const WIDTH: f64 = 900.0;
/// Where a bar of one begins, and how long one of two is.
const MIDDLE: f64 = 560.0;
const DOUBLE: f64 = 75.0;
/// Bars end there and at its reciprocal; the number beside them goes on.
const MOST: f64 = 8.0;
const BAR: f64 = 9.0;
const GAP: f64 = 8.0;
const TOP: f64 = 70.0;
const COLOURS: [&str; 2] = ["#8aa8d8", "#2f5fb3"];

/// An SVG for these tables.
pub fn chart(tables: &[Table<'_>], cases: &[Case]) -> String {
    let gains: Vec<_> = tables.iter().map(|table| (table.version(), table.gains(cases))).collect();
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in gains.iter().flat_map(|(_, gains)| gains) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let step = BAR * gains.len() as f64 + GAP;
    let height = TOP + step * names.len() as f64 + 10.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"15\">aws-iot beside the best peer of each row: times better</text>\n"
    );
    for (at, ((version, _), colour)) in gains.iter().zip(COLOURS).enumerate() {
        let x = 10.0 + 110.0 * at as f64;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"33\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{}\" y=\"43\">{version}</text>",
            x + 18.0
        );
    }
    for gain in [0.125, 0.25, 0.5, 1.0, 2.0, 4.0, MOST] {
        let x = position(gain);
        let stroke = if gain == 1.0 { "#333" } else { "#ddd" };
        let _ = writeln!(
            svg,
            "<line x1=\"{x}\" y1=\"{}\" x2=\"{x}\" y2=\"{height}\" stroke=\"{stroke}\"/>\
             <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555\">{gain}×</text>",
            TOP - 6.0,
            TOP - 10.0
        );
    }
    for (at, name) in names.iter().enumerate() {
        let top = TOP + step * at as f64;
        let _ = writeln!(svg, "<text x=\"10\" y=\"{}\">{}</text>", top + BAR + 4.0, escaped(name));
        for (place, ((_, gains), colour)) in gains.iter().zip(COLOURS).enumerate() {
            let Some((_, gain)) = gains.iter().find(|(of, _)| of == *name) else { continue };
            let (x, y) = (position(*gain), top + BAR * place as f64);
            let _ = writeln!(
                svg,
                "<rect x=\"{:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\"/>\
                 <text x=\"{}\" y=\"{}\" font-size=\"9\" text-anchor=\"end\">{gain:.2}×</text>",
                x.min(MIDDLE),
                (x - MIDDLE).abs().max(1.0),
                BAR - 1.0,
                WIDTH - 10.0,
                y + BAR - 1.5
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Where it is on the logarithmic axis.
fn position(gain: f64) -> f64 {
    MIDDLE + gain.clamp(1.0 / MOST, MOST).log2() * DOUBLE
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::super::Column;
    use super::*;
    use crate::clients::ALL;
    use crate::workload::Workload;

    #[test]
    fn twice_as_good_is_a_bar_to_the_right_and_the_axis_ends() {
        assert_eq!(position(1.0), MIDDLE);
        assert_eq!(position(2.0), MIDDLE + DOUBLE);
        assert_eq!(position(0.5), MIDDLE - DOUBLE);
        assert_eq!(position(1_000.0), position(MOST));
        assert!(position(MOST) < WIDTH - 50.0);
    }

    #[test]
    fn a_chart_has_a_bar_for_each_row_and_version_and_every_element_ends() {
        let cases = Workload::cases(&["qos1".to_owned()], true).unwrap();
        let mut columns: Vec<Column> = ALL.iter().map(Column::new).collect();
        for (column, entry) in columns.iter_mut().zip(ALL) {
            let rate = if entry.ours { "rate=300" } else { "rate=100" };
            column.add(cases[0], rate.parse().unwrap());
        }
        let svg = chart(&Table::of(&columns), &cases);
        assert_eq!(svg.matches(">3.00×<").count(), 2, "{svg}");
        assert!(svg.contains("TCP QoS 1: acknowledged/s") && svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
        assert_eq!(svg.matches("<rect").count() + svg.matches("<line").count(), svg.matches("/>").count());
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(escaped("a < b & c"), "a &lt; b &amp; c");
    }
}
