//! `cargo xtask conformance`: every normative statement of both standards, who can meet it, and what shows that the
//! codec does.
//!
//! The statements are in `crates/mqtt-codec/conformance/`, a table for each standard. One of the codec's is covered when
//! a comment in the sources cites it (`[v5 MQTT-3.3.2-2]`) and a test bears its number
//! (`fn mqtt5_3_3_2_2_no_wildcards()`, or `// also [v5 MQTT-3.3.2-2]` right above a test of another name).

mod report;
mod rust;
mod sources;
mod standard;
mod table;
mod tags;

use std::fs;
use std::path::Path;

use report::Report;
use sources::Sources;
use standard::Standard;
use table::Table;

use crate::Result;
use crate::cargo::workspace_root;

/// The package whose statements are looked after, from the root.
const PACKAGE: &str = "crates/mqtt-codec";

/// Prints the tables, or only what they come to, and what is not covered.
///
/// # Errors
/// When one of the codec's statements is neither covered nor excused, a citation or a test names a statement that does
/// not exist, or a table cannot be read.
pub fn run(summary: bool) -> Result {
    let report = check(&workspace_root()?.join(PACKAGE))?;
    print!("{}", report.print(summary));
    for note in &report.notes {
        eprintln!("note: {note}");
    }
    for fault in &report.faults {
        eprintln!("{fault}");
    }
    report.verdict()
}

/// Checks the package in `directory`.
fn check(directory: &Path) -> Result<Report> {
    let mut tables = Vec::new();
    for standard in Standard::ALL {
        let path = directory.join("conformance").join(standard.file());
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        tables.push(Table::parse(standard, &text));
    }
    Ok(Report::new(tables, Sources::read(directory)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V3_1_1: &str = "# 3.1.1: 1 statements\ntag\towner\twhat\tnote\n\
        MQTT-3.1.2-22\tcodec\tNo password without a user name.\t\n";
    const V5: &str = "# 5.0: 3 statements\ntag\towner\twhat\tnote\n\
        MQTT-3.3.2-2\tcodec\tNo wildcard in a topic.\t\n\
        MQTT-3.8.3-4\tcodec\tNo Local is not for shared ones.\t\n\
        MQTT-3.12.4-1\tserver\tA PINGREQ is answered.\t\n";
    const CODE: &str = "// [v5 MQTT-3.3.2-2]\nfn a() {}\n\
        // [v5 MQTT-3.8.3-4, v3.1.1 MQTT-3.1.2-22]\nfn b() {}\n";
    const TESTS: &str = "#[test]\nfn mqtt5_3_3_2_2_a() {}\n#[test]\nfn mqtt311_3_1_2_22_b() {}\n\
        // also [v5 MQTT-3.8.3-4]\n#[test]\nfn c() {}\n";

    /// A package of these four files, and what the check says of it.
    fn checked(v3_1_1: &str, v5: &str, code: &str, tests: &str) -> Report {
        let package = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("conformance/v3_1_1.tsv", v3_1_1),
            ("conformance/v5.tsv", v5),
            ("src/lib.rs", code),
            ("tests/conformance/main.rs", tests),
        ] {
            let path = package.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        check(package.path()).unwrap()
    }

    fn fails(v3_1_1: &str, v5: &str, code: &str, tests: &str) -> bool {
        checked(v3_1_1, v5, code, tests).verdict().is_err()
    }

    #[test]
    fn what_is_cited_and_tested_is_covered() {
        let report = checked(V3_1_1, V5, CODE, TESTS);
        assert_eq!(report.faults, Vec::<String>::new());
        assert!(report.verdict().is_ok());
        let printed = report.print(false);
        let row = "| MQTT-3.3.2-2 | codec | No wildcard in a topic. | src/lib.rs:1 | \
            tests/conformance/main.rs:mqtt5_3_3_2_2_a |  |";
        assert!(printed.contains(row), "{printed}");
        assert!(
            printed.contains("| MQTT-3.12.4-1 | server | A PINGREQ is answered. |  |  |  |"),
            "{printed}"
        );
        assert!(
            printed.contains("codec: 2 cited, 2 tested, 2 covered, 0 excused, 0 not covered"),
            "{printed}"
        );
    }

    #[test]
    fn a_citation_and_a_test_are_both_needed() {
        assert!(fails(V3_1_1, V5, "", TESTS));
        assert!(fails(V3_1_1, V5, CODE, ""));
        let report = checked(V3_1_1, V5, CODE, &TESTS.replace("// also", "// see"));
        assert!(report.verdict().is_err());
        let printed = report.print(true);
        assert!(printed.contains("MQTT-3.8.3-4: no test: No Local is not for shared ones."), "{printed}");
    }

    #[test]
    fn an_excuse_stands_in_for_both() {
        let excused = V5.replace("ones.\t", "ones.\tnot covered: nobody shares");
        let report = checked(V3_1_1, &excused, "// [v5 MQTT-3.3.2-2, v3.1.1 MQTT-3.1.2-22]", TESTS);
        assert!(report.verdict().is_ok());
        let printed = report.print(true);
        assert!(printed.contains("MQTT-3.8.3-4: nobody shares"), "{printed}");
        // Only a codec's row needs an excuse, and one that is covered has no use for it.
        assert_eq!(checked(V3_1_1, &excused, CODE, TESTS).notes.len(), 1);
    }

    #[test]
    fn a_number_that_does_not_exist_fails_wherever_it_is() {
        let cited = format!("{CODE}// [v5 MQTT-3.3.2-99]\n");
        let report = checked(V3_1_1, V5, &cited, TESTS);
        assert_eq!(report.faults, ["src/lib.rs:5: v5 MQTT-3.3.2-99 is not in conformance/v5.tsv"]);
        assert!(report.verdict().is_err());

        // The other standard has this one.
        let named = format!("{TESTS}#[test]\nfn mqtt311_3_3_2_2_d() {{}}\n");
        let report = checked(V3_1_1, V5, CODE, &named);
        let fault = "tests/conformance/main.rs:9: v3.1.1 MQTT-3.3.2-2 is not in conformance/v3_1_1.tsv";
        assert_eq!(report.faults, [fault]);
    }

    #[test]
    fn a_table_with_a_bad_row_fails() {
        assert!(fails(V3_1_1, &V5.replace("server", "broker"), CODE, TESTS));
        assert!(fails(V3_1_1, &V5.replace("3 statements", "4 statements"), CODE, TESTS));
    }

    #[test]
    fn a_package_without_tables_or_sources_is_an_error() {
        assert!(check(tempfile::tempdir().unwrap().path()).is_err());
    }

    #[test]
    fn our_own_tables_are_whole() {
        let directory = workspace_root().unwrap().join(PACKAGE);
        for (standard, count) in [(Standard::V3_1_1, 141), (Standard::V5, 251)] {
            let text = fs::read_to_string(directory.join("conformance").join(standard.file())).unwrap();
            let table = Table::parse(standard, &text);
            assert_eq!(table.faults, Vec::<String>::new());
            assert_eq!(table.rows.len(), count);
        }
    }
}
