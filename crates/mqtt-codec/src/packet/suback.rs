//! SUBACK and UNSUBACK (sections 3.9 and 3.11 of both standards).

use bytes::Bytes;

use crate::layout::Sink;
use crate::properties::{self, Context};
use crate::reader::Reader;
use crate::{DecodeError, EncodeError, PacketId, Properties, ReasonCode, Version};

/// One reason code for each filter of the SUBSCRIBE or UNSUBSCRIBE, in its order. UNSUBACK has none in MQTT 3.1.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubAck {
    /// That of the packet this answers.
    pub packet_id: PacketId,
    /// MQTT 5 properties.
    pub properties: Properties,
    /// The codes as on the wire.
    codes: Bytes,
}

const SUBACK: &[u8] = &[0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2];
const SUBACK_3_1_1: &[u8] = &[0x00, 0x01, 0x02, 0x80];
const UNSUBACK: &[u8] = &[0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];

fn reasons(version: Version, context: Context) -> &'static [u8] {
    match (context, version) {
        (Context::UnsubAck, _) => UNSUBACK,
        (_, Version::V5) => SUBACK,
        (_, Version::V3_1_1) => SUBACK_3_1_1,
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

    /// The codes, one for each filter.
    #[must_use]
    pub fn reasons(&self) -> impl ExactSizeIterator<Item = ReasonCode> + '_ {
        self.codes.iter().map(|code| ReasonCode::from_u8(*code).unwrap_or(ReasonCode::UnspecifiedError))
    }

    pub(crate) fn decode(
        reader: &mut Reader<'_>,
        version: Version,
        context: Context,
    ) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let properties = properties::read(reader, version, context)?;
        let codes = if context == Context::UnsubAck && !version.is_v5() {
            Bytes::new()
        } else {
            let codes = reader.rest();
            if codes.is_empty() {
                return Err(DecodeError::Empty);
            }
            for code in &codes {
                super::reason(*code, reasons(version, context))?; // [MQTT-3.9.3-2]
            }
            codes
        };
        Ok(Self { packet_id, properties, codes })
    }

    pub(crate) fn check(&self, version: Version, context: Context) -> Result<(), EncodeError> {
        let wordless = context == Context::UnsubAck && !version.is_v5();
        if self.codes.is_empty() && !wordless {
            return Err(EncodeError::Empty);
        }
        if let Some(reason) =
            self.reasons().find(|reason| !reasons(version, context).contains(&reason.code()))
        {
            return Err(EncodeError::ReasonCode(reason));
        }
        self.properties.check(version, context)
    }

    pub(crate) fn layout(&self, version: Version, with_codes: bool, sink: &mut impl Sink) {
        sink.packet_id(self.packet_id);
        sink.properties(version, &self.properties);
        if with_codes {
            sink.put(&self.codes);
        }
    }
}
