//! `rumqttc-next` 0.34: the codec modules of its two halves.

use bytes::{Bytes, BytesMut};
use rumqttc4_next::mqttbytes::{self, v4};
use rumqttc5_next::mqttbytes::{self as mqttbytes5, v5};

use super::said;
use crate::checksum::Checksum;
use crate::harness::{Adapter, CAPACITY, Decode, Decoder, Encode, Encoder, decoder, encoder};
use crate::workload::{self, Property, Version, Workload};

pub struct RumqttcNext;

/// The limit that mqtt-codec has by default.
const MAX_PACKET: u32 = 1024 * 1024;

impl Adapter for RumqttcNext {
    fn name(&self) -> &'static str {
        "rumqttc-next"
    }

    fn decoder(&self, version: Version, workload: &Workload) -> Option<Decoder> {
        match version {
            Version::V3 => decoder(Decode3, workload.feed),
            Version::V5 => decoder(Decode5, workload.feed),
        }
    }

    fn encoder(&self, version: Version, workload: &Workload) -> Option<Encoder> {
        let buffer = BytesMut::with_capacity(CAPACITY);
        match version {
            Version::V3 => {
                encoder(Encode3 { packets: workload.packets.iter().map(packet3).collect(), buffer })
            }
            Version::V5 => {
                encoder(Encode5 { packets: workload.packets.iter().map(packet5).collect(), buffer })
            }
        }
    }
}

struct Decode3;

impl Decode for Decode3 {
    type Buffer = BytesMut;

    #[inline(always)]
    fn decode(&mut self, buffer: &mut BytesMut, sum: &mut Checksum) -> Result<bool, String> {
        let packet = match v4::Packet::read(buffer, MAX_PACKET as usize) {
            Ok(packet) => packet,
            Err(mqttbytes::Error::InsufficientBytes(_)) => return Ok(false),
            Err(error) => return Err(said(error)),
        };
        match &packet {
            v4::Packet::Publish(publish) => sum.publish(&publish.topic, publish.pkid, &publish.payload),
            v4::Packet::PubAck(puback) => sum.puback(puback.pkid),
            v4::Packet::Subscribe(subscribe) => {
                sum.subscribe(subscribe.pkid);
                for filter in &subscribe.filters {
                    sum.filter(filter.path.as_bytes(), filter.qos as u8);
                }
            }
            v4::Packet::SubAck(suback) => sum.suback(suback.pkid, suback.return_codes.len()),
            v4::Packet::PingReq | v4::Packet::PingResp => sum.ping(),
            _ => sum.unexpected(),
        }
        Ok(true)
    }
}

struct Decode5;

impl Decode for Decode5 {
    type Buffer = BytesMut;

    #[inline(always)]
    fn decode(&mut self, buffer: &mut BytesMut, sum: &mut Checksum) -> Result<bool, String> {
        let packet = match v5::Packet::read(buffer, Some(MAX_PACKET)) {
            Ok(packet) => packet,
            Err(mqttbytes5::Error::InsufficientBytes(_)) => return Ok(false),
            Err(error) => return Err(said(error)),
        };
        match &packet {
            v5::Packet::Publish(publish) => {
                sum.publish(&publish.topic, publish.pkid, &publish.payload);
                if let Some(properties) = &publish.properties {
                    read_properties(properties, sum);
                }
            }
            v5::Packet::PubAck(puback) => sum.puback(puback.pkid),
            v5::Packet::Subscribe(subscribe) => {
                sum.subscribe(subscribe.pkid);
                for filter in &subscribe.filters {
                    sum.filter(filter.path.as_bytes(), filter.qos as u8);
                }
            }
            v5::Packet::SubAck(suback) => sum.suback(suback.pkid, suback.return_codes.len()),
            v5::Packet::PingReq | v5::Packet::PingResp => sum.ping(),
            _ => sum.unexpected(),
        }
        Ok(true)
    }
}

#[inline(always)]
fn read_properties(properties: &v5::PublishProperties, sum: &mut Checksum) {
    if let Some(seconds) = properties.message_expiry_interval {
        sum.message_expiry(seconds);
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
    packets: Vec<v4::Packet>,
    buffer: BytesMut,
}

impl Encode for Encode3 {
    type Item = usize;

    fn len(&self) -> usize {
        self.packets.len()
    }

    fn prepare(&self, index: usize) -> usize {
        index
    }

    #[inline(always)]
    fn encode(&mut self, index: usize) -> Result<usize, String> {
        self.buffer.clear();
        self.packets[index].write(&mut self.buffer, MAX_PACKET as usize).map_err(said)?;
        Ok(self.buffer.len())
    }

    fn wire(&self) -> Vec<u8> {
        self.buffer.to_vec()
    }
}

struct Encode5 {
    packets: Vec<v5::Packet>,
    buffer: BytesMut,
}

impl Encode for Encode5 {
    type Item = usize;

    fn len(&self) -> usize {
        self.packets.len()
    }

    fn prepare(&self, index: usize) -> usize {
        index
    }

    #[inline(always)]
    fn encode(&mut self, index: usize) -> Result<usize, String> {
        self.buffer.clear();
        self.packets[index].write(&mut self.buffer, Some(MAX_PACKET)).map_err(said)?;
        Ok(self.buffer.len())
    }

    fn wire(&self) -> Vec<u8> {
        self.buffer.to_vec()
    }
}

fn packet3(packet: &workload::Packet) -> v4::Packet {
    match packet {
        workload::Packet::Publish { topic, id, payload, .. } => {
            let mut publish = v4::Publish::new(topic, qos(u8::from(*id != 0)), payload.clone());
            publish.pkid = *id;
            v4::Packet::Publish(publish)
        }
        workload::Packet::PubAck { id } => v4::Packet::PubAck(v4::PubAck::new(*id)),
        workload::Packet::Subscribe { id, filters } => {
            let filters = filters.iter().map(|(path, at)| v4::SubscribeFilter::new(path.clone(), qos(*at)));
            v4::Packet::Subscribe(v4::Subscribe { pkid: *id, filters: filters.collect() })
        }
        workload::Packet::SubAck { id, granted } => {
            let codes = granted.iter().map(|at| v4::SubscribeReasonCode::Success(qos(*at)));
            v4::Packet::SubAck(v4::SubAck::new(*id, codes.collect()))
        }
        workload::Packet::PingReq => v4::Packet::PingReq,
        workload::Packet::PingResp => v4::Packet::PingResp,
    }
}

fn packet5(packet: &workload::Packet) -> v5::Packet {
    match packet {
        workload::Packet::Publish { topic, id, payload, properties } => {
            let properties = publish_properties(properties);
            let mut publish = v5::Publish::new(topic, qos5(u8::from(*id != 0)), payload.clone(), properties);
            publish.pkid = *id;
            v5::Packet::Publish(publish)
        }
        workload::Packet::PubAck { id } => v5::Packet::PubAck(v5::PubAck::new(*id, None)),
        workload::Packet::Subscribe { id, filters } => {
            let filters = filters.iter().map(|(path, at)| v5::SubscribeFilter::new(path.clone(), qos5(*at)));
            v5::Packet::Subscribe(v5::Subscribe { pkid: *id, filters: filters.collect(), properties: None })
        }
        workload::Packet::SubAck { id, granted } => {
            let return_codes = granted.iter().map(|at| v5::SubscribeReasonCode::Success(qos5(*at))).collect();
            v5::Packet::SubAck(v5::SubAck { pkid: *id, return_codes, properties: None })
        }
        workload::Packet::PingReq => v5::Packet::PingReq,
        workload::Packet::PingResp => v5::Packet::PingResp,
    }
}

fn publish_properties(list: &[Property]) -> Option<v5::PublishProperties> {
    let mut properties = v5::PublishProperties::default();
    for property in list {
        match property {
            Property::MessageExpiry(seconds) => properties.message_expiry_interval = Some(*seconds),
            Property::ResponseTopic(topic) => properties.response_topic = Some(topic.clone()),
            Property::CorrelationData(data) => {
                properties.correlation_data = Some(Bytes::copy_from_slice(data))
            }
            Property::User(name, value) => properties.user_properties.push((name.clone(), value.clone())),
        }
    }
    (!list.is_empty()).then_some(properties)
}

fn qos(level: u8) -> mqttbytes::QoS {
    if level == 0 { mqttbytes::QoS::AtMostOnce } else { mqttbytes::QoS::AtLeastOnce }
}

fn qos5(level: u8) -> mqttbytes5::QoS {
    if level == 0 { mqttbytes5::QoS::AtMostOnce } else { mqttbytes5::QoS::AtLeastOnce }
}
