//! SUBSCRIBE and UNSUBSCRIBE (sections 3.8 and 3.10 of both standards).

use core::fmt;

use bytes::{Bytes, BytesMut};

use crate::layout::{Sink, Write};
use crate::properties::{self, Context};
use crate::reader::Reader;
use crate::text::Text;
use crate::{DecodeError, EncodeError, PacketId, Properties, QoS, TopicFilter, Version, topic};

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

    fn from_byte(byte: u8, version: Version) -> Result<Self, DecodeError> {
        let qos = QoS::try_from(byte & 3)?;
        // MQTT 5 [MQTT-3.8.3-5], MQTT 3.1.1 [MQTT-3.8.3-4]
        if byte & if version.is_v5() { 0xC0 } else { 0xFC } != 0 {
            return Err(DecodeError::SubscriptionOptions);
        }
        let retain_handling = match byte >> 4 {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return Err(DecodeError::SubscriptionOptions),
        };
        Ok(Self { qos, no_local: byte & 4 != 0, retain_as_published: byte & 8 != 0, retain_handling })
    }
}

/// A client asks for messages.
#[derive(Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// Answered by the SUBACK with the same number.
    pub packet_id: PacketId,
    /// MQTT 5 properties.
    pub properties: Properties,
    /// Filters and options as on the wire.
    entries: Bytes,
}

/// A client wants no more of these messages.
#[derive(Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    /// Answered by the UNSUBACK with the same number.
    pub packet_id: PacketId,
    /// MQTT 5 properties.
    pub properties: Properties,
    /// Filters as on the wire.
    entries: Bytes,
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
            sink.text(filter.text());
            sink.u8(options.to_byte());
        }
        Self { packet_id, properties: Properties::new(), entries: entries.freeze() }
    }

    /// The filters with their options, in order, sharing the packet's buffer.
    #[must_use]
    pub fn filters(&self) -> FilterIter<'_> {
        FilterIter { entries: &self.entries, at: 0, options: true }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let properties = properties::read(reader, version, Context::Subscribe)?;
        let entries = read_entries(reader, |reader, filter| {
            let options = SubscriptionOptions::from_byte(reader.u8()?, version)?;
            if options.no_local && filter.starts_with("$share/") {
                return Err(DecodeError::NoLocalOnShared); // [MQTT-3.8.3-4]
            }
            Ok(())
        })?;
        Ok(Self { packet_id, properties, entries })
    }

    pub(crate) fn check(&self, version: Version) -> Result<(), EncodeError> {
        if self.entries.is_empty() {
            return Err(EncodeError::Empty);
        }
        for (filter, options) in self.filters() {
            if !version.is_v5() && options.to_byte() & 0xFC != 0 {
                return Err(EncodeError::NotInVersion {
                    what: "subscription options beyond the QoS",
                    version,
                });
            }
            if options.no_local && filter.share_name().is_some() {
                return Err(EncodeError::Inconsistent("No Local does not go with a shared subscription"));
            }
        }
        self.properties.check(version, Context::Subscribe)
    }

    pub(crate) fn layout(&self, version: Version, sink: &mut impl Sink) {
        sink.packet_id(self.packet_id);
        sink.properties(version, &self.properties);
        sink.put(&self.entries);
    }
}

impl Unsubscribe {
    /// An UNSUBSCRIBE of these filters, which may not be none when it is encoded.
    pub fn new<'a>(packet_id: PacketId, filters: impl IntoIterator<Item = &'a TopicFilter>) -> Self {
        let mut entries = BytesMut::new();
        for filter in filters {
            Write(&mut entries).text(filter.text());
        }
        Self { packet_id, properties: Properties::new(), entries: entries.freeze() }
    }

    /// The filters, in order, sharing the packet's buffer.
    pub fn filters(&self) -> impl Iterator<Item = TopicFilter> + '_ {
        FilterIter { entries: &self.entries, at: 0, options: false }.map(|(filter, _)| filter)
    }

    pub(crate) fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let properties = properties::read(reader, version, Context::Unsubscribe)?;
        Ok(Self { packet_id, properties, entries: read_entries(reader, |_, _| Ok(()))? })
    }

    pub(crate) fn check(&self, version: Version) -> Result<(), EncodeError> {
        if self.entries.is_empty() {
            return Err(EncodeError::Empty);
        }
        self.properties.check(version, Context::Unsubscribe)
    }

    pub(crate) fn layout(&self, version: Version, sink: &mut impl Sink) {
        sink.packet_id(self.packet_id);
        sink.properties(version, &self.properties);
        sink.put(&self.entries);
    }
}

/// Checks every entry up to the packet's end and returns them as they are.
fn read_entries(
    reader: &mut Reader<'_>,
    mut behind: impl FnMut(&mut Reader<'_>, &str) -> Result<(), DecodeError>,
) -> Result<Bytes, DecodeError> {
    if reader.is_empty() {
        return Err(DecodeError::Empty); // [MQTT-3.8.3-2], [MQTT-3.10.3-2]
    }
    let entries = reader.clone().rest();
    while !reader.is_empty() {
        let filter = reader.text_ref()?;
        topic::check_filter(filter.as_bytes())?;
        behind(reader, filter)?;
    }
    Ok(entries)
}

/// Filters with their options, read in place.
#[derive(Clone)]
pub struct FilterIter<'a> {
    entries: &'a Bytes,
    at: usize,
    options: bool,
}

impl Iterator for FilterIter<'_> {
    type Item = (TopicFilter, SubscriptionOptions);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.entries.get(self.at..)?;
        let (len, rest) = rest.split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes(*len));
        let start = self.at.checked_add(2)?;
        let end = start.checked_add(len)?;
        let options = if self.options {
            // The options were checked under the packet's version; MQTT 5's reading covers both.
            SubscriptionOptions::from_byte(*rest.get(len)?, Version::V5).ok()?
        } else {
            SubscriptionOptions::default()
        };
        if end > self.entries.len() {
            return None;
        }
        self.at = end.checked_add(usize::from(self.options))?;
        let filter = TopicFilter::from_checked(Text::from_checked(self.entries.slice(start..end)));
        Some((filter, options))
    }
}

impl fmt::Debug for FilterIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl fmt::Debug for Subscribe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe")
            .field("packet_id", &self.packet_id)
            .field("properties", &self.properties)
            .field("filters", &self.filters())
            .finish()
    }
}

impl fmt::Debug for Unsubscribe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsubscribe")
            .field("packet_id", &self.packet_id)
            .field("properties", &self.properties)
            .field("filters", &FilterIter { entries: &self.entries, at: 0, options: false })
            .finish()
    }
}
