//! PUBLISH (section 3.3 of both standards).

mod alias;
mod parts;

use core::fmt;

use bytes::{Bytes, BytesMut};

pub(crate) use parts::Parts;

use crate::layout::{Layout, Sink};
use crate::properties::{self, Context};
use crate::rules::Side;
use crate::text;
use crate::{Buffer, EncodeError, PacketId, Properties, PropertiesRef, PropertyId, QoS, TopicName, Version};

/// An application message on its way.
///
/// Topic, properties and payload of a decoded message share the buffer that the packet was read into. The fields are
/// kept so that QoS and packet identifier cannot disagree: QoS 0 has none, QoS 1 and 2 have one.
#[derive(Clone, Copy)]
#[repr(C)] // In this order: see `AnyPacket`.
pub struct Publish<B: Buffer = Bytes> {
    packet_id: Option<PacketId>,
    qos: QoS,
    flags: Flags,
    topic_at: u8,
    topic_len: u16,
    properties_at: u32,
    properties_end: u32,
    /// Decoded: the whole packet. Built: the topic, and the properties behind it.
    head: B,
    /// Built: the payload. Decoded: it is the end of `head`.
    payload: Option<B>,
}

/// RETAIN and DUP where the fixed header has them, and whether there is a Subscription Identifier.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Flags(u8);

const RETAIN: u8 = 0x01;
const DUP: u8 = 0x08;
const SUBSCRIBED: u8 = 0x80;

impl Flags {
    #[inline]
    const fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    #[inline]
    const fn with(self, flag: u8, on: bool) -> Self {
        Self(if on { self.0 | flag } else { self.0 & !flag })
    }
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
        Self::of(topic, payload.into())
    }

    /// With these properties in place of any before. They are copied behind the topic.
    ///
    /// # Errors
    /// [`EncodeError::Property`]: a property does not belong in PUBLISH, or is there twice.
    pub fn with_properties(mut self, properties: &Properties<impl Buffer>) -> Result<Self, EncodeError> {
        let bytes = properties.as_bytes();
        let seen = properties::check_outgoing(bytes, Version::V5, Context::Publish)?;
        let mut head = BytesMut::with_capacity(self.topic_bytes().len().saturating_add(bytes.len()));
        head.extend_from_slice(self.topic_bytes());
        head.extend_from_slice(bytes);
        self.payload = Some(self.payload_bytes());
        self.topic_at = 0;
        self.properties_at = u32::from(self.topic_len);
        self.properties_end = u32::try_from(head.len()).unwrap_or(u32::MAX);
        self.flags = self.flags.with(SUBSCRIBED, seen.has(PropertyId::SubscriptionIdentifier));
        self.head = head.freeze();
        Ok(self)
    }
}

impl<'a> Publish<&'a [u8]> {
    /// A QoS 0 message without properties, not retained, that borrows topic and payload.
    ///
    /// ```
    /// use mqtt_codec::{TopicName, packet::Publish};
    ///
    /// let publish = Publish::borrowed(TopicName::borrowed("sensor/1")?, b"21.5");
    /// assert_eq!(publish.topic(), "sensor/1");
    /// # Ok::<(), mqtt_codec::InvalidTopic>(())
    /// ```
    #[must_use]
    pub fn borrowed(topic: TopicName<&'a [u8]>, payload: &'a [u8]) -> Self {
        Self::of(topic, payload)
    }
}

impl<B: Buffer> Publish<B> {
    fn of(topic: TopicName<B>, payload: B) -> Self {
        let head = topic.into_text().into_inner();
        let len = u16::try_from(head.as_ref().len()).unwrap_or(u16::MAX);
        Self {
            head,
            payload: Some(payload),
            properties_at: u32::from(len),
            properties_end: u32::from(len),
            topic_at: 0,
            topic_len: len,
            packet_id: None,
            qos: QoS::AtMostOnce,
            flags: Flags(0),
        }
    }

    /// Kept by the server for later subscribers, or not.
    #[must_use]
    pub fn with_retain(mut self, retain: bool) -> Self {
        self.flags = self.flags.with(RETAIN, retain);
        self
    }

    /// As a QoS 0 message: no packet identifier, no DUP.
    #[must_use]
    pub fn at_most_once(mut self) -> Self {
        // [v5 MQTT-2.2.1-2, v3.1.1 MQTT-2.3.1-5]
        (self.qos, self.packet_id) = (QoS::AtMostOnce, None);
        self.with_dup(false)
    }

    /// As a QoS 1 message that was not sent before.
    #[must_use]
    pub fn at_least_once(mut self, packet_id: PacketId) -> Self {
        (self.qos, self.packet_id) = (QoS::AtLeastOnce, Some(packet_id));
        self.with_dup(false)
    }

    /// As a QoS 2 message that was not sent before.
    #[must_use]
    pub fn exactly_once(mut self, packet_id: PacketId) -> Self {
        (self.qos, self.packet_id) = (QoS::ExactlyOnce, Some(packet_id));
        self.with_dup(false)
    }

    /// Marked as sent before; without effect at QoS 0 (`[MQTT-3.3.1-2]`).
    #[must_use]
    pub fn with_dup(mut self, dup: bool) -> Self {
        // [v5 MQTT-3.3.1-2, v3.1.1 MQTT-3.3.1-2, v5 MQTT-4.3.1-1, v3.1.1 MQTT-4.3.1-1]
        self.flags = self.flags.with(DUP, dup && self.qos != QoS::AtMostOnce);
        self
    }

    /// The topic. Empty only in MQTT 5, where a topic alias then stands for it.
    #[must_use]
    pub fn topic(&self) -> &str {
        text::checked(self.topic_bytes())
    }

    /// The topic's bytes, which are UTF-8.
    #[must_use]
    #[inline]
    pub fn topic_bytes(&self) -> &[u8] {
        let head = self.head.as_ref().get(usize::from(self.topic_at)..).unwrap_or_default();
        head.get(..usize::from(self.topic_len)).unwrap_or_default()
    }

    /// The topic as a name that shares its bytes; `None` where a topic alias stands for it.
    #[must_use]
    pub fn topic_name(&self) -> Option<TopicName<B>> {
        if self.topic_len == 0 {
            return None;
        }
        let start = usize::from(self.topic_at);
        let end = start.saturating_add(usize::from(self.topic_len));
        Some(TopicName::from_checked(self.head.share(start..end)))
    }

    /// The message.
    #[must_use]
    #[inline]
    pub fn payload(&self) -> &[u8] {
        match &self.payload {
            Some(payload) => payload.as_ref(),
            None => self.head.as_ref().get(self.properties_end as usize..).unwrap_or_default(),
        }
    }

    /// The message, sharing its bytes.
    #[must_use]
    pub fn payload_bytes(&self) -> B {
        match &self.payload {
            Some(payload) => payload.clone(),
            None => self.head.share(self.properties_end as usize..self.head.as_ref().len()),
        }
    }

    /// The message; the rest is let go.
    #[must_use]
    pub fn into_payload(self) -> B {
        match self.payload {
            Some(payload) => payload,
            None => {
                let end = self.head.as_ref().len();
                self.head.cut(self.properties_end as usize..end)
            }
        }
    }

    /// The same message on memory of its own: for one that was borrowed, or that is kept longer than the buffer which
    /// it was read into should live.
    #[must_use]
    pub fn detach(&self) -> Publish {
        let Self { packet_id, qos, flags, topic_at, topic_len, properties_at, properties_end, .. } = *self;
        let head = Bytes::copy_from_slice(self.head.as_ref());
        let payload = self.payload.as_ref().map(|payload| Bytes::copy_from_slice(payload.as_ref()));
        Publish { packet_id, qos, flags, topic_at, topic_len, properties_at, properties_end, head, payload }
    }

    /// On memory of its own: what is borrowed is copied, what is shared stays shared.
    #[must_use]
    pub fn into_owned(self) -> Publish {
        let Self { packet_id, qos, flags, topic_at, topic_len, properties_at, properties_end, head, payload } =
            self;
        let (head, payload) = (head.into_bytes(), payload.map(B::into_bytes));
        Publish { packet_id, qos, flags, topic_at, topic_len, properties_at, properties_end, head, payload }
    }

    /// MQTT 5 properties.
    #[must_use]
    #[inline]
    pub fn properties(&self) -> PropertiesRef<'_> {
        PropertiesRef::from_checked(self.property_bytes())
    }

    /// MQTT 5 properties, sharing the bytes.
    #[must_use]
    pub fn properties_bytes(&self) -> Properties<B> {
        let range = self.properties_at as usize..self.properties_end as usize;
        Properties::from_checked(self.head.share(range))
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
        self.flags.has(RETAIN)
    }

    /// Whether the sender says that it may have sent the message before.
    #[must_use]
    pub fn dup(&self) -> bool {
        self.flags.has(DUP)
    }

    #[inline]
    fn property_bytes(&self) -> &[u8] {
        let range = self.properties_at as usize..self.properties_end as usize;
        self.head.as_ref().get(range).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn check(&self, version: Version, sender: Side) -> Result<(), EncodeError> {
        if self.topic_len == 0 && self.properties().topic_alias().is_none() {
            return Err(EncodeError::Inconsistent("neither a topic nor a topic alias"));
        }
        // The properties themselves were checked when they came in, or were put in.
        if !version.is_v5() && self.properties_at != self.properties_end {
            return Err(EncodeError::NotInVersion { what: "properties", version });
        }
        // [v5 MQTT-3.3.4-6]
        if self.flags.has(SUBSCRIBED) && sender == Side::Client {
            return Err(EncodeError::WrongDirection("a Subscription Identifier in PUBLISH"));
        }
        Ok(())
    }
}

impl<B: Buffer> Layout for Publish<B> {
    #[inline]
    fn header(&self) -> u8 {
        0x30 | (self.flags.0 & (RETAIN | DUP)) | (self.qos as u8) << 1
    }

    #[inline(always)]
    fn layout_head(&self, version: Version, sink: &mut impl Sink) {
        sink.binary(self.topic_bytes());
        if let Some(id) = self.packet_id {
            sink.packet_id(id);
        }
        sink.properties(version, self.property_bytes());
    }

    #[inline]
    fn payload(&self) -> &[u8] {
        Self::payload(self)
    }
}

impl<B: Buffer> PartialEq for Publish<B> {
    /// By content: where it lies does not count.
    fn eq(&self, other: &Self) -> bool {
        self.header() == other.header()
            && self.packet_id == other.packet_id
            && self.topic_bytes() == other.topic_bytes()
            && self.property_bytes() == other.property_bytes()
            && self.payload() == other.payload()
    }
}

impl<B: Buffer> Eq for Publish<B> {}

impl<B: Buffer> fmt::Debug for Publish<B> {
    /// Payloads are the application's business: only their length is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publish")
            .field("topic", &self.topic())
            .field("qos", &self.qos)
            .field("packet_id", &self.packet_id)
            .field("retain", &self.retain())
            .field("dup", &self.dup())
            .field("properties", &self.properties())
            .field("payload", &format_args!("{} bytes", self.payload().len()))
            .finish()
    }
}
