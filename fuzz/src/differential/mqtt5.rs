//! `mqtt5-protocol` 0.16: MQTT 5. It reads a fixed header and a body, so that the caller finds where a packet ends.

use bytes::{Buf as _, Bytes};
use mqtt_codec::PropertyId;
use mqtt5_protocol::{FixedHeader, Packet, Properties, PropertyValue};

use super::said::{Said, Value};

pub fn decode(bytes: &[u8]) -> Option<Said> {
    let mut bytes = Bytes::copy_from_slice(bytes);
    let header = FixedHeader::decode(&mut bytes).ok()?;
    if bytes.remaining() < header.remaining_length as usize {
        return None;
    }
    let packet = Packet::decode_from_body_with_version(header.packet_type, &header, &mut bytes, 5).ok()?;
    if bytes.has_remaining() {
        return None;
    }
    Some(match packet {
        // It takes both versions.
        Packet::Connect(connect) if connect.protocol_version != 5 => return None,
        Packet::Connect(connect) => {
            let said = Said::new("CONNECT")
                .field("clean", connect.clean_start)
                .field("keep alive", connect.keep_alive)
                .field("client id", &*connect.client_id);
            let said = match &connect.will {
                Some(will) => {
                    let said = said.will(&will.topic, &will.payload, will.qos as u8, will.retain);
                    each(said, &connect.will_properties, Said::will_property)
                }
                None => said,
            };
            let said = said
                .optional("user name", connect.username.as_deref())
                .optional("password", connect.password.as_deref());
            properties(said, &connect.properties)
        }
        Packet::ConnAck(ack) => {
            let said = Said::new("CONNACK")
                .field("session present", ack.session_present)
                .field("reason", ack.reason_code as u8);
            properties(said, &ack.properties)
        }
        Packet::Publish(publish) => {
            let said = Said::new("PUBLISH")
                .field("dup", publish.dup)
                .field("qos", publish.qos as u8)
                .field("retain", publish.retain)
                .field("topic", &*publish.topic_name)
                .optional("packet id", publish.packet_id)
                .field("payload", &*publish.payload);
            properties(said, &publish.properties)
        }
        Packet::PubAck(ack) => {
            acknowledgement("PUBACK", ack.packet_id, [ack.reason_code as u8], &ack.properties)
        }
        Packet::PubRec(ack) => {
            acknowledgement("PUBREC", ack.packet_id, [ack.reason_code as u8], &ack.properties)
        }
        Packet::PubRel(ack) => {
            acknowledgement("PUBREL", ack.packet_id, [ack.reason_code as u8], &ack.properties)
        }
        Packet::PubComp(ack) => {
            acknowledgement("PUBCOMP", ack.packet_id, [ack.reason_code as u8], &ack.properties)
        }
        Packet::Subscribe(subscribe) => {
            let said = Said::with_id("SUBSCRIBE", subscribe.packet_id);
            let said = subscribe.filters.iter().fold(said, |said, filter| {
                said.field("filter", &*filter.filter)
                    .field("qos", filter.options.qos as u8)
                    .field("no local", filter.options.no_local)
                    .field("retain as published", filter.options.retain_as_published)
                    .field("retain handling", filter.options.retain_handling as u8)
            });
            properties(said, &subscribe.properties)
        }
        Packet::SubAck(ack) => {
            let reasons = ack.reason_codes.iter().map(|reason| *reason as u8);
            acknowledgement("SUBACK", ack.packet_id, reasons, &ack.properties)
        }
        Packet::Unsubscribe(unsubscribe) => {
            let said = Said::with_id("UNSUBSCRIBE", unsubscribe.packet_id);
            let said = unsubscribe.filters.iter().fold(said, |said, filter| said.field("filter", &**filter));
            properties(said, &unsubscribe.properties)
        }
        Packet::UnsubAck(ack) => {
            let reasons = ack.reason_codes.iter().map(|reason| *reason as u8);
            acknowledgement("UNSUBACK", ack.packet_id, reasons, &ack.properties)
        }
        Packet::PingReq => Said::new("PINGREQ"),
        Packet::PingResp => Said::new("PINGRESP"),
        Packet::Disconnect(disconnect) => {
            let said = Said::new("DISCONNECT").field("reason", disconnect.reason_code as u8);
            properties(said, &disconnect.properties)
        }
        Packet::Auth(auth) => {
            properties(Said::new("AUTH").field("reason", auth.reason_code as u8), &auth.properties)
        }
    })
}

fn acknowledgement(
    packet: &'static str,
    packet_id: u16,
    reasons: impl IntoIterator<Item = u8>,
    set: &Properties,
) -> Said {
    let said = Said::with_id(packet, packet_id);
    properties(reasons.into_iter().fold(said, |said, reason| said.field("reason", reason)), set)
}

fn properties(said: Said, properties: &Properties) -> Said {
    each(said, properties, Said::property)
}

fn each(said: Said, properties: &Properties, add: fn(Said, PropertyId, Option<Value>) -> Said) -> Said {
    properties.iter().fold(said, |said, (id, value)| {
        let id = PropertyId::from_u32(u32::from(id as u8)).expect("a property that MQTT 5 does not have");
        let value = match value {
            PropertyValue::Byte(number) => (*number).into(),
            PropertyValue::TwoByteInteger(number) => (*number).into(),
            PropertyValue::FourByteInteger(number) | PropertyValue::VariableByteInteger(number) => {
                (*number).into()
            }
            PropertyValue::BinaryData(bytes) => (&**bytes).into(),
            PropertyValue::Utf8String(text) => (&**text).into(),
            PropertyValue::Utf8StringPair(name, value) => (&**name, &**value).into(),
        };
        add(said, id, Some(value))
    })
}
