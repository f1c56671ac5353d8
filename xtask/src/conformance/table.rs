//! The tables: a row for each normative statement of a standard.

use std::collections::HashSet;
use std::fmt;

use super::standard::Standard;

/// The first words of a note that says why nothing shows that the codec meets a statement.
const EXCUSE: &str = "not covered:";

/// Who can meet or break a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// Whoever turns bytes into packets and back.
    Codec,
    /// A client's protocol, over time.
    Session,
    /// Only a broker.
    Server,
    /// The user, or the transport that the user chose.
    Application,
}

impl Owner {
    pub(super) const ALL: [Self; 4] = [Self::Codec, Self::Session, Self::Server, Self::Application];

    fn name(self) -> &'static str {
        match self {
            Self::Codec => "codec",
            Self::Session => "session",
            Self::Server => "server",
            Self::Application => "application",
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// With `MQTT-` before the number.
    pub(super) tag: String,
    pub(super) owner: Owner,
    /// What it asks for, in our words.
    pub(super) what: String,
    pub(super) note: String,
}

impl Row {
    /// Why it is not covered, if the note says so.
    pub(super) fn excuse(&self) -> Option<&str> {
        self.note.strip_prefix(EXCUSE).map(str::trim)
    }

    fn parse(line: &str) -> Result<Self, String> {
        let columns: Vec<&str> = line.split('\t').collect();
        let [tag, owner, what, note] = columns.as_slice() else {
            return Err(format!("{} columns, there are 4: tag, owner, what, note", columns.len()));
        };
        if !is_tag(tag) {
            return Err(format!("`{tag}` is not of the form MQTT-1.2.3-4"));
        }
        let owner = Owner::ALL
            .into_iter()
            .find(|known| known.name() == *owner)
            .ok_or_else(|| format!("nobody is called `{owner}`: codec, session, server or application"))?;
        if what.trim().is_empty() {
            return Err(format!("{tag} does not say what it asks for"));
        }
        let row = Self { tag: (*tag).to_owned(), owner, what: (*what).to_owned(), note: (*note).to_owned() };
        match row.excuse() {
            Some("") => Err(format!("{tag} is not covered, and the note does not say why")),
            Some(_) if owner != Owner::Codec => {
                Err(format!("{tag} needs no excuse: only the codec's are covered here"))
            }
            _ => Ok(row),
        }
    }
}

/// The statements of one standard, and what is wrong with the file that lists them.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) standard: Standard,
    pub(super) rows: Vec<Row>,
    pub(super) faults: Vec<String>,
}

impl Table {
    /// Lines that begin with `#` are comments, of which the first says how many statements there are: a row that was
    /// lost is noticed. Then come the names of the columns, then the rows.
    pub(super) fn parse(standard: Standard, text: &str) -> Self {
        let mut table = Self { standard, rows: Vec::new(), faults: Vec::new() };
        let mut seen = HashSet::new();
        let mut promised = None;
        let mut has_header = false;
        for (index, line) in text.lines().enumerate() {
            if line.starts_with('#') {
                promised = promised.or_else(|| count_in(line));
            } else if !has_header {
                has_header = true;
                if line != "tag\towner\twhat\tnote" {
                    table.fault(index, "the names of the columns are tag, owner, what, note");
                }
            } else {
                match Row::parse(line) {
                    Err(fault) => table.fault(index, &fault),
                    Ok(row) if !seen.insert(row.tag.clone()) => {
                        table.fault(index, &format!("{} is here a second time", row.tag));
                    }
                    Ok(row) => table.rows.push(row),
                }
            }
        }
        let count = table.rows.len();
        match promised {
            Some(promised) if promised == count => {}
            Some(promised) => {
                table.fault(0, &format!("{promised} statements are promised, {count} are here"));
            }
            None => table.fault(0, "no comment at the top says how many statements there are"),
        }
        table
    }

    fn fault(&mut self, index: usize, what: &str) {
        self.faults.push(format!("conformance/{}:{}: {what}", self.standard.file(), index + 1));
    }
}

/// Whether `text` is `MQTT-1.2.3-4`.
fn is_tag(text: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let Some((section, statement)) = text.strip_prefix("MQTT-").and_then(|rest| rest.split_once('-')) else {
        return false;
    };
    section.split('.').count() == 3 && section.split('.').all(number) && number(statement)
}

/// The number before the word "statements".
fn count_in(comment: &str) -> Option<usize> {
    comment.split_once(" statements")?.0.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(rows: &str) -> Table {
        let count = rows.lines().count();
        Table::parse(Standard::V5, &format!("# 5.0: {count} statements\ntag\towner\twhat\tnote\n{rows}"))
    }

    #[test]
    fn a_row_has_a_tag_an_owner_what_it_asks_for_and_a_note() {
        let table =
            parsed("MQTT-3.3.2-2\tcodec\tNo wildcard.\t\nMQTT-3.12.4-1\tserver\tAn answer.\tof a broker\n");
        assert_eq!(table.faults, Vec::<String>::new());
        let row = |tag: &str, owner, what: &str, note: &str| Row {
            tag: tag.to_owned(),
            owner,
            what: what.to_owned(),
            note: note.to_owned(),
        };
        assert_eq!(
            table.rows,
            [
                row("MQTT-3.3.2-2", Owner::Codec, "No wildcard.", ""),
                row("MQTT-3.12.4-1", Owner::Server, "An answer.", "of a broker"),
            ]
        );
    }

    #[test]
    fn an_excuse_is_a_note_with_a_reason() {
        let table = parsed("MQTT-3.3.2-2\tcodec\tNo wildcard.\tnot covered: no room\n");
        assert_eq!(table.rows.first().and_then(Row::excuse), Some("no room"));
        assert_eq!(
            parsed("MQTT-3.3.2-2\tcodec\tNo wildcard.\tof a client\n").rows.first().and_then(Row::excuse),
            None
        );
    }

    #[test]
    fn bad_rows_are_named_by_their_line() {
        for (row, fault) in [
            ("MQTT-3.3.2\tcodec\tx\t", "`MQTT-3.3.2` is not of the form MQTT-1.2.3-4"),
            ("MQTT-3.3-2\tcodec\tx\t", "`MQTT-3.3-2` is not of the form MQTT-1.2.3-4"),
            ("3.3.2-2\tcodec\tx\t", "`3.3.2-2` is not of the form MQTT-1.2.3-4"),
            ("MQTT-3.3.2-2\tcodec\tx", "3 columns, there are 4: tag, owner, what, note"),
            ("MQTT-3.3.2-2\tbroker\tx\t", "nobody is called `broker`: codec, session, server or application"),
            ("MQTT-3.3.2-2\tcodec\t\t", "MQTT-3.3.2-2 does not say what it asks for"),
            (
                "MQTT-3.3.2-2\tcodec\tx\tnot covered: ",
                "MQTT-3.3.2-2 is not covered, and the note does not say why",
            ),
            (
                "MQTT-3.3.2-2\tserver\tx\tnot covered: why",
                "MQTT-3.3.2-2 needs no excuse: only the codec's are covered here",
            ),
        ] {
            let faults = parsed(row).faults;
            assert_eq!(faults.first().map(String::as_str), Some(&*format!("conformance/v5.tsv:3: {fault}")));
        }
    }

    #[test]
    fn a_row_that_is_there_twice_or_lost_is_a_fault() {
        let row = "MQTT-3.3.2-2\tcodec\tx\t\n";
        let twice = parsed(&row.repeat(2));
        assert_eq!(twice.rows.len(), 1);
        assert_eq!(
            twice.faults.first().map(String::as_str),
            Some("conformance/v5.tsv:4: MQTT-3.3.2-2 is here a second time")
        );
        let lost = format!("# 5.0: 2 statements\ntag\towner\twhat\tnote\n{row}");
        assert_eq!(
            Table::parse(Standard::V5, &lost).faults,
            ["conformance/v5.tsv:1: 2 statements are promised, 1 are here"]
        );
        let silent = format!("tag\towner\twhat\tnote\n{row}");
        assert_eq!(Table::parse(Standard::V5, &silent).faults.len(), 1);
    }

    #[test]
    fn the_columns_have_names() {
        assert_eq!(Table::parse(Standard::V5, "# 0 statements\ntag\towner\n").faults.len(), 1);
    }
}
