//! AUTH (MQTT 5, section 3.15).

use crate::layout::Sink;
use crate::properties::{self, Context};
use crate::reader::Reader;
use crate::{DecodeError, EncodeError, Properties, ReasonCode, Version};

/// A step of enhanced authentication.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Auth {
    /// [`ReasonCode::Success`], [`ReasonCode::ContinueAuthentication`] or [`ReasonCode::ReAuthenticate`].
    pub reason: ReasonCode,
    /// Method and data.
    pub properties: Properties,
}

const REASONS: &[u8] = &[0x00, 0x18, 0x19];

impl Auth {
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        // Both may be left out for success without properties (section 3.15.2.1).
        if reader.is_empty() {
            return Ok(Self::default());
        }
        let reason = super::reason(reader.u8()?, REASONS)?;
        Ok(Self { reason, properties: properties::read(reader, Version::V5, Context::Auth)? })
    }

    pub(crate) fn check(&self, version: Version) -> Result<(), EncodeError> {
        if !version.is_v5() {
            return Err(EncodeError::NotInVersion { what: "AUTH", version });
        }
        if !REASONS.contains(&self.reason.code()) {
            return Err(EncodeError::ReasonCode(self.reason));
        }
        self.properties.check(version, Context::Auth)
    }

    pub(crate) fn layout(&self, sink: &mut impl Sink) {
        if self.reason != ReasonCode::Success || !self.properties.is_empty() {
            sink.u8(self.reason.code());
            sink.properties(Version::V5, &self.properties);
        }
    }
}
