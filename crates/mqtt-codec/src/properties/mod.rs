//! MQTT 5 properties (section 2.2.2): kept as the bytes they came in, validated once against one table.

mod table;
mod value;

use core::fmt;
use core::ops::Range;

use bytes::{Bytes, BytesMut};

pub use table::PropertyId;
pub(crate) use table::{Context, Kind};
pub use value::Property;

use crate::glance::Glance;
use crate::layout::Write;
use crate::reader::Reader;
use crate::rules::Rules;
use crate::{Buffer, DecodeError, EncodeError, Version, text, topic};

/// The properties of a packet: their bytes without the length in front. Empty in MQTT 3.1.1.
///
/// Cloning shares the bytes; decoded properties share the buffer that the packet was read into.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Properties<B: Buffer = Bytes>(B);

/// Borrowed [`Properties`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PropertiesRef<'a>(&'a [u8]);

impl Properties {
    /// No properties.
    #[must_use]
    pub const fn new() -> Self {
        Self(Bytes::new())
    }

    /// Appends a property.
    ///
    /// ```
    /// use mqtt_codec::{Properties, Property};
    ///
    /// let properties = Properties::new()
    ///     .with(Property::ContentType("application/json"))?
    ///     .with(Property::UserProperty("unit", "°C"))?;
    /// assert_eq!(properties.as_ref().content_type(), Some("application/json"));
    /// # Ok::<(), mqtt_codec::EncodeError>(())
    /// ```
    ///
    /// # Errors
    /// The value is not allowed for the property, a string is no MQTT string, or the whole passes 268,435,455
    /// bytes. Whether the property fits a packet is checked when the packet is put together or encoded.
    pub fn with(self, property: Property<'_>) -> Result<Self, EncodeError> {
        property.check().map_err(EncodeError::Property)?;
        let mut bytes = BytesMut::from(self.0);
        property.layout(&mut Write(&mut bytes));
        let max = crate::codec::MAX_VAR_INT as usize;
        if bytes.len() > max {
            return Err(EncodeError::PacketTooLarge { size: bytes.len(), max });
        }
        Ok(Self(bytes.freeze()))
    }
}

impl<B: Buffer> Properties<B> {
    #[inline]
    pub(crate) fn from_checked(bytes: B) -> Self {
        Self(bytes)
    }

    /// The bytes, without the length that goes before them on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// Whether there are none.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_empty()
    }

    /// The view with the getters.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "a view with a lifetime, which AsRef cannot return")]
    pub fn as_ref(&self) -> PropertiesRef<'_> {
        PropertiesRef(self.0.as_ref())
    }

    /// On their own: borrowed bytes are copied, shared ones stay shared.
    #[must_use]
    pub fn into_owned(self) -> Properties {
        Properties(self.0.into_bytes())
    }

    /// Checks that all of it may stand in `context`.
    #[inline]
    pub(crate) fn check(&self, version: Version, context: Context) -> Result<(), EncodeError> {
        check_outgoing(self.0.as_ref(), version, context).map(|_| ())
    }
}

/// What [`Properties::check`] does, on bytes.
#[inline]
pub(crate) fn check_outgoing(bytes: &[u8], version: Version, context: Context) -> Result<Seen, EncodeError> {
    if bytes.is_empty() {
        return Ok(Seen::default());
    }
    if !version.is_v5() {
        return Err(EncodeError::NotInVersion { what: "properties", version });
    }
    validate(bytes, context, u32::MAX).map_err(|error| match error {
        DecodeError::WrongDirection { what } => EncodeError::WrongDirection(what),
        error => EncodeError::Property(error),
    })
}

/// Reads the property length and the properties of a packet, and says where they stand and which there are; in
/// MQTT 3.1.1 there are none.
#[inline]
pub(crate) fn read(
    reader: &mut Reader<'_>,
    rules: &Rules,
    context: Context,
) -> Result<(Range<usize>, Seen), DecodeError> {
    if !rules.version.is_v5() {
        return Ok((0..0, Seen::default()));
    }
    // [v5 MQTT-2.2.2-1]
    let len = reader.var_int()? as usize;
    let start = reader.position();
    let bytes = reader.take(len)?;
    let seen =
        if len == 0 { Seen::default() } else { validate(bytes, context, rules.limits.max_properties)? };
    Ok((start..start.saturating_add(len), seen))
}

/// The properties in a set, a bit for each number.
#[derive(Clone, Copy, Default)]
pub(crate) struct Seen(u64);

impl Seen {
    #[inline]
    pub(crate) const fn has(self, id: PropertyId) -> bool {
        self.0 & (1 << (id as u32 & 63)) != 0
    }

    #[inline]
    const fn add(&mut self, id: PropertyId) {
        self.0 |= 1 << (id as u32 & 63);
    }
}

/// Checks each property: that it exists, belongs in `context`, does not repeat, and has an allowed value; and that
/// there are `max` at most.
pub(crate) fn validate(bytes: &[u8], context: Context, max: u32) -> Result<Seen, DecodeError> {
    let (mut seen, mut count) = (Seen::default(), 0u32);
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        let number = reader.var_int()?;
        let rule = table::rule(number).ok_or(DecodeError::UnknownProperty(number))?;
        if !rule.allows(context) {
            return Err(misplaced(rule, context));
        }
        if seen.has(rule.id) && !may_repeat(rule.id, context) {
            return Err(DecodeError::RepeatedProperty(rule.id));
        }
        seen.add(rule.id);
        count = count.saturating_add(1);
        if count > max {
            return Err(DecodeError::TooMany { what: "properties", max });
        }
        check_value(&mut reader, rule)?;
    }
    // Section 3.1.2.11.10 says it of CONNECT, 3.15.2.2.2 of AUTH, nobody of CONNACK.
    if context != Context::ConnAck
        && seen.has(PropertyId::AuthenticationData)
        && !seen.has(PropertyId::AuthenticationMethod)
    {
        return Err(DecodeError::MissingProperty(PropertyId::AuthenticationMethod));
    }
    Ok(seen)
}

/// Reads a value and holds it to the ranges of section 2.2.2.2 and of each property's own section.
#[inline]
fn check_value(reader: &mut Reader<'_>, rule: table::Rule) -> Result<(), DecodeError> {
    let id = rule.id;
    let fits = match rule.kind {
        Kind::Pair => {
            // [v5 MQTT-1.5.7-1]
            reader.text()?;
            reader.text()?;
            true
        }
        Kind::Text => {
            // [v5 MQTT-3.3.2-13, v5 MQTT-3.3.2-19] among others.
            let bytes = reader.binary()?;
            let glance = text::check(bytes)?;
            allows_text(id, bytes, glance)
        }
        Kind::Binary => reader.binary().map(|_| true)?,
        Kind::Bool => reader.u8()? <= 1,
        Kind::U16 => allows_number(id, reader.u16()?.into()),
        Kind::U32 => allows_number(id, reader.u32()?),
        Kind::VarInt => allows_number(id, reader.var_int()?),
    };
    if fits { Ok(()) } else { Err(DecodeError::PropertyValue(id)) }
}

/// What is no topic name is no Response Topic; any other text will do. [v5 MQTT-3.3.2-14]
#[inline]
fn allows_text(id: PropertyId, bytes: &[u8], glance: Glance) -> bool {
    id != PropertyId::ResponseTopic || topic::check_name(bytes, glance).is_ok()
}

/// Four numbers are never zero: section 3.1.2.11.3, [v5 MQTT-3.3.2-8], sections 3.1.2.11.4 and 3.8.2.1.2.
#[inline]
fn allows_number(id: PropertyId, value: u32) -> bool {
    value != 0
        || !matches!(
            id,
            PropertyId::ReceiveMaximum
                | PropertyId::TopicAlias
                | PropertyId::MaximumPacketSize
                | PropertyId::SubscriptionIdentifier
        )
}

/// Whether the property may stand in `context`.
#[cfg(feature = "arbitrary")]
pub(crate) fn allows(id: PropertyId, context: Context) -> bool {
    table::rule(id as u32).is_some_and(|rule| rule.allows(context))
}

/// A message forwarded to several of one's subscriptions carries several identifiers (section 3.3.2.3.8).
#[inline]
fn may_repeat(id: PropertyId, context: Context) -> bool {
    match id {
        PropertyId::UserProperty => true,
        PropertyId::SubscriptionIdentifier => context == Context::Publish,
        _ => false,
    }
}

#[cold]
fn misplaced(rule: table::Rule, context: Context) -> DecodeError {
    if !rule.allows(context.by_either()) {
        return DecodeError::MisplacedProperty(rule.id);
    }
    DecodeError::WrongDirection {
        what: match rule.id {
            // [v5 MQTT-3.3.4-6]
            PropertyId::SubscriptionIdentifier => "a Subscription Identifier in PUBLISH",
            // [v5 MQTT-3.14.2-2]
            PropertyId::SessionExpiryInterval => "a Session Expiry Interval in DISCONNECT",
            // Section 3.14.2.2.5.
            _ => "a Server Reference in DISCONNECT",
        },
    }
}

/// The properties in the order in which they stand on the wire.
#[derive(Clone)]
pub struct Iter<'a>(value::Values<'a>);

impl<'a> Iterator for Iter<'a> {
    type Item = Property<'a>;

    #[inline]
    fn next(&mut self) -> Option<Property<'a>> {
        Property::take(&mut self.0)
    }
}

impl fmt::Debug for Iter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident: $variant:ident -> $type:ty;)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(self) -> Option<$type> {
                match self.find(PropertyId::$variant) {
                    Some(Property::$variant(value)) => Some(value),
                    _ => None,
                }
            }
        )*
    };
}

impl<'a> PropertiesRef<'a> {
    /// A view on bytes that [`validate`] has passed.
    pub(crate) fn from_checked(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// All of them, in order.
    #[must_use]
    #[inline]
    pub fn iter(self) -> Iter<'a> {
        Iter(value::Values::new(self.0))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The first of this kind: one loop for all the getters.
    #[inline(never)]
    fn find(self, id: PropertyId) -> Option<Property<'a>> {
        self.iter().find(|property| property.id() == id)
    }

    getters! {
        /// 0: unspecified bytes, 1: UTF-8 (section 3.3.2.3.2).
        payload_format_indicator: PayloadFormatIndicator -> bool;
        /// Lifetime of the message in seconds (section 3.3.2.3.3).
        message_expiry_interval: MessageExpiryInterval -> u32;
        /// MIME type of the payload (section 3.3.2.3.9).
        content_type: ContentType -> &'a str;
        /// Where a response is expected (section 3.3.2.3.5).
        response_topic: ResponseTopic -> &'a str;
        /// What a response should carry back (section 3.3.2.3.6).
        correlation_data: CorrelationData -> &'a [u8];
        /// How long the session lives after the connection, in seconds; 0xFFFFFFFF: for ever.
        session_expiry_interval: SessionExpiryInterval -> u32;
        /// The client identifier that the server made up.
        assigned_client_identifier: AssignedClientIdentifier -> &'a str;
        /// The keep-alive that the server wants instead of the client's, in seconds.
        server_keep_alive: ServerKeepAlive -> u16;
        /// Name of the enhanced authentication method.
        authentication_method: AuthenticationMethod -> &'a str;
        /// Data of the enhanced authentication.
        authentication_data: AuthenticationData -> &'a [u8];
        /// Whether reason strings and user properties may be sent on failures.
        request_problem_information: RequestProblemInformation -> bool;
        /// Delay between the connection's end and the will, in seconds.
        will_delay_interval: WillDelayInterval -> u32;
        /// Whether the client wants Response Information.
        request_response_information: RequestResponseInformation -> bool;
        /// What response topics should be made of.
        response_information: ResponseInformation -> &'a str;
        /// Another server to use.
        server_reference: ServerReference -> &'a str;
        /// A sentence for people.
        reason_string: ReasonString -> &'a str;
        /// How many QoS 1 and 2 publications the sender takes unacknowledged.
        receive_maximum: ReceiveMaximum -> u16;
        /// The highest topic alias the sender takes.
        topic_alias_maximum: TopicAliasMaximum -> u16;
        /// A number that stands for a topic on this connection.
        topic_alias: TopicAlias -> u16;
        /// The highest QoS of the server; `false`: 0, `true`: 1.
        maximum_qos: MaximumQoS -> bool;
        /// Whether the server keeps retained messages.
        retain_available: RetainAvailable -> bool;
        /// The largest packet the sender takes, in bytes.
        maximum_packet_size: MaximumPacketSize -> u32;
        /// Whether the server knows wildcards.
        wildcard_subscription_available: WildcardSubscriptionAvailable -> bool;
        /// Whether the server knows subscription identifiers.
        subscription_identifiers_available: SubscriptionIdentifierAvailable -> bool;
        /// Whether the server knows shared subscriptions.
        shared_subscription_available: SharedSubscriptionAvailable -> bool;
    }

    /// The subscriptions that a message matched, by their identifiers.
    pub fn subscription_identifiers(self) -> impl Iterator<Item = u32> + 'a {
        self.iter().filter_map(|p| if let Property::SubscriptionIdentifier(id) = p { Some(id) } else { None })
    }

    /// Name and value of each user property, in order; names may repeat.
    pub fn user_properties(self) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
        self.iter().filter_map(|p| {
            if let Property::UserProperty(name, value) = p { Some((name, value)) } else { None }
        })
    }
}

impl<'a> IntoIterator for PropertiesRef<'a> {
    type Item = Property<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for PropertiesRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().fmt(f)
    }
}

impl<B: Buffer> fmt::Debug for Properties<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

#[cfg(test)]
mod tests;
