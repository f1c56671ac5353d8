//! `mqtt-codec`, the one measured against the others.

use bytes::{Bytes, BytesMut};
use mqtt_codec::packet::{Ack, Publish, SubAck, Subscribe, SubscriptionOptions};
use mqtt_codec::{AnyPacket, Buffer, Codec, Packet, PacketId, Properties, Property, QoS, ReasonCode};
use mqtt_codec::{TopicFilter, TopicName};

use super::said;
use crate::checksum::Checksum;
use crate::harness::{Adapter, CAPACITY, Decode, Decoder, Encode, Encoder, Plain, decoder, encoder};
use crate::workload::{self, Version, Workload};

/// Packets that share the receive buffer's memory.
pub struct Owned;

impl Adapter for Owned {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn decoder(&self, version: Version, workload: &Workload) -> Option<Decoder> {
        decoder(Sharing(codec(version)), workload.feed)
    }

    fn encoder(&self, version: Version, workload: &Workload) -> Option<Encoder> {
        let packets: Option<Vec<Packet>> = workload.packets.iter().map(packet).collect();
        encoder(Encoding {
            codec: codec(version),
            packets: packets?,
            buffer: BytesMut::with_capacity(CAPACITY),
        })
    }
}

/// Views into the receive buffer.
pub struct Borrowed;

impl Adapter for Borrowed {
    fn name(&self) -> &'static str {
        "ours, borrowed"
    }

    fn borrows(&self) -> bool {
        true
    }

    fn decoder(&self, version: Version, workload: &Workload) -> Option<Decoder> {
        decoder(Borrowing(codec(version)), workload.feed)
    }

    /// A packet is encoded alike, whatever its bytes lie in; the payload of a large one need not be copied.
    fn encoder(&self, version: Version, workload: &Workload) -> Option<Encoder> {
        let packets: Option<Vec<Packet>> = workload.packets.iter().map(packet).collect();
        encoder(Vectored {
            codec: codec(version),
            packets: packets?,
            head: BytesMut::with_capacity(CAPACITY),
            payload: Bytes::new(),
        })
    }
}

fn codec(version: Version) -> Codec {
    Codec::observer(match version {
        Version::V3 => mqtt_codec::Version::V3_1_1,
        Version::V5 => mqtt_codec::Version::V5,
    })
}

struct Sharing(Codec);

impl Decode for Sharing {
    type Buffer = BytesMut;

    #[inline(always)]
    fn decode(&mut self, buffer: &mut BytesMut, sum: &mut Checksum) -> Result<bool, String> {
        match &self.0.decode(buffer) {
            Ok(Some(packet)) => read(packet, sum),
            Ok(None) => return Ok(false),
            Err(error) => return Err(said(error)),
        }
        Ok(true)
    }
}

struct Borrowing(Codec);

impl Decode for Borrowing {
    type Buffer = Plain;

    #[inline(always)]
    fn decode(&mut self, buffer: &mut Plain, sum: &mut Checksum) -> Result<bool, String> {
        let len = match &self.0.decode_ref(buffer.rest()) {
            Ok(Some((packet, len))) => {
                read(packet, sum);
                *len
            }
            Ok(None) => return Ok(false),
            Err(error) => return Err(said(error)),
        };
        buffer.consume(len);
        Ok(true)
    }
}

#[inline(always)]
fn read<B: Buffer>(packet: &AnyPacket<B>, sum: &mut Checksum) {
    match packet {
        AnyPacket::Publish(publish) => {
            let id = publish.packet_id().map_or(0, PacketId::value);
            sum.publish(publish.topic_bytes(), id, publish.payload());
            for property in publish.properties().iter() {
                read_property(property, sum);
            }
        }
        AnyPacket::PubAck(ack) => sum.puback(ack.packet_id.value()),
        AnyPacket::Subscribe(subscribe) => {
            sum.subscribe(subscribe.packet_id.value());
            for (filter, options) in subscribe.filters() {
                sum.filter(filter.as_bytes(), options.qos as u8);
            }
        }
        AnyPacket::SubAck(suback) => sum.suback(suback.packet_id.value(), suback.reasons().len()),
        AnyPacket::PingReq | AnyPacket::PingResp => sum.ping(),
        _ => sum.unexpected(),
    }
}

#[inline(always)]
fn read_property(property: Property<'_>, sum: &mut Checksum) {
    match property {
        Property::MessageExpiryInterval(seconds) => sum.message_expiry(seconds),
        Property::ResponseTopic(topic) => sum.response_topic(topic.as_bytes()),
        Property::CorrelationData(data) => sum.correlation_data(data),
        Property::UserProperty(name, value) => sum.user_property(name.as_bytes(), value.as_bytes()),
        _ => sum.unexpected(),
    }
}

struct Encoding {
    codec: Codec,
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
        self.buffer.clear();
        self.codec.encode(&self.packets[index], &mut self.buffer).map_err(said)?;
        Ok(self.buffer.len())
    }

    fn wire(&self) -> Vec<u8> {
        self.buffer.to_vec()
    }
}

/// Head and payload apart, as for a vectored write.
struct Vectored {
    codec: Codec,
    packets: Vec<Packet>,
    head: BytesMut,
    payload: Bytes,
}

impl Encode for Vectored {
    type Item = usize;

    fn len(&self) -> usize {
        self.packets.len()
    }

    fn prepare(&self, index: usize) -> usize {
        index
    }

    #[inline(always)]
    fn encode(&mut self, index: usize) -> Result<usize, String> {
        self.head.clear();
        self.payload = self.codec.encode_vectored(&self.packets[index], &mut self.head).map_err(said)?;
        Ok(self.head.len() + self.payload.len())
    }

    fn wire(&self) -> Vec<u8> {
        [&self.head[..], &self.payload[..]].concat()
    }
}

fn packet(packet: &workload::Packet) -> Option<Packet> {
    Some(match packet {
        workload::Packet::Publish { topic, id, payload, properties } => {
            let topic = TopicName::try_from(topic.as_str()).ok()?;
            let mut publish = Publish::new(topic, Bytes::copy_from_slice(payload));
            if !properties.is_empty() {
                publish = publish.with_properties(&publish_properties(properties)?).ok()?;
            }
            match PacketId::new(*id) {
                Some(id) => publish.at_least_once(id).into(),
                None => publish.at_most_once().into(),
            }
        }
        workload::Packet::PubAck { id } => Packet::PubAck(Ack::new(PacketId::new(*id)?)),
        workload::Packet::Subscribe { id, filters } => {
            let filters: Option<Vec<_>> = filters
                .iter()
                .map(|(filter, qos)| {
                    let qos = if *qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
                    Some((TopicFilter::try_from(filter.as_str()).ok()?, SubscriptionOptions::at(qos)))
                })
                .collect();
            let filters = filters?;
            let filters = filters.iter().map(|(filter, options)| (filter, *options));
            Subscribe::new(PacketId::new(*id)?, filters).into()
        }
        workload::Packet::SubAck { id, granted } => {
            let codes: Option<Vec<_>> = granted.iter().map(|code| ReasonCode::from_u8(*code)).collect();
            Packet::SubAck(SubAck::new(PacketId::new(*id)?, codes?))
        }
        workload::Packet::PingReq => Packet::PingReq,
        workload::Packet::PingResp => Packet::PingResp,
    })
}

fn publish_properties(list: &[workload::Property]) -> Option<Properties> {
    list.iter().try_fold(Properties::new(), |properties, property| {
        properties
            .with(match property {
                workload::Property::MessageExpiry(seconds) => Property::MessageExpiryInterval(*seconds),
                workload::Property::ResponseTopic(topic) => Property::ResponseTopic(topic),
                workload::Property::CorrelationData(data) => Property::CorrelationData(data),
                workload::Property::User(name, value) => Property::UserProperty(name, value),
            })
            .ok()
    })
}
