//! Packets out of and into byte buffers.

use bytes::{Buf, BytesMut};

use crate::layout::{Count, Sink, Write};
use crate::reader::var_int;
use crate::{DecodeError, EncodeError, Packet, Version};

/// The largest number a variable byte integer holds, and so the largest Remaining Length.
pub(crate) const MAX_VAR_INT: u32 = 268_435_455;

/// The largest packet that MQTT can say: a fixed header of 5 bytes and a Remaining Length of 268,435,455.
const MAX_PACKET: u32 = MAX_VAR_INT + 5;

/// What a decoder takes; checked as soon as the fixed header is there, before anything is buffered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest packet in bytes, fixed header included. Default: 1 MiB; at most 268,435,460.
    pub max_packet_size: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_packet_size: 1024 * 1024 }
    }
}

impl Limits {
    /// Limits with this packet size in bytes.
    #[must_use]
    pub const fn with_max_packet_size(max_packet_size: u32) -> Self {
        Self { max_packet_size }
    }
}

/// Decodes and encodes the packets of one connection.
///
/// # Contract
/// Feed [`decode`](Self::decode) one buffer to which incoming bytes are appended. It takes whole packets from the
/// buffer's front and leaves the rest. After an error the position in the stream is lost: answer, then close.
/// A codec made by [`server`](Self::server) takes its version from the CONNECT packet.
///
/// ```
/// use bytes::BytesMut;
/// use mqtt_codec::{Codec, Packet, Version};
///
/// let mut codec = Codec::client(Version::V5);
/// let mut buffer = BytesMut::from(&[0xD0, 0x00, 0xD0][..]);
/// assert_eq!(codec.decode(&mut buffer)?, Some(Packet::PingResp));
/// assert_eq!(codec.decode(&mut buffer)?, None); // the second one is not complete yet
/// # Ok::<(), mqtt_codec::DecodeError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Codec {
    version: Option<Version>,
    limits: Limits,
}

impl Codec {
    /// For the client's side, which knows its version.
    #[must_use]
    pub fn client(version: Version) -> Self {
        Self { version: Some(version), limits: Limits::default() }
    }

    /// For the server's side, which learns the version from CONNECT.
    #[must_use]
    pub fn server() -> Self {
        Self { version: None, limits: Limits::default() }
    }

    /// With limits other than the defaults.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The connection's version, once it is known.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// Takes the next packet from the front of `buffer`; `None` when more bytes are needed.
    ///
    /// The packet shares the buffer's memory, nothing is copied. While a packet is incomplete, space for the rest of
    /// it is reserved, at most [`Limits::max_packet_size`].
    ///
    /// # Errors
    /// [`DecodeError`] names the rule broken. The stream cannot be read on.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Packet>, DecodeError> {
        let Some((&header, rest)) = buffer.split_first() else { return Ok(None) };
        self.check_header(header)?;
        let Some((body_len, var_len)) = var_int(rest)? else { return Ok(None) };
        let header_len = var_len.saturating_add(1);
        let total = (body_len as usize).saturating_add(header_len);
        if total > self.limits.max_packet_size as usize {
            let size = u32::try_from(total).unwrap_or(u32::MAX);
            return Err(DecodeError::PacketTooLarge { size, max: self.limits.max_packet_size });
        }
        if buffer.len() < total {
            buffer.reserve(total.saturating_sub(buffer.len()));
            return Ok(None);
        }
        let mut frame = buffer.split_to(total);
        frame.advance(header_len);
        let packet = Packet::decode(header, &frame.freeze(), self.version.unwrap_or(Version::V5))?;
        if let Packet::Connect(connect) = &packet {
            self.version.get_or_insert(connect.version);
        }
        Ok(Some(packet))
    }

    /// The whole length of `packet` on the wire, in bytes.
    ///
    /// # Errors
    /// [`EncodeError`] says why the packet cannot be sent in this version.
    pub fn encoded_len(&self, packet: &Packet) -> Result<usize, EncodeError> {
        let version = self.version_for(packet);
        Ok(frame_len(body_len(packet, version)?))
    }

    /// Appends `packet` to `buffer`, which grows by exactly [`encoded_len`](Self::encoded_len) bytes.
    ///
    /// # Errors
    /// [`EncodeError`] says why the packet cannot be sent in this version; the buffer is unchanged then.
    pub fn encode(&self, packet: &Packet, buffer: &mut BytesMut) -> Result<(), EncodeError> {
        let version = self.version_for(packet);
        let body = body_len(packet, version)?;
        buffer.reserve(frame_len(body));
        let mut sink = Write(buffer);
        sink.u8(packet.header());
        sink.var_int(body);
        packet.layout(version, &mut sink);
        Ok(())
    }

    fn version_for(&self, packet: &Packet) -> Version {
        match packet {
            Packet::Connect(connect) => self.version.unwrap_or(connect.version),
            _ => self.version.unwrap_or(Version::V5),
        }
    }

    /// What the first byte alone can be wrong in (section 2.1.3).
    fn check_header(&self, header: u8) -> Result<(), DecodeError> {
        let (packet_type, flags) = (header >> 4, header & 0x0F);
        match packet_type {
            0 => return Err(DecodeError::UnknownPacketType(0)),
            15 if self.version == Some(Version::V3_1_1) => return Err(DecodeError::UnknownPacketType(15)),
            _ => {}
        }
        if self.version.is_none() && packet_type != 1 {
            return Err(DecodeError::ConnectExpected); // [MQTT-3.1.0-1]
        }
        let expected = match packet_type {
            3 => return Ok(()),
            6 | 8 | 10 => 0b0010,
            _ => 0,
        };
        if flags == expected { Ok(()) } else { Err(DecodeError::InvalidFlags) }
    }
}

/// Checks the packet and counts its Remaining Length.
fn body_len(packet: &Packet, version: Version) -> Result<u32, EncodeError> {
    packet.check(version)?;
    let mut count = Count::default();
    packet.layout(version, &mut count);
    u32::try_from(count.0)
        .ok()
        .filter(|len| *len <= MAX_VAR_INT)
        .ok_or(EncodeError::PacketTooLarge { size: count.0.saturating_add(5), max: MAX_PACKET as usize })
}

fn frame_len(body: u32) -> usize {
    let mut count = Count::default();
    count.u8(0);
    count.var_int(body);
    count.0.saturating_add(body as usize)
}
