//! CONNACK (section 3.2 of both standards).

use crate::layout::Sink;
use crate::properties::{self, Context};
use crate::reader::Reader;
use crate::{DecodeError, EncodeError, Properties, ReasonCode, Version};

/// The server's answer to CONNECT.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnAck {
    /// Whether the server still has the client's session.
    pub session_present: bool,
    /// Success or why not. On the wire MQTT 3.1.1 uses its own numbers, see
    /// [`ReasonCode::from_connect_return_code`].
    pub reason: ReasonCode,
    /// MQTT 5 properties.
    pub properties: Properties,
}

const REASONS: &[u8] = &[
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99,
    0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
];

impl ConnAck {
    /// An answer without properties.
    #[must_use]
    pub const fn new(session_present: bool, reason: ReasonCode) -> Self {
        Self { session_present, reason, properties: Properties::new() }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let session_present = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(DecodeError::ConnAckFlags), // [MQTT-3.2.2-1]
        };
        let code = reader.u8()?;
        let reason = if version.is_v5() {
            // A server that knows MQTT 3.1.1 only refuses MQTT 5 in the form of 3.1.1: return code 1, no properties.
            if !session_present && code == 1 && reader.is_empty() {
                return Ok(Self::new(false, ReasonCode::UnsupportedProtocolVersion));
            }
            super::reason(code, REASONS)?
        } else {
            ReasonCode::from_connect_return_code(code).ok_or(DecodeError::InvalidReasonCode(code))?
        };
        // MQTT 5 [MQTT-3.2.2-6], MQTT 3.1.1 [MQTT-3.2.2-4]
        if session_present && reason != ReasonCode::Success {
            return Err(DecodeError::ConnAckFlags);
        }
        Ok(Self { session_present, reason, properties: properties::read(reader, version, Context::ConnAck)? })
    }

    pub(crate) fn check(&self, version: Version) -> Result<(), EncodeError> {
        if !REASONS.contains(&self.reason.code()) {
            return Err(EncodeError::ReasonCode(self.reason));
        }
        if self.session_present && self.reason != ReasonCode::Success {
            return Err(EncodeError::Inconsistent("a refused connection has no session"));
        }
        self.properties.check(version, Context::ConnAck)
    }

    pub(crate) fn layout(&self, version: Version, sink: &mut impl Sink) {
        sink.u8(self.session_present.into());
        sink.u8(if version.is_v5() { self.reason.code() } else { self.reason.to_connect_return_code() });
        sink.properties(version, &self.properties);
    }
}
