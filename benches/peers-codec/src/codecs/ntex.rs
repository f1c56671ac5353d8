//! `ntex-mqtt` 9: a codec for each version, on buffers of its own. Encoding consumes the packet, so clones are made
//! with the clock stopped.

use std::num::{NonZeroU16, NonZeroU32};

use ntex_bytes::{BytePages, Bytes, BytesMut};
use ntex_codec::{Decoder as _, Encoder as _};
use ntex_mqtt::QoS;
use ntex_mqtt::{v3::codec as v3, v5::codec as v5};

use super::said;
use crate::checksum::Checksum;
use crate::harness::{Adapter, Buffer, CAPACITY, Decode, Decoder, Encode, Encoder, decoder, encoder};
use crate::workload::{self, Property, Version, Workload};

pub struct Ntex;

impl Adapter for Ntex {
    fn name(&self) -> &'static str {
        "ntex-mqtt"
    }

    // A payload comes whole, as from the other codecs, when the least size of a part of it is large.
    fn decoder(&self, version: Version, workload: &Workload) -> Option<Decoder> {
        match version {
            Version::V3 => {
                let codec = v3::Codec::new();
                codec.set_min_chunk_size(u32::MAX);
                decoder(Decode3 { codec, without_payload: None }, workload.feed)
            }
            Version::V5 => {
                let codec = v5::Codec::new();
                codec.set_min_chunk_size(u32::MAX);
                decoder(Decode5 { codec, without_payload: None }, workload.feed)
            }
        }
    }

    fn encoder(&self, version: Version, workload: &Workload) -> Option<Encoder> {
        let pages = BytePages::default();
        match version {
            Version::V3 => {
                let packets: Option<_> = workload.packets.iter().map(packet3).collect();
                encoder(Encode3 { codec: v3::Codec::new(), packets: packets?, pages })
            }
            Version::V5 => {
                let packets: Option<_> = workload.packets.iter().map(packet5).collect();
                encoder(Encode5 { codec: v5::Codec::new(), packets: packets?, pages })
            }
        }
    }
}

impl Buffer for BytesMut {
    fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    #[inline(always)]
    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

struct Decode3 {
    codec: v3::Codec,
    without_payload: Option<v3::Publish>,
}

impl Decode for Decode3 {
    type Buffer = BytesMut;

    #[inline(always)]
    fn decode(&mut self, buffer: &mut BytesMut, sum: &mut Checksum) -> Result<bool, String> {
        let read = |publish: &v3::Publish, payload: &Bytes, sum: &mut Checksum| {
            sum.publish(publish.topic.as_bytes(), number(publish.packet_id), payload);
        };
        loop {
            match self.codec.decode(buffer).map_err(said)? {
                None => return Ok(false),
                Some(v3::Decoded::Publish(publish, payload, _)) => {
                    if payload.len() < publish.payload_size as usize {
                        self.without_payload = Some(publish);
                        continue;
                    }
                    read(&publish, &payload, sum);
                }
                Some(v3::Decoded::PayloadChunk(payload, _)) => {
                    let publish = self.without_payload.take().ok_or("a payload without its PUBLISH")?;
                    read(&publish, &payload, sum);
                }
                Some(v3::Decoded::Packet(packet, _)) => match &packet {
                    v3::Packet::PublishAck { packet_id } => sum.puback(packet_id.get()),
                    v3::Packet::Subscribe { packet_id, topic_filters } => {
                        sum.subscribe(packet_id.get());
                        for (filter, qos) in topic_filters {
                            sum.filter(filter.as_bytes(), *qos as u8);
                        }
                    }
                    v3::Packet::SubscribeAck { packet_id, status } => {
                        sum.suback(packet_id.get(), status.len());
                    }
                    v3::Packet::PingRequest | v3::Packet::PingResponse => sum.ping(),
                    _ => sum.unexpected(),
                },
            }
            return Ok(true);
        }
    }
}

struct Decode5 {
    codec: v5::Codec,
    without_payload: Option<v5::Publish>,
}

impl Decode for Decode5 {
    type Buffer = BytesMut;

    #[inline(always)]
    fn decode(&mut self, buffer: &mut BytesMut, sum: &mut Checksum) -> Result<bool, String> {
        let read = |publish: &v5::Publish, payload: &Bytes, sum: &mut Checksum| {
            sum.publish(publish.topic.as_bytes(), number(publish.packet_id), payload);
            read_properties(&publish.properties, sum);
        };
        loop {
            match self.codec.decode(buffer).map_err(said)? {
                None => return Ok(false),
                Some(v5::Decoded::Publish(publish, payload, _)) => {
                    if payload.len() < publish.payload_size as usize {
                        self.without_payload = Some(publish);
                        continue;
                    }
                    read(&publish, &payload, sum);
                }
                Some(v5::Decoded::PayloadChunk(payload, _)) => {
                    let publish = self.without_payload.take().ok_or("a payload without its PUBLISH")?;
                    read(&publish, &payload, sum);
                }
                Some(v5::Decoded::Packet(packet, _)) => match &packet {
                    v5::Packet::PublishAck(puback) => sum.puback(puback.packet_id.get()),
                    v5::Packet::Subscribe(subscribe) => {
                        sum.subscribe(subscribe.packet_id.get());
                        for (filter, options) in &subscribe.topic_filters {
                            sum.filter(filter.as_bytes(), options.qos as u8);
                        }
                    }
                    v5::Packet::SubscribeAck(suback) => {
                        sum.suback(suback.packet_id.get(), suback.status.len());
                    }
                    v5::Packet::PingRequest | v5::Packet::PingResponse => sum.ping(),
                    _ => sum.unexpected(),
                },
            }
            return Ok(true);
        }
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
    packets: Vec<v3::Encoded>,
    pages: BytePages,
}

impl Encode for Encode3 {
    type Item = v3::Encoded;

    fn len(&self) -> usize {
        self.packets.len()
    }

    fn prepare(&self, index: usize) -> v3::Encoded {
        self.packets[index].clone()
    }

    #[inline(always)]
    fn encode(&mut self, packet: v3::Encoded) -> Result<usize, String> {
        self.pages.clear();
        self.codec.encodev(packet, &mut self.pages).map_err(said)?;
        Ok(self.pages.len())
    }

    fn wire(&self) -> Vec<u8> {
        let mut copy = BytePages::default();
        self.pages.copy_to(&mut copy);
        copy.freeze().to_vec()
    }
}

struct Encode5 {
    codec: v5::Codec,
    packets: Vec<v5::Encoded>,
    pages: BytePages,
}

impl Encode for Encode5 {
    type Item = v5::Encoded;

    fn len(&self) -> usize {
        self.packets.len()
    }

    fn prepare(&self, index: usize) -> v5::Encoded {
        self.packets[index].clone()
    }

    #[inline(always)]
    fn encode(&mut self, packet: v5::Encoded) -> Result<usize, String> {
        self.pages.clear();
        self.codec.encodev(packet, &mut self.pages).map_err(said)?;
        Ok(self.pages.len())
    }

    fn wire(&self) -> Vec<u8> {
        let mut copy = BytePages::default();
        self.pages.copy_to(&mut copy);
        copy.freeze().to_vec()
    }
}

fn packet3(packet: &workload::Packet) -> Option<v3::Encoded> {
    Some(v3::Encoded::Packet(match packet {
        workload::Packet::Publish { topic, id, payload, .. } => {
            let publish = v3::Publish {
                dup: false,
                retain: false,
                qos: qos(u8::from(*id != 0)),
                topic: topic.as_str().into(),
                packet_id: NonZeroU16::new(*id),
                payload_size: payload.len() as u32,
            };
            return Some(v3::Encoded::Publish(publish, Some(Bytes::copy_from_slice(payload))));
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
    }))
}

fn packet5(packet: &workload::Packet) -> Option<v5::Encoded> {
    Some(v5::Encoded::Packet(match packet {
        workload::Packet::Publish { topic, id, payload, properties } => {
            let publish = v5::Publish {
                dup: false,
                retain: false,
                qos: qos(u8::from(*id != 0)),
                topic: topic.as_str().into(),
                packet_id: NonZeroU16::new(*id),
                payload_size: payload.len() as u32,
                properties: publish_properties(properties)?,
            };
            return Some(v5::Encoded::Publish(publish, Some(Bytes::copy_from_slice(payload))));
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
    }))
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
