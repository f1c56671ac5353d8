//! Packets into byte buffers.

use bytes::BytesMut;

use super::{Codec, MAX_PACKET, MAX_VAR_INT};
use crate::layout::{Count, Layout, Sink, Write};
use crate::packet::Publish;
use crate::rules::Side;
use crate::{AnyPacket, Buffer, EncodeError, Version};

impl Codec {
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
        self.admit(packet)?;
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
        self.admit(packet)?;
        let AnyPacket::Publish(publish) = packet else { return self.encode_control(packet, buffer) };
        let body = self.publish_len(publish)?;
        buffer.reserve(frame_len(body));
        write_head(publish, self.rules.version, body, buffer);
        buffer.extend_from_slice(publish.payload());
        Ok(())
    }

    /// A server says little before it has received CONNECT.
    #[inline(always)]
    fn admit<B: Buffer>(&self, packet: &AnyPacket<B>) -> Result<(), EncodeError> {
        let early = matches!(packet, AnyPacket::ConnAck(_) | AnyPacket::Auth(_) | AnyPacket::Disconnect(_));
        if self.started || early { Ok(()) } else { Err(EncodeError::ConnectExpected) }
    }

    /// Checks a PUBLISH and counts its Remaining Length.
    #[inline(always)]
    fn publish_len<B: Buffer>(&self, publish: &Publish<B>) -> Result<u32, EncodeError> {
        publish.check(self.rules.version, self.side)?;
        body_len(publish, self.rules.version)
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
    /// use mqtt_codec::{Codec, Packet, TopicName, Version, packet::Publish};
    ///
    /// let image = Bytes::from(vec![0; 100_000]);
    /// let publish = Publish::new(TopicName::try_from("camera/1")?, image.clone());
    /// let mut head = BytesMut::new();
    /// let payload = Codec::client(Version::V5).encode_vectored(&Packet::from(publish), &mut head)?;
    /// assert_eq!(head.len(), 15);
    /// assert_eq!(payload.as_ptr(), image.as_ptr());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`EncodeError`] says why the packet cannot be sent in this version; the buffer is unchanged then.
    pub fn encode_vectored<B: Buffer>(
        &self,
        packet: &AnyPacket<B>,
        buffer: &mut BytesMut,
    ) -> Result<B, EncodeError> {
        self.admit(packet)?;
        let AnyPacket::Publish(publish) = packet else {
            return self.encode_control(packet, buffer).map(|()| B::default());
        };
        let body = self.publish_len(publish)?;
        buffer.reserve(frame_len(body).saturating_sub(publish.payload().len()));
        write_head(publish, self.rules.version, body, buffer);
        Ok(publish.payload_bytes())
    }

    #[inline]
    fn version_for<B: Buffer>(&self, packet: &AnyPacket<B>) -> Version {
        match packet {
            AnyPacket::Connect(connect) if self.side == Side::Both => connect.version(),
            _ => self.rules.version,
        }
    }
}

/// Counts the Remaining Length of a packet that was checked.
#[inline(always)]
fn body_len(packet: &impl Layout, version: Version) -> Result<u32, EncodeError> {
    let mut count = Count::default();
    packet.layout_head(version, &mut count);
    count.put(packet.payload());
    match u32::try_from(count.0) {
        Ok(len) if len <= MAX_VAR_INT => Ok(len),
        _ => Err(EncodeError::PacketTooLarge { size: count.0.saturating_add(5), max: MAX_PACKET as usize }),
    }
}

#[inline(always)]
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
