//! Settings from files and texts: what they come to, and what is said of those that cannot be used.
#![cfg(feature = "config")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

use std::fs;

use aws_iot::{Error, Material, Message, QoS, Settings};
use iot_emulator::{CredentialFiles, Emulator};

fn refused(toml: &str) -> String {
    Settings::from_toml(toml).unwrap_err().to_string()
}

/// Of settings that are each right, but do not go together.
fn unusable(toml: &str) -> String {
    Settings::from_toml(toml).unwrap().builder().unwrap_err().to_string()
}

#[tokio::test]
async fn a_device_connects_by_what_a_file_says() {
    let emulator = Emulator::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let CredentialFiles { ca, certificate, key, .. } =
        emulator.credentials().write_to(directory.path()).unwrap();
    let name = |path: &std::path::Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let file = directory.path().join("aws-iot.toml");
    let toml = format!(
        "endpoint = {:?}\nport = {}\nroot_ca = {:?}\ncertificate = {:?}\nprivate_key = {:?}\nclient_id = 'by-file'\nmqtt = '3.1.1'\n",
        emulator.endpoint(),
        emulator.port(),
        name(&ca),
        name(&certificate),
        name(&key)
    );
    fs::write(&file, toml).unwrap();

    let client = Settings::from_file(&file).unwrap().builder().unwrap().connect().await.unwrap();
    let mut messages = client.subscribe("a", QoS::AtLeastOnce).await.unwrap();
    client.publish(Message::new("a", "x").unwrap()).await.unwrap().await.unwrap();
    assert_eq!(messages.next().await.unwrap().payload(), b"x");
    assert!(client.status().borrow().is_connected());
    client.disconnect().await.unwrap();
}

#[test]
fn json_says_the_same_as_toml() {
    let toml = "endpoint = 'e'\nkeep_alive = 60\nmetrics = false\n[offline_queue]\nmax_messages = 5\nwhen_full = 'drop-oldest'\n";
    let json = r#"{"endpoint": "e", "keep_alive": 60, "metrics": false,
                   "offline_queue": {"max_messages": 5, "when_full": "drop-oldest"}}"#;
    assert_eq!(Settings::from_toml(toml).unwrap(), Settings::from_json(json).unwrap());

    let directory = tempfile::tempdir().unwrap();
    let (as_toml, as_json) = (directory.path().join("s.toml"), directory.path().join("s.JSON"));
    fs::write(&as_toml, toml).unwrap();
    fs::write(&as_json, json).unwrap();
    let shown = |path| format!("{:?}", Settings::from_file(path).unwrap());
    assert_eq!(shown(&as_toml), shown(&as_json));
}

#[test]
fn later_settings_take_the_place_of_earlier_ones() {
    let file = Settings::from_toml("endpoint = 'a'\nkeep_alive = 60").unwrap();
    let over = Settings::from_toml("keep_alive = 90").unwrap();
    assert_eq!(format!("{:?}", file.overridden_by(over)), r#"Settings {"endpoint": "a", "keep_alive": 90s}"#);
}

#[test]
fn another_door_leaves_behind_what_belongs_to_the_first() {
    let file =
        Settings::from_toml("endpoint = 'e'\ncertificate = 'c'\nprivate_key = 'k'\nauthorizer.name = 'n'")
            .unwrap();
    let over = Settings::from_toml("door = 'custom-authorizer'").unwrap();
    let both = file.overridden_by(over);
    assert_eq!(
        format!("{both:?}"),
        r#"Settings {"authorizer.name": "n", "door": "custom-authorizer", "endpoint": "e"}"#
    );
    assert!(format!("{:?}", both.builder().unwrap()).contains("custom authorizer"));
}

#[test]
fn json_with_a_byte_order_mark_is_json() {
    assert_eq!(
        Settings::from_json("\u{feff}{\"mqtt\": \"5\"}").unwrap(),
        Settings::from_toml("mqtt = '5'").unwrap()
    );
}

#[cfg(not(feature = "platform-verifier"))]
#[test]
fn the_systems_roots_that_were_not_built_in_are_told() {
    let device = "endpoint = 'e'\ncertificate = 'c'\nprivate_key = 'k'\n";
    let error = unusable(&format!("{device}platform_roots = true"));
    assert!(error.contains("`platform_roots`: it needs the feature `platform-verifier`"), "{error}");
    Settings::from_toml(&format!("{device}platform_roots = false")).unwrap().builder().map(drop).unwrap();
}

#[test]
fn one_table_of_a_larger_file_is_enough() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("device.toml");
    fs::write(&file, "serial = 7\n[aws_iot]\nendpoint = 'e'\n[aws_iot.will]\ntopic = 't'\n").unwrap();
    let settings = Settings::from_table(&file, "aws_iot").unwrap();
    assert_eq!(format!("{settings:?}"), r#"Settings {"endpoint": "e", "will.topic": "t"}"#);
    let error = Settings::from_table(&file, "mqtt").unwrap_err();
    assert!(error.to_string().ends_with("device.toml: there is no table `mqtt`"), "{error}");
    let error = Settings::from_file(&file).unwrap_err();
    assert!(error.to_string().contains("device.toml: "), "{error}");
}

#[test]
fn a_setting_that_is_none_is_named_with_what_was_meant() {
    assert_eq!(
        refused("keepalive = 3"),
        "the settings: `keepalive`: there is no such setting; is `keep_alive` meant?"
    );
    assert_eq!(refused("[a.b.c]\nd = 1"), "the settings: `a.b.c.d`: there is no such setting");
}

#[test]
fn a_setting_out_of_its_range_is_told_what_would_do() {
    for (toml, words) in [
        ("port = 0", "a whole number from 1 to 65535 is expected, found 0"),
        ("port = 65536", "a whole number from 1 to 65535 is expected, found 65536"),
        ("port = '8883'", "a whole number from 1 to 65535 is expected, found the text \"8883\""),
        ("keep_alive = -1", "a number of seconds from 0 to 65535 is expected, found -1"),
        ("keep_alive = nan", "a number of seconds from 0 to 65535 is expected, found NaN"),
        ("keep_alive = 1e300", "a number of seconds from 0 to 65535 is expected, found 1000000000"),
        ("connect_timeout = 0", "a number of seconds from 0.001 to 86400 is expected, found 0"),
        ("connect_interval = 1e19", "a number of seconds from 0 to 86400 is expected"),
        (
            "keep_alive = {}",
            "`keep_alive`: a number of seconds from 0 to 65535 is expected, found an empty table",
        ),
        ("proxy = {}", "`proxy`: there is no such setting; is `proxy.host` meant?"),
        (
            "\"offline_queue.max_messages\" = 3\noffline_queue.max_messages = 9",
            "`offline_queue.max_messages`: it is given twice",
        ),
        ("endpoint = 'https://h'", "a URL's scheme does not belong in it"),
        ("metrics = 'no'", "true or false is expected, found the text \"no\""),
        ("mqtt = '4'", "one of \"3.1.1\", \"5\" is expected, found the text \"4\""),
        ("mqtt = 5", "one of \"3.1.1\", \"5\" is expected, found 5"),
        ("will.qos = 2", "a whole number from 0 to 1 is expected, found 2"),
        ("client_id = ['a']", "a text is expected, found a list"),
        ("client_id = 2026-01-01", "a text is expected, found a date"),
        ("certificate = ''", "the path of a file is expected, found the text \"\""),
        (
            "offline_queue.drain_rate = -0.5",
            "a number of messages per second, 0 or more is expected, found -0.5",
        ),
    ] {
        let error = refused(toml);
        assert!(error.contains(words), "{toml}: {error}");
    }
}

#[test]
fn settings_that_do_not_go_together_are_told_which() {
    let device = "endpoint = 'e'\ncertificate = 'c'\nprivate_key = 'k'\n";
    for (toml, words) in [
        ("client_id = 'x'".to_owned(), "`endpoint`: give the name"),
        ("endpoint = 'e'".to_owned(), "`certificate`: give the device's certificate"),
        ("endpoint = 'e'\ncertificate = 'c'".to_owned(), "`private_key`: give its path"),
        (
            format!("{device}door = 'custom-authorizer'"),
            "`certificate`: it has no use with the door \"custom-authorizer\"",
        ),
        (format!("{device}will.payload = 'x'"), "`will.payload`: it has no use without `will.topic`"),
        (format!("{device}backoff.base = 40"), "`backoff.base`: it is above `backoff.max`, which is 32 s"),
        (
            format!("{device}root_ca = 'c'\nplatform_roots = true"),
            "`root_ca`: it has no use beside `platform_roots`",
        ),
        (format!("{device}will.topic = 'a/#'"), "`will.topic`: "),
        (
            format!("{device}backoff = {{ base = 5, max = 2 }}"),
            "`backoff.max`: it is below `backoff.base`, which is 5 s",
        ),
        ("endpoint = 'e'\nauthorizer.token = 't'".to_owned(), "`authorizer.token_key`: "),
    ] {
        let error = unusable(&toml);
        assert!(error.contains(words), "{toml}: {error}");
    }
}

#[cfg(not(feature = "websocket"))]
#[test]
fn a_door_that_was_not_built_in_is_told_by_its_feature() {
    let error = unusable("endpoint = 'e'\ndoor = 'websocket'");
    assert!(error.contains("`door`: it needs the feature `websocket`"), "{error}");
}

#[cfg(all(feature = "websocket", feature = "proxy", feature = "outbox"))]
#[test]
fn features_that_are_built_in_can_be_set() {
    let socket = "endpoint = 'e'\ndoor = 'websocket'\nregion = 'eu-west-1'\n[proxy]\nhost = 'p'\nport = 3128\n[outbox]\npath = 'o'\n";
    let builder = Settings::from_toml(socket).unwrap().builder().unwrap();
    assert!(format!("{builder:?}").contains("WebSocket with SigV4"), "{builder:?}");
    assert!(
        unusable("endpoint = 'e'\ndoor = 'websocket'\nproxy.port = 1")
            .contains("`proxy.port`: it has no use without")
    );
    assert!(
        unusable("endpoint = 'e'\ndoor = 'websocket'\noutbox.max_bytes = 1")
            .contains("`outbox.max_bytes`: it has no use without")
    );
    assert!(
        unusable("endpoint = 'e'\ndoor = 'websocket'\nproxy = { host = 'p', port = 1, user = 'u' }")
            .contains("`proxy.password`")
    );
}

#[test]
fn settings_go_onto_a_builder_that_knows_who_the_device_is() {
    let identity = || aws_iot::mutual_tls("e", Material::bytes("c"), Material::bytes("k"));
    let settings = Settings::from_toml("client_id = 'x'").unwrap();
    assert!(format!("{:?}", settings.apply(identity()).unwrap()).contains("\"x\""));
    let error = Settings::from_toml("endpoint = 'e'").unwrap().apply(identity()).unwrap_err();
    assert_eq!(error.key(), Some("endpoint"));
}

#[test]
fn no_secret_is_shown() {
    let toml = "password = 'hunter2'\n[authorizer]\ntoken = 'hunter2'\nsignature = 'hunter2'\n[proxy]\npassword = 'hunter2'\n";
    let shown = format!("{:?}", Settings::from_toml(toml).unwrap());
    assert!(shown.contains("(secret)") && !shown.contains("hunter2"), "{shown}");
    for broken in [
        "password = 'hunter2",
        "password = hunter2",
        "password = ['hunter2']",
        "password = { hunter2 = 1 }",
        "password = 'hunter2'\npassword = 'hunter2'",
    ] {
        let error = refused(broken);
        assert!(!error.contains("hunter2") || error.contains("no such setting"), "{broken}: {error}");
        let error = format!("{:?}", Settings::from_toml(broken).unwrap_err());
        assert!(!error.contains("hunter2") || error.contains("no such setting"), "{broken}: {error}");
    }
    for url in ["endpoint = 'https://u:hunter2@h'", "[proxy]\nhost = 'http://u:hunter2@p'"] {
        let error = refused(url);
        assert!(!error.contains("hunter2") && error.contains("URL"), "{error}");
    }
    let key = refused("private_key = '''-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----'''");
    assert!(!key.contains("hunter2") && key.contains("found what should be in that file"), "{key}");
    let builder = aws_iot::mutual_tls("https://u:hunter2@h", Material::bytes("c"), Material::bytes("k"));
    assert!(!format!("{builder:?}").contains("hunter2"), "{builder:?}");
    let error = Settings::from_json(r#"{"password": "hunter2}"#).unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_file_that_cannot_be_settings_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let error = |name: &str| Error::from(Settings::from_file(path(name)).unwrap_err()).to_string();
    assert!(error("none.toml").contains("none.toml: the settings cannot be read"), "{}", error("none.toml"));
    fs::create_dir(path("directory")).unwrap();
    assert!(error("directory").contains("it is not a regular file"), "{}", error("directory"));
    fs::write(path("large.toml"), "#".repeat(1024 * 1024 + 1)).unwrap();
    assert!(error("large.toml").contains("larger than 1 MiB"), "{}", error("large.toml"));
    fs::write(path("binary.toml"), [0xff; 8]).unwrap();
    assert!(error("binary.toml").contains("the settings cannot be read"), "{}", error("binary.toml"));
    fs::write(path("third.toml"), "endpoint = 'e'\n\nport = = 3\n").unwrap();
    assert!(error("third.toml").contains("line 3 is no TOML"), "{}", error("third.toml"));
    fs::write(path("list.json"), "[]").unwrap();
    assert!(error("list.json").contains("it is no JSON object"), "{}", error("list.json"));
    fs::write(path("deep.json"), "{\"a\":".repeat(10_000)).unwrap();
    assert!(error("deep.json").contains("it is no JSON"), "{}", error("deep.json"));
    fs::write(path("deep.toml"), format!("a = {}", "[".repeat(100_000))).unwrap();
    assert!(error("deep.toml").contains("is no TOML"), "{}", error("deep.toml"));
}
