//! Packets out of and into byte buffers.

use bytes::{Buf, Bytes, BytesMut};

use crate::layout::{Count, Layout, Sink, Write};
use crate::packet::{Connect, PublishParts};
use crate::reader::var_int;
use crate::rules::{Rules, Side};
use crate::{
    AnyPacket, Buffer, DecodeError, EncodeError, Leniency, Limits, Packet, PacketId, PacketRef, Version,
};

/// The largest number a variable byte integer holds, and so the largest Remaining Length.
pub(crate) const MAX_VAR_INT: u32 = 268_435_455;

/// The largest packet that MQTT can say: a fixed header of 5 bytes and a Remaining Length of 268,435,455.
const MAX_PACKET: u32 = MAX_VAR_INT + 5;

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;

/// Decodes and encodes the packets of one connection.
///
/// # Contract
/// A codec stands at one end of a connection: [`client`](Self::client) decodes what servers may send and encodes what
/// clients may send, [`server`](Self::server) the other way round, [`observer`](Self::observer) both.
///
/// Feed [`decode`](Self::decode) one buffer to which incoming bytes are appended. It takes whole packets from the
/// buffer's front and leaves the rest. [`decode_ref`](Self::decode_ref) does the same on borrowed bytes. After an error
/// the position in the stream is lost: answer, then close.
///
/// A codec made by [`server`](Self::server) takes its version from the first packet, which must be CONNECT.
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
    side: Side,
    /// Whether the version is known: always at the client's side, from CONNECT on at the server's.
    started: bool,
    rules: Rules,
    /// The packet types that are taken now, a bit for each.
    takes: u16,
}

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
    /// For the client's side, which knows its version.
    #[must_use]
    pub fn client(version: Version) -> Self {
        Self::of(Side::Client, Some(version))
    }

    /// For the server's side, which learns the version from CONNECT.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use mqtt_codec::{Codec, DecodeError, Packet, Version};
    ///
    /// let mut codec = Codec::server();
    /// let mut buffer = BytesMut::from(&b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02id\xc0\x00"[..]);
    /// assert!(matches!(codec.decode(&mut buffer)?, Some(Packet::Connect(_))));
    /// assert_eq!(codec.version(), Some(Version::V3_1_1));
    /// assert_eq!(codec.decode(&mut buffer)?, Some(Packet::PingReq));
    /// // CONNECT comes first, and once.
    /// let error = Codec::server().decode(&mut BytesMut::from(&b"\xc0\x00"[..])).unwrap_err();
    /// assert_eq!(error, DecodeError::ConnectExpected);
    /// # Ok::<(), DecodeError>(())
    /// ```
    #[must_use]
    pub fn server() -> Self {
        Self::of(Side::Server, None)
    }

    /// For the server's side of a connection whose CONNECT was read elsewhere: any further one is refused.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use mqtt_codec::{Codec, Packet, Version, packet::ConnAck};
    ///
    /// let mut answer = BytesMut::new();
    /// Codec::server_after_connect(Version::V5).encode(&Packet::from(ConnAck::default()), &mut answer)?;
    /// assert_eq!(answer, &b"\x20\x03\x00\x00\x00"[..]);
    /// # Ok::<(), mqtt_codec::EncodeError>(())
    /// ```
    #[must_use]
    pub fn server_after_connect(version: Version) -> Self {
        let mut codec = Self::of(Side::Server, Some(version));
        codec.takes &= !(1 << CONNECT);
        codec
    }

    /// For those who look on from outside (proxies, analysers, tests): takes what either side may send, CONNECT of
    /// whatever version at any time.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use mqtt_codec::{Codec, Packet, Version};
    ///
    /// let mut codec = Codec::observer(Version::V5);
    /// let mut buffer = BytesMut::from(&b"\xc0\x00\xd0\x00"[..]);
    /// assert_eq!(codec.decode(&mut buffer)?, Some(Packet::PingReq)); // from the client
    /// assert_eq!(codec.decode(&mut buffer)?, Some(Packet::PingResp)); // from the server
    /// # Ok::<(), mqtt_codec::DecodeError>(())
    /// ```
    #[must_use]
    pub fn observer(version: Version) -> Self {
        Self::of(Side::Both, Some(version))
    }

    fn of(side: Side, version: Option<Version>) -> Self {
        let sender = side.peer();
        let known = version.unwrap_or(Version::V5);
        Self {
            side,
            started: version.is_some(),
            rules: Rules { version: known, sender, limits: Limits::default(), lenient: Leniency::none() },
            takes: if version.is_some() { sender.sends(known) } else { 1 << CONNECT },
        }
    }

    /// With limits other than the defaults.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.rules.limits = limits;
        self
    }

    /// Lets pass what real programs are known to get wrong; nothing by default.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use mqtt_codec::{Codec, DecodeError, Leniency, Version};
    ///
    /// // A PUBACK with reserved flags set.
    /// let bytes = &[0x42, 0x02, 0x00, 0x07][..];
    /// let mut strict = Codec::client(Version::V3_1_1);
    /// assert_eq!(strict.decode(&mut BytesMut::from(bytes)), Err(DecodeError::InvalidFlags));
    /// let mut lenient = strict.with_leniency(Leniency::all());
    /// assert!(lenient.decode(&mut BytesMut::from(bytes))?.is_some());
    /// # Ok::<(), DecodeError>(())
    /// ```
    #[must_use]
    pub fn with_leniency(mut self, leniency: Leniency) -> Self {
        self.rules.lenient = leniency;
        self
    }

    /// The connection's version, once it is known.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.started.then_some(self.rules.version)
    }

    /// Takes the next packet from the front of `buffer`; `None` when more bytes are needed.
    ///
    /// The packet shares the buffer's memory, nothing is copied. While a packet is incomplete, space for the rest of
    /// it is reserved, within [`Limits`].
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
            buffer.reserve(frame.total.saturating_sub(buffer.len()));
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
            let connect = Connect::decode(packet, frame.at, &self.rules)?;
            if self.side == Side::Server {
                // A server's version is that of the CONNECT it took, which is the only one.
                self.started = true;
                self.rules.version = connect.version();
                self.takes = self.rules.sender.sends(connect.version()) & !(1 << CONNECT);
            }
            return Ok(Some(AnyPacket::Connect(connect)));
        }
        AnyPacket::decode_control(frame.header, packet, frame.at, &self.rules).map(Some)
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

    /// The whole length of `packet` on the wire, in bytes.
    ///
    /// ```
    /// use mqtt_codec::{Codec, Packet, Version};
    ///
    /// assert_eq!(Codec::client(Version::V5).encoded_len(&Packet::PingReq)?, 2);
    /// # Ok::<(), mqtt_codec::EncodeError>(())
    /// ```
    ///
    /// # Errors
    /// [`EncodeError`] says why the packet cannot be sent in this version.
    pub fn encoded_len<B: Buffer>(&self, packet: &AnyPacket<B>) -> Result<usize, EncodeError> {
        let version = self.version_for(packet);
        packet.check(version, self.side)?;
        Ok(frame_len(body_len(packet, version)?))
    }

    /// Appends `packet` to `buffer`, which grows by exactly [`encoded_len`](Self::encoded_len) bytes.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use mqtt_codec::{Codec, EncodeError, Packet, Version, packet::Auth};
    ///
    /// let codec = Codec::client(Version::V3_1_1);
    /// let mut buffer = BytesMut::new();
    /// codec.encode(&Packet::PingReq, &mut buffer)?;
    /// // What a version cannot say is an error.
    /// let refused = codec.encode(&Packet::from(Auth::default()), &mut buffer);
    /// assert!(matches!(refused, Err(EncodeError::NotInVersion { what: "AUTH", .. })));
    /// assert_eq!(buffer, &b"\xc0\x00"[..]);
    /// # Ok::<(), EncodeError>(())
    /// ```
    ///
    /// # Errors
    /// [`EncodeError`] says why the packet cannot be sent in this version; the buffer is unchanged then.
    #[inline]
    pub fn encode<B: Buffer>(&self, packet: &AnyPacket<B>, buffer: &mut BytesMut) -> Result<(), EncodeError> {
        if let AnyPacket::Publish(publish) = packet {
            publish.check(self.rules.version, self.side)?;
            let body = body_len(publish, self.rules.version)?;
            buffer.reserve(frame_len(body));
            write_head(publish, self.rules.version, body, buffer);
            buffer.extend_from_slice(publish.payload());
            return Ok(());
        }
        self.encode_control(packet, buffer)
    }

    #[inline]
    fn encode_control<B: Buffer>(
        &self,
        packet: &AnyPacket<B>,
        buffer: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        if let Some(packet_id) = packet.as_short_ack() {
            let [high, low] = packet_id.value().to_be_bytes();
            buffer.extend_from_slice(&[packet.header(), 2, high, low]);
            return Ok(());
        }
        let version = self.version_for(packet);
        packet.check(version, self.side)?;
        let body = body_len(packet, version)?;
        buffer.reserve(frame_len(body));
        write_head(packet, version, body, buffer);
        Ok(())
    }

    /// Appends all of `packet` but a PUBLISH's payload to `buffer`, and returns the payload, which has to be written
    /// right behind it: for vectored writes that do not copy large payloads. For other packets the payload is empty.
    ///
    /// ```
    /// use bytes::{Bytes, BytesMut};
    /// use mqtt_codec::{Codec, TopicName, Version, packet::Publish};
    ///
    /// let image = Bytes::from(vec![0; 100_000]);
    /// let publish = Publish::new(TopicName::try_from("camera/1")?, image.clone());
    /// let mut head = BytesMut::new();
    /// let payload = Codec::client(Version::V5).encode_vectored(&publish.into(), &mut head)?;
    /// assert_eq!(head.len(), 15);
    /// assert_eq!(payload.as_ptr(), image.as_ptr());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`EncodeError`] says why the packet cannot be sent in this version; the buffer is unchanged then.
    pub fn encode_vectored(&self, packet: &Packet, buffer: &mut BytesMut) -> Result<Bytes, EncodeError> {
        let Packet::Publish(publish) = packet else {
            return self.encode_control(packet, buffer).map(|()| Bytes::new());
        };
        publish.check(self.rules.version, self.side)?;
        let body = body_len(publish, self.rules.version)?;
        buffer.reserve(frame_len(body).saturating_sub(publish.payload().len()));
        write_head(publish, self.rules.version, body, buffer);
        Ok(publish.payload_bytes())
    }

    #[inline]
    fn version_for<B: Buffer>(&self, packet: &AnyPacket<B>) -> Version {
        match packet {
            AnyPacket::Connect(connect) if !self.started || self.side == Side::Both => connect.version(),
            _ => self.rules.version,
        }
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

/// Counts the Remaining Length of a packet that was checked.
#[inline]
fn body_len(packet: &impl Layout, version: Version) -> Result<u32, EncodeError> {
    let mut count = Count::default();
    packet.layout_head(version, &mut count);
    count.put(packet.payload());
    match u32::try_from(count.0) {
        Ok(len) if len <= MAX_VAR_INT => Ok(len),
        _ => Err(EncodeError::PacketTooLarge { size: count.0.saturating_add(5), max: MAX_PACKET as usize }),
    }
}

#[inline]
fn write_head(packet: &impl Layout, version: Version, body: u32, buffer: &mut BytesMut) {
    let mut sink = Write(buffer);
    sink.fixed_header(packet.header(), body);
    packet.layout_head(version, &mut sink);
}

#[inline]
fn frame_len(body: u32) -> usize {
    let mut count = Count::default();
    count.fixed_header(0, body);
    count.0.saturating_add(body as usize)
}
