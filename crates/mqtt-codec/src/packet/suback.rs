//! SUBACK and UNSUBACK (sections 3.9 and 3.11 of both standards).

use bytes::Bytes;

use crate::layout::Sink;
use crate::properties::{self, Context};
use crate::reader::Reader;
use crate::reason::ReasonSet;
use crate::rules::Rules;
use crate::{Buffer, DecodeError, EncodeError, PacketId, Properties, ReasonCode, Version};

/// One reason code for each filter of the SUBSCRIBE or UNSUBSCRIBE, in its order. UNSUBACK has none in MQTT 3.1.1.
///
/// ```
/// use mqtt_codec::{Packet, PacketId, ReasonCode, packet::SubAck};
///
/// let id = PacketId::new(1).ok_or("packet identifiers start at 1")?;
/// let ack = SubAck::new(id, [ReasonCode::GrantedQoS1, ReasonCode::NotAuthorized]);
/// assert_eq!(ack.reasons().filter(|reason| reason.is_error()).count(), 1);
/// let packet = Packet::SubAck(ack); // or Packet::UnsubAck
/// # let _ = packet;
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)] // In this order: see `AnyPacket`.
pub struct SubAck<B: Buffer = Bytes> {
    /// That of the packet this answers.
    pub packet_id: PacketId,
    /// MQTT 5 properties.
    pub properties: Properties<B>,
    /// The codes as on the wire.
    codes: B,
}

// [v5 MQTT-3.9.3-2]
const SUBACK: ReasonSet =
    ReasonSet::of(&[0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2]);
// [v3.1.1 MQTT-3.9.3-2]
const SUBACK_3_1_1: ReasonSet = ReasonSet::of(&[0x00, 0x01, 0x02, 0x80]);
// [v5 MQTT-3.11.3-2]
const UNSUBACK: ReasonSet = ReasonSet::of(&[0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91]);

const fn reasons(version: Version, context: Context) -> &'static ReasonSet {
    match (context, version) {
        (Context::UnsubAck, _) => &UNSUBACK,
        (_, Version::V5) => &SUBACK,
        (_, Version::V3_1_1) => &SUBACK_3_1_1,
    }
}

impl SubAck {
    /// An answer without properties.
    pub fn new(packet_id: PacketId, reasons: impl IntoIterator<Item = ReasonCode>) -> Self {
        Self {
            packet_id,
            properties: Properties::new(),
            codes: reasons.into_iter().map(ReasonCode::code).collect::<alloc::vec::Vec<u8>>().into(),
        }
    }
}

impl<B: Buffer> SubAck<B> {
    /// On memory of its own: what is borrowed is copied, what is shared stays shared.
    #[must_use]
    pub fn into_owned(self) -> SubAck {
        let Self { packet_id, properties, codes } = self;
        SubAck { packet_id, properties: properties.into_owned(), codes: codes.into_bytes() }
    }

    /// The codes, one for each filter.
    pub fn reasons(&self) -> impl ExactSizeIterator<Item = ReasonCode> + '_ {
        let codes = self.codes.as_ref().iter();
        codes.map(|code| ReasonCode::from_u8(*code).unwrap_or(ReasonCode::UnspecifiedError))
    }

    pub(crate) fn decode(packet: B, at: usize, rules: &Rules, context: Context) -> Result<Self, DecodeError> {
        let mut reader = Reader::body(packet.as_ref(), at);
        let packet_id = reader.packet_id()?;
        let (properties, _) = properties::read(&mut reader, rules, context)?;
        let codes = if context == Context::UnsubAck && !rules.version.is_v5() {
            reader.finish()?;
            0..0
        } else {
            let (codes, range) = reader.rest();
            if codes.is_empty() {
                return Err(DecodeError::Empty);
            }
            let allowed = reasons(rules.version, context);
            if let Some(code) = codes.iter().find(|code| !allowed.has(**code)) {
                return Err(DecodeError::InvalidReasonCode(*code));
            }
            range
        };
        let properties = Properties::from_checked(packet.share(properties));
        Ok(Self { packet_id, properties, codes: packet.cut(codes) })
    }

    pub(crate) fn check(&self, version: Version, context: Context) -> Result<(), EncodeError> {
        let wordless = context == Context::UnsubAck && !version.is_v5();
        if self.codes.as_ref().is_empty() && !wordless {
            return Err(EncodeError::Empty);
        }
        if wordless && self.reasons().any(ReasonCode::is_error) {
            return Err(EncodeError::NotInVersion { what: "a refusal in UNSUBACK", version });
        }
        let allowed = reasons(version, context);
        self.reasons().try_for_each(|reason| allowed.check(reason))?;
        self.properties.check(version, context)
    }

    pub(crate) fn layout(&self, version: Version, with_codes: bool, sink: &mut impl Sink) {
        sink.packet_id(self.packet_id);
        sink.properties(version, self.properties.as_bytes());
        if with_codes {
            sink.put(self.codes.as_ref());
        }
    }
}
