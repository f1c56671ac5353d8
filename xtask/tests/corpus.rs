//! The seed corpora of the fuzz targets, replayed, and what they reach.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use mqtt_codec::fuzzing::{codec, read};
use mqtt_codec::{DecodeError, Version};

/// The seeds of a target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    std::fs::read_dir(&corpus).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

/// Feeds each seed of a target to its body; how many there were.
fn replay(target: &str, body: impl Fn(&[u8])) -> usize {
    let seeds = seeds(target);
    seeds.iter().for_each(|seed| body(seed));
    seeds.len()
}

#[test]
fn the_seeds_of_decode_hold() {
    assert!(replay("decode", mqtt_codec::fuzzing::decode) >= 100);
}

#[test]
fn the_seeds_of_chunking_hold() {
    assert!(replay("chunking", mqtt_codec::fuzzing::chunking) >= 64);
}

#[test]
fn the_seeds_of_roundtrip_hold() {
    assert!(replay("roundtrip", mqtt_codec::fuzzing::roundtrip) >= 29);
}

#[test]
fn the_seeds_of_properties_hold() {
    assert!(replay("properties", mqtt_codec::fuzzing::properties) >= 64);
}

#[test]
fn the_seeds_of_topic_match_hold() {
    assert!(replay("topic_match", mqtt_codec::fuzzing::topic_match) >= 32);
}

#[test]
fn the_seeds_of_machine_hold() {
    assert!(replay("machine", iot_session::fuzzing::machine) >= 64);
}

#[test]
fn the_seeds_of_stack_hold() {
    assert!(replay("stack", iot_session::fuzzing::stack) >= 64);
}

#[test]
fn the_seeds_of_outbox_record_hold() {
    assert!(replay("outbox_record", iot_session::fuzzing::outbox_record) >= 5);
}

#[test]
fn the_seeds_of_websocket_frames_hold() {
    assert!(replay("websocket_frames", iot_transport::fuzzing::websocket_frames) >= 50);
}

#[test]
fn the_seeds_of_endpoint_parse_hold() {
    assert!(replay("endpoint_parse", iot_transport::fuzzing::endpoint_parse) >= 30);
}

#[test]
fn the_seeds_of_shadow_document_hold() {
    assert!(replay("shadow_document", iot_shadow::fuzzing::shadow_document) >= 16);
}

#[test]
fn the_seeds_of_shared_credentials_file_hold() {
    assert!(replay("shared_credentials_file", iot_transport::fuzzing::shared_credentials_file) >= 32);
}

/// Only for our codec: the peers are in the workspace `fuzz/`, whose own tests compare.
#[test]
fn the_seeds_of_differential_hold_for_our_codec() {
    assert!(replay("differential", mqtt_codec::fuzzing::decode) >= 64);
}

const PACKETS: [&str; 15] = [
    "CONNECT",
    "CONNACK",
    "PUBLISH",
    "PUBACK",
    "PUBREC",
    "PUBREL",
    "PUBCOMP",
    "SUBSCRIBE",
    "SUBACK",
    "UNSUBSCRIBE",
    "UNSUBACK",
    "PINGREQ",
    "PINGRESP",
    "DISCONNECT",
    "AUTH",
];

/// Every error, as `Debug` begins: each variant, and what is inside where that is a rule for strings or topics.
/// `Text(TooLong)` cannot arise, since a length of two bytes cannot say it, and `Topic(Text)` is always a `Text`.
const ERRORS: [&str; 38] = [
    "ConnAckFlags",
    "ConnectExpected",
    "ConnectFlags",
    "DupOnQoS0",
    "Empty",
    "EmptyClientId",
    "InvalidFlags",
    "InvalidQoS",
    "InvalidReasonCode",
    "InvalidVariableByteInteger",
    "MisplacedProperty",
    "MissingProperty",
    "NoLocalOnShared",
    "NoTopic",
    "PacketTooLarge",
    "PropertyValue",
    "ProtocolLevel",
    "ProtocolName",
    "RepeatedProperty",
    "RetainHandling",
    "SecondConnect",
    "SubscriptionOptions",
    "SubscriptionQoS",
    "Text(ContainsNull)",
    "Text(NotUtf8)",
    "TooMany filters",
    "TooMany properties",
    "Topic(Empty)",
    "Topic(MisplacedHash)",
    "Topic(MisplacedPlus)",
    "Topic(Share)",
    "Topic(WildcardInName)",
    "TrailingBytes",
    "Truncated",
    "UnknownPacketType",
    "UnknownProperty",
    "WrongDirection",
    "ZeroPacketId",
];

fn error_name(error: &DecodeError) -> String {
    match error {
        DecodeError::Text(_) | DecodeError::Topic(_) => format!("{error:?}"),
        DecodeError::TooMany { what, .. } => format!("TooMany {what}"),
        _ => variant(&format!("{error:?}")).to_owned(),
    }
}

/// The name at the front.
fn variant(debug: &str) -> &str {
    debug.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default()
}

/// The variants of `DecodeError` by its source: the enum may grow, and a `match` here would not say so.
fn variants() -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/mqtt-codec/src/error.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let (_, body) = source.split_once("pub enum DecodeError {\n").unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    lines.filter(|line| line.starts_with(char::is_uppercase)).map(|line| variant(line).to_owned()).collect()
}

#[test]
fn the_decode_corpus_reaches_every_packet_and_every_error() {
    let known: BTreeSet<_> = ERRORS.iter().map(|name| variant(name).to_owned()).collect();
    assert_eq!(variants(), known, "the list of errors is not that of the enum");

    let (mut packets, mut errors) = (BTreeSet::new(), BTreeSet::new());
    for seed in seeds("decode") {
        let Some((choice, stream)) = seed.split_first() else { continue };
        let (read, error) = read(codec(*choice), &[stream]);
        packets.extend(read.iter().map(|(version, packet)| (version.is_v5(), packet.name())));
        errors.extend(error.as_ref().map(error_name));
    }
    let all = [Version::V3_1_1, Version::V5].map(Version::is_v5).into_iter();
    let all = all.flat_map(|v5| PACKETS.map(|packet| (v5, packet)));
    let missing: Vec<_> =
        all.filter(|(v5, packet)| (*v5 || *packet != "AUTH") && !packets.contains(&(*v5, packet))).collect();
    assert!(missing.is_empty(), "no seed with (MQTT 5, packet): {missing:?}");
    let missing: Vec<_> = ERRORS.iter().filter(|name| !errors.contains(**name)).collect();
    assert!(missing.is_empty(), "no seed with the error: {missing:?}");
}
