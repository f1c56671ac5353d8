//! The emulator as a program of its own, as a newcomer starts it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::Result;
use crate::cargo::cargo;

/// A running `iot-emulator`, which is stopped when it is dropped.
pub(super) struct Emulator {
    child: Child,
    pub(super) port: u16,
    pub(super) plain_port: u16,
    pub(super) ca: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// Holds those files.
    _files: tempfile::TempDir,
}

impl Emulator {
    /// Builds it, starts it on free loopback ports and reads where it is.
    ///
    /// # Errors
    /// It does not build, or ends before it said so.
    pub(super) fn start(root: &Path, target: &Path) -> Result<Self> {
        let mut build = cargo(root);
        build.args(["build", "--quiet", "--package", "iot-emulator"]);
        if !build.status()?.success() {
            return Err("the emulator does not build: see the lines above".into());
        }
        let files = tempfile::tempdir()?;
        let program = target.join("debug/iot-emulator").with_extension(std::env::consts::EXE_EXTENSION);
        let mut child = std::process::Command::new(program)
            .args(["--port", "0", "--plain-port", "0", "--certs"])
            .arg(files.path())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("its output is not piped")?;
        // Until it has said all: it may not write to a pipe that nobody reads.
        let lines = BufReader::new(output).lines().map_while(std::result::Result::ok);
        let mut head = Vec::new();
        for line in lines {
            let is_last = line.contains("Ctrl-C stops");
            head.push(line);
            if is_last {
                break;
            }
        }
        let told = Told(&head);
        let emulator = Self {
            port: told.port("port ")?,
            plain_port: told.port("plain port ")?,
            ca: told.value("CA ")?.into(),
            certificate: told.value("certificate ")?.into(),
            key: told.value("key ")?.into(),
            child,
            _files: files,
        };
        Ok(emulator)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines that it prints at its start: a name, spaces, a value.
struct Told<'a>(&'a [String]);

impl Told<'_> {
    fn value(&self, name: &str) -> Result<&str> {
        let line = self.0.iter().find_map(|line| line.strip_prefix(name));
        line.map(str::trim).ok_or_else(|| format!("the emulator printed no {name:?}: {:?}", self.0).into())
    }

    fn port(&self, name: &str) -> Result<u16> {
        let value = self.value(name)?;
        let number = value.split(' ').next().unwrap_or_default();
        number.parse().map_err(|_| format!("{value:?} is no port").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_tells_is_read() {
        let lines =
            ["port         34117 (mutual TLS)".to_owned(), "CA           files of a run/ca.pem".to_owned()];
        let told = Told(&lines);
        assert_eq!(told.port("port ").unwrap(), 34117);
        assert_eq!(told.value("CA ").unwrap(), "files of a run/ca.pem");
        assert!(told.port("plain port ").unwrap_err().to_string().contains("plain port"));
    }
}
