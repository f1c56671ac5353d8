//! DISCONNECT (section 3.14 of both standards).

use bytes::Bytes;

use crate::layout::Sink;
use crate::reader::Reader;
use crate::reason::ReasonSet;
use crate::rules::{Rules, Side};
use crate::{Buffer, DecodeError, EncodeError, Properties, ReasonCode, Version};

/// The connection ends. In MQTT 3.1.1 only clients send it, and it says nothing more.
///
/// ```
/// use mqtt_codec::{Codec, DecodeError, Packet, Properties, Property, Version, packet::Disconnect};
///
/// // What to say when a packet breaks the rules.
/// let error = DecodeError::InvalidQoS;
/// let mut goodbye = Disconnect::new(error.reason());
/// goodbye.properties = Properties::new().with(Property::ReasonString(&error.to_string()))?;
/// assert!(Codec::client(Version::V5).encoded_len(&Packet::from(goodbye)).is_ok());
/// # Ok::<(), mqtt_codec::EncodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Disconnect<B: Buffer = Bytes> {
    /// Why; [`ReasonCode::Success`] is the normal disconnection, without a will.
    pub reason: ReasonCode,
    /// MQTT 5 properties.
    pub properties: Properties<B>,
}

// [v5 MQTT-3.14.2-1]: what each side may say (table 3-10, and 0x8C from table 2-6).
const BY_EITHER: ReasonSet = ReasonSet::of(&[
    0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95,
    0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
]);
const BY_SERVER_ONLY: ReasonSet = ReasonSet::of(&[
    0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
]);
// Table 3-10 gives 0x00 to clients too, but section 3.14.2.1 reads it out of every DISCONNECT that says nothing, and servers
// send those.
const BY_CLIENT_ONLY: ReasonSet = ReasonSet::of(&[0x04]);

fn wrong_direction(sender: Side, reason: ReasonCode) -> bool {
    match sender {
        Side::Client => BY_SERVER_ONLY.has(reason.code()),
        Side::Server => BY_CLIENT_ONLY.has(reason.code()),
        Side::Both => false,
    }
}

const WRONG_REASON: &str = "this reason code in DISCONNECT";

impl Disconnect {
    /// A reason without properties.
    #[must_use]
    pub const fn new(reason: ReasonCode) -> Self {
        Self { reason, properties: Properties::new() }
    }
}

impl<B: Buffer> Disconnect<B> {
    /// On memory of its own: what is borrowed is copied, what is shared stays shared.
    #[must_use]
    pub fn into_owned(self) -> Disconnect {
        Disconnect { reason: self.reason, properties: self.properties.into_owned() }
    }

    pub(crate) fn decode(packet: B, at: usize, rules: &Rules) -> Result<Self, DecodeError> {
        let mut reader = Reader::body(packet.as_ref(), at);
        let context = rules.sender.disconnect();
        let (reason, properties) = super::read_reason(&mut reader, rules, context, &BY_EITHER)?;
        reader.finish()?;
        if wrong_direction(rules.sender, reason) {
            return Err(DecodeError::WrongDirection { what: WRONG_REASON });
        }
        Ok(Self { reason, properties: Properties::from_checked(packet.cut(properties)) })
    }

    pub(crate) fn check(&self, version: Version, sender: Side) -> Result<(), EncodeError> {
        BY_EITHER.check(self.reason)?;
        if !version.is_v5() && self.reason != ReasonCode::Success {
            return Err(EncodeError::NotInVersion { what: "a reason code in DISCONNECT", version });
        }
        if wrong_direction(sender, self.reason) {
            return Err(EncodeError::WrongDirection(WRONG_REASON));
        }
        self.properties.check(version, sender.disconnect())
    }

    pub(crate) fn layout(&self, version: Version, sink: &mut impl Sink) {
        super::layout_reason(version, self.reason, &self.properties, sink);
    }
}
