//! `rmqtt-codec` 0.3: a codec for each version. Encoding consumes the packet, so clones are made with the clock
//! stopped.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::{Bytes, BytesMut};
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::{v3, v5};
use tokio_util::codec::Encoder as _;

use super::said;
use crate::checksum::Checksum;
use crate::harness::{Adapter, CAPACITY, Decode, Decoder, Encode, Encoder, decoder, encoder};
use crate::workload::{self, Property, Version, Workload};

pub struct Rmqtt;

/// The limit that mqtt-codec has by default.
const MAX_PACKET: u32 = 1024 * 1024;

impl Adapter for Rmqtt {
    fn name(&self) -> &'static str {
        "rmqtt-codec"
    }

    fn decoder(&self, version: Version, workload: &Workload) -> Option<Decoder> {
        match version {
            Version::V3 => decoder(v3::Codec::new(MAX_PACKET), workload.feed),
            Version::V5 => decoder(v5::Codec::new(MAX_PACKET, MAX_PACKET), workload.feed),
        }
    }

    fn encoder(&self, version: Version, workload: &Workload) -> Option<Encoder> {
        let buffer = BytesMut::with_capacity(CAPACITY);
        match version {
            Version::V3 => {
                let packets: Option<_> = workload.packets.iter().map(packet3).collect();
                encoder(Encode3 { codec: v3::Codec::new(MAX_PACKET), packets: packets?, buffer })
            }
            Version::V5 => {
                let packets: Option<_> = workload.packets.iter().map(packet5).collect();
                encoder(Encode5 { codec: v5::Codec::new(MAX_PACKET, MAX_PACKET), packets: packets?, buffer })
            }
        }
    }
}

impl Decode for v3::Codec {
    type Buffer = BytesMut;

    #[inline(always)]
    fn decode(&mut self, buffer: &mut BytesMut, sum: &mut Checksum) -> Result<bool, String> {
        let decoded = tokio_util::codec::Decoder::decode(self, buffer).map_err(said)?;
        let Some((packet, _)) = decoded else { return Ok(false) };
        match &packet {
            v3::Packet::Publish(publish) => {
                sum.publish(publish.topic.as_bytes(), number(publish.packet_id), &publish.payload);
            }
            v3::Packet::PublishAck { packet_id } => sum.puback(packet_id.get()),
            v3::Packet::Subscribe { packet_id, topic_filters } => {
                sum.subscribe(packet_id.get());
                for (filter, qos) in topic_filters {
                    sum.filter(filter.as_bytes(), qos.value());
                }
            }
            v3::Packet::SubscribeAck { packet_id, status } => sum.suback(packet_id.get(), status.len()),
            v3::Packet::PingRequest | v3::Packet::PingResponse => sum.ping(),
            _ => sum.unexpected(),
        }
        Ok(true)
    }
}

impl Decode for v5::Codec {
    type Buffer = BytesMut;

    #[inline(always)]
    fn decode(&mut self, buffer: &mut BytesMut, sum: &mut Checksum) -> Result<bool, String> {
        let decoded = tokio_util::codec::Decoder::decode(self, buffer).map_err(said)?;
        let Some((packet, _)) = decoded else { return Ok(false) };
        match &packet {
            v5::Packet::Publish(publish) => {
                sum.publish(publish.topic.as_bytes(), number(publish.packet_id), &publish.payload);
                if let Some(properties) = &publish.properties {
                    read_properties(properties, sum);
                }
            }
            v5::Packet::PublishAck(puback) => sum.puback(puback.packet_id.get()),
            v5::Packet::Subscribe(subscribe) => {
                sum.subscribe(subscribe.packet_id.get());
                for (filter, options) in &subscribe.topic_filters {
                    sum.filter(filter.as_bytes(), options.qos.value());
                }
            }
            v5::Packet::SubscribeAck(suback) => sum.suback(suback.packet_id.get(), suback.status.len()),
            v5::Packet::PingRequest | v5::Packet::PingResponse => sum.ping(),
            _ => sum.unexpected(),
        }
        Ok(true)
    }
}

fn number(id: Option<NonZeroU16>) -> u16 {
    id.map_or(0, NonZeroU16::get)
}

#[inline(always)]
fn read_properties(properties: &v5::PublishProperties, sum: &mut Checksum) {
    if let Some(seconds) = properties.message_expiry_interval {
        sum.message_expiry(seconds.get());
    }
    if let Some(topic) = &properties.response_topic {
        sum.response_topic(topic.as_bytes());
    }
    if let Some(data) = &properties.correlation_data {
        sum.correlation_data(data);
    }
    for (name, value) in &properties.user_properties {
        sum.user_property(name.as_bytes(), value.as_bytes());
    }
}

struct Encode3 {
    codec: v3::Codec,
    packets: Vec<v3::Packet>,
    buffer: BytesMut,
}

impl Encode for Encode3 {
    type Item = v3::Packet;

    fn len(&self) -> usize {
        self.packets.len()
    }

    fn prepare(&self, index: usize) -> v3::Packet {
        self.packets[index].clone()
    }

    #[inline(always)]
    fn encode(&mut self, packet: v3::Packet) -> Result<usize, String> {
        self.buffer.clear();
        self.codec.encode(packet, &mut self.buffer).map_err(said)?;
        Ok(self.buffer.len())
    }

    fn wire(&self) -> Vec<u8> {
        self.buffer.to_vec()
    }
}

struct Encode5 {
    codec: v5::Codec,
    packets: Vec<v5::Packet>,
    buffer: BytesMut,
}

impl Encode for Encode5 {
    type Item = v5::Packet;

    fn len(&self) -> usize {
        self.packets.len()
    }

    fn prepare(&self, index: usize) -> v5::Packet {
        self.packets[index].clone()
    }

    #[inline(always)]
    fn encode(&mut self, packet: v5::Packet) -> Result<usize, String> {
        self.buffer.clear();
        self.codec.encode(packet, &mut self.buffer).map_err(said)?;
        Ok(self.buffer.len())
    }

    fn wire(&self) -> Vec<u8> {
        self.buffer.to_vec()
    }
}

fn packet3(packet: &workload::Packet) -> Option<v3::Packet> {
    Some(match packet {
        workload::Packet::Publish { topic, id, payload, .. } => {
            v3::Packet::Publish(Box::new(publish(topic, *id, payload, None)))
        }
        workload::Packet::PubAck { id } => v3::Packet::PublishAck { packet_id: NonZeroU16::new(*id)? },
        workload::Packet::Subscribe { id, filters } => v3::Packet::Subscribe {
            packet_id: NonZeroU16::new(*id)?,
            topic_filters: filters.iter().map(|(filter, at)| (filter.as_str().into(), qos(*at))).collect(),
        },
        workload::Packet::SubAck { id, granted } => v3::Packet::SubscribeAck {
            packet_id: NonZeroU16::new(*id)?,
            status: granted.iter().map(|at| v3::SubscribeReturnCode::Success(qos(*at))).collect(),
        },
        workload::Packet::PingReq => v3::Packet::PingRequest,
        workload::Packet::PingResp => v3::Packet::PingResponse,
    })
}

fn packet5(packet: &workload::Packet) -> Option<v5::Packet> {
    Some(match packet {
        workload::Packet::Publish { topic, id, payload, properties } => {
            let properties = publish_properties(properties)?;
            v5::Packet::Publish(Box::new(publish(topic, *id, payload, Some(properties))))
        }
        workload::Packet::PubAck { id } => v5::Packet::PublishAck(v5::PublishAck {
            packet_id: NonZeroU16::new(*id)?,
            reason_code: v5::PublishAckReason::Success,
            properties: Vec::new(),
            reason_string: None,
        }),
        workload::Packet::Subscribe { id, filters } => v5::Packet::Subscribe(v5::Subscribe {
            packet_id: NonZeroU16::new(*id)?,
            id: None,
            user_properties: Vec::new(),
            topic_filters: filters
                .iter()
                .map(|(filter, at)| {
                    let options = v5::SubscriptionOptions { qos: qos(*at), ..Default::default() };
                    (filter.as_str().into(), options)
                })
                .collect(),
        }),
        workload::Packet::SubAck { id, granted } => v5::Packet::SubscribeAck(v5::SubscribeAck {
            packet_id: NonZeroU16::new(*id)?,
            properties: Vec::new(),
            reason_string: None,
            status: granted.iter().map(|_| v5::SubscribeAckReason::GrantedQos1).collect(),
        }),
        workload::Packet::PingReq => v5::Packet::PingRequest,
        workload::Packet::PingResp => v5::Packet::PingResponse,
    })
}

fn publish(topic: &str, id: u16, payload: &[u8], properties: Option<v5::PublishProperties>) -> Publish {
    Publish {
        dup: false,
        retain: false,
        qos: qos(u8::from(id != 0)),
        topic: topic.into(),
        packet_id: NonZeroU16::new(id),
        payload: Bytes::copy_from_slice(payload),
        properties,
    }
}

fn publish_properties(list: &[Property]) -> Option<v5::PublishProperties> {
    let mut properties = v5::PublishProperties::default();
    for property in list {
        match property {
            Property::MessageExpiry(seconds) => {
                properties.message_expiry_interval = Some(NonZeroU32::new(*seconds)?);
            }
            Property::ResponseTopic(topic) => properties.response_topic = Some(topic.as_str().into()),
            Property::CorrelationData(data) => {
                properties.correlation_data = Some(Bytes::copy_from_slice(data))
            }
            Property::User(name, value) => {
                properties.user_properties.push((name.as_str().into(), value.as_str().into()));
            }
        }
    }
    Some(properties)
}

fn qos(level: u8) -> QoS {
    if level == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce }
}
