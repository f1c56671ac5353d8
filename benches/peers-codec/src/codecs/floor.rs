//! What no codec can do without: copying the bytes, and reading the fixed headers.

use std::hint::black_box;

use bytes::BytesMut;

use crate::checksum::Checksum;
use crate::harness::{
    Adapter, CAPACITY, Decode, Decoder, Encode, Encoder, Plain, decoder, encoder, run_timed,
};
use crate::workload::{Feed, Version, Workload};

/// The bytes are copied into a buffer, and nothing else.
pub struct Copy;

impl Adapter for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn decoder(&self, _: Version, workload: &Workload) -> Option<Decoder> {
        let piece = match workload.feed {
            Feed::InBuffer => return None,
            Feed::Packet => usize::MAX,
            Feed::Pieces(piece) => piece,
        };
        let packets = workload.packets.len();
        let mut buffer = Vec::with_capacity(CAPACITY);
        Some(Box::new(move |wire, iterations| {
            run_timed(|| {
                for _ in 0..iterations {
                    for piece in black_box(wire).chunks(piece) {
                        buffer.clear();
                        buffer.extend_from_slice(piece);
                        black_box(&mut buffer);
                    }
                }
                Ok((iterations * packets) as u64)
            })
        }))
    }

    fn encoder(&self, version: Version, workload: &Workload) -> Option<Encoder> {
        let packets = workload.packets.iter().map(|packet| packet.wire(version)).collect();
        encoder(Copied { packets, buffer: Vec::with_capacity(CAPACITY) })
    }
}

struct Copied {
    packets: Vec<Vec<u8>>,
    buffer: Vec<u8>,
}

impl Encode for Copied {
    type Item = usize;

    fn len(&self) -> usize {
        self.packets.len()
    }

    fn prepare(&self, index: usize) -> usize {
        index
    }

    fn encode(&mut self, index: usize) -> Result<usize, String> {
        self.buffer.clear();
        self.buffer.extend_from_slice(&self.packets[index]);
        Ok(self.buffer.len())
    }

    fn wire(&self) -> Vec<u8> {
        self.buffer.clone()
    }
}

/// The bytes are copied, then packet type and Remaining Length are read and the packet is skipped.
pub struct Walk;

impl Adapter for Walk {
    fn name(&self) -> &'static str {
        "copy, walk"
    }

    fn decoder(&self, _: Version, workload: &Workload) -> Option<Decoder> {
        decoder(Walk, workload.feed)
    }

    fn encoder(&self, _: Version, _: &Workload) -> Option<Encoder> {
        None
    }
}

impl Decode for Walk {
    type Buffer = Plain;

    #[inline(always)]
    fn decode(&mut self, buffer: &mut Plain, sum: &mut Checksum) -> Result<bool, String> {
        let Some(len) = packet_len(buffer.rest()) else { return Ok(false) };
        sum.0 = sum.0.wrapping_add(u64::from(buffer.rest()[0] >> 4));
        buffer.consume(len);
        Ok(true)
    }
}

/// As [`Walk`], and the packet is split off the buffer as `Bytes` and dropped: what a packet costs that shares the buffer
/// it was read into, before anything in it is looked at.
pub struct Share;

impl Adapter for Share {
    fn name(&self) -> &'static str {
        "copy, walk, share"
    }

    fn decoder(&self, _: Version, workload: &Workload) -> Option<Decoder> {
        decoder(Share, workload.feed)
    }

    fn encoder(&self, _: Version, _: &Workload) -> Option<Encoder> {
        None
    }
}

impl Decode for Share {
    type Buffer = BytesMut;

    #[inline(always)]
    fn decode(&mut self, buffer: &mut BytesMut, sum: &mut Checksum) -> Result<bool, String> {
        let Some(len) = packet_len(buffer) else { return Ok(false) };
        let packet = black_box(buffer.split_to(len).freeze());
        sum.0 = sum.0.wrapping_add(u64::from(packet[0] >> 4));
        Ok(true)
    }
}

/// The length of the packet at the front, if all of it is there.
#[inline(always)]
pub fn packet_len(bytes: &[u8]) -> Option<usize> {
    let mut remaining = 0;
    for at in 0..4 {
        let byte = *bytes.get(1 + at)?;
        remaining |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            let len = 2 + at + remaining;
            return (len <= bytes.len()).then_some(len);
        }
    }
    None
}
