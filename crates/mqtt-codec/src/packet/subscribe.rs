//! SUBSCRIBE and UNSUBSCRIBE (sections 3.8 and 3.10 of both standards).

use core::fmt;
use core::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::layout::{Sink, Write};
use crate::properties::{self, Context};
use crate::reader::Reader;
use crate::rules::Rules;
use crate::{Buffer, DecodeError, EncodeError, PacketId, Properties, QoS, TopicFilter, Version, topic};

/// When retained messages are sent for a new subscription (MQTT 5, section 3.8.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum RetainHandling {
    /// At each SUBSCRIBE.
    #[default]
    Send = 0,
    /// Only if the subscription did not exist.
    SendIfNew = 1,
    /// Never.
    DoNotSend = 2,
}

/// How messages for a filter are wanted. MQTT 3.1.1 knows the QoS only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SubscriptionOptions {
    /// The highest QoS at which messages are delivered.
    pub qos: QoS,
    /// MQTT 5: not what this client publishes itself.
    pub no_local: bool,
    /// MQTT 5: keep the RETAIN flag as it was published.
    pub retain_as_published: bool,
    /// MQTT 5: when retained messages are sent.
    pub retain_handling: RetainHandling,
}

impl SubscriptionOptions {
    /// The QoS, everything else as in MQTT 3.1.1.
    #[must_use]
    pub const fn at(qos: QoS) -> Self {
        Self { qos, no_local: false, retain_as_published: false, retain_handling: RetainHandling::Send }
    }

    fn to_byte(self) -> u8 {
        self.qos as u8
            | u8::from(self.no_local) << 2
            | u8::from(self.retain_as_published) << 3
            | (self.retain_handling as u8) << 4
    }

    /// Whether the bits say something in this version.
    #[inline]
    fn check(byte: u8, version: Version) -> Result<(), DecodeError> {
        // [v5 MQTT-3.8.3-5, v3.1.1 MQTT-3.8.3-4]
        let reserved = if version.is_v5() { 0xC0 } else { 0xFC };
        if byte & reserved == 0 && byte & 3 != 3 && byte & 0x30 != 0x30 {
            return Ok(());
        }
        Err(if byte & 3 == 3 {
            // Section 3.8.3.1 calls it a protocol error, [v3.1.1 MQTT-3.8.3-4] malformed.
            if version.is_v5() { DecodeError::SubscriptionQoS } else { DecodeError::InvalidQoS }
        } else if byte & reserved != 0 {
            DecodeError::SubscriptionOptions
        } else {
            DecodeError::RetainHandling
        })
    }

    /// Reads a byte that [`check`](Self::check) has passed.
    #[inline]
    fn from_checked(byte: u8) -> Self {
        Self {
            qos: match byte & 3 {
                0 => QoS::AtMostOnce,
                1 => QoS::AtLeastOnce,
                _ => QoS::ExactlyOnce,
            },
            no_local: byte & 4 != 0,
            retain_as_published: byte & 8 != 0,
            retain_handling: match byte >> 4 {
                0 => RetainHandling::Send,
                1 => RetainHandling::SendIfNew,
                _ => RetainHandling::DoNotSend,
            },
        }
    }
}

/// A client asks for messages.
///
/// ```
/// use mqtt_codec::{PacketId, QoS, TopicFilter, packet::{Subscribe, SubscriptionOptions}};
///
/// let filter = TopicFilter::try_from("sport/+/score")?;
/// let id = PacketId::new(1).ok_or("packet identifiers start at 1")?;
/// let subscribe = Subscribe::new(id, [(&filter, SubscriptionOptions::at(QoS::AtLeastOnce))]);
/// for (filter, options) in subscribe.filters() {
///     assert_eq!((filter.as_str(), options.qos), ("sport/+/score", QoS::AtLeastOnce));
/// }
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)] // In this order: see `AnyPacket`.
pub struct Subscribe<B: Buffer = Bytes> {
    /// Answered by the SUBACK with the same number.
    pub packet_id: PacketId,
    /// MQTT 5 properties.
    pub properties: Properties<B>,
    /// Filters and options as on the wire.
    entries: B,
}

/// A client wants no more of these messages.
///
/// ```
/// use mqtt_codec::{PacketId, TopicFilter, packet::Unsubscribe};
///
/// let filter = TopicFilter::try_from("sport/#")?;
/// let id = PacketId::new(2).ok_or("packet identifiers start at 1")?;
/// let unsubscribe = Unsubscribe::new(id, [&filter]);
/// assert!(unsubscribe.filters().all(|filter| filter.as_str() == "sport/#"));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)] // In this order: see `AnyPacket`.
pub struct Unsubscribe<B: Buffer = Bytes> {
    /// Answered by the UNSUBACK with the same number.
    pub packet_id: PacketId,
    /// MQTT 5 properties.
    pub properties: Properties<B>,
    /// Filters as on the wire.
    entries: B,
}

impl Subscribe {
    /// A SUBSCRIBE with these filters, which may not be none when it is encoded.
    pub fn new<'a>(
        packet_id: PacketId,
        filters: impl IntoIterator<Item = (&'a TopicFilter, SubscriptionOptions)>,
    ) -> Self {
        let mut entries = BytesMut::new();
        for (filter, options) in filters {
            let mut sink = Write(&mut entries);
            sink.binary(filter.as_bytes());
            sink.u8(options.to_byte());
        }
        Self { packet_id, properties: Properties::new(), entries: entries.freeze() }
    }
}

impl<B: Buffer> Subscribe<B> {
    /// On memory of its own: what is borrowed is copied, what is shared stays shared.
    #[must_use]
    pub fn into_owned(self) -> Subscribe {
        let Self { packet_id, properties, entries } = self;
        Subscribe { packet_id, properties: properties.into_owned(), entries: entries.into_bytes() }
    }

    /// The filters with their options, in order, as they lie in the packet.
    #[must_use]
    pub fn filters(&self) -> Filters<'_> {
        Filters { entries: self.entries.as_ref(), options: true }
    }

    pub(crate) fn decode(packet: B, at: usize, rules: &Rules) -> Result<Self, DecodeError> {
        let mut reader = Reader::body(packet.as_ref(), at);
        let packet_id = reader.packet_id()?;
        let (properties, _) = properties::read(&mut reader, rules, Context::Subscribe)?;
        let entries = read_entries(&mut reader, rules, |reader, filter| {
            let options = reader.u8()?;
            SubscriptionOptions::check(options, rules.version)?;
            // [v5 MQTT-3.8.3-4]
            if options & 4 != 0 && topic::split_share(filter).0.is_some() {
                return Err(DecodeError::NoLocalOnShared);
            }
            Ok(())
        })?;
        let properties = Properties::from_checked(packet.share(properties));
        Ok(Self { packet_id, properties, entries: packet.cut(entries) })
    }

    pub(crate) fn check(&self, version: Version) -> Result<(), EncodeError> {
        // [v5 MQTT-3.8.3-2, v3.1.1 MQTT-3.8.3-3]
        if self.entries.as_ref().is_empty() {
            return Err(EncodeError::Empty);
        }
        for (filter, options) in self.filters() {
            check_share(&filter, version)?;
            // [v3.1.1 MQTT-3.8.3-4]
            if !version.is_v5() && options.to_byte() & 0xFC != 0 {
                return Err(EncodeError::NotInVersion {
                    what: "subscription options beyond the QoS",
                    version,
                });
            }
            // [v5 MQTT-3.8.3-4]
            if options.no_local && topic::split_share(filter.as_bytes()).0.is_some() {
                return Err(EncodeError::Inconsistent("No Local does not go with a shared subscription"));
            }
        }
        self.properties.check(version, Context::Subscribe)
    }

    pub(crate) fn layout(&self, version: Version, sink: &mut impl Sink) {
        sink.packet_id(self.packet_id);
        sink.properties(version, self.properties.as_bytes());
        sink.put(self.entries.as_ref());
    }
}

impl Unsubscribe {
    /// An UNSUBSCRIBE of these filters, which may not be none when it is encoded.
    pub fn new<'a>(packet_id: PacketId, filters: impl IntoIterator<Item = &'a TopicFilter>) -> Self {
        let mut entries = BytesMut::new();
        for filter in filters {
            Write(&mut entries).binary(filter.as_bytes());
        }
        Self { packet_id, properties: Properties::new(), entries: entries.freeze() }
    }
}

impl<B: Buffer> Unsubscribe<B> {
    /// On memory of its own: what is borrowed is copied, what is shared stays shared.
    #[must_use]
    pub fn into_owned(self) -> Unsubscribe {
        let Self { packet_id, properties, entries } = self;
        Unsubscribe { packet_id, properties: properties.into_owned(), entries: entries.into_bytes() }
    }

    /// The filters, in order, as they lie in the packet.
    pub fn filters(&self) -> impl Iterator<Item = TopicFilter<&[u8]>> + '_ {
        self.entries().map(|(filter, _)| filter)
    }

    fn entries(&self) -> Filters<'_> {
        Filters { entries: self.entries.as_ref(), options: false }
    }

    pub(crate) fn decode(packet: B, at: usize, rules: &Rules) -> Result<Self, DecodeError> {
        let mut reader = Reader::body(packet.as_ref(), at);
        let packet_id = reader.packet_id()?;
        let (properties, _) = properties::read(&mut reader, rules, Context::Unsubscribe)?;
        let entries = read_entries(&mut reader, rules, |_, _| Ok(()))?;
        let properties = Properties::from_checked(packet.share(properties));
        Ok(Self { packet_id, properties, entries: packet.cut(entries) })
    }

    pub(crate) fn check(&self, version: Version) -> Result<(), EncodeError> {
        // [v5 MQTT-3.10.3-2, v3.1.1 MQTT-3.10.3-2]
        if self.entries.as_ref().is_empty() {
            return Err(EncodeError::Empty);
        }
        self.filters().try_for_each(|filter| check_share(&filter, version))?;
        self.properties.check(version, Context::Unsubscribe)
    }

    pub(crate) fn layout(&self, version: Version, sink: &mut impl Sink) {
        sink.packet_id(self.packet_id);
        sink.properties(version, self.properties.as_bytes());
        sink.put(self.entries.as_ref());
    }
}

/// A filter out of an MQTT 3.1.1 packet, where `$share/` means nothing, may be none in MQTT 5.
fn check_share(filter: &TopicFilter<&[u8]>, version: Version) -> Result<(), EncodeError> {
    if version.is_v5() && filter.as_bytes().first() == Some(&b'$') {
        topic::check_filter(filter.as_bytes(), true).map_err(|_| EncodeError::NotInVersion {
            what: "this filter that begins with $share/",
            version,
        })?;
    }
    Ok(())
}

/// Checks every entry up to the packet's end and says where they stand.
#[inline]
fn read_entries(
    reader: &mut Reader<'_>,
    rules: &Rules,
    mut behind: impl FnMut(&mut Reader<'_>, &[u8]) -> Result<(), DecodeError>,
) -> Result<Range<usize>, DecodeError> {
    // [v5 MQTT-3.8.3-2, v3.1.1 MQTT-3.8.3-3, v5 MQTT-3.10.3-2, v3.1.1 MQTT-3.10.3-2]
    if reader.is_empty() {
        return Err(DecodeError::Empty);
    }
    let start = reader.position();
    let mut count = 0u32;
    while !reader.is_empty() {
        count = count.saturating_add(1);
        if count > rules.limits.max_filters {
            return Err(DecodeError::TooMany { what: "filters", max: rules.limits.max_filters });
        }
        // [v5 MQTT-3.8.3-1, v3.1.1 MQTT-3.8.3-1, v5 MQTT-3.10.3-1, v3.1.1 MQTT-3.10.3-1]
        let filter = reader.binary()?;
        topic::check_filter(filter, rules.version.is_v5())?;
        behind(reader, filter)?;
    }
    Ok(start..reader.position())
}

/// Filters with their options, read in place.
#[derive(Clone)]
pub struct Filters<'a> {
    entries: &'a [u8],
    options: bool,
}

impl<'a> Iterator for Filters<'a> {
    type Item = (TopicFilter<&'a [u8]>, SubscriptionOptions);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (len, rest) = self.entries.split_first_chunk()?;
        let (filter, mut rest) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
        let mut options = SubscriptionOptions::default();
        if self.options {
            let (byte, behind) = rest.split_first()?;
            options = SubscriptionOptions::from_checked(*byte);
            rest = behind;
        }
        self.entries = rest;
        Some((TopicFilter::from_checked(filter), options))
    }
}

impl fmt::Debug for Filters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<B: Buffer> fmt::Debug for Subscribe<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe")
            .field("packet_id", &self.packet_id)
            .field("properties", &self.properties)
            .field("filters", &self.filters())
            .finish()
    }
}

impl<B: Buffer> fmt::Debug for Unsubscribe<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsubscribe")
            .field("packet_id", &self.packet_id)
            .field("properties", &self.properties)
            .field("filters", &self.entries())
            .finish()
    }
}
