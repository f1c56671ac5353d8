//! A small repository in which every rule holds.

use std::fs;

use tempfile::TempDir;
use xtask::tidy::{Report, check};

const FILES: &[(&str, &str)] = &[
    (
        "Cargo.toml",
        r#"[workspace]
members = ["crates/*", "examples"]

[workspace.dependencies]
codec = { path = "crates/mqtt-codec", package = "mqtt-codec" }
iot-session = { path = "crates/iot-session" }

[workspace.lints.rust]
unsafe_code = "forbid"

[workspace.lints.clippy]
# Relaxed: there is a reason.
large_enum_variant = "allow"
"#,
    ),
    ("README.md", "# Sample\n\nSee [the guide](docs/guide.md#top), [the site](https://example.com).\n"),
    (
        "docs/guide.md",
        "# Guide\n\n```\n[code](is/no/link.md)\n```\n\nBack [up](../README.md); `[x](y.md)` is code.\n",
    ),
    ("examples/Cargo.toml", "[package]\nname = \"examples\"\npublish = false\n\n[lints]\nworkspace = true\n"),
    ("examples/src/lib.rs", "//! Samples.\n"),
    (
        "crates/mqtt-codec/Cargo.toml",
        "[package]\nname = \"mqtt-codec\"\n\n[dependencies]\nbytes = \"1\"\ntokio-util = { version = \"0.7\", \
         optional = true }\n\n[lints]\nworkspace = true\n",
    ),
    ("crates/mqtt-codec/README.md", "# Codec\n\n[Up](../../README.md)\n"),
    (
        "crates/mqtt-codec/src/lib.rs",
        r#"//! A codec. It uses no `std::thread` and no tokio::time::Instant.
use std::time::Duration;

pub mod packet;
mod tokio_util;
pub use packet::Packet;

/// How long.
pub const WAIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod elsewhere;

#[cfg(test)]
mod tests {
    use std::time::Instant;
    pub fn undocumented() {}
}
"#,
    ),
    ("crates/mqtt-codec/src/elsewhere.rs", "use std::time::SystemTime;\npub struct Undocumented;\n"),
    ("crates/mqtt-codec/src/tokio_util.rs", "use tokio_util::codec::Decoder;\n"),
    (
        "crates/mqtt-codec/src/packet.rs",
        r#"//! Packets.

/// A packet.
pub enum Packet {
    /// A ping.
    Ping {
        /// How often.
        times: u8,
    },
}

impl Packet {
    /// A ping.
    pub fn ping(rand: u8) -> Self {
        let tokio = "std::fs::read, tokio::spawn";
        Self::Ping { times: rand.max(tokio.len() as u8) }
    }
    pub(crate) fn internal() {}
}

impl Clone for Packet {
    fn clone(&self) -> Self {
        Self::ping(1)
    }
}

#[doc(hidden)]
pub mod internals {
    pub struct Any;
}
"#,
    ),
    (
        "crates/iot-session/Cargo.toml",
        r#"[package]
name = "iot-session"

[features]
tokio = ["dep:tokio", "dep:iot-transport"]

[dependencies]
codec.workspace = true
iot-transport = { path = "../iot-transport", optional = true }
tokio = { version = "1", optional = true }

[lints]
workspace = true
"#,
    ),
    ("crates/iot-session/src/lib.rs", "//! A session.\nmod driver;\nmod stage;\n"),
    (
        "crates/iot-session/src/driver.rs",
        "//! The driver may.\nuse tokio::time::Instant;\n\n#[allow(dead_code, reason = \"a sample\")]\n\
         fn now() -> Instant {\n    Instant::now()\n}\n",
    ),
    ("crates/iot-session/src/stage/mod.rs", "//! A stage may not.\n"),
    (
        "crates/iot-session/tests/waits.rs",
        r#"//! Waits.
use tokio::time::sleep;

#[tokio::test(start_paused = true)]
async fn under_a_paused_clock_a_sleep_takes_no_time() {
    tokio::time::sleep(HOUR).await;
}

#[tokio::test]
async fn a_reason_allows_a_sleep() {
    // tidy: real time because another process must notice
    sleep(SECOND).await;
}
"#,
    ),
];

/// A copy of the small repository, to plant something in.
pub(crate) struct Fixture {
    directory: TempDir,
}

impl Fixture {
    pub(crate) fn clean() -> Self {
        let mut fixture = Self { directory: tempfile::tempdir().unwrap() };
        for (path, text) in FILES {
            fixture.write(path, text);
        }
        fixture
    }

    pub(crate) fn write(&mut self, path: &str, text: &str) {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.directory.path().join(path)).unwrap()
    }

    /// Adds to the end of a file and returns the number of the first line added.
    pub(crate) fn append(&mut self, path: &str, text: &str) -> usize {
        let before = self.read(path);
        self.write(path, &format!("{before}{text}"));
        before.lines().count() + 1
    }

    /// Replaces the one occurrence of `from` and returns the number of its line.
    pub(crate) fn replace(&mut self, path: &str, from: &str, to: &str) -> usize {
        let before = self.read(path);
        assert_eq!(before.matches(from).count(), 1, "`{from}` in {path}");
        self.write(path, &before.replace(from, to));
        before.split(from).next().unwrap().matches('\n').count() + 1
    }

    pub(crate) fn check(&self) -> Report {
        check(self.directory.path()).unwrap()
    }

    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.check().violations, []);
    }

    /// Exactly this rule finds something, in exactly this place.
    #[track_caller]
    pub(crate) fn assert_one(&self, rule: &str, path: &str, line: usize) {
        let violations = self.check().violations;
        let found: Vec<_> =
            violations.iter().map(|found| (found.rule, found.path.as_str(), found.line)).collect();
        assert_eq!(found, [(rule, path, line)], "{violations:#?}");
    }
}
