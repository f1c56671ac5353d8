//! The program: what it prints, what it writes, how it ends.

#![cfg(feature = "cli")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iot-emulator"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A program that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_says_how_to_reach_it_and_ends_at_ctrl_c() {
    let directory = tempfile::tempdir().unwrap();
    let certs = directory.path().join("new");
    let arguments =
        ["--port", "0", "--https-port", "0", "--plain-port", "0", "--certs", certs.to_str().unwrap()];
    let mut running = Running(program(&arguments).spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map_while(Result::ok);

    let greeting: Vec<String> = lines.by_ref().take_while(|line| !line.starts_with("Ctrl-C")).collect();
    let value = |name: &str| {
        let line = greeting.iter().find(|line| line.starts_with(name)).unwrap();
        line.strip_prefix(name).unwrap().trim().to_owned()
    };
    assert_eq!(value("endpoint"), "localhost");
    let port: u16 = value("port").split(' ').next().unwrap().parse().unwrap();
    let plain: u16 = value("plain port").split(' ').next().unwrap().parse().unwrap();
    for name in ["CA", "certificate", "key"] {
        assert!(Path::new(&value(name)).is_file(), "{name}");
    }
    for command in ["mosquitto_sub", "mosquitto_pub", "cargo run --release --example basic_pub_sub"] {
        let line = greeting.iter().find(|line| line.trim().starts_with(command)).unwrap();
        assert!(line.contains(&format!("-p {port}")), "{line}");
    }
    let https: u16 = value("https port").split(' ').next().unwrap().parse().unwrap();
    let websocket = greeting.iter().find(|line| line.contains("AWS_SECRET_ACCESS_KEY=")).unwrap();
    assert!(websocket.contains(&format!("basic_pub_sub -- -w -e localhost -p {https} -r ")), "{websocket}");
    let page = value("status page");
    let page: u16 = page.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
    for port in [port, https, plain, page] {
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    }

    #[cfg(unix)]
    {
        let id = running.0.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        assert_eq!(running.0.wait().unwrap().code(), Some(0));
    }
}

#[test]
#[cfg(unix)]
fn its_usual_files_are_found_while_it_runs_and_gone_after_it() {
    let mut running = Running(program(&["--port", "0"]).spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.by_ref().find(|line| line.starts_with("port")).unwrap();
    let port: u16 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    lines.by_ref().find(|line| line.starts_with("Ctrl-C")).unwrap();
    let files = iot_emulator::CredentialFiles::of_running(port).unwrap();
    assert!(files.ca.is_file() && files.key.is_file());

    let id = running.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
    assert_eq!(iot_emulator::CredentialFiles::of_running(port), None);
    assert!(!files.ca.parent().unwrap().exists());
}

#[test]
fn a_port_that_is_taken_is_one_sentence_and_exit_code_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = program(&["--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains("another program uses the port"), "{error}");
}
