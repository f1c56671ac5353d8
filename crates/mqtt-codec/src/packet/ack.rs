//! PUBACK, PUBREC, PUBREL and PUBCOMP, which share one shape (sections 3.4 to 3.7 of both standards).

use bytes::Bytes;

use crate::layout::Sink;
use crate::properties::Context;
use crate::reader::Reader;
use crate::reason::ReasonSet;
use crate::rules::{Rules, Side};
use crate::{Buffer, DecodeError, EncodeError, PacketId, Properties, ReasonCode, Version};

/// The answer to a publication, or to an answer. MQTT 3.1.1 carries the packet identifier only.
///
/// ```
/// use mqtt_codec::{Packet, PacketId, ReasonCode, packet::Ack};
///
/// let id = PacketId::new(7).ok_or("packet identifiers start at 1")?;
/// let done = Packet::PubAck(Ack::new(id)); // or PubRec, PubRel, PubComp
/// let refused = Packet::PubAck(Ack::with_reason(id, ReasonCode::QuotaExceeded));
/// # let _ = (done, refused);
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)] // In this order: see `AnyPacket`.
pub struct Ack<B: Buffer = Bytes> {
    /// Which exchange this belongs to.
    pub packet_id: PacketId,
    /// How it went; always success in MQTT 3.1.1.
    pub reason: ReasonCode,
    /// MQTT 5 properties.
    pub properties: Properties<B>,
}

// [v5 MQTT-3.4.2-1, v5 MQTT-3.5.2-1]
const PUBACK_PUBREC: ReasonSet = ReasonSet::of(&[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]);
// [v5 MQTT-3.6.2-1, v5 MQTT-3.7.2-1]
const PUBREL_PUBCOMP: ReasonSet = ReasonSet::of(&[0x00, 0x92]);

const fn reasons(context: Context) -> &'static ReasonSet {
    match context {
        Context::PubRel | Context::PubComp => &PUBREL_PUBCOMP,
        _ => &PUBACK_PUBREC,
    }
}

/// Only servers know that nobody subscribes (sections 3.4.2.1 and 3.5.2.1, "sent only by the Server").
fn wrong_direction(sender: Side, reason: ReasonCode) -> bool {
    sender == Side::Client && reason == ReasonCode::NoMatchingSubscribers
}

const WRONG_REASON: &str = "an acknowledgement with no matching subscribers";

impl Ack {
    /// Success without properties.
    #[must_use]
    pub const fn new(packet_id: PacketId) -> Self {
        Self::with_reason(packet_id, ReasonCode::Success)
    }

    /// A reason without properties.
    #[must_use]
    pub const fn with_reason(packet_id: PacketId, reason: ReasonCode) -> Self {
        Self { packet_id, reason, properties: Properties::new() }
    }
}

impl<B: Buffer> Ack<B> {
    /// On memory of its own: what is borrowed is copied, what is shared stays shared.
    #[must_use]
    pub fn into_owned(self) -> Ack {
        Ack { packet_id: self.packet_id, reason: self.reason, properties: self.properties.into_owned() }
    }

    pub(crate) fn decode(packet: B, at: usize, rules: &Rules, context: Context) -> Result<Self, DecodeError> {
        let mut reader = Reader::body(packet.as_ref(), at);
        let packet_id = reader.packet_id()?;
        let (reason, properties) = super::read_reason(&mut reader, rules, context, reasons(context))?;
        reader.finish()?;
        if wrong_direction(rules.sender, reason) {
            return Err(DecodeError::WrongDirection { what: WRONG_REASON });
        }
        Ok(Self { packet_id, reason, properties: Properties::from_checked(packet.cut(properties)) })
    }

    #[inline]
    pub(crate) fn check(&self, version: Version, sender: Side, context: Context) -> Result<(), EncodeError> {
        if self.reason != ReasonCode::Success {
            reasons(context).check(self.reason)?;
            if wrong_direction(sender, self.reason) {
                return Err(EncodeError::WrongDirection(WRONG_REASON));
            }
            if !version.is_v5() {
                return Err(EncodeError::NotInVersion {
                    what: "a reason code in an acknowledgement",
                    version,
                });
            }
        }
        self.properties.check(version, context)
    }

    #[inline]
    pub(crate) fn layout(&self, version: Version, sink: &mut impl Sink) {
        sink.packet_id(self.packet_id);
        super::layout_reason(version, self.reason, &self.properties, sink);
    }
}
