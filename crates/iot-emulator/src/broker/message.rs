//! An application message within the broker: of no version, on no connection.

use std::time::Duration;

use bytes::Bytes;
use mqtt_codec::packet::{Publish, Will};
use mqtt_codec::{PacketId, Properties, PropertiesRef, Property, QoS, Text, TopicName, Version};

/// Message expiry intervals are brought into this range: AWS IoT Core keeps nothing longer than 7 days.
const EXPIRY_SECONDS: (u32, u32) = (1, 604_800);

/// What a message is charged beyond its bytes.
const OVERHEAD: usize = 64;

/// A message that owns its bytes, so that one that is kept does not keep a whole read buffer.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) topic: TopicName,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// What goes along unchanged.
    properties: Properties,
    expires: Option<Duration>,
}

impl Message {
    pub(super) fn new(topic: &TopicName, payload: &[u8], qos: QoS, retain: bool) -> Self {
        let topic = TopicName::new(detached(topic.text())).unwrap_or_else(|_| topic.clone());
        let payload = Bytes::copy_from_slice(payload);
        Self { topic, payload, qos, retain, properties: Properties::new(), expires: None }
    }

    /// A copy of what a client published; `topic` has its alias resolved.
    pub(super) fn published(now: Duration, topic: &TopicName, publish: &Publish) -> Self {
        Self::new(topic, publish.payload(), publish.qos(), publish.retain())
            .with_properties(now, publish.properties())
    }

    /// A copy of a will, whose expiry interval begins `now`.
    pub(super) fn will(now: Duration, will: &Will) -> Self {
        Self::new(&will.topic, &will.payload, will.qos, will.retain)
            .with_properties(now, will.properties.as_ref())
    }

    fn with_properties(mut self, now: Duration, from: PropertiesRef<'_>) -> Self {
        let (min, max) = EXPIRY_SECONDS;
        for property in from {
            match property {
                Property::MessageExpiryInterval(seconds) => {
                    let life = Duration::from_secs(seconds.clamp(min, max).into());
                    self.expires = Some(now.saturating_add(life));
                }
                Property::PayloadFormatIndicator(_)
                | Property::ContentType(_)
                | Property::ResponseTopic(_)
                | Property::CorrelationData(_)
                | Property::UserProperty(..) => {
                    // The property was checked when it came in, so this does not fail.
                    let before = self.properties.clone();
                    self.properties = self.properties.with(property).unwrap_or(before);
                }
                _ => {}
            }
        }
        self
    }

    /// Whether the message is not worth sending any more.
    pub(super) fn expired(&self, now: Duration) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// What it is charged where it is kept.
    pub(super) fn size(&self) -> usize {
        self.topic.as_str().len() + self.payload.len() + self.properties.as_bytes().len() + OVERHEAD
    }

    /// As a packet: QoS 1 with an identifier, else QoS 0.
    pub(super) fn to_publish(&self, now: Duration, version: Version, id: Option<PacketId>) -> Publish {
        let mut publish = Publish::new(self.topic.clone(), self.payload.clone()).with_retain(self.retain);
        if version.is_v5() {
            let mut properties = self.properties.clone();
            if let Some(at) = self.expires {
                // [MQTT-3.3.2-6] the time that the message has waited is taken off
                let left = u32::try_from(at.saturating_sub(now).as_secs()).unwrap_or(u32::MAX);
                properties = properties.with(Property::MessageExpiryInterval(left)).unwrap_or_default();
            }
            if !properties.is_empty() {
                // They were checked when they came in, so this does not fail.
                let without = publish.clone();
                publish = publish.with_properties(&properties).unwrap_or(without);
            }
        }
        match id {
            Some(id) => publish.at_least_once(id),
            None => publish,
        }
    }
}

/// A copy that does not keep the read buffer.
pub(super) fn detached(text: &Text) -> Text {
    Text::new(Bytes::copy_from_slice(text.as_bytes())).unwrap_or_default()
}
