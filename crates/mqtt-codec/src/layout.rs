//! A packet's layout is described once and run twice, to count and to write, so that a length can never disagree
//! with its bytes.

use bytes::BytesMut;

use crate::{PacketId, Version};

/// What is laid out: a packet of any type, or one whose type is known already.
pub(crate) trait Layout {
    /// The first byte: type and flags.
    fn header(&self) -> u8;

    /// The body behind the fixed header, but for a PUBLISH's payload.
    fn layout_head(&self, version: Version, sink: &mut impl Sink);

    /// A PUBLISH's payload; empty for every other packet.
    fn payload(&self) -> &[u8];
}

/// Where a layout runs to.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);

    #[inline]
    fn u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    #[inline]
    fn u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    #[inline]
    fn packet_id(&mut self, id: PacketId) {
        self.u16(id.value());
    }

    /// The shortest form of a number up to 268,435,455. [v5 MQTT-1.5.5-1]
    #[inline]
    fn var_int(&mut self, value: u32) {
        match var_int(value) {
            ([low, ..], 1) => self.put(&[low]),
            ([low, second, ..], 2) => self.put(&[low, second]),
            (bytes, len) => self.put(bytes.get(..len).unwrap_or(&bytes)),
        }
    }

    /// The fixed header: a packet type with its flags, and the Remaining Length.
    #[inline(always)]
    fn fixed_header(&mut self, header: u8, len: u32) {
        match var_int(len) {
            ([low, ..], 1) => self.put(&[header, low]),
            ([low, second, ..], 2) => self.put(&[header, low, second]),
            (bytes, len) => {
                self.put(&[header]);
                self.put(bytes.get(..len).unwrap_or(&bytes));
            }
        }
    }

    /// A two-byte length and the bytes. Callers hold the length under 65,536 by their types or a check; what is
    /// above is cut, so that length and bytes agree all the same.
    #[inline]
    fn binary(&mut self, bytes: &[u8]) {
        let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.u16(len);
        self.put(bytes.get(..usize::from(len)).unwrap_or(bytes));
    }

    /// In MQTT 5 the property length and the properties, before it nothing.
    #[inline]
    fn properties(&mut self, version: Version, bytes: &[u8]) {
        if version.is_v5() {
            // [v5 MQTT-2.2.2-1]
            self.var_int(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            self.put(bytes);
        }
    }
}

/// A variable byte integer and its length in bytes.
#[inline(always)]
fn var_int(value: u32) -> ([u8; 4], usize) {
    let [low, second, third, fourth] = [value, value >> 7, value >> 14, value >> 21].map(|v| v as u8);
    match value {
        0..=0x7F => ([low, 0, 0, 0], 1),
        0x80..=0x3FFF => ([low | 0x80, second, 0, 0], 2),
        0x4000..=0x1F_FFFF => ([low | 0x80, second | 0x80, third, 0], 3),
        _ => ([low | 0x80, second | 0x80, third | 0x80, fourth & 0x7F], 4),
    }
}

/// Counts.
#[derive(Default)]
pub(crate) struct Count(pub(crate) usize);

impl Sink for Count {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0 = self.0.saturating_add(bytes.len());
    }
}

/// Writes.
pub(crate) struct Write<'a>(pub(crate) &'a mut BytesMut);

impl Sink for Write<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}
