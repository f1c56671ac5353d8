//! An application message, as it is sent and as it is received.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use mqtt_codec::packet::Publish;
use mqtt_codec::{EncodeError, InvalidTopic, Properties, PropertiesRef, Property, QoS, TopicName};

use crate::stage::{PublishOp, Resend};

/// An application message. Cloning shares topic and payload.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    op: PublishOp,
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
        Ok(Self { op: PublishOp::new(Publish::new(topic.try_into()?, payload), QoS::AtLeastOnce) })
    }

    /// With this quality of service. Default: QoS 1.
    #[must_use]
    pub fn qos(mut self, qos: QoS) -> Self {
        self.op.qos = qos;
        self
    }

    /// How long it may wait for a connection, counted from when it is handed over, in milliseconds, rounded up, at least
    /// 1 ms; from 4,294,967,295 ms (49 days) on: for ever. Then it ends with [`Dropped::Expired`](crate::Dropped). Default: for ever.
    ///
    /// What the server and other clients make of it is another matter: MQTT 5 has the property
    /// [`MessageExpiryInterval`](Property::MessageExpiryInterval) for them, which bounds the waiting here, too.
    #[must_use]
    pub fn time_to_live(mut self, ttl: Duration) -> Self {
        let millis = ttl.as_micros().div_ceil(1000).max(1);
        self.op.ttl = u32::try_from(millis).ok().and_then(NonZeroU32::new);
        self
    }

    /// Whether it may wait for a connection in the offline queue. Default: yes. Otherwise it ends with
    /// [`OpError::Offline`](crate::OpError) when there is none.
    #[must_use]
    pub fn queue(mut self, queue: bool) -> Self {
        self.op.queue = queue;
        self
    }

    /// Whether a QoS 1 message may be sent again in another session when its own was lost before the acknowledgement.
    /// Default: yes. Otherwise it ends with [`OpError::Interrupted`](crate::OpError) then.
    #[must_use]
    pub fn resend(mut self, resend: bool) -> Self {
        self.op.resend = if resend { Resend::OtherSession } else { Resend::Never };
        self
    }

    /// Kept by the server for later subscribers. Default: no.
    #[must_use]
    pub fn retain(mut self, retain: bool) -> Self {
        self.op.publish = self.op.publish.with_retain(retain);
        self
    }

    /// With one more MQTT 5 property. MQTT 3.1.1 cannot carry any: the publish fails then.
    ///
    /// # Errors
    /// The value is not allowed for the property.
    pub fn property(mut self, property: Property<'_>) -> Result<Self, EncodeError> {
        let properties: Properties = self.op.publish.properties_bytes().with(property)?;
        self.op.publish = self.op.publish.with_properties(&properties)?;
        Ok(self)
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.op.publish.topic()
    }

    /// The payload. A received one shares the read buffer; see [`detach`](Self::detach).
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.op.publish.payload()
    }

    /// The payload, sharing its memory.
    #[must_use]
    pub fn payload_bytes(&self) -> Bytes {
        self.op.publish.payload_bytes()
    }

    /// The MQTT 5 properties.
    #[must_use]
    pub fn properties(&self) -> PropertiesRef<'_> {
        self.op.publish.properties()
    }

    /// The quality of service it is sent with or was received with.
    #[must_use]
    pub fn quality(&self) -> QoS {
        self.op.qos
    }

    /// Whether it is to be retained, or was retained when it was received.
    #[must_use]
    pub fn is_retained(&self) -> bool {
        self.op.publish.retain()
    }

    /// Whether the server says that it may have sent the message before.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        self.op.publish.dup()
    }

    /// The same message on memory of its own. A received message keeps the buffer alive that it was read into, up
    /// to 64 KiB and more; who keeps small messages for long detaches them.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self { op: PublishOp { publish: self.op.publish.detach(), ..self.op.clone() } }
    }

    /// The same message, delivered once more.
    #[cfg(feature = "tokio")]
    pub(crate) fn again(mut self) -> Self {
        self.op.publish = self.op.publish.with_dup(true);
        self
    }

    /// Whether an outbox keeps it until it is acknowledged.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_durable(&self) -> bool {
        self.op.qos == QoS::AtLeastOnce && self.op.queue && self.op.resend != Resend::Never
    }

    /// Whether [`time_to_live`](Self::time_to_live) is set.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_bounded_in_time(&self) -> bool {
        self.op.ttl.is_some()
    }

    /// The operation that sends it after it has waited for this long; `None`: its time is over.
    #[cfg(feature = "tokio")]
    pub(crate) fn into_op_after(mut self, waited: Duration) -> Option<PublishOp> {
        if let Some(ttl) = self.op.ttl {
            let left = u128::from(ttl.get()).saturating_sub(waited.as_millis());
            self.op.ttl = Some(u32::try_from(left).ok().and_then(NonZeroU32::new)?);
        }
        Some(self.op)
    }

    /// The operation that sends it.
    #[must_use]
    pub fn into_op(self) -> PublishOp {
        self.op
    }
}

impl From<Publish> for Message {
    /// A received message.
    fn from(publish: Publish) -> Self {
        let qos = publish.qos();
        Self { op: PublishOp::new(publish, qos) }
    }
}

impl fmt::Debug for Message {
    /// The payload's length, not its content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic())
            .field("qos", &self.op.qos)
            .field("retain", &self.is_retained())
            .field("properties", &self.properties())
            .field("payload", &format_args!("{} bytes", self.payload().len()))
            .finish()
    }
}
