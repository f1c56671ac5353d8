//! `no-clock-in-stages`.

use crate::fixture::Fixture;

const STAGE: &str = "crates/iot-session/src/stage/mod.rs";

/// `code` in a stage, after its one line of documentation.
fn stage(code: &str) -> Fixture {
    let mut fixture = Fixture::clean();
    fixture.append(STAGE, &format!("{code}\n"));
    fixture
}

#[test]
fn a_stage_uses_no_runtime_clock_thread_socket_file_or_randomness() {
    for code in [
        "use std::time::Instant;",
        "use std::time::{Duration, Instant};",
        "use std::{fmt, time::{self as t}};",
        "use std::time as t;",
        "use std::time::*;",
        "use ::std::time::SystemTime;",
        "use {std::time::SystemTime};",
        "use std as s;",
        "use std::{self as s};",
        "use std::*;",
        "extern crate std as s;",
        "extern crate tokio;",
        "use tokio;",
        "use r#tokio::spawn;",
        "use tokio_util::sync::CancellationToken;",
        "use rand::Rng;",
        "use std::thread;",
        "use std::net::TcpStream;",
        "use std::fs::{self};",
        "fn f() -> std::time::SystemTime { panic!() }",
        "fn f() { Instant::now(); }",
        "fn f() { vec![std::thread::current()]; }",
        "macro_rules! now { () => { tokio::time::Instant::now() } }",
        "fn f(s: Vec<std::fs::File>) {}",
        "#[cfg(not(test))] use std::thread;",
        "#[cfg(any(test, windows))] use std::thread;",
        "fn f() { 0..std::fs::read(); }",
        "struct S { #[cfg(test)] test: u8, start: std::time::Instant }",
    ] {
        println!("{code}");
        stage(code).assert_one("no-clock-in-stages", STAGE, 2);
    }
}

#[test]
fn what_only_looks_like_it_is_fine() {
    for code in [
        "use std::time::Duration;",
        "use std::{fmt, time::Duration};",
        "// use std::time::Instant;",
        "/// Unlike std::time::Instant::now, and tokio::time.\nfn f() {}",
        "fn f() -> &'static str { \"std::time::Instant\" }",
        "mod rand;\nfn f(rand: u8, tokio: u8) -> u8 { rand + tokio }",
        "fn f() { self.tokio::<u8>(); self.rand.next(); }",
        "use crate::rand::Seeded;",
        "use std::sync::Arc;",
        "#[cfg(test)] use std::thread;",
        "#[cfg(all(test, unix))] mod tests { use std::thread; }",
        "struct S { #[cfg(test)] start: std::time::Instant, other: u8 }",
    ] {
        println!("{code}");
        stage(code).assert_clean();
    }
}

#[test]
fn the_rule_covers_everything_deterministic() {
    for path in [
        "crates/mqtt-codec/src/deep/er.rs",
        "crates/iot-session/src/proto/engine.rs",
        "crates/iot-session/src/layers.rs",
        "crates/iot-session/src/machine.rs",
        "crates/iot-emulator/src/broker/session.rs",
    ] {
        let mut fixture = Fixture::clean();
        fixture.write(path, "//! Deterministic.\n\nuse std::time::Instant;\n");
        fixture.assert_one("no-clock-in-stages", path, 3);
    }
}

#[test]
fn a_module_declared_for_tests_is_free_in_all_its_files() {
    let mut fixture = stage("#[cfg(test)]\npub(crate) mod tests;");
    fixture.write("crates/iot-session/src/stage/tests.rs", "use std::thread;\nmod more;\n");
    fixture.write("crates/iot-session/src/stage/tests/more.rs", "use std::thread;\n");
    fixture.assert_clean();
}
