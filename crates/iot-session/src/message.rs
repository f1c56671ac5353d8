//! An application message, as it is sent and as it is received.

use std::fmt;

use bytes::Bytes;
use mqtt_codec::packet::Publish;
use mqtt_codec::{EncodeError, InvalidTopic, Properties, PropertiesRef, Property, QoS, TopicName};

use crate::stage::PublishOp;

/// An application message. Cloning shares topic and payload.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    publish: Publish,
    qos: QoS,
}

impl Message {
    /// A QoS 1 message that is not retained.
    ///
    /// ```
    /// use iot_session::{Message, QoS};
    ///
    /// let message = Message::new("sensor/1", "21.5")?.qos(QoS::AtMostOnce);
    /// assert_eq!(message.topic(), "sensor/1");
    /// # Ok::<(), mqtt_codec::InvalidTopic>(())
    /// ```
    ///
    /// # Errors
    /// `topic` is not a topic name: empty, with a wildcard, not an MQTT string.
    pub fn new<T>(topic: T, payload: impl Into<Bytes>) -> Result<Self, InvalidTopic>
    where
        T: TryInto<TopicName>,
        InvalidTopic: From<T::Error>,
    {
        Ok(Self { publish: Publish::new(topic.try_into()?, payload), qos: QoS::AtLeastOnce })
    }

    /// With this quality of service. Default: QoS 1.
    #[must_use]
    pub fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// Kept by the server for later subscribers. Default: no.
    #[must_use]
    pub fn retain(mut self, retain: bool) -> Self {
        self.publish = self.publish.with_retain(retain);
        self
    }

    /// With one more MQTT 5 property. MQTT 3.1.1 cannot carry any: the publish fails then.
    ///
    /// # Errors
    /// The value is not allowed for the property.
    pub fn property(mut self, property: Property<'_>) -> Result<Self, EncodeError> {
        let properties: Properties = self.publish.properties_bytes().with(property)?;
        self.publish = self.publish.with_properties(&properties)?;
        Ok(self)
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.publish.topic()
    }

    /// The payload. A received one shares the read buffer; see [`detach`](Self::detach).
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.publish.payload()
    }

    /// The payload, sharing its memory.
    #[must_use]
    pub fn payload_bytes(&self) -> Bytes {
        self.publish.payload_bytes()
    }

    /// The MQTT 5 properties.
    #[must_use]
    pub fn properties(&self) -> PropertiesRef<'_> {
        self.publish.properties()
    }

    /// The quality of service it is sent with or was received with.
    #[must_use]
    pub fn quality(&self) -> QoS {
        self.qos
    }

    /// Whether it is to be retained, or was retained when it was received.
    #[must_use]
    pub fn is_retained(&self) -> bool {
        self.publish.retain()
    }

    /// Whether the server says that it may have sent the message before.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        self.publish.dup()
    }

    /// The same message on memory of its own. A received message keeps the buffer alive that it was read into, up
    /// to 64 KiB and more; who keeps small messages for long detaches them.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self { publish: self.publish.detach(), qos: self.qos }
    }

    /// The operation that sends it.
    #[must_use]
    pub fn into_op(self) -> PublishOp {
        PublishOp { publish: self.publish, qos: self.qos }
    }
}

impl From<Publish> for Message {
    /// A received message.
    fn from(publish: Publish) -> Self {
        let qos = publish.qos();
        Self { publish, qos }
    }
}

impl fmt::Debug for Message {
    /// The payload's length, not its content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic())
            .field("qos", &self.qos)
            .field("retain", &self.is_retained())
            .field("properties", &self.properties())
            .field("payload", &format_args!("{} bytes", self.payload().len()))
            .finish()
    }
}
