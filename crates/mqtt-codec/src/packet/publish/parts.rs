//! Reading a PUBLISH before anything owns its bytes.

use super::{DUP, Flags, Publish, RETAIN, SUBSCRIBED};
use crate::properties;
use crate::reader::Reader;
use crate::rules::Rules;
use crate::{Buffer, DecodeError, PacketId, PropertyId, QoS, text, topic};

/// What a PUBLISH says about itself and where its parts stand: read from bytes, before anything owns them.
#[derive(Clone, Copy)]
pub(crate) struct Parts {
    properties_at: u32,
    properties_end: u32,
    topic_len: u16,
    packet_id: Option<PacketId>,
    topic_at: u8,
    qos: QoS,
    flags: Flags,
}

impl Parts {
    #[inline(always)]
    pub(crate) fn read(header: u8, packet: &[u8], at: usize, rules: &Rules) -> Result<Self, DecodeError> {
        // [v5 MQTT-3.3.1-4, v3.1.1 MQTT-3.3.1-4]
        let qos = QoS::try_from((header >> 1) & 3)?;
        let mut flags = Flags(header & (RETAIN | DUP));
        // [v5 MQTT-3.3.1-2, v3.1.1 MQTT-3.3.1-2]
        if qos == QoS::AtMostOnce && flags.has(DUP) {
            if !rules.lenient.dup_on_qos_0 {
                return Err(DecodeError::DupOnQoS0);
            }
            flags = flags.with(DUP, false);
        }
        let mut reader = Reader::body(packet, at);
        // [v5 MQTT-3.3.2-1, v3.1.1 MQTT-3.3.2-1, v5 MQTT-4.7.3-2, v3.1.1 MQTT-4.7.3-2]
        let topic_len = reader.u16()?;
        let topic = reader.take(usize::from(topic_len))?;
        let glance = text::check(topic)?;
        if topic_len != 0 {
            topic::check_name(topic, glance)?;
        }
        let packet_id = if qos == QoS::AtMostOnce { None } else { Some(reader.packet_id()?) };
        let (properties, seen) = properties::read(&mut reader, rules, rules.sender.publish())?;
        // Section 3.3.2.1; MQTT 3.1.1 has no alias that could stand for the topic [v3.1.1 MQTT-4.7.3-1].
        if topic_len == 0 && !seen.has(PropertyId::TopicAlias) {
            return Err(DecodeError::NoTopic);
        }
        // The length of a packet is below 2^28 + 5, so that the casts lose nothing.
        let end = reader.position();
        Ok(Self {
            properties_at: end.saturating_sub(properties.len()) as u32,
            properties_end: end as u32,
            topic_at: at.saturating_add(2) as u8,
            topic_len,
            packet_id,
            qos,
            flags: flags.with(SUBSCRIBED, seen.has(PropertyId::SubscriptionIdentifier)),
        })
    }

    /// The message in the packet that the parts were read from.
    #[inline(always)]
    pub(crate) fn of<B: Buffer>(self, packet: B) -> Publish<B> {
        let Self { properties_at, properties_end, topic_len, packet_id, topic_at, qos, flags } = self;
        Publish {
            head: packet,
            payload: None,
            properties_at,
            properties_end,
            topic_len,
            packet_id,
            topic_at,
            qos,
            flags,
        }
    }
}
