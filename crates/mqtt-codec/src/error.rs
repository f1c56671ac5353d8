//! What can be wrong with bytes that came in, and with packets that should go out.

use core::fmt;

use crate::properties::PropertyId;
use crate::text::InvalidText;
use crate::topic::InvalidTopic;
use crate::{ReasonCode, Version};

/// The two ways of the standard to break its rules (MQTT 5, section 4.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The bytes cannot be a packet.
    Malformed,
    /// A packet that could be parsed, but whose content is not allowed.
    Protocol,
}

/// The rule that incoming bytes break. The connection cannot go on: answer with [`reason`](Self::reason) where the
/// version has an answer, then close.
///
/// ```
/// use bytes::BytesMut;
/// use mqtt_codec::{Codec, DecodeError, ErrorKind, ReasonCode, Version};
///
/// // PUBLISH with QoS 3.
/// let mut bytes = BytesMut::from(&b"\x36\x06\x00\x01a\x00\x01\x00"[..]);
/// let error = Codec::client(Version::V5).decode(&mut bytes).unwrap_err();
/// assert_eq!(error, DecodeError::InvalidQoS);
/// assert_eq!(error.kind(), ErrorKind::Malformed);
/// assert_eq!(error.reason(), ReasonCode::MalformedPacket);
/// assert_eq!(error.to_string(), "QoS 3 does not exist");
/// ```
///
/// The numbers in brackets are those of MQTT 5's normative statements, unless MQTT 3.1.1 is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// Packet type 0, or AUTH in MQTT 3.1.1.
    UnknownPacketType(u8),
    /// The lower four bits of the first byte are not what the type asks for (`[MQTT-2.1.3-1]`).
    InvalidFlags,
    /// A variable byte integer of more than four bytes, or longer than needed (`[MQTT-1.5.5-1]`).
    InvalidVariableByteInteger,
    /// The packet is larger than the receiver takes.
    PacketTooLarge {
        /// The whole packet in bytes, fixed header included.
        size: u32,
        /// What the receiver takes.
        max: u32,
    },
    /// More filters in a packet, or properties in a set, than the receiver takes.
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// What the receiver takes.
        max: u32,
    },
    /// A packet, property or reason code that only the other side may send (MQTT 5, tables 2-1 and 3-10, sections
    /// 3.3.4, 3.14.2 and 3.15.2).
    WrongDirection {
        /// What was sent.
        what: &'static str,
    },
    /// A field runs past the end of its packet.
    Truncated,
    /// Bytes are left over behind the last field.
    TrailingBytes,
    /// A string breaks a rule for strings.
    Text(InvalidText),
    /// A topic name or filter breaks a rule.
    Topic(InvalidTopic),
    /// A packet identifier is zero (`[MQTT-2.2.1-3]`).
    ZeroPacketId,
    /// QoS 3 (`[MQTT-3.3.1-4]`).
    InvalidQoS,
    /// DUP is set on a QoS 0 message (`[MQTT-3.3.1-2]`).
    DupOnQoS0,
    /// The first packet of a connection must be CONNECT (`[MQTT-3.1.0-1]`).
    ConnectExpected,
    /// A connection has one CONNECT only (`[MQTT-3.1.0-2]`).
    SecondConnect,
    /// The protocol name is not `MQTT` (`[MQTT-3.1.2-1]`).
    ProtocolName,
    /// The protocol level is neither 4 nor 5 (`[MQTT-3.1.2-2]`).
    ProtocolLevel(u8),
    /// A reserved bit is set, or flags contradict each other (`[MQTT-3.1.2-3]`, `[MQTT-3.1.2-11]` and after).
    ConnectFlags,
    /// MQTT 3.1.1: an empty client identifier needs a clean session (`[MQTT-3.1.3-7]`).
    EmptyClientId,
    /// Reserved bits of CONNACK's flags are set, or a session is present behind a refusal (`[MQTT-3.2.2-1]`,
    /// `[MQTT-3.2.2-6]`).
    ConnAckFlags,
    /// A number that is no reason code of this packet (MQTT 3.1.1: return code).
    InvalidReasonCode(u8),
    /// SUBSCRIBE, UNSUBSCRIBE, SUBACK or UNSUBACK with nothing in it (`[MQTT-3.8.3-2]`, `[MQTT-3.10.3-2]`).
    Empty,
    /// Reserved bits of the subscription options are set (`[MQTT-3.8.3-5]`).
    SubscriptionOptions,
    /// MQTT 5: QoS 3 is asked for in SUBSCRIBE (section 3.8.3.1).
    SubscriptionQoS,
    /// MQTT 5: Retain Handling 3 in SUBSCRIBE (section 3.8.3.1).
    RetainHandling,
    /// No Local on a shared subscription (`[MQTT-3.8.3-4]`).
    NoLocalOnShared,
    /// No property has this identifier.
    UnknownProperty(u32),
    /// The property does not belong in this packet.
    MisplacedProperty(PropertyId),
    /// The property may appear only once.
    RepeatedProperty(PropertyId),
    /// The property must be there: the Authentication Method, where there is Authentication Data or an exchange goes on
    /// (sections 3.1.2.11.10 and 3.15.2.2.2).
    MissingProperty(PropertyId),
    /// The property's value is not allowed.
    PropertyValue(PropertyId),
    /// The topic of a PUBLISH is empty (`[MQTT-4.7.3-1]`), and in MQTT 5 there is no topic alias in its place (section
    /// 3.3.2.1).
    NoTopic,
}

impl DecodeError {
    /// The MQTT 5 reason code to answer with.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::PacketTooLarge { .. } => ReasonCode::PacketTooLarge,
            Self::ProtocolLevel(_) | Self::ProtocolName => ReasonCode::UnsupportedProtocolVersion,
            Self::EmptyClientId => ReasonCode::ClientIdentifierNotValid,
            Self::PropertyValue(PropertyId::TopicAlias) => ReasonCode::TopicAliasInvalid,
            Self::TooMany { .. } => ReasonCode::QuotaExceeded,
            _ => match self.kind() {
                ErrorKind::Malformed => ReasonCode::MalformedPacket,
                ErrorKind::Protocol => ReasonCode::ProtocolError,
            },
        }
    }

    /// Whether the bytes are malformed or break a rule of the protocol.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::ConnectExpected
            | Self::ProtocolName
            | Self::ProtocolLevel(_)
            | Self::SecondConnect
            | Self::WrongDirection { .. }
            | Self::TooMany { .. }
            | Self::Empty
            | Self::EmptyClientId
            | Self::NoLocalOnShared
            | Self::SubscriptionQoS
            | Self::RetainHandling
            | Self::MissingProperty(_)
            | Self::RepeatedProperty(_)
            | Self::PropertyValue(_)
            | Self::NoTopic
            | Self::PacketTooLarge { .. } => ErrorKind::Protocol,
            _ => ErrorKind::Malformed,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPacketType(t) => write!(f, "packet type {t} does not exist in this version"),
            Self::InvalidFlags => f.write_str("the fixed header's flags do not fit the packet type"),
            Self::InvalidVariableByteInteger => {
                f.write_str("a variable byte integer is not minimal or too long")
            }
            Self::PacketTooLarge { size, max } => {
                write!(f, "a packet of {size} bytes, at most {max} are taken")
            }
            Self::TooMany { what, max } => write!(f, "more than {max} {what} in one packet"),
            Self::WrongDirection { what } => write!(f, "{what} may only be sent by the other side"),
            Self::Truncated => f.write_str("a field runs past the end of its packet"),
            Self::TrailingBytes => f.write_str("bytes are left over at the end of the packet"),
            Self::Text(error) => write!(f, "a string is {error}"),
            Self::Topic(error) => write!(f, "a topic is not valid: {error}"),
            Self::ZeroPacketId => f.write_str("packet identifier 0"),
            Self::InvalidQoS => f.write_str("QoS 3 does not exist"),
            Self::DupOnQoS0 => f.write_str("DUP is set on a QoS 0 message"),
            Self::ConnectExpected => f.write_str("the first packet of a connection is not CONNECT"),
            Self::SecondConnect => f.write_str("a second CONNECT on the same connection"),
            Self::ProtocolName => f.write_str("the protocol name is not MQTT"),
            Self::ProtocolLevel(level) => write!(f, "protocol level {level}, only 4 and 5 are known"),
            Self::ConnectFlags => f.write_str("CONNECT's flags contradict each other"),
            Self::EmptyClientId => f.write_str("an empty client identifier without a clean session"),
            Self::ConnAckFlags => f.write_str("CONNACK's flags are not valid"),
            Self::InvalidReasonCode(code) => write!(f, "0x{code:02X} is no reason code of this packet"),
            Self::Empty => f.write_str("a subscription packet without any entry"),
            Self::SubscriptionOptions => f.write_str("reserved subscription options"),
            Self::SubscriptionQoS => f.write_str("a subscription at QoS 3, which does not exist"),
            Self::RetainHandling => f.write_str("Retain Handling 3 does not exist"),
            Self::NoLocalOnShared => f.write_str("No Local on a shared subscription"),
            Self::UnknownProperty(id) => write!(f, "property 0x{id:02X} does not exist"),
            Self::MisplacedProperty(id) => write!(f, "property {id:?} does not belong in this packet"),
            Self::RepeatedProperty(id) => write!(f, "property {id:?} may appear only once"),
            Self::MissingProperty(id) => write!(f, "property {id:?} is missing"),
            Self::PropertyValue(id) => write!(f, "the value of property {id:?} is not allowed"),
            Self::NoTopic => f.write_str("neither a topic nor a topic alias"),
        }
    }
}

impl core::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Text(error) => Some(error),
            Self::Topic(error) => Some(error),
            _ => None,
        }
    }
}

impl From<InvalidText> for DecodeError {
    fn from(error: InvalidText) -> Self {
        Self::Text(error)
    }
}

impl From<InvalidTopic> for DecodeError {
    fn from(error: InvalidTopic) -> Self {
        match error {
            InvalidTopic::Text(error) => Self::Text(error),
            error => Self::Topic(error),
        }
    }
}

/// Why a packet cannot be put on the wire. Nothing has been written then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// Larger than MQTT can say (268,435,460 bytes). Those who know what the receiver takes compare it with
    /// [`Codec::encoded_len`](crate::Codec::encoded_len), and may say so by this error.
    PacketTooLarge {
        /// The whole packet in bytes.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// The version of the connection has no way to say this.
    NotInVersion {
        /// What cannot be said.
        what: &'static str,
        /// The connection's version.
        version: Version,
    },
    /// A property that does not belong in this packet, is repeated or has a forbidden value.
    Property(DecodeError),
    /// SUBSCRIBE, UNSUBSCRIBE, SUBACK or UNSUBACK without any entry.
    Empty,
    /// A reason code that this packet may not carry.
    ReasonCode(ReasonCode),
    /// Only the other side of a connection may send this.
    WrongDirection(&'static str),
    /// A server sends nothing but CONNACK, AUTH and DISCONNECT before it has received CONNECT.
    ConnectExpected,
    /// Fields contradict each other.
    Inconsistent(&'static str),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PacketTooLarge { size, max } => {
                write!(f, "the packet has {size} bytes, at most {max} are allowed")
            }
            Self::NotInVersion { what, version } => write!(f, "{version} cannot carry {what}"),
            Self::Property(error) => error.fmt(f),
            Self::Empty => f.write_str("a subscription packet needs at least one entry"),
            Self::ReasonCode(code) => write!(f, "this packet cannot carry the reason code {code}"),
            Self::ConnectExpected => {
                f.write_str("nothing but CONNACK, AUTH and DISCONNECT goes out before CONNECT came in")
            }
            Self::WrongDirection(what) => write!(f, "{what} may only be sent by the other side"),
            Self::Inconsistent(what) => f.write_str(what),
        }
    }
}

impl core::error::Error for EncodeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        if let Self::Property(error) = self { Some(error) } else { None }
    }
}
