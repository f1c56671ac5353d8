//! The one checked cursor through which untrusted bytes are read.

use core::ops::Range;

use crate::text;
use crate::{DecodeError, PacketId};

/// A position in the bytes of one packet. Positions are counted from the packet's first byte, so that a field can be
/// cut out of whatever the packet lies in.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    end: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, which end `bytes.len()` behind position 0.
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, end: bytes.len() }
    }

    /// Reads `packet` from position `at` on.
    #[inline]
    pub(crate) fn body(packet: &'a [u8], at: usize) -> Self {
        Self { rest: packet.get(at..).unwrap_or_default(), end: packet.len() }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.end.saturating_sub(self.rest.len())
    }

    /// What is left over behind the last field is an error.
    #[inline]
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes) }
    }

    /// The bytes that are left, and where they stand.
    #[inline]
    pub(crate) fn rest(&mut self) -> (&'a [u8], Range<usize>) {
        let rest = core::mem::take(&mut self.rest);
        (rest, self.end.saturating_sub(rest.len())..self.end)
    }

    /// The next `n` bytes.
    #[inline]
    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self.rest.split_at_checked(n).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        // [v5 MQTT-2.2.1-3, v5 MQTT-2.2.1-4, v3.1.1 MQTT-2.3.1-1]
        PacketId::new(self.u16()?).ok_or(DecodeError::ZeroPacketId)
    }

    /// A variable byte integer in its shortest form.
    #[inline]
    pub(crate) fn var_int(&mut self) -> Result<u32, DecodeError> {
        let (value, len) = var_int(self.rest)?.ok_or(DecodeError::Truncated)?;
        self.rest = self.rest.get(len..).unwrap_or_default();
        Ok(value)
    }

    /// Bytes behind a two-byte length.
    #[inline]
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// The bytes of a string.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'a [u8], DecodeError> {
        let bytes = self.binary()?;
        text::check(bytes)?;
        Ok(bytes)
    }
}

/// The value and length of a variable byte integer at the start of `bytes`; `None` while more bytes are needed.
#[inline]
pub(crate) fn var_int(bytes: &[u8]) -> Result<Option<(u32, usize)>, DecodeError> {
    match bytes {
        [byte, ..] if *byte < 0x80 => Ok(Some((u32::from(*byte), 1))),
        _ => long_var_int(bytes),
    }
}

fn long_var_int(bytes: &[u8]) -> Result<Option<(u32, usize)>, DecodeError> {
    let mut value = 0u32;
    for (index, byte) in (0u8..4).zip(bytes) {
        value |= u32::from(byte & 0x7F) << (index.saturating_mul(7));
        if byte & 0x80 == 0 {
            // [v5 MQTT-1.5.5-1]
            if index > 0 && *byte == 0 {
                return Err(DecodeError::InvalidVariableByteInteger);
            }
            return Ok(Some((value, usize::from(index).saturating_add(1))));
        }
    }
    if bytes.len() >= 4 { Err(DecodeError::InvalidVariableByteInteger) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_byte_integers_meet_the_table_of_section_1_5_5() {
        for (bytes, value) in [
            (&[0x00][..], 0),
            (&[0x7F], 127),
            (&[0x80, 0x01], 128),
            (&[0xFF, 0x7F], 16_383),
            (&[0x80, 0x80, 0x01], 16_384),
            (&[0xFF, 0xFF, 0x7F], 2_097_151),
            (&[0x80, 0x80, 0x80, 0x01], 2_097_152),
            (&[0xFF, 0xFF, 0xFF, 0x7F], 268_435_455),
        ] {
            assert_eq!(var_int(bytes), Ok(Some((value, bytes.len()))));
        }
        assert_eq!(var_int(&[]), Ok(None));
        assert_eq!(var_int(&[0x80, 0x80]), Ok(None));
        assert!(var_int(&[0xFF, 0xFF, 0xFF, 0xFF]).is_err());
        assert!(var_int(&[0x80, 0x00]).is_err(), "not minimal");
    }

    #[test]
    fn positions_are_counted_from_the_start_of_the_packet() {
        let packet = [0x30, 0x04, 0x00, 0x01, b'a', b'x'];
        let mut reader = Reader::body(&packet, 2);
        assert_eq!(reader.text(), Ok(&b"a"[..]));
        assert_eq!(reader.position(), 5);
        assert_eq!(reader.finish(), Err(DecodeError::TrailingBytes));
        assert_eq!(reader.rest(), (&b"x"[..], 5..6));
        assert_eq!(reader.finish(), Ok(()));
        assert_eq!(reader.u8(), Err(DecodeError::Truncated));
    }
}
