//! The one checked cursor through which untrusted bytes are read.

use bytes::Bytes;

use crate::text::{self, Text};
use crate::{DecodeError, PacketId};

/// A position in the body of one packet.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    frame: &'a Bytes,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Runs `parse` over the whole of `frame` and refuses what is left over.
    pub(crate) fn all<T>(
        frame: &'a Bytes,
        parse: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let mut reader = Self { frame, at: 0 };
        let value = parse(&mut reader)?;
        if reader.is_empty() { Ok(value) } else { Err(DecodeError::TrailingBytes) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.frame.len()
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The next `n` bytes, borrowed.
    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(n).ok_or(DecodeError::Truncated)?;
        let bytes = self.frame.get(self.at..end).ok_or(DecodeError::Truncated)?;
        self.at = end;
        Ok(bytes)
    }

    /// The next `n` bytes, sharing the frame.
    pub(crate) fn bytes(&mut self, n: usize) -> Result<Bytes, DecodeError> {
        let start = self.at;
        self.take(n)?;
        Ok(if n == 0 { Bytes::new() } else { self.frame.slice(start..self.at) })
    }

    /// All that is left, sharing the frame.
    pub(crate) fn rest(&mut self) -> Bytes {
        let start = self.at;
        self.at = self.frame.len();
        if start >= self.at { Bytes::new() } else { self.frame.slice(start..) }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        let byte = *self.frame.get(self.at).ok_or(DecodeError::Truncated)?;
        self.at = self.at.saturating_add(1);
        Ok(byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes([self.u8()?, self.u8()?, self.u8()?, self.u8()?]))
    }

    pub(crate) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        PacketId::new(self.u16()?).ok_or(DecodeError::ZeroPacketId)
    }

    /// A variable byte integer in its shortest form (`[MQTT-1.5.5-1]`).
    pub(crate) fn var_int(&mut self) -> Result<u32, DecodeError> {
        let rest = self.frame.get(self.at..).unwrap_or_default();
        let (value, len) = var_int(rest)?.ok_or(DecodeError::Truncated)?;
        self.at = self.at.saturating_add(len);
        Ok(value)
    }

    /// Bytes behind a two-byte length, borrowed.
    pub(crate) fn binary_ref(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// Bytes behind a two-byte length, sharing the frame.
    pub(crate) fn binary(&mut self) -> Result<Bytes, DecodeError> {
        let len = self.u16()?;
        self.bytes(usize::from(len))
    }

    /// A string, borrowed.
    pub(crate) fn text_ref(&mut self) -> Result<&'a str, DecodeError> {
        Ok(text::check(self.binary_ref()?)?)
    }

    /// A string, sharing the frame.
    pub(crate) fn text(&mut self) -> Result<Text, DecodeError> {
        let bytes = self.binary()?;
        text::check(&bytes)?;
        Ok(Text::from_checked(bytes))
    }
}

/// The value and length of a variable byte integer at the start of `bytes`; `None` while more bytes are needed.
pub(crate) fn var_int(bytes: &[u8]) -> Result<Option<(u32, usize)>, DecodeError> {
    let mut value = 0u32;
    for (index, byte) in (0u32..4).zip(bytes) {
        value |= u32::from(byte & 0x7F) << (index.saturating_mul(7));
        if byte & 0x80 == 0 {
            if index > 0 && *byte == 0 {
                return Err(DecodeError::InvalidVariableByteInteger);
            }
            return Ok(Some((value, index as usize + 1)));
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
        assert_eq!(var_int(&[0x80, 0x80]), Ok(None));
        assert!(var_int(&[0xFF, 0xFF, 0xFF, 0xFF]).is_err());
        assert!(var_int(&[0x80, 0x00]).is_err(), "not minimal");
    }
}
