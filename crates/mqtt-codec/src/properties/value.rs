//! One property with its value: read, checked, laid out.

use core::fmt;

use super::{Kind, PropertyId};
use crate::layout::Sink;
use crate::reader::{self, Reader};
use crate::{DecodeError, text, topic};

macro_rules! property {
    ($($name:ident($kind:ident $type:ty),)*) => {
        /// A property and its value, borrowed. See [`PropertyId`] for units and ranges.
        /// `Debug` shows no authentication data.
        #[derive(Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Property<'a> {
            $(
                #[doc = concat!("See [`PropertyId::", stringify!($name), "`].")]
                $name($type),
            )*
            /// See [`PropertyId::UserProperty`]: name and value.
            UserProperty(&'a str, &'a str),
        }

        impl<'a> Property<'a> {
            /// Its number.
            #[must_use]
            pub const fn id(&self) -> PropertyId {
                match self {
                    $(Self::$name(_) => PropertyId::$name,)*
                    Self::UserProperty(..) => PropertyId::UserProperty,
                }
            }

            fn wire(self) -> Wire<'a> {
                match self {
                    $(Self::$name(value) => Wire::$kind(value),)*
                    Self::UserProperty(name, value) => Wire::Pair(name, value),
                }
            }

            /// Puts number and value together; `None` when they are of different types, which the table excludes.
            fn from_wire(id: PropertyId, wire: Wire<'a>) -> Option<Self> {
                match (id, wire) {
                    $((PropertyId::$name, Wire::$kind(value)) => Some(Self::$name(value)),)*
                    (PropertyId::UserProperty, Wire::Pair(name, value)) => Some(Self::UserProperty(name, value)),
                    _ => None,
                }
            }
        }
    };
}

property! {
    PayloadFormatIndicator(Bool bool),
    MessageExpiryInterval(U32 u32),
    ContentType(Text &'a str),
    ResponseTopic(Text &'a str),
    CorrelationData(Binary &'a [u8]),
    SubscriptionIdentifier(VarInt u32),
    SessionExpiryInterval(U32 u32),
    AssignedClientIdentifier(Text &'a str),
    ServerKeepAlive(U16 u16),
    AuthenticationMethod(Text &'a str),
    AuthenticationData(Binary &'a [u8]),
    RequestProblemInformation(Bool bool),
    WillDelayInterval(U32 u32),
    RequestResponseInformation(Bool bool),
    ResponseInformation(Text &'a str),
    ServerReference(Text &'a str),
    ReasonString(Text &'a str),
    ReceiveMaximum(U16 u16),
    TopicAliasMaximum(U16 u16),
    TopicAlias(U16 u16),
    MaximumQoS(Bool bool),
    RetainAvailable(Bool bool),
    MaximumPacketSize(U32 u32),
    WildcardSubscriptionAvailable(Bool bool),
    SubscriptionIdentifierAvailable(Bool bool),
    SharedSubscriptionAvailable(Bool bool),
}

impl fmt::Debug for Property<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format_args!("{:?}", self.id());
        match self.wire() {
            Wire::Bool(value) => write!(f, "{name}({value})"),
            Wire::U16(value) => write!(f, "{name}({value})"),
            Wire::U32(value) | Wire::VarInt(value) => write!(f, "{name}({value})"),
            Wire::Text(value) => write!(f, "{name}({value:?})"),
            // Correlation data is the application's, authentication data is secret.
            Wire::Binary(value) => write!(f, "{name}({} bytes)", value.len()),
            Wire::Pair(key, value) => write!(f, "{name}({key:?}, {value:?})"),
        }
    }
}

/// A value as its wire type.
#[derive(Clone, Copy)]
enum Wire<'a> {
    Bool(bool),
    U16(u16),
    U32(u32),
    VarInt(u32),
    Text(&'a str),
    Binary(&'a [u8]),
    Pair(&'a str, &'a str),
}

impl Property<'_> {
    /// The ranges of section 2.2.2.2 and of each property's own section.
    pub(crate) fn check(&self) -> Result<(), DecodeError> {
        let fits = match *self {
            Self::ReceiveMaximum(value) | Self::TopicAlias(value) => value != 0,
            Self::MaximumPacketSize(value) => value != 0,
            Self::SubscriptionIdentifier(value) => value != 0 && value <= crate::codec::MAX_VAR_INT,
            Self::ResponseTopic(value) => topic::check_name(value.as_bytes()).is_ok(),
            _ => true,
        };
        if !fits {
            return Err(DecodeError::PropertyValue(self.id()));
        }
        match self.wire() {
            Wire::Text(value) => text::check(value.as_bytes()).map(|_| ())?,
            Wire::Pair(name, value) => {
                text::check(name.as_bytes())?;
                text::check(value.as_bytes())?;
            }
            Wire::Binary(value) if value.len() > usize::from(u16::MAX) => {
                return Err(DecodeError::PropertyValue(self.id()));
            }
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn layout(self, sink: &mut impl Sink) {
        sink.u8(self.id() as u8);
        match self.wire() {
            Wire::Bool(value) => sink.u8(value.into()),
            Wire::U16(value) => sink.u16(value),
            Wire::U32(value) => sink.put(&value.to_be_bytes()),
            Wire::VarInt(value) => sink.var_int(value),
            Wire::Text(value) => sink.binary(value.as_bytes()),
            Wire::Binary(value) => sink.binary(value),
            Wire::Pair(name, value) => {
                sink.binary(name.as_bytes());
                sink.binary(value.as_bytes());
            }
        }
    }
}

/// Reads the next property of untrusted bytes.
pub(super) fn read<'a>(reader: &mut Reader<'a>) -> Result<Property<'a>, DecodeError> {
    let number = reader.var_int()?;
    let id = PropertyId::from_u32(number).ok_or(DecodeError::UnknownProperty(number))?;
    let wire = match id.kind() {
        Kind::Bool => match reader.u8()? {
            0 => Wire::Bool(false),
            1 => Wire::Bool(true),
            _ => return Err(DecodeError::PropertyValue(id)),
        },
        Kind::U16 => Wire::U16(reader.u16()?),
        Kind::U32 => Wire::U32(reader.u32()?),
        Kind::VarInt => Wire::VarInt(reader.var_int()?),
        Kind::Text => Wire::Text(reader.text_ref()?),
        Kind::Binary => Wire::Binary(reader.binary_ref()?),
        Kind::Pair => Wire::Pair(reader.text_ref()?, reader.text_ref()?),
    };
    Property::from_wire(id, wire).ok_or(DecodeError::UnknownProperty(number))
}

/// The first property of bytes that were validated before, and what is behind it.
pub(super) fn split(bytes: &[u8]) -> Option<(Property<'_>, &[u8])> {
    let (&number, rest) = bytes.split_first()?;
    let id = PropertyId::from_u32(number.into())?;
    let (wire, rest) = match id.kind() {
        Kind::Bool => rest.split_first().map(|(value, rest)| (Wire::Bool(*value != 0), rest))?,
        Kind::U16 => {
            rest.split_first_chunk().map(|(value, rest)| (Wire::U16(u16::from_be_bytes(*value)), rest))?
        }
        Kind::U32 => {
            rest.split_first_chunk().map(|(value, rest)| (Wire::U32(u32::from_be_bytes(*value)), rest))?
        }
        Kind::VarInt => {
            let (value, len) = reader::var_int(rest).ok()??;
            (Wire::VarInt(value), rest.get(len..)?)
        }
        Kind::Text => split_binary(rest).map(|(value, rest)| (Wire::Text(text::checked(value)), rest))?,
        Kind::Binary => split_binary(rest).map(|(value, rest)| (Wire::Binary(value), rest))?,
        Kind::Pair => {
            let (name, rest) = split_binary(rest)?;
            let (value, rest) = split_binary(rest)?;
            (Wire::Pair(text::checked(name), text::checked(value)), rest)
        }
    };
    Some((Property::from_wire(id, wire)?, rest))
}

fn split_binary(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u16::from_be_bytes(*len).into())
}
