//! One struct per packet shape, for both versions of the protocol.

mod ack;
mod auth;
mod connack;
mod connect;
mod disconnect;
mod publish;
mod suback;
mod subscribe;

use core::ops::Range;

use bytes::Bytes;

pub use ack::Ack;
pub use auth::Auth;
pub use connack::ConnAck;
pub use connect::{Connect, ConnectBuilder, Will};
pub use disconnect::Disconnect;
pub(crate) use publish::Parts as PublishParts;
pub use publish::Publish;
pub use suback::SubAck;
pub use subscribe::{Filters, RetainHandling, Subscribe, SubscriptionOptions, Unsubscribe};

use crate::layout::{Layout, Sink};
use crate::properties::{self, Context};
use crate::reader::Reader;
use crate::reason::ReasonSet;
use crate::rules::{Rules, Side};
use crate::{Buffer, DecodeError, EncodeError, PacketId, Properties, ReasonCode, Version};

/// A control packet that owns its bytes, or shares them with the buffer it was read into.
pub type Packet = AnyPacket<Bytes>;

/// A control packet that borrows from the bytes it was read from.
pub type PacketRef<'a> = AnyPacket<&'a [u8]>;

/// Any control packet (MQTT 5, section 3), over owned or borrowed bytes: see [`Packet`] and [`PacketRef`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
// The tag has a byte of its own, and the packets that arrive most have their small fields at the same places: left to
// itself the compiler hides the tag among the fields, and moves packets about in odd pieces that the processor waits for.
#[repr(u8)]
pub enum AnyPacket<B: Buffer> {
    /// Client requests a connection.
    Connect(Connect<B>),
    /// Server answers CONNECT.
    ConnAck(ConnAck<B>),
    /// An application message.
    Publish(Publish<B>),
    /// Answer to a QoS 1 message.
    PubAck(Ack<B>),
    /// First answer to a QoS 2 message.
    PubRec(Ack<B>),
    /// Answer to PUBREC.
    PubRel(Ack<B>),
    /// Answer to PUBREL.
    PubComp(Ack<B>),
    /// Client asks for messages.
    Subscribe(Subscribe<B>),
    /// Answer to SUBSCRIBE.
    SubAck(SubAck<B>),
    /// Client wants no more of them.
    Unsubscribe(Unsubscribe<B>),
    /// Answer to UNSUBSCRIBE.
    UnsubAck(SubAck<B>),
    /// Sign of life.
    PingReq,
    /// Answer to PINGREQ.
    PingResp,
    /// The connection ends.
    Disconnect(Disconnect<B>),
    /// Enhanced authentication, MQTT 5 only.
    Auth(Auth<B>),
}

impl<B: Buffer> AnyPacket<B> {
    /// The standard's name of the packet type.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Connect(_) => "CONNECT",
            Self::ConnAck(_) => "CONNACK",
            Self::Publish(_) => "PUBLISH",
            Self::PubAck(_) => "PUBACK",
            Self::PubRec(_) => "PUBREC",
            Self::PubRel(_) => "PUBREL",
            Self::PubComp(_) => "PUBCOMP",
            Self::Subscribe(_) => "SUBSCRIBE",
            Self::SubAck(_) => "SUBACK",
            Self::Unsubscribe(_) => "UNSUBSCRIBE",
            Self::UnsubAck(_) => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect(_) => "DISCONNECT",
            Self::Auth(_) => "AUTH",
        }
    }

    /// On memory of its own: what is borrowed is copied, what is shared stays shared.
    ///
    /// ```
    /// use mqtt_codec::{Codec, Packet, Version};
    ///
    /// let received = b"\x30\x07\x00\x03a/bhi".to_vec();
    /// let Some((view, _)) = Codec::client(Version::V3_1_1).decode_ref(&received)? else { unreachable!() };
    /// let packet: Packet = view.into_owned();
    /// drop(received);
    /// assert!(matches!(packet, Packet::Publish(publish) if publish.payload() == b"hi"));
    /// # Ok::<(), mqtt_codec::DecodeError>(())
    /// ```
    #[must_use]
    pub fn into_owned(self) -> Packet {
        match self {
            Self::Connect(packet) => Packet::Connect(packet.into_owned()),
            Self::ConnAck(packet) => Packet::ConnAck(packet.into_owned()),
            Self::Publish(packet) => Packet::Publish(packet.into_owned()),
            Self::PubAck(packet) => Packet::PubAck(packet.into_owned()),
            Self::PubRec(packet) => Packet::PubRec(packet.into_owned()),
            Self::PubRel(packet) => Packet::PubRel(packet.into_owned()),
            Self::PubComp(packet) => Packet::PubComp(packet.into_owned()),
            Self::Subscribe(packet) => Packet::Subscribe(packet.into_owned()),
            Self::SubAck(packet) => Packet::SubAck(packet.into_owned()),
            Self::Unsubscribe(packet) => Packet::Unsubscribe(packet.into_owned()),
            Self::UnsubAck(packet) => Packet::UnsubAck(packet.into_owned()),
            Self::PingReq => Packet::PingReq,
            Self::PingResp => Packet::PingResp,
            Self::Disconnect(packet) => Packet::Disconnect(packet.into_owned()),
            Self::Auth(packet) => Packet::Auth(packet.into_owned()),
        }
    }

    /// An acknowledgement in its shortest form: success, and nothing to share with a buffer.
    #[inline(always)]
    pub(crate) fn short_ack(packet_type: u8, packet_id: PacketId) -> Self {
        let ack = Ack { packet_id, reason: ReasonCode::Success, properties: Properties::default() };
        match packet_type {
            4 => Self::PubAck(ack),
            5 => Self::PubRec(ack),
            6 => Self::PubRel(ack),
            _ => Self::PubComp(ack),
        }
    }

    /// The reverse of [`short_ack`](Self::short_ack).
    #[inline(always)]
    pub(crate) fn as_short_ack(&self) -> Option<PacketId> {
        match self {
            Self::PubAck(ack) | Self::PubRec(ack) | Self::PubRel(ack) | Self::PubComp(ack)
                if ack.reason == ReasonCode::Success && ack.properties.is_empty() =>
            {
                Some(ack.packet_id)
            }
            _ => None,
        }
    }

    /// Reads a whole packet of any type but CONNECT and PUBLISH, whose first byte is `header` and whose body begins at
    /// `at`.
    pub(crate) fn decode_control(
        header: u8,
        packet: B,
        at: usize,
        rules: &Rules,
    ) -> Result<Self, DecodeError> {
        Ok(match header >> 4 {
            2 => Self::ConnAck(ConnAck::decode(packet, at, rules)?),
            4 => Self::PubAck(Ack::decode(packet, at, rules, Context::PubAck)?),
            5 => Self::PubRec(Ack::decode(packet, at, rules, Context::PubRec)?),
            6 => Self::PubRel(Ack::decode(packet, at, rules, Context::PubRel)?),
            7 => Self::PubComp(Ack::decode(packet, at, rules, Context::PubComp)?),
            8 => Self::Subscribe(Subscribe::decode(packet, at, rules)?),
            9 => Self::SubAck(SubAck::decode(packet, at, rules, Context::SubAck)?),
            10 => Self::Unsubscribe(Unsubscribe::decode(packet, at, rules)?),
            11 => Self::UnsubAck(SubAck::decode(packet, at, rules, Context::UnsubAck)?),
            12 => Reader::body(packet.as_ref(), at).finish().map(|()| Self::PingReq)?,
            13 => Reader::body(packet.as_ref(), at).finish().map(|()| Self::PingResp)?,
            14 => Self::Disconnect(Disconnect::decode(packet, at, rules)?),
            15 => Self::Auth(Auth::decode(packet, at, rules)?),
            other => return Err(DecodeError::UnknownPacketType(other)),
        })
    }

    /// Everything that can be wrong with the packet, before the first byte of it is written.
    #[inline]
    pub(crate) fn check(&self, version: Version, sender: Side) -> Result<(), EncodeError> {
        match self {
            Self::Publish(packet) => packet.check(version, sender),
            Self::PubAck(packet) => packet.check(version, sender, Context::PubAck),
            Self::PubRec(packet) => packet.check(version, sender, Context::PubRec),
            Self::PubRel(packet) => packet.check(version, sender, Context::PubRel),
            Self::PubComp(packet) => packet.check(version, sender, Context::PubComp),
            other => other.check_control(version, sender),
        }
    }

    fn check_control(&self, version: Version, sender: Side) -> Result<(), EncodeError> {
        let sends = sender.sends(version) >> (self.header() >> 4) & 1 != 0;
        match self {
            // AUTH says better itself what MQTT 3.1.1 lacks.
            Self::Auth(packet) => packet.check(version, sender),
            _ if !sends => Err(EncodeError::WrongDirection(self.name())),
            Self::Connect(packet) if packet.version() != version => {
                Err(EncodeError::NotInVersion { what: "a CONNECT of another version", version })
            }
            Self::ConnAck(packet) => packet.check(version),
            Self::Subscribe(packet) => packet.check(version),
            Self::SubAck(packet) => packet.check(version, Context::SubAck),
            Self::Unsubscribe(packet) => packet.check(version),
            Self::UnsubAck(packet) => packet.check(version, Context::UnsubAck),
            Self::Disconnect(packet) => packet.check(version, sender),
            _ => Ok(()),
        }
    }
}

impl<B: Buffer> Layout for AnyPacket<B> {
    /// [v5 MQTT-2.1.3-1, v3.1.1 MQTT-2.2.2-1]
    #[inline]
    fn header(&self) -> u8 {
        match self {
            Self::Connect(_) => 0x10,
            Self::ConnAck(_) => 0x20,
            Self::Publish(packet) => packet.header(),
            Self::PubAck(_) => 0x40,
            Self::PubRec(_) => 0x50,
            Self::PubRel(_) => 0x62,
            Self::PubComp(_) => 0x70,
            Self::Subscribe(_) => 0x82,
            Self::SubAck(_) => 0x90,
            Self::Unsubscribe(_) => 0xA2,
            Self::UnsubAck(_) => 0xB0,
            Self::PingReq => 0xC0,
            Self::PingResp => 0xD0,
            Self::Disconnect(_) => 0xE0,
            Self::Auth(_) => 0xF0,
        }
    }

    #[inline]
    fn layout_head(&self, version: Version, sink: &mut impl Sink) {
        match self {
            Self::Connect(packet) => packet.layout(sink),
            Self::ConnAck(packet) => packet.layout(version, sink),
            Self::Publish(packet) => packet.layout_head(version, sink),
            Self::PubAck(packet) | Self::PubRec(packet) | Self::PubRel(packet) | Self::PubComp(packet) => {
                packet.layout(version, sink);
            }
            Self::Subscribe(packet) => packet.layout(version, sink),
            Self::SubAck(packet) => packet.layout(version, true, sink),
            Self::Unsubscribe(packet) => packet.layout(version, sink),
            Self::UnsubAck(packet) => packet.layout(version, version.is_v5(), sink),
            Self::PingReq | Self::PingResp => {}
            Self::Disconnect(packet) => packet.layout(version, sink),
            Self::Auth(packet) => packet.layout(sink),
        }
    }

    #[inline]
    fn payload(&self) -> &[u8] {
        match self {
            Self::Publish(packet) => packet.payload(),
            _ => &[],
        }
    }
}

/// A reason code and properties, each of which may be left out at the end (sections 3.4.2.1 and 3.14.2.1); MQTT 3.1.1 has
/// neither.
fn read_reason(
    reader: &mut Reader<'_>,
    rules: &Rules,
    context: Context,
    allowed: &ReasonSet,
) -> Result<(ReasonCode, Range<usize>), DecodeError> {
    if !rules.version.is_v5() || reader.is_empty() {
        return Ok((ReasonCode::Success, 0..0));
    }
    let reason = allowed.read(reader.u8()?)?;
    let properties = if reader.is_empty() { 0..0 } else { properties::read(reader, rules, context)?.0 };
    Ok((reason, properties))
}

/// The shortest form of what [`read_reason`] reads.
#[inline]
fn layout_reason(
    version: Version,
    reason: ReasonCode,
    properties: &Properties<impl Buffer>,
    sink: &mut impl Sink,
) {
    if version.is_v5() && (reason != ReasonCode::Success || !properties.is_empty()) {
        sink.u8(reason.code());
        if !properties.is_empty() {
            sink.properties(version, properties.as_bytes());
        }
    }
}

macro_rules! from {
    ($($packet:ident),*) => {
        $(
            impl<B: Buffer> From<$packet<B>> for AnyPacket<B> {
                fn from(packet: $packet<B>) -> Self {
                    Self::$packet(packet)
                }
            }
        )*
    };
}
from!(Connect, ConnAck, Publish, Subscribe, Unsubscribe, Disconnect, Auth);
