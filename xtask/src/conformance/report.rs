//! What is covered, and how it is printed.

use std::fmt::Write as _;

use super::sources::{Mention, Sources};
use super::standard::Standard;
use super::table::{Owner, Row, Table};
use crate::Result;

/// Every statement with what the sources and tests say of it.
#[derive(Debug)]
pub(super) struct Report {
    standards: Vec<(Standard, Vec<Statement>)>,
    /// What must change, besides what is not covered.
    pub(super) faults: Vec<String>,
    /// What is worth a thought, and fails nothing.
    pub(super) notes: Vec<String>,
}

/// A row, and where it is cited and tested.
#[derive(Debug)]
struct Statement {
    row: Row,
    cited: Vec<String>,
    tested: Vec<String>,
}

/// How it stands with one of the codec's statements.
#[derive(Debug, PartialEq, Eq)]
enum Standing<'a> {
    Covered,
    Excused(&'a str),
    /// What is missing.
    Open(&'static str),
}

impl Statement {
    fn standing(&self) -> Standing<'_> {
        let missing = match (self.cited.is_empty(), self.tested.is_empty()) {
            (false, false) => return Standing::Covered,
            (true, false) => "no citation",
            (false, true) => "no test",
            (true, true) => "no citation, no test",
        };
        self.row.excuse().map_or(Standing::Open(missing), Standing::Excused)
    }
}

impl Report {
    pub(super) fn new(tables: Vec<Table>, sources: Sources) -> Self {
        let mut report = Self { standards: Vec::new(), faults: sources.faults, notes: Vec::new() };
        if !sources.unclear.is_empty() {
            let places = sources.unclear.join(", ");
            report.notes.push(format!("cited without a standard, so for neither: {places}"));
        }
        for table in tables {
            report.faults.extend(table.faults);
            let of_table = |mention: &&Mention| mention.standard == table.standard;
            for mention in sources.citations.iter().chain(&sources.tests).filter(of_table) {
                if !table.rows.iter().any(|row| row.tag == mention.tag) {
                    report.faults.push(format!(
                        "{}: {}{} is not in conformance/{}",
                        mention.place(),
                        table.standard.citation().trim_end_matches("MQTT-"),
                        mention.tag,
                        table.standard.file()
                    ));
                }
            }
            let statements: Vec<Statement> = table
                .rows
                .into_iter()
                .map(|row| {
                    let of_row =
                        |mention: &&Mention| mention.standard == table.standard && mention.tag == row.tag;
                    let cited = sources.citations.iter().filter(of_row).map(Mention::place).collect();
                    let tested = sources.tests.iter().filter(of_row).map(Mention::test).collect();
                    Statement { row, cited, tested }
                })
                .collect();
            for statement in &statements {
                if statement.row.excuse().is_some() && statement.standing() == Standing::Covered {
                    let tag = &statement.row.tag;
                    report.notes.push(format!("{tag} is excused in {}, and covered", table.standard.file()));
                }
            }
            report.standards.push((table.standard, statements));
        }
        report
    }

    /// # Errors
    /// When there is a fault or one of the codec's statements is open.
    pub(super) fn verdict(&self) -> Result {
        let all = self.standards.iter().flat_map(|(_, statements)| codec(statements));
        let open = all.filter(|statement| matches!(statement.standing(), Standing::Open(_))).count();
        match (open, self.faults.len()) {
            (0, 0) => Ok(()),
            (open, 0) => Err(format!("{open} of the codec's statements are not covered").into()),
            (open, faults) => {
                Err(format!("{faults} faults, {open} of the codec's statements not covered").into())
            }
        }
    }

    /// Markdown: a table and its totals for each standard; with `summary`, the totals only.
    pub(super) fn print(&self, summary: bool) -> String {
        let mut out = String::new();
        for (standard, statements) in &self.standards {
            _ = writeln!(out, "## {}, {} statements\n", standard.name(), statements.len());
            if !summary {
                print_table(&mut out, statements);
            }
            print_totals(&mut out, statements);
        }
        out
    }
}

fn codec(statements: &[Statement]) -> impl Iterator<Item = &Statement> {
    statements.iter().filter(|statement| statement.row.owner == Owner::Codec)
}

fn print_table(out: &mut String, statements: &[Statement]) {
    out.push_str(
        "| statement | owner | what it asks for | cited | tested | note |\n|---|---|---|---|---|---|\n",
    );
    for statement in statements {
        let Statement { row, cited, tested } = statement;
        let mut notes = Vec::new();
        if row.owner == Owner::Codec && matches!(statement.standing(), Standing::Open(_)) {
            notes.push("NOT COVERED");
        }
        if !row.note.is_empty() {
            notes.push(&row.note);
        }
        let (owner, cited, tested) = (row.owner.to_string(), first_of(cited), first_of(tested));
        let cells = [&row.tag, &owner, &row.what, &cited, &tested, &notes.join("; ")];
        // A bar would end the cell.
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out.push('\n');
}

fn print_totals(out: &mut String, statements: &[Statement]) {
    let owners = Owner::ALL.map(|owner| {
        let count = statements.iter().filter(|statement| statement.row.owner == owner).count();
        format!("{owner} {count}")
    });
    _ = writeln!(out, "owners: {}\n", owners.join(", "));

    let (mut covered, mut excused, mut open) = (0_usize, Vec::new(), Vec::new());
    for statement in codec(statements) {
        let Row { tag, what, .. } = &statement.row;
        match statement.standing() {
            Standing::Covered => covered += 1,
            Standing::Excused(reason) => excused.push(format!("{tag}: {reason}")),
            Standing::Open(missing) => open.push(format!("{tag}: {missing}: {what}")),
        }
    }
    let cited = codec(statements).filter(|statement| !statement.cited.is_empty()).count();
    let tested = codec(statements).filter(|statement| !statement.tested.is_empty()).count();
    _ = writeln!(
        out,
        "codec: {cited} cited, {tested} tested, {covered} covered, {} excused, {} not covered\n",
        excused.len(),
        open.len()
    );
    print_list(out, "Not covered, with a reason:", &excused);
    print_list(out, "NOT COVERED:", &open);
}

fn print_list(out: &mut String, title: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    _ = writeln!(out, "{title}\n");
    for item in items {
        _ = writeln!(out, "- {item}");
    }
    out.push('\n');
}

/// The first place, and how many more there are.
fn first_of(places: &[String]) -> String {
    match places {
        [] => String::new(),
        [only] => only.clone(),
        [first, more @ ..] => format!("{first} +{}", more.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(cited: &[&str], tested: &[&str], note: &str) -> Statement {
        let owned = |places: &[&str]| places.iter().map(|place| (*place).to_owned()).collect();
        let row = Row {
            tag: "MQTT-4.7.1-1".to_owned(),
            owner: Owner::Codec,
            what: "The wildcard # is last: a|b.".to_owned(),
            note: note.to_owned(),
        };
        Statement { row, cited: owned(cited), tested: owned(tested) }
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(statement(&["a:1"], &["b:t"], "").standing(), Standing::Covered);
        assert_eq!(statement(&[], &["b:t"], "").standing(), Standing::Open("no citation"));
        assert_eq!(statement(&["a:1"], &[], "").standing(), Standing::Open("no test"));
        assert_eq!(statement(&[], &[], "of a broker").standing(), Standing::Open("no citation, no test"));
        assert_eq!(statement(&["a:1"], &[], "not covered: why").standing(), Standing::Excused("why"));
    }

    #[test]
    fn a_row_is_a_line_of_a_markdown_table() {
        let mut out = String::new();
        print_table(&mut out, &[statement(&["a:1", "a:2", "c:3"], &["b:t"], ""), statement(&[], &[], "why")]);
        let lines: Vec<&str> = out.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| MQTT-4.7.1-1 | codec | The wildcard # is last: a\\|b. | a:1 +2 | b:t |  |",
                "| MQTT-4.7.1-1 | codec | The wildcard # is last: a\\|b. |  |  | NOT COVERED; why |",
                "",
            ]
        );
    }
}
