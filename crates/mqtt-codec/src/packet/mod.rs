//! One struct per packet shape, for both versions of the protocol.

mod ack;
mod auth;
mod connack;
mod connect;
mod disconnect;
mod publish;
mod suback;
mod subscribe;

use alloc::boxed::Box;

use bytes::Bytes;

pub use ack::Ack;
pub use auth::Auth;
pub use connack::ConnAck;
pub use connect::{Connect, Will};
pub use disconnect::Disconnect;
pub use publish::Publish;
pub use suback::SubAck;
pub use subscribe::{FilterIter, RetainHandling, Subscribe, SubscriptionOptions, Unsubscribe};

use crate::layout::Sink;
use crate::properties::{self, Context};
use crate::reader::Reader;
use crate::{DecodeError, EncodeError, Properties, ReasonCode, Version};

/// Any control packet (MQTT 5, section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packet {
    /// Client requests a connection.
    Connect(Box<Connect>),
    /// Server answers CONNECT.
    ConnAck(ConnAck),
    /// An application message.
    Publish(Publish),
    /// Answer to a QoS 1 message.
    PubAck(Ack),
    /// First answer to a QoS 2 message.
    PubRec(Ack),
    /// Answer to PUBREC.
    PubRel(Ack),
    /// Answer to PUBREL.
    PubComp(Ack),
    /// Client asks for messages.
    Subscribe(Subscribe),
    /// Answer to SUBSCRIBE.
    SubAck(SubAck),
    /// Client wants no more of them.
    Unsubscribe(Unsubscribe),
    /// Answer to UNSUBSCRIBE.
    UnsubAck(SubAck),
    /// Sign of life.
    PingReq,
    /// Answer to PINGREQ.
    PingResp,
    /// The connection ends.
    Disconnect(Disconnect),
    /// Enhanced authentication, MQTT 5 only.
    Auth(Auth),
}

impl Packet {
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

    /// Reads the body of a packet whose first byte is `header`; `version` is the connection's, which CONNECT
    /// overrules with its own.
    pub(crate) fn decode(header: u8, body: &Bytes, version: Version) -> Result<Self, DecodeError> {
        Reader::all(body, |reader| {
            Ok(match header >> 4 {
                1 => Self::Connect(Box::new(Connect::decode(reader)?)),
                2 => Self::ConnAck(ConnAck::decode(reader, version)?),
                3 => Self::Publish(Publish::decode(header, reader, body, version)?),
                4 => Self::PubAck(Ack::decode(reader, version, Context::PubAck)?),
                5 => Self::PubRec(Ack::decode(reader, version, Context::PubRec)?),
                6 => Self::PubRel(Ack::decode(reader, version, Context::PubRel)?),
                7 => Self::PubComp(Ack::decode(reader, version, Context::PubComp)?),
                8 => Self::Subscribe(Subscribe::decode(reader, version)?),
                9 => Self::SubAck(SubAck::decode(reader, version, Context::SubAck)?),
                10 => Self::Unsubscribe(Unsubscribe::decode(reader, version)?),
                11 => Self::UnsubAck(SubAck::decode(reader, version, Context::UnsubAck)?),
                12 => Self::PingReq,
                13 => Self::PingResp,
                14 => Self::Disconnect(Disconnect::decode(reader, version)?),
                15 => Self::Auth(Auth::decode(reader)?),
                other => return Err(DecodeError::UnknownPacketType(other)),
            })
        })
    }

    /// The first byte: type and flags.
    pub(crate) fn header(&self) -> u8 {
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

    /// Everything that can be wrong with the packet, before the first byte of it is written.
    pub(crate) fn check(&self, version: Version) -> Result<(), EncodeError> {
        match self {
            Self::Connect(packet) if packet.version != version => {
                Err(EncodeError::NotInVersion { what: "a CONNECT of another version", version })
            }
            Self::Connect(packet) => packet.check(),
            Self::ConnAck(packet) => packet.check(version),
            Self::Publish(packet) => packet.check(version),
            Self::PubAck(packet) => packet.check(version, Context::PubAck),
            Self::PubRec(packet) => packet.check(version, Context::PubRec),
            Self::PubRel(packet) => packet.check(version, Context::PubRel),
            Self::PubComp(packet) => packet.check(version, Context::PubComp),
            Self::Subscribe(packet) => packet.check(version),
            Self::SubAck(packet) => packet.check(version, Context::SubAck),
            Self::Unsubscribe(packet) => packet.check(version),
            Self::UnsubAck(packet) => packet.check(version, Context::UnsubAck),
            Self::PingReq | Self::PingResp => Ok(()),
            Self::Disconnect(packet) => packet.check(version),
            Self::Auth(packet) => packet.check(version),
        }
    }

    /// The body behind the fixed header.
    pub(crate) fn layout(&self, version: Version, sink: &mut impl Sink) {
        match self {
            Self::Connect(packet) => packet.layout(sink),
            Self::ConnAck(packet) => packet.layout(version, sink),
            Self::Publish(packet) => packet.layout(version, sink),
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
}

/// A reason code that is one of those a packet may carry.
fn reason(code: u8, allowed: &[u8]) -> Result<ReasonCode, DecodeError> {
    if !allowed.contains(&code) {
        return Err(DecodeError::InvalidReasonCode(code));
    }
    ReasonCode::from_u8(code).ok_or(DecodeError::InvalidReasonCode(code))
}

/// A reason code and properties, each of which may be left out at the end (sections 3.4.2.1 and 3.14.2.1); MQTT 3.1.1 has
/// neither.
fn read_reason(
    reader: &mut Reader<'_>,
    version: Version,
    context: Context,
    allowed: &[u8],
) -> Result<(ReasonCode, Properties), DecodeError> {
    if !version.is_v5() || reader.is_empty() {
        return Ok((ReasonCode::Success, Properties::new()));
    }
    let reason = reason(reader.u8()?, allowed)?;
    let properties =
        if reader.is_empty() { Properties::new() } else { properties::read(reader, version, context)? };
    Ok((reason, properties))
}

/// The shortest form of what [`read_reason`] reads.
fn layout_reason(version: Version, reason: ReasonCode, properties: &Properties, sink: &mut impl Sink) {
    if version.is_v5() && (reason != ReasonCode::Success || !properties.is_empty()) {
        sink.u8(reason.code());
        if !properties.is_empty() {
            sink.properties(version, properties);
        }
    }
}

macro_rules! from {
    ($($packet:ident),*) => {
        $(
            impl From<$packet> for Packet {
                fn from(packet: $packet) -> Self {
                    Self::$packet(packet)
                }
            }
        )*
    };
}
from!(ConnAck, Publish, Subscribe, Unsubscribe, Disconnect, Auth);

impl From<Connect> for Packet {
    fn from(packet: Connect) -> Self {
        Self::Connect(Box::new(packet))
    }
}
