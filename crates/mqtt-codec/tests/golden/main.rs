//! The byte vectors of `tests/vectors`: what a strict decoder takes, how it reads, and what it refuses.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod describe;
mod parse;

use std::collections::HashSet;
use std::fmt::Debug;
use std::panic::catch_unwind;

use bytes::BytesMut;
use mqtt_codec::{AnyPacket, Buffer, Codec, DecodeError, Limits, Packet, Version};

use parse::{From, Record, Verdict};

/// As many as `tests/vectors/README.md` names, so that a lost file is noticed.
const COUNTS: [(Version, usize, usize); 2] = [(Version::V5, 600, 1437), (Version::V3_1_1, 201, 388)];

/// Each byte alone is a piece up to this length; what is longer comes in a few.
const SINGLE_BYTES: usize = 4096;
/// Every prefix is tried up to this length.
const EVERY_PREFIX: usize = 512;

/// What did not come out as the vector says.
#[derive(Default)]
struct Disagreements(Vec<String>);

impl Disagreements {
    fn compare<T: PartialEq + Debug>(&mut self, record: &Record, what: &str, expected: &T, got: &T) {
        if expected != got {
            let name = &record.name;
            self.0.push(format!("{name}: {what}\n  expected {expected:?}\n  got      {got:?}"));
        }
    }

    fn none(self) {
        assert!(self.0.is_empty(), "{}\n{} disagreements", self.0.join("\n"), self.0.len());
    }
}

/// The codecs that receive the packet, and those that send it. One that looks on from outside would do either too, but
/// takes more.
fn codecs(record: &Record) -> (Vec<Codec>, Vec<Codec>) {
    let version = record.version;
    let limits = Limits::with_max_packet_size(u32::MAX);
    let connect = record.bytes[0] >> 4 == 1;
    let server = if connect { Codec::server() } else { Codec::server_after_connect(version) };
    let server = server.with_limits(limits);
    let client = Codec::client(version).with_limits(limits);
    match record.from {
        From::Client => (vec![server], vec![client]),
        From::Server => (vec![client], vec![server]),
        From::Either => (vec![client.clone(), server.clone()], vec![client, server]),
    }
}

type Outcome<T> = Result<Option<T>, DecodeError>;

/// All bytes at once, and what is left of them.
fn at_once(mut codec: Codec, bytes: &[u8]) -> (Outcome<Packet>, usize) {
    let mut buffer = BytesMut::from(bytes);
    let outcome = codec.decode(&mut buffer);
    (outcome, buffer.len())
}

/// Piece by piece, until there is an outcome.
fn in_pieces(mut codec: Codec, bytes: &[u8], piece: usize) -> (Outcome<Packet>, usize) {
    let mut buffer = BytesMut::new();
    let mut fed = 0;
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        fed += piece.len();
        match codec.decode(&mut buffer) {
            Ok(None) => {}
            outcome => return (outcome, buffer.len() + bytes.len() - fed),
        }
    }
    (Ok(None), buffer.len())
}

fn describe<B: Buffer>(outcome: &Outcome<AnyPacket<B>>) -> String {
    match outcome {
        Ok(Some(packet)) => describe::packet(packet),
        Ok(None) => "more bytes are needed".to_owned(),
        Err(error) => format!("error {}", describe::error(error)),
    }
}

fn piece_of(bytes: &[u8]) -> usize {
    if bytes.len() <= SINGLE_BYTES { 1 } else { bytes.len() / 3 }
}

fn check_valid(record: &Record, expect: &str, encodes: &[u8], found: &mut Disagreements) {
    let bytes = &record.bytes[..];
    let (mut receive, mut send) = codecs(record);
    let observer = Codec::observer(record.version).with_limits(Limits::with_max_packet_size(u32::MAX));
    receive.push(observer.clone());
    send.push(observer);
    let expect = expect.to_owned();
    for codec in receive {
        let (outcome, left) = at_once(codec.clone(), bytes);
        found.compare(record, "decode", &expect, &describe(&outcome));
        found.compare(record, "bytes left over by decode", &0, &left);
        let (outcome_in_pieces, left) = in_pieces(codec.clone(), bytes, piece_of(bytes));
        found.compare(record, "decode in pieces", &expect, &describe(&outcome_in_pieces));
        found.compare(record, "bytes left over by decode in pieces", &0, &left);
        let borrowed = codec.clone().decode_ref(bytes);
        let taken = borrowed.map(|packet| packet.map_or(0, |(_, taken)| taken));
        let borrowed = borrowed.map(|packet| packet.map(|(packet, _)| packet));
        found.compare(record, "decode_ref", &expect, &describe(&borrowed));
        found.compare(record, "bytes taken by decode_ref", &Ok(bytes.len()), &taken);
        found.compare(record, "packet_len", &Ok(Some(bytes.len())), &codec.packet_len(bytes));
        for end in 0..bytes.len().min(EVERY_PREFIX) {
            let prefix = at_once(codec.clone(), &bytes[..end]);
            found.compare(record, &format!("decode of {end} bytes"), &(Ok(None), end), &prefix);
            let prefix = codec.clone().decode_ref(&bytes[..end]);
            found.compare(record, &format!("decode_ref of {end} bytes"), &Ok(None), &prefix);
        }
        if let Ok(Some(packet)) = outcome {
            check_encoding(record, &send, &packet, encodes, found);
            let mut vectored = BytesMut::new();
            for codec in &send {
                vectored.clear();
                match codec.encode_vectored(&packet, &mut vectored) {
                    Ok(payload) => vectored.extend_from_slice(&payload),
                    Err(error) => found.compare(record, "encode_vectored", &Ok(()), &Err(error)),
                }
                found.compare(record, "encode_vectored", &encodes, &&vectored[..]);
            }
        }
        if let Ok(Some(packet)) = borrowed {
            check_encoding(record, &send, &packet, encodes, found);
        }
    }
}

fn check_encoding<B: Buffer>(
    record: &Record,
    send: &[Codec],
    packet: &AnyPacket<B>,
    encodes: &[u8],
    found: &mut Disagreements,
) {
    for codec in send {
        let mut buffer = BytesMut::new();
        found.compare(record, "encode", &Ok(()), &codec.encode(packet, &mut buffer));
        found.compare(record, "encode", &encodes, &&buffer[..]);
        found.compare(record, "encoded_len", &Ok(encodes.len()), &codec.encoded_len(packet));
    }
}

fn check_malformed(record: &Record, error: &str, found: &mut Disagreements) {
    let bytes = &record.bytes[..];
    let expect = format!("error {error}");
    for codec in codecs(record).0 {
        let (outcome, _) = at_once(codec.clone(), bytes);
        found.compare(record, "decode", &expect, &describe(&outcome));
        let in_pieces = in_pieces(codec.clone(), bytes, piece_of(bytes)).0;
        found.compare(record, "decode in pieces", &expect, &describe(&in_pieces));
        let borrowed = codec.clone().decode_ref(bytes).map(|packet| packet.map(|(packet, _)| packet));
        found.compare(record, "decode_ref", &expect, &describe(&borrowed));
        if let Err(error) = outcome {
            found.compare(record, "the reason code is an error", &true, &error.reason().is_error());
        }
    }
}

#[test]
fn every_vector_decodes_and_encodes_as_it_says() {
    let mut found = Disagreements::default();
    for record in parse::all() {
        let outcome = catch_unwind(|| {
            let mut found = Disagreements::default();
            match &record.verdict {
                Verdict::Valid { expect, encodes } => check_valid(&record, expect, encodes, &mut found),
                Verdict::Malformed { error } => check_malformed(&record, error, &mut found),
            }
            found.0
        });
        match outcome {
            Ok(disagreements) => found.0.extend(disagreements),
            Err(_) => found.0.push(format!("{}: panicked", record.name)),
        }
    }
    found.none();
}

#[test]
fn no_vector_is_missing_and_most_come_from_other_programs() {
    let records = parse::all();
    for (version, valid, malformed) in COUNTS {
        let count =
            |wanted| records.iter().filter(|r| r.version == version && r.is_valid() == wanted).count();
        assert_eq!((count(true), count(false)), (valid, malformed), "valid and malformed of {version}");
    }
    let names: HashSet<_> = records.iter().map(|record| &record.name).collect();
    assert_eq!(names.len(), records.len(), "names are unique");
    for wanted in [true, false] {
        let all = records.iter().filter(|record| record.is_valid() == wanted).count();
        let independent = records.iter().filter(|r| r.is_valid() == wanted && r.is_independent()).count();
        assert!(independent * 2 >= all, "{independent} of {all} were made by other programs");
    }
}
