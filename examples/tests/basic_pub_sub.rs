//! The sample as its user runs it: what it prints and how it ends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

use std::path::PathBuf;
use std::process::{Command, Output};

/// The sample's program, which cargo builds beside this test.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples")
        .join(format!("basic_pub_sub{}", std::env::consts::EXE_SUFFIX))
}

fn run(args: &[&str]) -> Output {
    Command::new(program()).args(args).output().unwrap()
}

/// Ends with this code and one sentence that holds these words; no panic, no debug dump.
fn fails(args: &[&str], code: i32, words: &str) {
    let output = run(args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(said.contains(words), "{args:?}: {said}");
    assert!(
        !said.contains("panicked") && !said.contains("Error {") && !said.contains("Err("),
        "{args:?}: {said}"
    );
}

#[test]
fn with_no_endpoint_it_talks_to_an_emulator_and_ends_after_the_count() {
    for version in ["3.1.1", "5"] {
        let output = run(&["--count", "2", "--mqtt", version, "-t", "a/b", "-M", "say \"hi\""]);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}");
        let received: Vec<&str> = said.lines().filter(|line| line.starts_with("Received ")).collect();
        assert_eq!(
            received,
            [
                r#"Received on a/b: {"message": "say \"hi\"", "sequence": 1}"#,
                r#"Received on a/b: {"message": "say \"hi\"", "sequence": 2}"#,
            ]
        );
        assert!(said.ends_with("Disconnected.\n"), "{said}");
    }
}

#[test]
fn publishing_alone_counts_acknowledgements() {
    let output = run(&["--count", "1", "-m", "publish"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("Published message 1"), "{said}");
}

#[test]
fn wrong_combinations_are_told_in_one_sentence_with_exit_code_2() {
    for (args, words) in [
        (&["-e", "localhost", "-c", "c.pem"][..], "-c needs -k"),
        (&["-e", "localhost", "-k", "k.pem"], "-k needs -c"),
        (&["-e", "localhost"], "-e needs -c and -k"),
        (&["-e", "localhost", "-c", "c.pem", "-k", "k.pem"], "-e needs -r"),
        (&["-c", "c.pem"], "need -e"),
        (&["-p", "8883"], "need -e"),
        (&["-t", "a/#"], "wildcards"),
        (&["-t", ""], "empty"),
        (&["-t", "$share/g/a"], "shared subscription"),
        (&["-t", "1/2/3/4/5/6/7/8/9", "--count", "1"], "7"),
        (&["--clientId", &"x".repeat(200), "--count", "1"], "128"),
        (&["-p", "0"], "0"),
        (&["-p", "70000"], "70000"),
        (&["-m", "nonsense"], "nonsense"),
        (&["--count", "0"], "0"),
        (&["--no-such-flag"], "--no-such-flag"),
    ] {
        fails(args, 2, words);
    }
}

#[test]
fn what_cannot_work_is_told_in_one_sentence_with_exit_code_1() {
    let files = ["-r", "no/r.pem", "-c", "no/c.pem", "-k", "no/k.pem"];
    fails(&[&["-e", "localhost"][..], &files].concat(), 1, "does not exist");
    fails(&[&["-e", "https://localhost"][..], &files].concat(), 2, "scheme");
    fails(&[&["-e", "a b"][..], &files].concat(), 2, "character");
}

#[cfg(unix)]
#[test]
fn an_output_that_nobody_reads_is_no_panic() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;
    let mut child = Command::new(program())
        .args(["--count", "3"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::with_capacity(1, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("Started"), "{first}");
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    assert_eq!(said, "");
}
