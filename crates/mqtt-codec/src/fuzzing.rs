//! The bodies of the fuzz targets. Each panics when an invariant does not hold.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a fuzz target reports by panicking"
)]

use alloc::vec::Vec;

use bytes::BytesMut;

use crate::{Codec, DecodeError, Packet, Version};

/// Decodes a stream: the first byte chooses version and side, the rest arrives. Whatever is accepted must encode
/// again, to bytes that decode to the same packet.
pub fn decode(data: &[u8]) {
    let Some((choice, stream)) = data.split_first() else { return };
    let codec = codec(*choice);
    let (packets, _) = decode_all(codec.clone(), &[stream]);
    let mut version = codec.version();
    for packet in packets {
        if let Packet::Connect(connect) = &packet {
            version.get_or_insert(connect.version());
        }
        let codec = Codec::observer(version.unwrap_or(Version::V5));
        // A CONNECT of the other version than the connection's decodes, but is never sent.
        if let Packet::Connect(connect) = &packet
            && Some(connect.version()) != codec.version()
        {
            continue;
        }
        let mut bytes = BytesMut::new();
        codec.encode(&packet, &mut bytes).unwrap();
        assert_eq!(codec.encoded_len(&packet).unwrap(), bytes.len());
        let first = bytes.clone();
        let again = codec.clone().decode(&mut bytes).unwrap().unwrap();
        assert!(bytes.is_empty());
        assert_eq!(again, packet);
        codec.encode(&again, &mut bytes).unwrap();
        assert_eq!(first, bytes, "encoding is a fixed point");
    }
}

/// A stream cut at any places must decode alike.
pub fn chunking(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let Some((cuts, stream)) = rest.split_at_checked(8) else { return };
    let mut chunks: Vec<&[u8]> = Vec::new();
    let mut left = stream;
    for cut in cuts {
        let (chunk, rest) = left.split_at(usize::from(*cut).min(left.len()));
        chunks.push(chunk);
        left = rest;
    }
    chunks.push(left);
    let whole = decode_all(codec(*choice), &[stream]);
    let pieces = decode_all(codec(*choice), &chunks);
    assert_eq!(whole, pieces);
}

fn codec(choice: u8) -> Codec {
    match choice % 3 {
        0 => Codec::observer(Version::V3_1_1),
        1 => Codec::observer(Version::V5),
        _ => Codec::server(),
    }
}

/// The packets of a stream that arrives in `chunks`, and how it ended.
fn decode_all(mut codec: Codec, chunks: &[&[u8]]) -> (Vec<Packet>, Option<DecodeError>) {
    let mut buffer = BytesMut::new();
    let mut packets = Vec::new();
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => break,
                Err(error) => return (packets, Some(error)),
            }
        }
    }
    (packets, None)
}
