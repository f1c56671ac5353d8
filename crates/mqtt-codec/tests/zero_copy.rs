//! What is decoded lies in the buffer that it was decoded from. The packets are the valid byte vectors.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod fields;
#[allow(dead_code, reason = "these tests want the bytes only")]
#[path = "golden/parse.rs"]
mod parse;

use std::collections::BTreeSet;
use std::ops::Range;

use bytes::BytesMut;
use mqtt_codec::packet::Publish;
use mqtt_codec::{AnyPacket, Buffer, Codec, Limits, Packet, TopicName, Version};
use parse::Record;

/// The names of the parts that hold strings or bytes.
const PARTS: &[&str] = &[
    "Assigned Client Identifier",
    "Authentication Data",
    "Authentication Method",
    "Content Type",
    "Correlation Data",
    "Reason String",
    "Response Information",
    "Response Topic",
    "Server Reference",
    "User Property, name",
    "User Property, value",
    "a property by its getter",
    "client identifier",
    "filter",
    "filter behind $share",
    "password",
    "payload",
    "properties",
    "share name",
    "topic",
    "user name",
    "will payload",
    "will topic",
];

fn valid() -> impl Iterator<Item = Record> {
    parse::all().into_iter().filter(Record::is_valid)
}

fn codec(record: &Record) -> Codec {
    Codec::observer(record.version).with_limits(Limits::with_max_packet_size(u32::MAX))
}

/// Each part lies within `input`; returns which there are.
fn parts_within<B: Buffer>(
    name: &str,
    packet: &AnyPacket<B>,
    input: &Range<*const u8>,
) -> BTreeSet<&'static str> {
    let mut parts = BTreeSet::new();
    fields::read(packet, &mut |part, bytes| {
        let within = bytes.as_ptr_range();
        // What has no bytes lies nowhere.
        if !bytes.is_empty() {
            assert!(input.start <= within.start && within.end <= input.end, "{name}: {part} was copied");
            parts.insert(part);
        }
    });
    parts
}

#[test]
fn every_part_of_an_owned_packet_lies_in_the_buffer_it_was_read_from() {
    let mut seen = BTreeSet::new();
    for record in valid() {
        let mut buffer = BytesMut::from(&record.bytes[..]);
        let input = buffer.as_ptr_range();
        let packet = codec(&record).decode(&mut buffer).unwrap().unwrap();
        seen.extend(parts_within(&record.name, &packet, &input));
        // Nor does anything move when the packet is passed on.
        seen.extend(parts_within(&record.name, &packet.clone(), &input));
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), PARTS);
}

#[test]
fn every_part_of_a_borrowed_packet_lies_in_the_bytes_it_was_read_from() {
    let mut seen = BTreeSet::new();
    for record in valid() {
        let input = record.bytes.as_ptr_range();
        let (packet, _) = codec(&record).decode_ref(&record.bytes).unwrap().unwrap();
        seen.extend(parts_within(&record.name, &packet, &input));
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), PARTS);
}

#[test]
fn packets_that_arrive_together_share_one_buffer() {
    let one = b"\x30\x08\x00\x03a/b\x00hi";
    let mut buffer = BytesMut::from(&[&one[..], &one[..]].concat()[..]);
    let input = buffer.as_ptr_range();
    let mut codec = Codec::client(Version::V5);
    let first = codec.decode(&mut buffer).unwrap().unwrap();
    let second = codec.decode(&mut buffer).unwrap().unwrap();
    assert_eq!(parts_within("first", &first, &input).len(), 2);
    assert_eq!(parts_within("second", &second, &input).len(), 2);
}

/// What `read` comes upon, in order.
fn contents<B: Buffer>(packet: &AnyPacket<B>) -> Vec<(&'static str, Vec<u8>)> {
    let mut all = Vec::new();
    fields::read(packet, &mut |part, bytes| all.push((part, bytes.to_vec())));
    all
}

#[test]
fn a_borrowed_packet_made_owned_is_the_same_on_memory_of_its_own() {
    let mut kinds = BTreeSet::new();
    for record in valid() {
        let expected = codec(&record).decode(&mut BytesMut::from(&record.bytes[..])).unwrap().unwrap();
        let (view, _) = codec(&record).decode_ref(&record.bytes).unwrap().unwrap();
        let owned: Packet = view.into_owned();
        assert_eq!(owned, expected, "{}", record.name);
        assert_eq!(contents(&owned), contents(&expected), "{}", record.name);
        let input = record.bytes.as_ptr_range();
        fields::read(&owned, &mut |part, bytes| {
            let elsewhere = bytes.is_empty() || !input.contains(&bytes.as_ptr());
            assert!(elsewhere, "{}: {part} was not copied", record.name);
        });
        kinds.insert(owned.name());
    }
    assert_eq!(kinds.len(), 15, "{kinds:?}");
}

#[test]
fn a_detached_publish_is_the_same_and_lets_the_buffer_go() {
    let mut buffer = BytesMut::from(&b"\x32\x0d\x00\x03a/b\x00\x0a\x03\x23\x00\x01hi"[..]);
    let input = buffer.as_ptr_range();
    let Ok(Some(Packet::Publish(read))) = Codec::client(Version::V5).decode(&mut buffer) else { panic!() };
    let built = Publish::new(TopicName::try_from("a/b").unwrap(), "hi");
    for publish in [read, built] {
        let detached = publish.detach();
        assert_eq!(detached, publish);
        assert_eq!((detached.topic(), detached.payload()), ("a/b", &b"hi"[..]));
        for part in [detached.topic().as_bytes(), detached.payload(), detached.properties_bytes().as_bytes()]
        {
            assert!(part.is_empty() || !input.contains(&part.as_ptr()), "{part:?} was not copied");
        }
        assert_eq!(publish.into_payload(), detached.into_payload());
    }
}

#[test]
fn a_borrowed_publish_is_encoded_as_an_owned_one() {
    let codec = Codec::client(Version::V5);
    let owned = Publish::new(TopicName::try_from("a/b").unwrap(), "hi");
    let borrowed = Publish::borrowed(TopicName::borrowed("a/b").unwrap(), b"hi");
    let mut buffers = [BytesMut::new(), BytesMut::new()];
    codec.encode(&AnyPacket::from(borrowed), &mut buffers[0]).unwrap();
    codec.encode(&Packet::from(owned.clone()), &mut buffers[1]).unwrap();
    assert_eq!(buffers[0], buffers[1]);
    assert_eq!(borrowed.into_payload(), b"hi");
}
