//! Decoding, reading and encoding allocate nothing. The packets are the valid byte vectors.
//!
//! A binary of its own, because the counting allocator serves all of a binary; it counts for each thread.
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
use std::hint::black_box;

use allocation_counter::measure;
use bytes::BytesMut;
use mqtt_codec::{AnyPacket, Buffer, Codec, Limits, Packet, PacketRef};
use parse::Record;

fn valid() -> Vec<Record> {
    let records: Vec<_> = parse::all().into_iter().filter(Record::is_valid).collect();
    let types: BTreeSet<_> =
        records.iter().map(|record| (record.version.level(), record.bytes[0] >> 4)).collect();
    assert_eq!(types.len(), 14 + 15, "every packet type of both versions, AUTH in MQTT 5 only");
    records
}

fn codec(record: &Record) -> Codec {
    Codec::observer(record.version).with_limits(Limits::with_max_packet_size(u32::MAX))
}

fn nothing(record: &Record, what: &str, run: impl FnOnce()) {
    let count = measure(run).count_total;
    assert_eq!(count, 0, "{}: {what} allocated {count} times", record.name);
}

fn read<B: Buffer>(packet: &AnyPacket<B>) {
    fields::read(packet, &mut |name, bytes| {
        black_box((name, bytes.len()));
    });
}

/// A buffer for the longest vector, in which packets have been read before.
fn warm_buffer(records: &[Record]) -> BytesMut {
    let longest = records.iter().map(|record| record.bytes.len()).max().unwrap();
    let mut buffer = BytesMut::with_capacity(2 * longest);
    buffer.extend_from_slice(b"\x30\x04\x00\x01ax");
    let mut codec = Codec::client(mqtt_codec::Version::V3_1_1);
    assert!(matches!(codec.decode(&mut buffer), Ok(Some(Packet::Publish(_)))));
    buffer
}

#[test]
fn the_counter_counts() {
    let count = measure(|| drop(black_box(vec![1]))).count_total;
    assert_eq!(count, 1);
}

#[test]
fn decoding_from_a_reused_buffer_and_reading_every_field_allocates_nothing() {
    let records = valid();
    let mut buffer = warm_buffer(&records);
    for record in &records {
        let mut codec = codec(record);
        nothing(record, "decoding and reading", || {
            buffer.extend_from_slice(&record.bytes);
            let packet = codec.decode(&mut buffer).unwrap().unwrap();
            read(&packet);
        });
    }
}

#[test]
fn decoding_borrowed_and_reading_every_field_allocates_nothing() {
    for record in &valid() {
        let mut codec = codec(record);
        nothing(record, "decoding and reading", || {
            let (packet, _) = codec.decode_ref(&record.bytes).unwrap().unwrap();
            read(&packet);
        });
    }
}

#[test]
fn encoding_into_a_buffer_with_room_allocates_nothing() {
    let records = valid();
    let mut buffer = warm_buffer(&records);
    let mut out = BytesMut::with_capacity(2 * buffer.capacity());
    for record in &records {
        let mut codec = codec(record);
        buffer.extend_from_slice(&record.bytes);
        let packet: Packet = codec.decode(&mut buffer).unwrap().unwrap();
        nothing(record, "encoding", || {
            out.clear();
            black_box(codec.encoded_len(&packet)).unwrap();
            codec.encode(&packet, &mut out).unwrap();
            out.clear();
            drop(black_box(codec.encode_vectored(&packet, &mut out).unwrap()));
        });
        let (packet, _): (PacketRef<'_>, _) = codec.decode_ref(&record.bytes).unwrap().unwrap();
        nothing(record, "encoding what is borrowed", || {
            out.clear();
            codec.encode(&packet, &mut out).unwrap();
        });
    }
}

#[test]
fn refusing_a_packet_allocates_nothing() {
    let mut buffer = warm_buffer(&valid());
    for record in parse::all().iter().filter(|record| !record.is_valid()) {
        // From outside some of them are in order: it is the side that was wrong.
        let mut codec = codec(record);
        nothing(record, "refusing", || {
            buffer.clear();
            buffer.extend_from_slice(&record.bytes);
            let owned = black_box(codec.clone().decode(&mut buffer)).map(|packet| packet.is_some());
            let borrowed = black_box(codec.decode_ref(&record.bytes)).map(|packet| packet.is_some());
            assert!(owned == borrowed);
        });
    }
}
