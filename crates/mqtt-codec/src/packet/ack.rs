//! PUBACK, PUBREC, PUBREL and PUBCOMP, which share one shape (sections 3.4 to 3.7 of both standards).

use crate::layout::Sink;
use crate::properties::Context;
use crate::reader::Reader;
use crate::{DecodeError, EncodeError, PacketId, Properties, ReasonCode, Version};

/// The answer to a publication, or to an answer. MQTT 3.1.1 carries the packet identifier only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// Which exchange this belongs to.
    pub packet_id: PacketId,
    /// How it went; always success in MQTT 3.1.1.
    pub reason: ReasonCode,
    /// MQTT 5 properties.
    pub properties: Properties,
}

const PUBACK_PUBREC: &[u8] = &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const PUBREL_PUBCOMP: &[u8] = &[0x00, 0x92];

fn reasons(context: Context) -> &'static [u8] {
    match context {
        Context::PubRel | Context::PubComp => PUBREL_PUBCOMP,
        _ => PUBACK_PUBREC,
    }
}

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

    pub(crate) fn decode(
        reader: &mut Reader<'_>,
        version: Version,
        context: Context,
    ) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let (reason, properties) = super::read_reason(reader, version, context, reasons(context))?;
        Ok(Self { packet_id, reason, properties })
    }

    pub(crate) fn check(&self, version: Version, context: Context) -> Result<(), EncodeError> {
        if !reasons(context).contains(&self.reason.code()) {
            return Err(EncodeError::ReasonCode(self.reason));
        }
        if !version.is_v5() && self.reason.is_error() {
            return Err(EncodeError::NotInVersion { what: "a reason code in an acknowledgement", version });
        }
        self.properties.check(version, context)
    }

    pub(crate) fn layout(&self, version: Version, sink: &mut impl Sink) {
        sink.packet_id(self.packet_id);
        super::layout_reason(version, self.reason, &self.properties, sink);
    }
}
