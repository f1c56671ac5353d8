//! `mqttrs` 0.4.1: MQTT 3.1.1 only. Decoded packets borrow from a plain buffer.

use std::cell::Cell;

use mqttrs::{Packet, Pid, Publish, QoS, QosPid, Suback, Subscribe, SubscribeReturnCodes, SubscribeTopic};

use super::floor::packet_len;
use super::said;
use crate::checksum::Checksum;
use crate::harness::{Adapter, CAPACITY, Decode, Decoder, Encode, Encoder, Plain, decoder, encoder};
use crate::workload::{self, Version, Workload};

pub struct Mqttrs;

impl Adapter for Mqttrs {
    fn name(&self) -> &'static str {
        "mqttrs"
    }

    fn borrows(&self) -> bool {
        true
    }

    fn decoder(&self, version: Version, workload: &Workload) -> Option<Decoder> {
        if version == Version::V5 { None } else { decoder(Borrowing, workload.feed) }
    }

    fn encoder(&self, version: Version, workload: &Workload) -> Option<Encoder> {
        if version == Version::V5 {
            return None;
        }
        // Its packets borrow topic and payload: these live as long as the program.
        let packets: &'static [workload::Packet] = workload.packets.clone().leak();
        let packets: Vec<Packet<'static>> = packets.iter().map(packet).collect();
        // It does not grow a buffer, so the largest packet must fit.
        let buffer = vec![0; 2 * CAPACITY];
        encoder(Encoding { packets, buffer, len: Cell::new(0) })
    }
}

struct Borrowing;

impl Decode for Borrowing {
    type Buffer = Plain;

    #[inline(always)]
    fn decode(&mut self, buffer: &mut Plain, sum: &mut Checksum) -> Result<bool, String> {
        let bytes = buffer.rest();
        let Some(packet) = mqttrs::decode_slice(bytes).map_err(said)? else { return Ok(false) };
        match &packet {
            Packet::Publish(publish) => {
                let id = match publish.qospid {
                    QosPid::AtMostOnce => 0,
                    QosPid::AtLeastOnce(id) | QosPid::ExactlyOnce(id) => id.get(),
                };
                sum.publish(publish.topic_name.as_bytes(), id, publish.payload);
            }
            Packet::Puback(id) => sum.puback(id.get()),
            Packet::Subscribe(subscribe) => {
                sum.subscribe(subscribe.pid.get());
                for topic in &subscribe.topics {
                    sum.filter(topic.topic_path.as_bytes(), topic.qos as u8);
                }
            }
            Packet::Suback(suback) => sum.suback(suback.pid.get(), suback.return_codes.len()),
            Packet::Pingreq | Packet::Pingresp => sum.ping(),
            _ => sum.unexpected(),
        }
        // The packet does not say how long it was, so the caller reads its length once more.
        let len = packet_len(bytes).ok_or("decoded what is not complete")?;
        buffer.consume(len);
        Ok(true)
    }
}

struct Encoding {
    packets: Vec<Packet<'static>>,
    buffer: Vec<u8>,
    len: Cell<usize>,
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
        let len = mqttrs::encode_slice(&self.packets[index], &mut self.buffer).map_err(said)?;
        self.len.set(len);
        Ok(len)
    }

    fn wire(&self) -> Vec<u8> {
        self.buffer[..self.len.get()].to_vec()
    }
}

fn packet(packet: &'static workload::Packet) -> Packet<'static> {
    match packet {
        workload::Packet::Publish { topic, id, payload, .. } => Packet::Publish(Publish {
            dup: false,
            retain: false,
            qospid: if *id == 0 { QosPid::AtMostOnce } else { QosPid::AtLeastOnce(pid(*id)) },
            topic_name: topic,
            payload,
        }),
        workload::Packet::PubAck { id } => Packet::Puback(pid(*id)),
        workload::Packet::Subscribe { id, filters } => {
            let topics =
                filters.iter().map(|(path, at)| SubscribeTopic { topic_path: path.clone(), qos: qos(*at) });
            Packet::Subscribe(Subscribe::new(pid(*id), topics.collect()))
        }
        workload::Packet::SubAck { id, granted } => {
            let codes = granted.iter().map(|at| SubscribeReturnCodes::Success(qos(*at)));
            Packet::Suback(Suback::new(pid(*id), codes.collect()))
        }
        workload::Packet::PingReq => Packet::Pingreq,
        workload::Packet::PingResp => Packet::Pingresp,
    }
}

fn pid(id: u16) -> Pid {
    Pid::try_from(id).unwrap_or_default()
}

fn qos(level: u8) -> QoS {
    if level == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce }
}
