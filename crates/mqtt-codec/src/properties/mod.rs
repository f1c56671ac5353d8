//! MQTT 5 properties (section 2.2.2): kept as the bytes they came in, validated once against one table.

mod table;
mod value;

use core::fmt;

use bytes::{Bytes, BytesMut};

pub use table::PropertyId;
pub(crate) use table::{Context, Kind};
pub use value::Property;

use crate::layout::Write;
use crate::reader::Reader;
use crate::{DecodeError, EncodeError, Version};

/// The properties of a packet: their bytes without the length in front. Empty in MQTT 3.1.1.
///
/// Cloning shares the bytes; decoded properties share the buffer that the packet was read into.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Properties(Bytes);

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
    /// bytes. Whether the property fits a packet is checked when the packet is encoded.
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

    pub(crate) fn from_checked(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes, without the length that goes before them on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The view with the getters.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "a view with a lifetime, which AsRef cannot return")]
    pub fn as_ref(&self) -> PropertiesRef<'_> {
        PropertiesRef(&self.0)
    }

    /// Checks that all of it may stand in `context`.
    pub(crate) fn check(&self, version: Version, context: Context) -> Result<(), EncodeError> {
        check_outgoing(&self.0, version, context)
    }
}

/// What [`Properties::check`] does, on bytes.
pub(crate) fn check_outgoing(bytes: &Bytes, version: Version, context: Context) -> Result<(), EncodeError> {
    if bytes.is_empty() {
        return Ok(());
    }
    if !version.is_v5() {
        return Err(EncodeError::NotInVersion { what: "properties", version });
    }
    validate(bytes, context).map_err(EncodeError::Property)
}

/// Reads the property length and the properties of a packet; in MQTT 3.1.1 there are none.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    version: Version,
    context: Context,
) -> Result<Properties, DecodeError> {
    if !version.is_v5() {
        return Ok(Properties::new());
    }
    let len = reader.var_int()? as usize;
    let bytes = reader.bytes(len)?;
    validate(&bytes, context)?;
    Ok(Properties::from_checked(bytes))
}

/// Checks each property: that it exists, belongs in `context`, does not repeat, and has an allowed value.
pub(crate) fn validate(bytes: &Bytes, context: Context) -> Result<(), DecodeError> {
    if bytes.is_empty() {
        return Ok(());
    }
    let mut seen = 0u64;
    Reader::all(bytes, |reader| {
        while !reader.is_empty() {
            let property = value::read(reader)?;
            let id = property.id();
            if !id.belongs_in(context) {
                return Err(DecodeError::MisplacedProperty(id));
            }
            let bit = 1u64 << (id as u32 & 63);
            // Only a publication forwarded to several of one's subscriptions carries several identifiers
            // (section 3.3.2.3.8).
            let may_repeat = match id {
                PropertyId::UserProperty => true,
                PropertyId::SubscriptionIdentifier => context == Context::Publish,
                _ => false,
            };
            if seen & bit != 0 && !may_repeat {
                return Err(DecodeError::RepeatedProperty(id));
            }
            seen |= bit;
            property.check()?;
        }
        let method = 1u64 << (PropertyId::AuthenticationMethod as u32);
        let data = 1u64 << (PropertyId::AuthenticationData as u32);
        if seen & data != 0 && seen & method == 0 {
            // Section 3.1.2.11.10.
            return Err(DecodeError::PropertyValue(PropertyId::AuthenticationData));
        }
        Ok(())
    })
}

/// The properties in the order in which they stand on the wire.
#[derive(Clone)]
pub struct Iter<'a>(&'a [u8]);

impl<'a> Iterator for Iter<'a> {
    type Item = Property<'a>;

    fn next(&mut self) -> Option<Property<'a>> {
        let (property, rest) = value::split(self.0)?;
        self.0 = rest;
        Some(property)
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
                self.iter().find_map(|p| if let Property::$variant(value) = p { Some(value) } else { None })
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
    pub fn iter(self) -> Iter<'a> {
        Iter(self.0)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
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

impl fmt::Debug for PropertiesRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().fmt(f)
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

#[cfg(test)]
mod tests;
