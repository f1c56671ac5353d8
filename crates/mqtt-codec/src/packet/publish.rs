//! PUBLISH (section 3.3 of both standards).

use core::fmt;

use bytes::{Bytes, BytesMut};

use crate::layout::Sink;
use crate::properties::{self, Context};
use crate::reader::Reader;
use crate::text::{self, Text};
use crate::{DecodeError, EncodeError, PacketId, Properties, PropertiesRef, QoS, TopicName, Version, topic};

/// An application message on its way.
///
/// Topic and payload of a decoded message share the buffer that the packet was read into. The fields are kept so
/// that QoS and packet identifier cannot disagree: QoS 0 has none, QoS 1 and 2 have one.
#[derive(Clone)]
pub struct Publish {
    /// The topic; behind it, from `properties_at` on, the properties.
    head: Bytes,
    payload: Bytes,
    properties_at: u32,
    topic_len: u16,
    packet_id: Option<PacketId>,
    qos: QoS,
    retain: bool,
    dup: bool,
}

impl Publish {
    /// A QoS 0 message without properties, not retained.
    ///
    /// ```
    /// use mqtt_codec::{TopicName, packet::Publish};
    ///
    /// let publish = Publish::new(TopicName::try_from("sensor/1")?, "21.5");
    /// assert_eq!(publish.topic(), "sensor/1");
    /// # Ok::<(), mqtt_codec::InvalidTopic>(())
    /// ```
    #[must_use]
    pub fn new(topic: TopicName, payload: impl Into<Bytes>) -> Self {
        let head = topic.into_text().into_bytes();
        let len = head.len();
        Self {
            head,
            payload: payload.into(),
            properties_at: u32::try_from(len).unwrap_or(u32::MAX),
            topic_len: u16::try_from(len).unwrap_or(u16::MAX),
            packet_id: None,
            qos: QoS::AtMostOnce,
            retain: false,
            dup: false,
        }
    }

    /// With these properties in place of any before. They are copied behind the topic.
    #[must_use]
    pub fn with_properties(mut self, properties: &Properties) -> Self {
        let mut head =
            BytesMut::with_capacity(self.topic_bytes().len().saturating_add(properties.as_bytes().len()));
        head.extend_from_slice(self.topic_bytes());
        head.extend_from_slice(properties.as_bytes());
        self.properties_at = u32::from(self.topic_len);
        self.head = head.freeze();
        self
    }

    /// Kept by the server for later subscribers, or not.
    #[must_use]
    pub fn with_retain(mut self, retain: bool) -> Self {
        self.retain = retain;
        self
    }

    /// As a QoS 0 message: no packet identifier, no DUP.
    #[must_use]
    pub fn at_most_once(mut self) -> Self {
        (self.qos, self.packet_id, self.dup) = (QoS::AtMostOnce, None, false);
        self
    }

    /// As a QoS 1 message that was not sent before.
    #[must_use]
    pub fn at_least_once(mut self, packet_id: PacketId) -> Self {
        (self.qos, self.packet_id, self.dup) = (QoS::AtLeastOnce, Some(packet_id), false);
        self
    }

    /// As a QoS 2 message that was not sent before.
    #[must_use]
    pub fn exactly_once(mut self, packet_id: PacketId) -> Self {
        (self.qos, self.packet_id, self.dup) = (QoS::ExactlyOnce, Some(packet_id), false);
        self
    }

    /// Marked as sent before; without effect at QoS 0 (`[MQTT-3.3.1-2]`).
    #[must_use]
    pub fn with_dup(mut self, dup: bool) -> Self {
        self.dup = dup && self.qos != QoS::AtMostOnce;
        self
    }

    /// The topic. Empty only in MQTT 5, where a topic alias then stands for it.
    #[must_use]
    pub fn topic(&self) -> &str {
        text::checked(self.topic_bytes())
    }

    /// The topic's bytes, which are UTF-8.
    #[must_use]
    pub fn topic_bytes(&self) -> &[u8] {
        self.head.get(..usize::from(self.topic_len)).unwrap_or_default()
    }

    /// The topic as a name that shares its bytes; `None` where a topic alias stands for it.
    #[must_use]
    pub fn topic_name(&self) -> Option<TopicName> {
        if self.topic_len == 0 {
            return None;
        }
        let bytes = self.head.slice(..usize::from(self.topic_len).min(self.head.len()));
        Some(TopicName::from_checked(Text::from_checked(bytes)))
    }

    /// The message.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// MQTT 5 properties.
    #[must_use]
    pub fn properties(&self) -> PropertiesRef<'_> {
        PropertiesRef::from_checked(self.head.get(self.properties_at as usize..).unwrap_or_default())
    }

    /// MQTT 5 properties, sharing the bytes.
    #[must_use]
    pub fn properties_bytes(&self) -> Properties {
        Properties::from_checked(self.property_bytes())
    }

    /// Quality of service.
    #[must_use]
    pub fn qos(&self) -> QoS {
        self.qos
    }

    /// The packet identifier; `None` exactly at QoS 0 (`[MQTT-2.2.1-2]`).
    #[must_use]
    pub fn packet_id(&self) -> Option<PacketId> {
        self.packet_id
    }

    /// Whether the message is, or was, a retained one.
    #[must_use]
    pub fn retain(&self) -> bool {
        self.retain
    }

    /// Whether the sender says that it may have sent the message before.
    #[must_use]
    pub fn dup(&self) -> bool {
        self.dup
    }

    fn property_bytes(&self) -> Bytes {
        let at = self.properties_at as usize;
        if at < self.head.len() { self.head.slice(at..) } else { Bytes::new() }
    }

    pub(crate) fn header(&self) -> u8 {
        0x30 | u8::from(self.dup) << 3 | (self.qos as u8) << 1 | u8::from(self.retain)
    }

    pub(crate) fn decode(
        header: u8,
        reader: &mut Reader<'_>,
        frame: &Bytes,
        version: Version,
    ) -> Result<Self, DecodeError> {
        let qos = QoS::try_from((header >> 1) & 3)?;
        let dup = header & 8 != 0;
        if dup && qos == QoS::AtMostOnce {
            return Err(DecodeError::DupOnQoS0);
        }
        let topic = reader.binary_ref()?;
        text::check(topic)?;
        let start = reader.position().saturating_sub(topic.len());
        let packet_id = if qos == QoS::AtMostOnce { None } else { Some(reader.packet_id()?) };
        let properties = properties::read(reader, version, Context::Publish)?;
        let end = reader.position();
        if topic.is_empty() {
            // [MQTT-3.3.2-8]; MQTT 3.1.1 [MQTT-4.7.3-1]
            if properties.as_ref().topic_alias().is_none() {
                return Err(DecodeError::NoTopic);
            }
        } else {
            topic::check_name(topic)?; // [MQTT-3.3.2-2]
        }
        let properties_at = end.saturating_sub(properties.as_bytes().len()).saturating_sub(start);
        Ok(Self {
            head: frame.slice(start..end),
            payload: reader.rest(),
            properties_at: u32::try_from(properties_at).unwrap_or(u32::MAX),
            topic_len: u16::try_from(topic.len()).unwrap_or(u16::MAX),
            packet_id,
            qos,
            retain: header & 1 != 0,
            dup,
        })
    }

    pub(crate) fn check(&self, version: Version) -> Result<(), EncodeError> {
        if self.topic_len == 0 && self.properties().topic_alias().is_none() {
            return Err(EncodeError::Inconsistent("neither a topic nor a topic alias"));
        }
        properties::check_outgoing(&self.property_bytes(), version, Context::Publish)
    }

    pub(crate) fn layout(&self, version: Version, sink: &mut impl Sink) {
        sink.binary(self.topic_bytes());
        if let Some(id) = self.packet_id {
            sink.packet_id(id);
        }
        if version.is_v5() {
            sink.property_bytes(self.head.get(self.properties_at as usize..).unwrap_or_default());
        }
        sink.put(&self.payload);
    }
}

impl PartialEq for Publish {
    /// By content: what lies between topic and properties in the buffer does not count.
    fn eq(&self, other: &Self) -> bool {
        self.header() == other.header()
            && self.packet_id == other.packet_id
            && self.topic_bytes() == other.topic_bytes()
            && self.properties() == other.properties()
            && self.payload == other.payload
    }
}

impl Eq for Publish {}

impl fmt::Debug for Publish {
    /// Payloads are the application's business: only their length is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publish")
            .field("topic", &self.topic())
            .field("qos", &self.qos)
            .field("packet_id", &self.packet_id)
            .field("retain", &self.retain)
            .field("dup", &self.dup)
            .field("properties", &self.properties())
            .field("payload", &format_args!("{} bytes", self.payload.len()))
            .finish()
    }
}
