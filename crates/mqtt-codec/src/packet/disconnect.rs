//! DISCONNECT (section 3.14 of both standards).

use crate::layout::Sink;
use crate::properties::Context;
use crate::reader::Reader;
use crate::{DecodeError, EncodeError, Properties, ReasonCode, Version};

/// The connection ends. In MQTT 3.1.1 only clients send it, and it says nothing more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Disconnect {
    /// Why; [`ReasonCode::Success`] is the normal disconnection, without a will.
    pub reason: ReasonCode,
    /// MQTT 5 properties.
    pub properties: Properties,
}

const REASONS: &[u8] = &[
    0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96,
    0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
];

impl Disconnect {
    /// A reason without properties.
    #[must_use]
    pub const fn new(reason: ReasonCode) -> Self {
        Self { reason, properties: Properties::new() }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let (reason, properties) = super::read_reason(reader, version, Context::Disconnect, REASONS)?;
        Ok(Self { reason, properties })
    }

    pub(crate) fn check(&self, version: Version) -> Result<(), EncodeError> {
        if !REASONS.contains(&self.reason.code()) {
            return Err(EncodeError::ReasonCode(self.reason));
        }
        if !version.is_v5() && self.reason != ReasonCode::Success {
            return Err(EncodeError::NotInVersion { what: "a reason code in DISCONNECT", version });
        }
        self.properties.check(version, Context::Disconnect)
    }

    pub(crate) fn layout(&self, version: Version, sink: &mut impl Sink) {
        super::layout_reason(version, self.reason, &self.properties, sink);
    }
}
