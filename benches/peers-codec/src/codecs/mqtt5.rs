//! `mqtt5-protocol` 0.16. It reads a fixed header and a body, so the caller finds where a packet ends.

use bytes::{Buf, Bytes, BytesMut};
use mqtt5_protocol::packet::puback::PubAckPacket;
use mqtt5_protocol::packet::publish::PublishPacket;
use mqtt5_protocol::packet::suback::SubAckPacket;
use mqtt5_protocol::packet::subscribe::SubscribePacket;
use mqtt5_protocol::packet::{FixedHeader, MqttPacket, Packet, PacketType};
use mqtt5_protocol::{PropertyId, PropertyValue, QoS};

use super::floor::packet_len;
use super::said;
use crate::checksum::Checksum;
use crate::harness::{Adapter, CAPACITY, Decode, Decoder, Encode, Encoder, decoder, encoder};
use crate::workload::{self, Property, Version, Workload};

pub struct Mqtt5;

impl Adapter for Mqtt5 {
    fn name(&self) -> &'static str {
        "mqtt5-protocol"
    }

    fn decoder(&self, version: Version, workload: &Workload) -> Option<Decoder> {
        decoder(Decoding { level: level(version) }, workload.feed)
    }

    fn encoder(&self, version: Version, workload: &Workload) -> Option<Encoder> {
        let packets = workload.packets.iter().map(|packet| packet_of(packet, version)).collect();
        encoder(Encoding { packets, buffer: BytesMut::with_capacity(CAPACITY) })
    }
}

fn level(version: Version) -> u8 {
    if version == Version::V3 { 4 } else { 5 }
}

struct Decoding {
    level: u8,
}

impl Decode for Decoding {
    type Buffer = BytesMut;

    #[inline(always)]
    fn decode(&mut self, buffer: &mut BytesMut, sum: &mut Checksum) -> Result<bool, String> {
        let Some(len) = packet_len(buffer) else { return Ok(false) };
        let mut bytes = buffer.split_to(len).freeze();
        let header = FixedHeader::decode(&mut bytes).map_err(said)?;
        let packet =
            Packet::decode_from_body_with_version(header.packet_type, &header, &mut bytes, self.level)
                .map_err(said)?;
        if bytes.has_remaining() {
            return Err("left bytes of a packet unread".into());
        }
        match &packet {
            Packet::Publish(publish) => {
                sum.publish(publish.topic_name.as_bytes(), publish.packet_id.unwrap_or(0), &publish.payload);
                if !publish.properties.is_empty() {
                    read_properties(&publish.properties, sum);
                }
            }
            Packet::PubAck(puback) => sum.puback(puback.packet_id),
            Packet::Subscribe(subscribe) => {
                sum.subscribe(subscribe.packet_id);
                for filter in &subscribe.filters {
                    sum.filter(filter.filter.as_bytes(), filter.options.qos as u8);
                }
            }
            Packet::SubAck(suback) => sum.suback(suback.packet_id, suback.reason_codes.len()),
            Packet::PingReq | Packet::PingResp => sum.ping(),
            _ => sum.unexpected(),
        }
        Ok(true)
    }
}

#[inline(always)]
fn read_properties(properties: &mqtt5_protocol::Properties, sum: &mut Checksum) {
    for (id, value) in properties.iter() {
        match (id, value) {
            (PropertyId::MessageExpiryInterval, PropertyValue::FourByteInteger(seconds)) => {
                sum.message_expiry(*seconds);
            }
            (PropertyId::ResponseTopic, PropertyValue::Utf8String(topic)) => {
                sum.response_topic(topic.as_bytes());
            }
            (PropertyId::CorrelationData, PropertyValue::BinaryData(data)) => sum.correlation_data(data),
            (PropertyId::UserProperty, PropertyValue::Utf8StringPair(name, value)) => {
                sum.user_property(name.as_bytes(), value.as_bytes());
            }
            _ => sum.unexpected(),
        }
    }
}

struct Encoding {
    packets: Vec<Packet>,
    buffer: BytesMut,
}

impl Encode for Encoding {
    type Item = usize;

    fn len(&self) -> usize {
        self.packets.len()
    }

    fn prepare(&self, index: usize) -> usize {
        index
    }

    #[inline(always)]
    fn encode(&mut self, index: usize) -> Result<usize, String> {
        let buffer = &mut self.buffer;
        buffer.clear();
        match &self.packets[index] {
            // The way that its documentation calls direct: without a buffer for the body between.
            Packet::Publish(packet) => {
                let len = u32::try_from(packet.body_encoded_size()).map_err(said)?;
                FixedHeader::new(PacketType::Publish, packet.flags(), len)
                    .encode(buffer)
                    .and_then(|()| packet.encode_body_direct(buffer))
            }
            Packet::PubAck(packet) => packet.encode(buffer),
            Packet::Subscribe(packet) => packet.encode(buffer),
            Packet::SubAck(packet) => packet.encode(buffer),
            Packet::PingReq => FixedHeader::new(PacketType::PingReq, 0, 0).encode(buffer),
            Packet::PingResp => FixedHeader::new(PacketType::PingResp, 0, 0).encode(buffer),
            _ => return Err("not a packet of any workload".into()),
        }
        .map_err(said)?;
        Ok(buffer.len())
    }

    fn wire(&self) -> Vec<u8> {
        self.buffer.to_vec()
    }
}

fn packet_of(packet: &workload::Packet, version: Version) -> Packet {
    match packet {
        workload::Packet::Publish { topic, id, payload, properties } => {
            let payload = Bytes::copy_from_slice(payload);
            let mut publish = PublishPacket::new(topic, payload, qos(u8::from(*id != 0))).with_packet_id(*id);
            publish.protocol_version = level(version);
            for property in properties {
                publish = match property.clone() {
                    Property::MessageExpiry(seconds) => publish.with_message_expiry_interval(seconds),
                    Property::ResponseTopic(topic) => publish.with_response_topic(topic),
                    Property::CorrelationData(data) => publish.with_correlation_data(data),
                    Property::User(name, value) => publish.with_user_property(name, value),
                };
            }
            Packet::Publish(publish)
        }
        workload::Packet::PubAck { id } => Packet::PubAck(PubAckPacket::new(*id)),
        workload::Packet::Subscribe { id, filters } => {
            let mut subscribe = SubscribePacket::new(*id);
            subscribe.protocol_version = level(version);
            Packet::Subscribe(
                filters.iter().fold(subscribe, |packet, (filter, at)| packet.add_filter(filter, qos(*at))),
            )
        }
        workload::Packet::SubAck { id, granted } => {
            let mut suback = SubAckPacket::new(*id);
            suback.protocol_version = level(version);
            Packet::SubAck(granted.iter().fold(suback, |packet, at| packet.add_granted_qos(qos(*at))))
        }
        workload::Packet::PingReq => Packet::PingReq,
        workload::Packet::PingResp => Packet::PingResp,
    }
}

fn qos(level: u8) -> QoS {
    if level == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce }
}
