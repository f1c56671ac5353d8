//! `dependencies` and `lints`, as far as they are about manifests.

use crate::fixture::Fixture;

const CODEC: &str = "crates/mqtt-codec/Cargo.toml";
const SESSION: &str = "crates/iot-session/Cargo.toml";

/// The dependency is put in place of the blank line that ends the table.
fn with_dependency(path: &str, entry: &str) -> (Fixture, usize) {
    let mut fixture = Fixture::clean();
    let line = fixture.replace(path, "\n\n[lints]", &format!("\n{entry}\n\n[lints]"));
    (fixture, line + 1)
}

#[test]
fn the_codec_must_not_depend_on_the_session() {
    let (fixture, line) =
        with_dependency(CODEC, "iot-session = { path = \"../iot-session\", optional = true }");
    fixture.assert_one("dependencies", CODEC, line);
}

#[test]
fn a_dependency_is_known_by_its_package_whatever_it_is_renamed_to() {
    let (fixture, line) =
        with_dependency(CODEC, "harmless = { package = \"aws-iot\", version = \"1\", optional = true }");
    fixture.assert_one("dependencies", CODEC, line);
}

#[test]
fn an_inherited_rename_is_followed() {
    let mut fixture = Fixture::clean();
    let transport = "[package]\nname = \"iot-transport\"\n\n[dependencies]\ncodec.workspace = true\n\n[lints]\nworkspace = true\n";
    fixture.write("crates/iot-transport/Cargo.toml", transport);
    fixture.assert_one("dependencies", "crates/iot-transport/Cargo.toml", 5);
}

#[test]
fn a_dependency_of_one_target_counts() {
    let mut fixture = Fixture::clean();
    let line = fixture.append(CODEC, "\n[target.'cfg(unix)'.dependencies]\niot-session = \"0.1\"\n");
    fixture.assert_one("dependencies", CODEC, line + 2);
}

#[test]
fn a_build_dependency_counts() {
    let mut fixture = Fixture::clean();
    let line = fixture.append(CODEC, "\n[build-dependencies]\niot-session = \"0.1\"\n");
    fixture.assert_one("dependencies", CODEC, line + 2);
}

#[test]
fn the_codec_stands_on_bytes_alone() {
    let (fixture, line) = with_dependency(CODEC, "memchr = \"2\"");
    fixture.assert_one("dependencies", CODEC, line);
    with_dependency(CODEC, "memchr = { version = \"2\", optional = true }").0.assert_clean();
}

#[test]
fn the_session_takes_tokio_only_through_a_feature() {
    let mut fixture = Fixture::clean();
    let line = fixture.replace(SESSION, "tokio = { version = \"1\", optional = true }", "tokio = \"1\"");
    fixture.assert_one("dependencies", SESSION, line);
    let (fixture, line) = with_dependency(SESSION, "tokio-stream = \"1\"");
    fixture.assert_one("dependencies", SESSION, line);
}

#[test]
fn the_session_takes_the_transport_only_through_its_feature_tokio() {
    let mut fixture = Fixture::clean();
    let line = fixture.replace(SESSION, "\"../iot-transport\", optional = true", "\"../iot-transport\"");
    fixture.assert_one("dependencies", SESSION, line);

    let mut fixture = Fixture::clean();
    let line =
        fixture.replace(SESSION, "\n\n[dependencies]", "\nmore = [\"iot-transport/tls\"]\n\n[dependencies]");
    fixture.assert_one("dependencies", SESSION, line + 1);
}

#[test]
fn a_dev_dependency_must_not_close_a_cycle() {
    let mut fixture = Fixture::clean();
    let line = fixture.append(CODEC, "\n[dev-dependencies]\niot-session.workspace = true\n");
    fixture.assert_one("dependencies", CODEC, line + 2);

    let mut fixture = Fixture::clean();
    fixture.append(SESSION, "\n[dev-dependencies]\ntokio = \"1\"\ncodec.workspace = true\n");
    fixture.assert_clean();
}

#[test]
fn a_crate_that_nobody_has_thought_about_is_reported() {
    let mut fixture = Fixture::clean();
    fixture.write("crates/extra/Cargo.toml", "[package]\nname = \"extra\"\n\n[lints]\nworkspace = true\n");
    fixture.assert_one("dependencies", "crates/extra/Cargo.toml", 2);
}

#[test]
fn what_is_no_crate_for_users_is_not_published() {
    let mut fixture = Fixture::clean();
    fixture.replace("examples/Cargo.toml", "publish = false\n", "");
    fixture.assert_one("dependencies", "examples/Cargo.toml", 1);
}

#[test]
fn every_member_takes_the_lints_of_the_workspace() {
    let mut fixture = Fixture::clean();
    let line =
        fixture.replace(SESSION, "[lints]\nworkspace = true", "[lints]\nrust.unsafe_code = \"forbid\"");
    fixture.assert_one("lints", SESSION, line);
}

#[test]
fn unsafe_code_is_forbidden_at_the_root() {
    let mut fixture = Fixture::clean();
    let line = fixture.replace("Cargo.toml", "unsafe_code = \"forbid\"", "unsafe_code = \"deny\"");
    fixture.assert_one("lints", "Cargo.toml", line);
}

#[test]
fn a_relaxed_lint_gives_its_reason() {
    let mut fixture = Fixture::clean();
    let line = fixture.replace("Cargo.toml", "# Relaxed: there is a reason.\n", "");
    fixture.assert_one("lints", "Cargo.toml", line);
}
