//! One property with its value: read, checked, laid out.

use core::fmt;
use core::ops::Range;

use super::{PropertyId, allows_number, allows_text};
use crate::glance::glance;
use crate::layout::Sink;
use crate::reader;
use crate::{DecodeError, text};

/// Takes a value of this kind.
macro_rules! take {
    ($values:ident, Bool) => {
        $values.array().map(|[byte]| byte != 0)
    };
    ($values:ident, U16) => {
        $values.array().map(u16::from_be_bytes)
    };
    ($values:ident, U32) => {
        $values.array().map(u32::from_be_bytes)
    };
    ($values:ident, VarInt) => {
        $values.var_int()
    };
    ($values:ident, Text) => {
        $values.text()
    };
    ($values:ident, Binary) => {
        $values.binary()
    };
}

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

            /// The next property of a set that was validated before.
            #[inline(always)]
            pub(super) fn take(values: &mut Values<'a>) -> Option<Self> {
                let [number] = values.array()?;
                Some(match PropertyId::from_u32(number.into())? {
                    $(PropertyId::$name => Self::$name(take!(values, $kind)?),)*
                    PropertyId::UserProperty => Self::UserProperty(values.text()?, values.text()?),
                })
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
        let id = self.id();
        let fits = match self.wire() {
            Wire::U16(value) => allows_number(id, value.into()),
            Wire::U32(value) => allows_number(id, value),
            Wire::VarInt(value) => allows_number(id, value) && value <= crate::codec::MAX_VAR_INT,
            Wire::Text(value) => allows_text(id, value.as_bytes(), glance(value.as_bytes())),
            Wire::Binary(value) => value.len() <= usize::from(u16::MAX),
            Wire::Bool(_) | Wire::Pair(..) => true,
        };
        if !fits {
            return Err(DecodeError::PropertyValue(id));
        }
        match self.wire() {
            Wire::Text(value) => text::check(value.as_bytes()).map(|_| ())?,
            // [v5 MQTT-1.5.7-1]
            Wire::Pair(name, value) => {
                text::check(name.as_bytes())?;
                text::check(value.as_bytes())?;
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

/// The bytes of properties that were validated before, from the next one on.
#[derive(Clone)]
pub(super) struct Values<'a> {
    bytes: &'a [u8],
    at: usize,
    /// All of `bytes` as a string, if it is one. It mostly is: names and values are short and in ASCII, and so are the
    /// numbers between them. Then a value is cut out of it without looking at its bytes once more.
    text: Option<&'a str>,
}

impl<'a> Values<'a> {
    /// What is longer is not looked at as a whole, in case only one value is wanted.
    const WHOLE: usize = 512;

    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let text = if bytes.is_empty() || bytes.len() > Self::WHOLE {
            None
        } else {
            core::str::from_utf8(bytes).ok()
        };
        Self { bytes, at: 0, text }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let array = self.bytes.get(self.at..)?.first_chunk()?;
        self.at = self.at.saturating_add(N);
        Some(*array)
    }

    fn var_int(&mut self) -> Option<u32> {
        let (value, len) = reader::var_int(self.bytes.get(self.at..)?).ok()??;
        self.at = self.at.saturating_add(len);
        Some(value)
    }

    #[inline]
    fn span(&mut self) -> Option<Range<usize>> {
        let len = u16::from_be_bytes(self.array()?);
        let start = self.at;
        self.at = start.saturating_add(len.into());
        Some(start..self.at)
    }

    #[inline]
    fn binary(&mut self) -> Option<&'a [u8]> {
        let span = self.span()?;
        self.bytes.get(span)
    }

    #[inline]
    fn text(&mut self) -> Option<&'a str> {
        let span = self.span()?;
        match self.text {
            Some(text) => text.get(span),
            None => self.bytes.get(span).map(text::checked),
        }
    }
}
