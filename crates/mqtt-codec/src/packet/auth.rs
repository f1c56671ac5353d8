//! AUTH (MQTT 5, section 3.15).

use bytes::Bytes;

use crate::layout::Sink;
use crate::properties::{self, Context};
use crate::reader::Reader;
use crate::reason::ReasonSet;
use crate::rules::{Rules, Side};
use crate::{Buffer, DecodeError, EncodeError, Properties, PropertyId, ReasonCode, Version};

/// A step of enhanced authentication.
///
/// ```
/// use mqtt_codec::{Codec, Packet, Properties, Property, ReasonCode, Version, packet::Auth};
///
/// let properties = Properties::new()
///     .with(Property::AuthenticationMethod("SCRAM-SHA-1"))?
///     .with(Property::AuthenticationData(b"n,,n=user,r=fyko"))?;
/// let step = Auth { reason: ReasonCode::ContinueAuthentication, properties };
/// assert!(Codec::client(Version::V5).encoded_len(&Packet::from(step)).is_ok());
/// # Ok::<(), mqtt_codec::EncodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Auth<B: Buffer = Bytes> {
    /// [`ReasonCode::Success`] from the server, [`ReasonCode::ReAuthenticate`] from the client,
    /// [`ReasonCode::ContinueAuthentication`] from either.
    pub reason: ReasonCode,
    /// Method and data.
    pub properties: Properties<B>,
}

// [v5 MQTT-3.15.2-1]
const REASONS: ReasonSet = ReasonSet::of(&[0x00, 0x18, 0x19]);

/// What this side may not say (section 3.15.2.1, "sent by").
const fn wrong_direction(sender: Side, reason: ReasonCode) -> Option<&'static str> {
    match (sender, reason) {
        (Side::Client, ReasonCode::Success) => Some("AUTH with success"),
        (Side::Server, ReasonCode::ReAuthenticate) => Some("AUTH with re-authenticate"),
        _ => None,
    }
}

const METHOD: PropertyId = PropertyId::AuthenticationMethod;

/// Section 3.15.2.2.2: always, but for the success that says nothing more (section 3.15.2.1).
fn needs_method(reason: ReasonCode, no_properties: bool) -> bool {
    reason != ReasonCode::Success || !no_properties
}

impl<B: Buffer> Auth<B> {
    /// On memory of its own: what is borrowed is copied, what is shared stays shared.
    #[must_use]
    pub fn into_owned(self) -> Auth {
        Auth { reason: self.reason, properties: self.properties.into_owned() }
    }

    pub(crate) fn decode(packet: B, at: usize, rules: &Rules) -> Result<Self, DecodeError> {
        let mut reader = Reader::body(packet.as_ref(), at);
        // Both may be left out for success without properties (section 3.15.2.1).
        let (reason, properties) = if reader.is_empty() {
            (ReasonCode::Success, 0..0)
        } else {
            let reason = REASONS.read(reader.u8()?)?;
            let (properties, seen) = properties::read(&mut reader, rules, Context::Auth)?;
            if needs_method(reason, properties.is_empty()) && !seen.has(METHOD) {
                return Err(DecodeError::MissingProperty(METHOD));
            }
            (reason, properties)
        };
        reader.finish()?;
        if let Some(what) = wrong_direction(rules.sender, reason) {
            return Err(DecodeError::WrongDirection { what });
        }
        Ok(Self { reason, properties: Properties::from_checked(packet.cut(properties)) })
    }

    pub(crate) fn check(&self, version: Version, sender: Side) -> Result<(), EncodeError> {
        if !version.is_v5() {
            return Err(EncodeError::NotInVersion { what: "AUTH", version });
        }
        REASONS.check(self.reason)?;
        if let Some(what) = wrong_direction(sender, self.reason) {
            return Err(EncodeError::WrongDirection(what));
        }
        if needs_method(self.reason, self.properties.is_empty())
            && self.properties.as_ref().authentication_method().is_none()
        {
            return Err(EncodeError::Property(DecodeError::MissingProperty(METHOD)));
        }
        self.properties.check(version, Context::Auth)
    }

    pub(crate) fn layout(&self, sink: &mut impl Sink) {
        if self.reason != ReasonCode::Success || !self.properties.is_empty() {
            sink.u8(self.reason.code());
            sink.properties(Version::V5, self.properties.as_bytes());
        }
    }
}
