//! The sample as its user runs it: what it prints and how it ends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

use std::path::PathBuf;
use std::process::{Command, Output};

use iot_emulator::Emulator;

/// A sample's program, which cargo builds beside this test.
fn program() -> PathBuf {
    sample("basic_pub_sub")
}

fn sample(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.ancestors().nth(2).unwrap().join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
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
fn over_websocket_it_signs_with_the_keys_of_its_emulator() {
    let output = run(&["-w", "--count", "2"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("Received ")).count(), 2, "{said}");
}

/// An emulator of its own, on a thread of its own, until the end of the test.
struct Core {
    emulator: Option<Emulator>,
    runtime: tokio::runtime::Runtime,
    files: tempfile::TempDir,
}

impl Core {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let emulator = runtime.block_on(Emulator::builder().https(true).start()).unwrap();
        let files = tempfile::tempdir().unwrap();
        emulator.credentials().write_to(files.path()).unwrap();
        Self { emulator: Some(emulator), runtime, files }
    }

    fn emulator(&self) -> &Emulator {
        self.emulator.as_ref().unwrap()
    }

    fn ca(&self) -> String {
        self.files.path().join("ca.pem").display().to_string()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Some(emulator) = self.emulator.take() {
            self.runtime.block_on(emulator.shutdown());
        }
    }
}

#[test]
fn keys_come_from_the_environment_and_the_shared_file() {
    let core = Core::start();
    let aws = core.emulator().aws_credentials();
    let port = core.emulator().https_port().unwrap().to_string();
    let file = core.files.path().join("credentials");
    let text = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        aws.access_key_id, aws.secret_access_key
    );
    std::fs::write(&file, text).unwrap();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(program());
        command
            .args(["-w", "-e", "localhost", "-p", &port, "-r", &core.ca(), "--count", "1"])
            .args(arguments);
        for name in
            ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION"]
        {
            command.env_remove(name);
        }
        command
            .env_remove("AWS_DEFAULT_REGION")
            .env("AWS_SHARED_CREDENTIALS_FILE", core.files.path().join("none"));
        command
    };
    let keys = [("AWS_ACCESS_KEY_ID", &aws.access_key_id), ("AWS_SECRET_ACCESS_KEY", &aws.secret_access_key)];
    let output = command(&[]).envs(keys).env("AWS_REGION", "us-east-1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output =
        command(&["--region", "us-east-1"]).env("AWS_SHARED_CREDENTIALS_FILE", &file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    // What is missing, and what is wrong, is told.
    let said = |code, command: &mut Command| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        String::from_utf8(output.stderr).unwrap()
    };
    let without_keys = said(1, &mut command(&["--region", "us-east-1"]));
    assert!(without_keys.contains("AWS_ACCESS_KEY_ID") && without_keys.contains("none"), "{without_keys}");
    let without_region = said(2, command(&[]).envs(keys));
    assert!(without_region.contains("(--region)"), "{without_region}");
    let wrong = said(1, command(&["--region", "eu-west-1"]).envs(keys));
    assert!(wrong.contains("HTTP 403") && wrong.contains("eu-west-1"), "{wrong}");
    for text in [without_keys, without_region, wrong] {
        assert!(!text.contains(&aws.secret_access_key), "{text}");
    }
}

#[test]
fn the_cognito_sample_works_on_its_own_and_against_a_running_emulator() {
    let own = Command::new(sample("basic_pub_sub_cognito")).args(["--count", "2"]).output().unwrap();
    let said = String::from_utf8(own.stdout).unwrap();
    assert!(own.status.success() && said.contains("Received on sdk/test/Rust: New Message 2"), "{said}");

    let core = Core::start();
    let emulator = core.emulator();
    let port = emulator.https_port().unwrap();
    let (endpoint, cognito) = (format!("localhost:{port}"), format!("localhost:{port}"));
    let run = |pool: &str| {
        let mut command = Command::new(sample("basic_pub_sub_cognito"));
        command.args(["-e", &endpoint, "-C", pool, "-r", &core.ca(), "--cognito", &cognito, "--count", "1"]);
        command.output().unwrap()
    };
    let output = run(emulator.identity_pool());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = run("us-east-1:11111111-1111-1111-1111-111111111111");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Cognito") && said.contains("pool"), "{said}");
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
        (&["-w", "-e", "localhost", "-c", "c.pem", "-k", "k.pem"], "-w goes without -c and -k"),
        (&["-e", "localhost", "-c", "c.pem", "-k", "k.pem", "--region", "eu-west-1"], "--region needs -w"),
        (&["-w", "--region", "eu-west-1"], "need -e"),
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

#[test]
fn settings_come_from_a_file_and_the_environment_goes_before_it() {
    let core = Core::start();
    let file = core.files.path().join("device.toml");
    let text = format!(
        "endpoint = 'localhost'\nport = {}\nroot_ca = 'ca.pem'\ncertificate = 'device.pem'\nprivate_key = 'device.key'\n\
         client_id = 'is replaced'\n[will]\ntopic = 'a/#'\n",
        core.emulator().port()
    );
    std::fs::write(&file, text).unwrap();
    let command = |variables: &[(&str, &str)]| {
        let mut command = Command::new(program());
        command.arg("--config").arg(&file).args(["--count", "1"]).envs(variables.iter().copied());
        command.output().unwrap()
    };
    let refused = command(&[]);
    let sentence = String::from_utf8(refused.stderr).unwrap();
    assert!(sentence.contains("device.toml: `will.topic`: "), "{sentence}");
    assert_eq!(refused.status.code(), Some(2));
    let works =
        command(&[("AWS_IOT_WILL_TOPIC", "a/b"), ("AWS_IOT_KEEP_ALIVE", "60"), ("AWS_IOT_OTHER", "x")]);
    assert!(works.status.success(), "{}", String::from_utf8_lossy(&works.stderr));
    let refused = command(&[("AWS_IOT_WILL_TOPIC", "a/b"), ("AWS_IOT_KEEP_ALIVE", "long")]);
    let sentence = String::from_utf8(refused.stderr).unwrap();
    assert!(
        sentence.contains("the environment variable AWS_IOT_KEEP_ALIVE: `keep_alive`: a number of"),
        "{sentence}"
    );
}
