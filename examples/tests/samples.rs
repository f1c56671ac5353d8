//! The smaller samples as their users run them: what they print and how they end.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

use std::process::{Command, Output};

fn run(name: &str, args: &[&str]) -> Output {
    let tests = std::env::current_exe().unwrap();
    let program = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    Command::new(tests.ancestors().nth(2).unwrap().join("examples").join(program))
        .args(args)
        .output()
        .unwrap()
}

/// What it printed, if it ended well.
fn said(name: &str, args: &[&str]) -> String {
    let output = run(name, args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_handler_calls_the_client() {
    for version in ["3.1.1", "5"] {
        let said = said("api_call_in_callback", &["--count", "2", "-t", "a", "--mqtt", version]);
        let received: Vec<&str> = said.lines().filter(|line| line.starts_with("Received ")).collect();
        assert_eq!(
            received,
            ["Received on a/republish: New Message 1", "Received on a/republish: New Message 2"]
        );
        assert!(said.ends_with("Disconnected.\n"), "{said}");
    }
}

#[test]
fn handlers_hear_of_messages_and_acknowledgements() {
    let said = said("basic_pub_sub_async", &["--count", "2", "-w"]);
    for line in [
        "Received on sdk/test/Rust: New Message 1",
        "Message 1 is acknowledged.",
        "Message 2 is acknowledged.",
    ] {
        assert!(said.lines().any(|found| found == line), "{said}");
    }
}

#[test]
fn messages_go_through_a_proxy() {
    for door in [&["--count", "1"][..], &["--count", "1", "-w"]] {
        let said = said("basic_pub_sub_proxy", door);
        assert!(said.contains("Started a proxy on 127.0.0.1:"), "{said}");
        assert!(said.contains("The proxy opened a tunnel to localhost:"), "{said}");
        assert!(said.contains("Received on sdk/test/Rust: New Message 1\n"), "{said}");
    }
}

#[test]
fn a_proxy_that_is_not_there_is_told() {
    let output = run("basic_pub_sub_proxy", &["--proxy", "127.0.0.1:1", "--count", "1"]);
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert!(sentence.starts_with("error: ") && sentence.contains("127.0.0.1"), "{sentence}");
    assert_eq!(output.status.code(), Some(1));
    let output = run("basic_pub_sub_proxy", &["-e", "e", "-c", "c", "-k", "k"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn of_seven_messages_a_queue_of_five_keeps_the_first_or_the_last() {
    let told = |args: &[&str], words: &str| -> Vec<char> {
        let said = said("offline_queue", args);
        said.lines().filter(|line| line.contains(words)).filter_map(|line| line.chars().next()).collect()
    };
    assert_eq!(told(&["--rate", "100"], "was acknowledged"), ['1', '2', '3', '4', '5']);
    assert_eq!(told(&["--rate", "100"], "was dropped"), ['6', '7']);
    assert_eq!(told(&["--rate", "100", "--drop", "oldest"], "was acknowledged"), ['3', '4', '5', '6', '7']);
    assert_eq!(told(&["--rate", "100", "--drop", "oldest"], "was dropped"), ['1', '2']);
}

#[test]
fn the_codec_alone_reads_what_it_writes() {
    let said = said("codec_only", &[]);
    assert!(
        said.contains("owned: sensor/1 \"21.5\"") && said.contains("refused: QoS 3 does not exist"),
        "{said}"
    );
}

#[test]
fn the_doctor_finds_its_emulator_healthy_by_both_ways_in() {
    for args in [&["-n", "lamp", "--mqtt", "3.1.1"][..], &["-w"]] {
        let said = said("doctor", args);
        assert!(said.contains("\nok      receive ") && said.contains("\nHealthy: "), "{said}");
    }
}

#[test]
fn the_doctor_ends_with_1_where_something_failed_and_says_what_to_do() {
    let output = run("doctor", &["-e", "localhost:1", "-c", "no.crt", "-k", "no.key"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("FAILED  settings and files  ") && said.contains("what to do:"), "{said}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "error: Not healthy: it fails at \"settings and files\".\n");
}

#[test]
fn wrong_arguments_are_told_in_one_sentence() {
    for (name, args, words) in [
        ("api_call_in_callback", &["-t", "1/2/3/4/5/6/7/8", "--count", "1"][..], "slashes"),
        ("basic_pub_sub_async", &["-t", "a/#", "--count", "1"], "wildcards"),
        ("basic_pub_sub_async", &["-t", "", "--count", "1"], "empty"),
        ("doctor", &["-e", "localhost"], "-e needs"),
        ("offline_queue", &["--rate", "0"], "0"),
        ("offline_queue", &["--drop", "some"], "some"),
    ] {
        let output = run(name, args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{name} {args:?}: {said}");
        assert!(said.contains(words) && !said.contains("panicked"), "{name} {args:?}: {said}");
    }
}
