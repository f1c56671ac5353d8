//! `file-length`, `documented`, `no-ignored-tests`, and `lints` as far as it is about attributes.

use crate::fixture::Fixture;

const PACKET: &str = "crates/mqtt-codec/src/packet.rs";
const WAITS: &str = "crates/iot-session/tests/waits.rs";

/// `code` at the end of a file, and the number of its first line.
fn appended(path: &str, code: &str) -> (Fixture, usize) {
    let mut fixture = Fixture::clean();
    let line = fixture.append(path, &format!("{code}\n"));
    (fixture, line)
}

fn lines(count: usize) -> String {
    format!("//! Long.\n{}", "// more\n".repeat(count - 1))
}

#[test]
fn a_file_holds_at_most_500_lines() {
    let mut fixture = Fixture::clean();
    fixture.write("examples/src/lib.rs", &lines(500));
    fixture.assert_clean();
    fixture.write("examples/src/lib.rs", &lines(501));
    fixture.assert_one("file-length", "examples/src/lib.rs", 501);
}

#[test]
fn a_file_over_400_lines_is_worth_a_thought() {
    let mut fixture = Fixture::clean();
    fixture.write("examples/src/lib.rs", &lines(400));
    assert_eq!(fixture.check().notes, []);
    fixture.write("examples/src/lib.rs", &lines(401));
    let notes = fixture.check().notes;
    assert_eq!(notes.iter().map(|note| (note.rule, note.line)).collect::<Vec<_>>(), [("file-length", 401)]);
}

#[test]
fn a_file_of_tests_holds_at_most_800_lines() {
    let mut fixture = Fixture::clean();
    fixture.write("crates/iot-session/tests/long.rs", &lines(800));
    fixture.assert_clean();
    fixture.write("crates/iot-session/tests/long.rs", &lines(801));
    fixture.assert_one("file-length", "crates/iot-session/tests/long.rs", 801);
}

#[test]
fn every_public_item_has_a_doc_comment() {
    for code in [
        "pub fn f() {}",
        "pub async unsafe fn f() {}",
        "pub struct S;",
        "pub enum E {}",
        "pub trait T {}",
        "pub const C: u8 = 0;",
        "pub static S: u8 = 0;",
        "pub type T = u8;",
        "pub mod m {}",
        "pub mod elsewhere;",
        "#[macro_export] macro_rules! m { () => {} }",
        "/** */ pub struct S;",
        "mod private { pub struct Reexported; }",
        "/// S.\npub struct S { pub a: u8 }",
        "/// E.\npub enum E { A }",
        "/// E.\npub enum E { /** A. */ A { a: u8 } }",
        "/// T.\npub trait T { fn f(); }",
        "/// T.\npub trait T { type A; }",
        "impl Packet {\n    pub fn f() {} }",
        "impl Packet {\n    pub const C: u8 = 0; }",
    ] {
        println!("{code}");
        let (fixture, line) = appended(PACKET, code);
        fixture.assert_one("documented", PACKET, line + code.matches('\n').count());
    }
}

#[test]
fn what_is_not_public_or_speaks_for_itself_needs_no_doc_comment() {
    for code in [
        "pub(crate) fn f() {}",
        "fn f() { pub struct Local; }",
        "pub use std::vec::Vec;",
        "/// S.\npub struct S(pub u8);",
        "/// S.\npub struct S { a: u8, pub(crate) b: u8 }",
        "enum E { A { a: u8 } }",
        "trait T { fn f(); }",
        "macro_rules! m { () => {} }",
        "pub mod m { //! Documented inside.\n}",
        "#[doc = include_str!(\"x.md\")] pub struct S;",
        "#[doc(hidden)] pub struct S { pub a: u8 }",
        "#[cfg(test)] pub mod m { pub struct S; }",
    ] {
        println!("{code}");
        appended(PACKET, code).0.assert_clean();
    }
}

#[test]
fn only_crates_for_users_are_documented() {
    appended("examples/src/lib.rs", "pub fn f() {}").0.assert_clean();
}

#[test]
fn no_test_is_ignored_or_unfinished() {
    for code in [
        "#[ignore] fn f() {}",
        "#[ignore = \"flaky\"] fn f() {}",
        "#[cfg_attr(windows, ignore)] fn f() {}",
        "fn f() { todo!() }",
        "fn f() { unimplemented!(\"later\") }",
    ] {
        println!("{code}");
        for path in [WAITS, PACKET] {
            let (fixture, line) = appended(path, code);
            fixture.assert_one("no-ignored-tests", path, line);
        }
    }
}

#[test]
fn no_test_sleeps_without_saying_why() {
    for code in [
        "fn f() { std::thread::sleep(SECOND); }",
        "fn f() { thread::sleep(SECOND); }",
        "async fn f() { tokio::time::sleep(SECOND).await; }",
        "async fn f() { time::sleep_until(LATER).await; }",
        "async fn f() { sleep(SECOND).await; }",
        "async fn f() { sleep(SECOND).await; } // tidy: real time because ",
    ] {
        println!("{code}");
        let (fixture, line) = appended(WAITS, code);
        fixture.assert_one("no-ignored-tests", WAITS, line);
    }
    appended(WAITS, "fn f() { bed.sleep(); } // sleep(1)").0.assert_clean();
    appended("crates/iot-session/src/driver.rs", "fn f() { tokio::time::sleep(SECOND); }").0.assert_clean();
}

#[test]
fn every_exception_to_a_lint_gives_its_reason() {
    for code in [
        "#[allow(dead_code)] fn f() {}",
        "#[expect(clippy::panic)] fn f() {}",
        "mod m { #![allow(dead_code)] }",
        "#[cfg_attr(test, allow(dead_code))] fn f() {}",
        "fn f() { #[allow(unused)] let a = 1; }",
    ] {
        println!("{code}");
        let (fixture, line) = appended(PACKET, code);
        fixture.assert_one("lints", PACKET, line);
    }
    appended(PACKET, "#[expect(clippy::panic, reason = \"so\")] fn f() { x.expect(1); allow(2); }")
        .0
        .assert_clean();
}
