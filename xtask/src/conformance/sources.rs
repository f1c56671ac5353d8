//! Where the sources cite a statement, and which tests bear its number.

use std::fs;
use std::path::{Path, PathBuf};

use super::rust::{Function, RustFile};
use super::standard::Standard;
use super::tags::{cites_neither, tag_of, tags_in};
use crate::Result;

/// How a comment begins that gives a test more numbers than its name has.
const ALSO: &str = "// also ";

/// What a package's sources and tests say.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) citations: Vec<Mention>,
    pub(super) tests: Vec<Mention>,
    pub(super) faults: Vec<String>,
    /// Where a statement is cited and the standard is not.
    pub(super) unclear: Vec<String>,
}

/// A statement, and where it is mentioned.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mention {
    pub(super) standard: Standard,
    /// With `MQTT-` before the number; whether it exists is another question.
    pub(super) tag: String,
    /// From the package's directory, with slashes.
    path: String,
    line: usize,
    /// The test that mentions it.
    function: Option<String>,
}

impl Mention {
    /// `path:line`
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.path, self.line)
    }

    /// `path:function`
    pub(super) fn test(&self) -> String {
        self.function.as_ref().map_or_else(|| self.place(), |function| format!("{}:{function}", self.path))
    }
}

impl Sources {
    /// Reads `src` and, if it is there, `tests` of the package in `directory`.
    ///
    /// # Errors
    /// When a file cannot be read or is not Rust, or there is none in `src`.
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let mut sources = Self::default();
        let mut files = Vec::new();
        walk(&directory.join("src"), "src", &mut files)?;
        if files.is_empty() {
            return Err(format!("no Rust file in {}", directory.join("src").display()).into());
        }
        if directory.join("tests").is_dir() {
            walk(&directory.join("tests"), "tests", &mut files)?;
        }
        files.sort();
        for (path, file) in files {
            let text = fs::read_to_string(&file).map_err(|error| format!("{path}: {error}"))?;
            sources.scan(&path, &text)?;
        }
        Ok(sources)
    }

    fn scan(&mut self, path: &str, text: &str) -> Result {
        let file = RustFile::parse(text).map_err(|error| format!("{path}: {error}"))?;
        if !is_test_file(path) {
            self.scan_citations(path, &file);
        }
        for function in &file.functions {
            self.scan_function(path, &file, function);
        }
        Ok(())
    }

    fn scan_citations(&mut self, path: &str, file: &RustFile) {
        for (line, text) in file.lines() {
            if file.is_in_tests(line) || text.trim_start().starts_with(ALSO) {
                continue;
            }
            for (standard, tag) in tags_in(text) {
                let path = path.to_owned();
                self.citations.push(Mention { standard, tag, path, line, function: None });
            }
            if cites_neither(text) {
                self.unclear.push(format!("{path}:{line}"));
            }
        }
    }

    fn scan_function(&mut self, path: &str, file: &RustFile, function: &Function) {
        let Function { name, line, .. } = function;
        let mut tags: Vec<(Standard, String)> = Vec::new();
        match tag_of(name) {
            Some(Ok(tag)) => tags.push(tag),
            Some(Err(())) => {
                self.faults
                    .push(format!("{path}:{line}: `{name}` has no number of four parts, as 3_3_2_2 is"));
            }
            None => {}
        }
        if !function.is_test {
            if !tags.is_empty() {
                self.faults.push(format!("{path}:{line}: `{name}` bears a number, but is no test"));
            }
            return;
        }
        for text in file.above(function).filter(|text| text.trim_start().starts_with(ALSO)) {
            tags.extend(tags_in(text));
        }
        tags.dedup();
        self.tests.extend(tags.into_iter().map(|(standard, tag)| Mention {
            standard,
            tag,
            path: path.to_owned(),
            line: *line,
            function: Some(name.clone()),
        }));
    }
}

/// Whether all of the file is seen by tests only: what it cites is not what the codec does.
fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Every Rust file below `directory`, which is called `name` in a report.
fn walk(directory: &Path, name: &str, files: &mut Vec<(String, PathBuf)>) -> Result {
    let entries = fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    for entry in entries {
        let entry = entry?;
        let Ok(file) = entry.file_name().into_string() else { continue };
        let path = format!("{name}/{file}");
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &path, files)?;
        } else if path.ends_with(".rs") {
            files.push((path, entry.path()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(path: &str, text: &str) -> Sources {
        let mut sources = Sources::default();
        sources.scan(path, text).unwrap();
        sources
    }

    fn places(mentions: &[Mention]) -> Vec<String> {
        mentions
            .iter()
            .map(|mention| format!("{:?} {} {}", mention.standard, mention.tag, mention.test()))
            .collect()
    }

    #[test]
    fn a_comment_cites_with_the_standard_before_the_number() {
        let text = "/// A topic (`[v5 MQTT-3.3.2-2]`).\nfn a() {\n    b(); // [v5 MQTT-3.8.3-4, v3.1.1 MQTT-3.8.3-4]\n}\n\
            /* v3.1.1 MQTT-3.1.2-22. */\n";
        let expected = [
            "V5 MQTT-3.3.2-2 src/a.rs:1",
            "V3_1_1 MQTT-3.8.3-4 src/a.rs:3",
            "V5 MQTT-3.8.3-4 src/a.rs:3",
            "V3_1_1 MQTT-3.1.2-22 src/a.rs:5",
        ];
        let sources = scanned("src/a.rs", text);
        assert_eq!(places(&sources.citations), expected);
        assert_eq!(sources.unclear, Vec::<String>::new());
    }

    #[test]
    fn strings_and_tests_cite_nothing() {
        let text = "const A: &str = \"v5 MQTT-3.3.2-2\";\nconst B: &str = r#\"\n// [v5 MQTT-3.3.2-2]\n\"#;\n\
            #[cfg(test)]\nmod tests {\n    // [v5 MQTT-3.3.2-2]\n    fn a() {}\n}\n";
        assert_eq!(places(&scanned("src/a.rs", text).citations), Vec::<String>::new());
        for path in ["src/a/tests.rs", "tests/conformance/a.rs"] {
            assert_eq!(scanned(path, "// [v5 MQTT-3.3.2-2]\n").citations, []);
        }
    }

    #[test]
    fn a_number_without_a_standard_is_noticed() {
        let text = "// [MQTT-3.3.2-2]\n// [v5 MQTT-3.3.2-2], MQTT-3.3.2-3\n// MQTT-like\n";
        assert_eq!(scanned("src/a.rs", text).unclear, ["src/a.rs:1", "src/a.rs:2"]);
    }

    #[test]
    fn a_test_bears_the_number_in_its_name() {
        let text = "#[test]\nfn mqtt5_3_3_2_2_no_wildcards() {}\n#[test]\nfn mqtt311_1_5_3_1() {}\n\
            proptest! {\n    #[test]\n    fn mqtt5_1_5_5_1_shortest(n: u32) {}\n}\n\
            #[test]\nfn mqtt5_connect() {}\nfn mqtt5_helper() {}\n";
        let sources = scanned("tests/conformance/a.rs", text);
        let expected = [
            "V5 MQTT-3.3.2-2 tests/conformance/a.rs:mqtt5_3_3_2_2_no_wildcards",
            "V3_1_1 MQTT-1.5.3-1 tests/conformance/a.rs:mqtt311_1_5_3_1",
            "V5 MQTT-1.5.5-1 tests/conformance/a.rs:mqtt5_1_5_5_1_shortest",
        ];
        assert_eq!(places(&sources.tests), expected);
        assert_eq!(sources.faults, Vec::<String>::new());
    }

    #[test]
    fn a_comment_above_a_test_gives_it_more_numbers() {
        let text = "fn before() {}\n\n// also [v5 MQTT-1.5.4-1]\n/// Says why.\n#[test]\n\
            // also [v5 MQTT-1.5.4-2, v3.1.1 MQTT-1.5.3-2]\n#[allow(\n    clippy::unwrap_used\n)]\nfn a() {}\n\
            // also [v5 MQTT-9.9.9-9]\nfn no_test() {}\n\n#[test]\nfn b() {}\n";
        let expected =
            ["V5 MQTT-1.5.4-1 src/a.rs:a", "V3_1_1 MQTT-1.5.3-2 src/a.rs:a", "V5 MQTT-1.5.4-2 src/a.rs:a"];
        let sources = scanned("src/a.rs", text);
        assert_eq!(places(&sources.tests), expected);
        assert_eq!(sources.citations, []);
    }

    #[test]
    fn a_number_needs_four_parts_and_a_test() {
        let faults = scanned("src/a.rs", "#[test]\nfn mqtt5_3_3_2_wildcards() {}\n").faults;
        assert_eq!(
            faults,
            ["src/a.rs:2: `mqtt5_3_3_2_wildcards` has no number of four parts, as 3_3_2_2 is"]
        );
        let faults = scanned("src/a.rs", "fn mqtt5_3_3_2_2_wildcards() {}\n").faults;
        assert_eq!(faults, ["src/a.rs:1: `mqtt5_3_3_2_2_wildcards` bears a number, but is no test"]);
    }

    #[test]
    fn what_is_not_rust_is_an_error() {
        assert!(Sources::default().scan("src/a.rs", "fn a( {").is_err());
    }
}
