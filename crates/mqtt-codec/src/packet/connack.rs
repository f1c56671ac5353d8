//! CONNACK (section 3.2 of both standards).

use bytes::Bytes;

use crate::layout::Sink;
use crate::properties::{self, Context};
use crate::reader::Reader;
use crate::reason::ReasonSet;
use crate::rules::Rules;
use crate::{Buffer, DecodeError, EncodeError, Properties, ReasonCode, Version};

/// The server's answer to CONNECT.
///
/// A server that knows MQTT 3.1.1 only refuses MQTT 5 in its own form, without properties: a client's codec for MQTT 5 takes
/// that one answer (`20 02 00 01`) as [`ReasonCode::UnsupportedProtocolVersion`].
///
/// ```
/// use mqtt_codec::{ReasonCode, packet::ConnAck};
///
/// let welcome = ConnAck::new(true, ReasonCode::Success);
/// let refusal = ConnAck::new(false, ReasonCode::NotAuthorized); // return code 5 in MQTT 3.1.1
/// # let _ = (welcome, refusal);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnAck<B: Buffer = Bytes> {
    /// Whether the server still has the client's session.
    pub session_present: bool,
    /// Success or why not. On the wire MQTT 3.1.1 uses numbers of its own for six of the codes, and cannot say the others:
    /// see [`ReasonCode::in_connack`].
    pub reason: ReasonCode,
    /// MQTT 5 properties.
    pub properties: Properties<B>,
}

// [v5 MQTT-3.2.2-8]
const REASONS: ReasonSet = ReasonSet::of(&[
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99,
    0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
]);

impl ConnAck {
    /// An answer without properties.
    #[must_use]
    pub const fn new(session_present: bool, reason: ReasonCode) -> Self {
        Self { session_present, reason, properties: Properties::new() }
    }
}

impl<B: Buffer> ConnAck<B> {
    /// On memory of its own: what is borrowed is copied, what is shared stays shared.
    #[must_use]
    pub fn into_owned(self) -> ConnAck {
        let Self { session_present, reason, properties } = self;
        ConnAck { session_present, reason, properties: properties.into_owned() }
    }

    pub(crate) fn decode(packet: B, at: usize, rules: &Rules) -> Result<Self, DecodeError> {
        let mut reader = Reader::body(packet.as_ref(), at);
        // Bits 7 to 1 are reserved [v5 MQTT-3.2.2-1].
        let session_present = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(DecodeError::ConnAckFlags),
        };
        let code = reader.u8()?;
        let reason = if rules.version.is_v5() {
            // A server that knows MQTT 3.1.1 only refuses MQTT 5 in the form of 3.1.1: return code 1, no properties.
            if !session_present && code == 1 && reader.is_empty() {
                let reason = ReasonCode::UnsupportedProtocolVersion;
                return Ok(Self { session_present, reason, properties: Properties::default() });
            }
            REASONS.read(code)?
        } else {
            ReasonCode::from_connect_return_code(code).ok_or(DecodeError::InvalidReasonCode(code))?
        };
        // [v5 MQTT-3.2.2-6, v3.1.1 MQTT-3.2.2-4]
        if session_present && reason != ReasonCode::Success {
            return Err(DecodeError::ConnAckFlags);
        }
        let (properties, _) = properties::read(&mut reader, rules, Context::ConnAck)?;
        reader.finish()?;
        Ok(Self { session_present, reason, properties: Properties::from_checked(packet.cut(properties)) })
    }

    pub(crate) fn check(&self, version: Version) -> Result<(), EncodeError> {
        REASONS.check(self.reason)?;
        // [v5 MQTT-3.2.2-6, v3.1.1 MQTT-3.2.2-4]
        if self.session_present && self.reason != ReasonCode::Success {
            return Err(EncodeError::Inconsistent("a refused connection has no session"));
        }
        if !version.is_v5() && self.reason.in_connack(version) != self.reason {
            return Err(EncodeError::NotInVersion { what: "this reason code in CONNACK", version });
        }
        self.properties.check(version, Context::ConnAck)
    }

    pub(crate) fn layout(&self, version: Version, sink: &mut impl Sink) {
        sink.u8(self.session_present.into());
        sink.u8(if version.is_v5() { self.reason.code() } else { self.reason.to_connect_return_code() });
        sink.properties(version, self.properties.as_bytes());
    }
}
