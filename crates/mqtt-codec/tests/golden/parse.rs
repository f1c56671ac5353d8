//! The files of byte vectors: `tests/vectors/README.md` describes them.

use std::collections::HashMap;
use std::path::Path;
use std::{env, fs};

use mqtt_codec::Version;

/// Who sends the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Client,
    Server,
    Either,
}

/// What becomes of the packet.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is taken, reads so, and goes out again as these bytes.
    Valid { expect: String, encodes: Vec<u8> },
    /// It is refused with this error.
    Malformed { error: String },
}

/// One vector.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) version: Version,
    pub(crate) from: From,
    pub(crate) bytes: Vec<u8>,
    pub(crate) verdict: Verdict,
    pub(crate) source: String,
}

impl Record {
    pub(crate) fn is_valid(&self) -> bool {
        matches!(self.verdict, Verdict::Valid { .. })
    }

    /// Whether the bytes were made by another program.
    pub(crate) fn is_independent(&self) -> bool {
        !self.source.starts_with("standard") && !self.source.starts_with("mutation")
    }
}

/// Every vector of both versions.
pub(crate) fn all() -> Vec<Record> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut records = Vec::new();
    for directory in ["v3_1_1", "v5"] {
        let files = fs::read_dir(root.join(directory)).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let before = records.len();
            // Lines of a comment are not part of a record, but may stand before it without a blank line.
            let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
            for lines in lines.split(|line| line.trim().is_empty()).filter(|lines| !lines.is_empty()) {
                records.push(record(lines));
            }
            let malformed = file.to_str().unwrap().ends_with("_malformed.txt");
            for record in &records[before..] {
                assert_eq!(record.is_valid(), !malformed, "{} is in the wrong file", record.name);
                assert_eq!(
                    record.version.is_v5(),
                    directory == "v5",
                    "{} is in the wrong place",
                    record.name
                );
            }
        }
    }
    records
}

fn record(lines: &[&str]) -> Record {
    let mut fields: HashMap<&str, String> = HashMap::new();
    for line in lines {
        let (key, value) = line.split_once(": ").unwrap_or_else(|| panic!("no key in {line:?}"));
        let keys = ["name", "from", "hex", "what", "expect", "encodes", "error", "why", "source"];
        assert!(keys.contains(&key), "an unknown key in {line:?}");
        match fields.get_mut(key) {
            // Long bytes span several lines.
            Some(value_before) => {
                assert!(matches!(key, "hex" | "encodes"), "{key} twice in {:?}", fields.get("name"));
                value_before.push(' ');
                value_before.push_str(value);
            }
            None => {
                fields.insert(key, value.to_owned());
            }
        }
    }
    let name = fields["name"].clone();
    let field = |key| fields.get(key).unwrap_or_else(|| panic!("{name} has no {key}")).clone();
    let bytes = bytes(&field("hex"));
    let version = match name.split_once('-') {
        Some(("v3", _)) => Version::V3_1_1,
        Some(("v5", _)) => Version::V5,
        _ => panic!("{name} does not say its version"),
    };
    let from = match field("from").as_str() {
        "client" => From::Client,
        "server" => From::Server,
        "either" => From::Either,
        other => panic!("{name} is from {other:?}"),
    };
    assert!(!field("what").is_empty() && !field("why").is_empty());
    let source = field("source");
    let verdict = match (fields.remove("expect"), fields.remove("error")) {
        (Some(expect), None) => {
            let encodes = fields.get("encodes").map_or_else(|| bytes.clone(), |hex| self::bytes(hex));
            Verdict::Valid { expect, encodes }
        }
        (None, Some(error)) => Verdict::Malformed { error },
        _ => panic!("{name} is neither valid nor malformed"),
    };
    Record { name, version, from, bytes, verdict, source }
}

/// `61 62*3` is `a`, and `b` three times.
fn bytes(hex: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in hex.split_whitespace() {
        let (byte, times) = word.split_once('*').unwrap_or((word, "1"));
        let byte = u8::from_str_radix(byte, 16).unwrap_or_else(|_| panic!("{word:?} is no byte"));
        bytes.resize(bytes.len() + times.parse::<usize>().unwrap(), byte);
    }
    bytes
}
