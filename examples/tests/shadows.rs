//! The samples of shadows as their users run them: in two terminals, against one emulator.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

use std::io::{BufRead, BufReader, Lines};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use iot_emulator::CredentialFiles;

fn sample(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.ancestors().nth(2).unwrap().join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// A port that nobody uses.
fn port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

/// A sample that does not outlive its test.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(name: &str, args: &[&str]) -> Self {
        let mut child = Command::new(sample(name)).args(args).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Reads up to the first line that begins like this.
    fn until(&mut self, beginning: &str) -> String {
        let mut said = Vec::new();
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            if line.starts_with(beginning) {
                return line;
            }
            said.push(line);
        }
        panic!("it never said {beginning:?}: {said:#?}")
    }

    /// Reads the rest, and wants a good end.
    fn rest(mut self) -> Vec<String> {
        let rest = self.lines.by_ref().map_while(Result::ok).collect();
        assert!(self.child.wait().unwrap().success(), "{rest:?}");
        rest
    }

    fn interrupt(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_listener_hears_what_an_updater_wants_at_the_emulator_that_one_of_them_started() {
    let port = port();
    let mut listener = Running::start("basic_shadow_delta_listener", &["--emulator", &port, "--count", "3"]);
    assert!(listener.until("Started a local AWS IoT Core").ends_with(&format!("localhost:{port}.")));
    listener.until("Listening");
    let updater = Running::start("basic_shadow_updater", &["--emulator", &port, "--count", "3"]);
    let said = updater.rest();
    assert!(said.first().unwrap().starts_with("Found a local AWS IoT Core"), "{said:#?}");
    assert!(said.iter().any(|line| line == "There was no shadow to delete."), "{said:#?}");
    let accepted = said.iter().filter(|line| line.starts_with("Update request with token: ")).count();
    assert_eq!(accepted, 3, "{said:#?}");
    let heard = listener.rest();
    let properties: Vec<&str> = heard.iter().filter_map(|line| line.strip_prefix("property: ")).collect();
    assert_eq!(properties, ["0", "1", "2"], "{heard:#?}");
    assert_eq!(heard.last().unwrap(), "Disconnected.");
    assert!(CredentialFiles::of_running(port.parse().unwrap()).is_none());
    assert!(!CredentialFiles::usual_directory(port.parse().unwrap()).exists(), "nothing is left behind");
}

#[test]
fn the_echo_does_what_is_desired_in_a_named_shadow_and_ends_at_ctrl_c() {
    let port = port();
    let shared = ["--emulator", &port, "-n", "thing", "--shadowName", "cfg"];
    let mut echo = Running::start("thing_shadow_echo", &shared);
    echo.until("Echoing the deltas of thing.");
    let updater = Running::start("basic_shadow_updater", &[&shared[..], &["--count", "2"]].concat());
    assert_eq!(echo.until("Received a delta message"), r#"Received a delta message: {"property":0}"#);
    echo.until("Accepted as version");
    assert_eq!(echo.until("Received a delta message"), r#"Received a delta message: {"property":1}"#);
    echo.until("Accepted as version");
    updater.rest();
    echo.interrupt();
    let rest = echo.rest();
    assert_eq!(rest, ["Interrupted.", "Disconnected."]);
}

#[test]
fn over_websocket_it_signs_with_the_keys_of_an_emulator_of_its_own() {
    let said = Running::start("basic_shadow_updater", &["-w", "--count", "1", "--mqtt", "3.1.1"]).rest();
    assert!(said.iter().any(|line| line == "property: 0"), "{said:#?}");
}

#[test]
fn wrong_arguments_are_told_in_one_sentence() {
    for (args, words) in [
        (&["-n", "a b", "--count", "1"][..], "(-n, --shadowName)"),
        (&["-n", "", "--count", "1"], "empty"),
        (&["--shadowName", "a/b"], "not allowed"),
        (&["-e", "localhost"], "-e needs -c and -k"),
        (&["--count", "0"], "0"),
    ] {
        let output = Command::new(sample("basic_shadow_updater")).args(args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(words) && !said.contains("panicked"), "{args:?}: {said}");
    }
    // Somebody else's port is not taken for an emulator's.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Command::new(sample("basic_shadow_updater")).args(["--emulator", &port]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("another program uses the port"), "{said}");
}
