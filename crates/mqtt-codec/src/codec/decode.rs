//! Packets out of byte buffers.

use bytes::{Buf, Bytes, BytesMut};

use super::{CONNECT, Codec, PUBLISH};
use crate::packet::{Connect, PublishParts};
use crate::reader::var_int;
use crate::rules::Side;
use crate::{AnyPacket, Buffer, DecodeError, Packet, PacketId, PacketRef, Version};

/// What is reserved for a packet that is announced, in bytes; beyond it the buffer doubles as bytes come.
const RESERVED: usize = 64 * 1024;

/// The fixed header of a packet that has begun.
#[derive(Clone, Copy)]
struct Frame {
    header: u8,
    /// Length of the fixed header.
    at: usize,
    /// Length of the whole packet.
    total: usize,
}

impl Codec {
    /// Takes the next packet from the front of `buffer`; `None` when more bytes are needed.
    ///
    /// The packet shares the buffer's memory, nothing is copied. While a packet is incomplete, space for more of it is
    /// reserved: 64 KiB, or as much as has come, within [`Limits`](crate::Limits).
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use mqtt_codec::{Codec, Packet, ReasonCode, Version};
    ///
    /// let mut codec = Codec::client(Version::V3_1_1);
    /// let mut buffer = BytesMut::new();
    /// for piece in [&b"\x30\x07\x00"[..], b"\x03a/b", b"hi"] {
    ///     buffer.extend_from_slice(piece); // what a socket gave
    ///     match codec.decode(&mut buffer) {
    ///         Ok(Some(Packet::Publish(publish))) => assert_eq!(publish.payload(), b"hi"),
    ///         Ok(Some(other)) => panic!("unexpected {}", other.name()),
    ///         Ok(None) => {} // more bytes are needed
    ///         Err(error) => panic!("answer with {} and close: {error}", error.reason()),
    ///     }
    /// }
    /// assert!(buffer.is_empty());
    /// ```
    ///
    /// # Errors
    /// [`DecodeError`] names the rule broken. The stream cannot be read on.
    #[inline(always)]
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Packet>, DecodeError> {
        let Some(frame) = self.frame(buffer)? else { return Ok(None) };
        let Some(packet) = buffer.get(..frame.total) else {
            // No more at once than has come already: a length is but an announcement.
            let missing = frame.total.saturating_sub(buffer.len());
            buffer.reserve(missing.min(buffer.len().max(RESERVED)));
            return Ok(None);
        };
        if frame.header >> 4 == PUBLISH {
            let parts = PublishParts::read(frame.header, packet, frame.at, &self.rules)?;
            return Ok(Some(Packet::Publish(parts.of(buffer.split_to(frame.total).freeze()))));
        }
        if let Some(packet_id) = short_ack(&frame, packet)? {
            buffer.advance(frame.total);
            return Ok(Some(Packet::short_ack(frame.header >> 4, packet_id)));
        }
        if frame.at == frame.total {
            // Nothing to share.
            buffer.advance(frame.total);
            return self.decode_control(&frame, Bytes::new());
        }
        let packet = buffer.split_to(frame.total).freeze();
        self.decode_control(&frame, packet)
    }

    /// Reads the next packet at the front of `bytes` without owning any of it, and says how many bytes it takes;
    /// `None` when more bytes are needed.
    ///
    /// The packet has the same types as an owned one, over `&[u8]`; nothing is copied or allocated.
    ///
    /// ```
    /// use mqtt_codec::{Codec, PacketRef, Version};
    ///
    /// let mut codec = Codec::client(Version::V5);
    /// let received = b"\x30\x08\x00\x03a/b\x00hi\xd0\x00";
    /// let Some((PacketRef::Publish(publish), len)) = codec.decode_ref(received)? else { unreachable!() };
    /// assert_eq!((publish.topic(), publish.payload()), ("a/b", &b"hi"[..]));
    /// assert_eq!(codec.decode_ref(&received[len..])?, Some((PacketRef::PingResp, 2)));
    /// # Ok::<(), mqtt_codec::DecodeError>(())
    /// ```
    ///
    /// # Errors
    /// [`DecodeError`] names the rule broken. The stream cannot be read on.
    #[inline(always)]
    pub fn decode_ref<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<(PacketRef<'a>, usize)>, DecodeError> {
        let Some(frame) = self.frame(bytes)? else { return Ok(None) };
        let Some(packet) = bytes.get(..frame.total) else { return Ok(None) };
        if frame.header >> 4 == PUBLISH {
            let parts = PublishParts::read(frame.header, packet, frame.at, &self.rules)?;
            return Ok(Some((PacketRef::Publish(parts.of(packet)), frame.total)));
        }
        if let Some(packet_id) = short_ack(&frame, packet)? {
            return Ok(Some((PacketRef::short_ack(frame.header >> 4, packet_id), frame.total)));
        }
        Ok(self.decode_control(&frame, packet)?.map(|packet| (packet, frame.total)))
    }

    /// Not inlined: the caller's code for messages and acknowledgements stays small and in registers.
    #[inline(never)]
    fn decode_control<B: Buffer>(
        &mut self,
        frame: &Frame,
        packet: B,
    ) -> Result<Option<AnyPacket<B>>, DecodeError> {
        if frame.header >> 4 == CONNECT {
            return self.decode_connect(frame, packet).map(|connect| Some(AnyPacket::Connect(connect)));
        }
        AnyPacket::decode_control(frame.header, packet, frame.at, &self.rules).map(Some)
    }

    /// A server's version is that of the CONNECT it took, which is the only one; an observer follows each.
    fn decode_connect<B: Buffer>(&mut self, frame: &Frame, packet: B) -> Result<Connect<B>, DecodeError> {
        if self.side == Side::Server {
            // An answer to what is refused is in the words of the version that was asked for, or, if that is none, in those
            // of MQTT 3.1.1, which clients of all versions read.
            self.rules.version =
                Connect::<B>::peek_version(packet.as_ref(), frame.at).unwrap_or(Version::V3_1_1);
        }
        let connect = Connect::decode(packet, frame.at, &self.rules)?;
        self.rules.version = connect.version();
        self.started = true;
        self.takes = self.rules.sender.sends(connect.version());
        if self.side == Side::Server {
            self.takes &= !(1 << CONNECT);
        }
        Ok(connect)
    }

    /// The whole length in bytes of the packet that begins at the front of `bytes`, as soon as its fixed header is
    /// there: for those who manage their own buffers.
    ///
    /// ```
    /// use mqtt_codec::{Codec, Version};
    ///
    /// let codec = Codec::client(Version::V5);
    /// assert_eq!(codec.packet_len(&[0x30])?, None);
    /// assert_eq!(codec.packet_len(&[0x30, 0x80, 0x01])?, Some(131));
    /// # Ok::<(), mqtt_codec::DecodeError>(())
    /// ```
    ///
    /// # Errors
    /// What is wrong with the fixed header: the type, its flags, the length, or a limit.
    pub fn packet_len(&self, bytes: &[u8]) -> Result<Option<usize>, DecodeError> {
        Ok(self.frame(bytes)?.map(|frame| frame.total))
    }

    /// Reads the fixed header and holds it to the limits.
    #[inline(always)]
    fn frame(&self, bytes: &[u8]) -> Result<Option<Frame>, DecodeError> {
        let Some((&header, rest)) = bytes.split_first() else { return Ok(None) };
        let packet_type = header >> 4;
        let flags_fit = match packet_type {
            3 => true,
            // [v5 MQTT-3.6.1-1, v5 MQTT-3.8.1-1, v5 MQTT-3.10.1-1]
            // [v3.1.1 MQTT-3.6.1-1, v3.1.1 MQTT-3.8.1-1, v3.1.1 MQTT-3.10.1-1]
            6 | 8 | 10 => header & 0x0F == 0b0010,
            // [v5 MQTT-3.14.1-1, v5 MQTT-3.15.1-1, v3.1.1 MQTT-3.14.1-1]
            _ => header & 0x0F == 0,
        };
        if !flags_fit || self.takes >> packet_type & 1 == 0 {
            self.refuse(packet_type, flags_fit)?;
        }
        let Some((body_len, var_len)) = var_int(rest)? else { return Ok(None) };
        let at = var_len.saturating_add(1);
        let total = (body_len as usize).saturating_add(at);
        let limits = &self.rules.limits;
        // [v5 MQTT-3.1.2-24]
        if total > limits.max_packet_size as usize
            || (packet_type != 3 && total > limits.max_control_packet_size as usize)
        {
            let size = u32::try_from(total).unwrap_or(u32::MAX);
            let max = if packet_type == 3 { u32::MAX } else { limits.max_control_packet_size };
            return Err(DecodeError::PacketTooLarge { size, max: max.min(limits.max_packet_size) });
        }
        Ok(Some(Frame { header, at, total }))
    }

    /// What the first byte alone is wrong in, unless leniency lets it pass.
    #[cold]
    fn refuse(&self, packet_type: u8, flags_fit: bool) -> Result<(), DecodeError> {
        // Section 2.1.2: type 0 is reserved, in MQTT 3.1.1 15 too.
        if packet_type == 0 || (packet_type == 15 && self.started && !self.rules.version.is_v5()) {
            return Err(DecodeError::UnknownPacketType(packet_type));
        }
        if self.takes >> packet_type & 1 == 0 {
            return Err(match (self.started, packet_type) {
                (false, _) => DecodeError::ConnectExpected, // [v5 MQTT-3.1.0-1, v3.1.1 MQTT-3.1.0-1]
                (true, 1) if self.side == Side::Server => DecodeError::SecondConnect, // [v5 MQTT-3.1.0-2, v3.1.1 MQTT-3.1.0-2]
                (true, _) => DecodeError::WrongDirection { what: "this packet type" },
            });
        }
        // [v5 MQTT-2.1.3-1, v3.1.1 MQTT-2.2.2-1, v3.1.1 MQTT-2.2.2-2]
        let answers = matches!(packet_type, 4..=7 | 9 | 11);
        if flags_fit || (answers && self.rules.lenient.flags_of_acknowledgements) {
            Ok(())
        } else {
            Err(DecodeError::InvalidFlags)
        }
    }
}

/// The packet identifier of a PUBACK, PUBREC, PUBREL or PUBCOMP that carries nothing else: the packets that, beside
/// PUBLISH, arrive most.
#[inline(always)]
fn short_ack(frame: &Frame, packet: &[u8]) -> Result<Option<PacketId>, DecodeError> {
    match packet {
        [_, _, high, low] if matches!(frame.header >> 4, 4..=7) => {
            PacketId::new(u16::from_be_bytes([*high, *low])).map(Some).ok_or(DecodeError::ZeroPacketId)
        }
        _ => Ok(None),
    }
}
