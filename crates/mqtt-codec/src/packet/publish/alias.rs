//! Topic aliases, put in and taken out (section 3.3.2.3.4).

use core::num::NonZeroU16;

use bytes::{Bytes, BytesMut};

use super::Publish;
use crate::layout::Write;
use crate::{Property, PropertyId, TopicName};

impl Publish {
    /// The same message with `alias`, and without its topic if the other side knows already what the alias stands for.
    /// Topic and properties are copied, the payload is shared.
    ///
    /// ```
    /// use core::num::NonZeroU16;
    /// use mqtt_codec::{TopicName, packet::Publish};
    ///
    /// let publish = Publish::new(TopicName::try_from("a/long/topic")?, "21.5");
    /// let short = publish.with_topic_alias(NonZeroU16::MIN, true);
    /// assert_eq!((short.topic(), short.properties().topic_alias()), ("", Some(1)));
    /// assert_eq!(short.with_full_topic(TopicName::try_from("a/long/topic")?), publish);
    /// # Ok::<(), mqtt_codec::InvalidTopic>(())
    /// ```
    #[must_use]
    pub fn with_topic_alias(&self, alias: NonZeroU16, known: bool) -> Self {
        let topic = if known { &[][..] } else { self.topic_bytes() };
        let mut head = BytesMut::with_capacity(
            topic.len().saturating_add(self.property_bytes().len()).saturating_add(ALIAS_LEN),
        );
        head.extend_from_slice(topic);
        self.copy_properties(&mut head);
        Property::TopicAlias(alias.get()).layout(&mut Write(&mut head));
        self.with_head(topic.len(), head.freeze())
    }

    /// The same message under `topic`, and without a topic alias. Shares the topic and the payload; properties other
    /// than the alias are copied behind the topic.
    #[must_use]
    pub fn with_full_topic(&self, topic: TopicName) -> Self {
        let topic = topic.into_text().into_inner();
        if self.properties().iter().all(|property| property.id() == PropertyId::TopicAlias) {
            return self.with_head(topic.len(), topic);
        }
        let mut head = BytesMut::with_capacity(topic.len().saturating_add(self.property_bytes().len()));
        head.extend_from_slice(&topic);
        self.copy_properties(&mut head);
        self.with_head(topic.len(), head.freeze())
    }

    /// All but the alias.
    fn copy_properties(&self, head: &mut BytesMut) {
        for property in self.properties() {
            if property.id() != PropertyId::TopicAlias {
                property.layout(&mut Write(head));
            }
        }
    }

    /// With this topic and the properties behind it.
    fn with_head(&self, topic_len: usize, head: Bytes) -> Self {
        Self {
            packet_id: self.packet_id,
            qos: self.qos,
            flags: self.flags,
            topic_at: 0,
            topic_len: u16::try_from(topic_len).unwrap_or(u16::MAX),
            properties_at: u32::try_from(topic_len).unwrap_or(u32::MAX),
            properties_end: u32::try_from(head.len()).unwrap_or(u32::MAX),
            payload: Some(self.payload_bytes()),
            head,
        }
    }
}

/// The property's number and two bytes.
const ALIAS_LEN: usize = 3;
