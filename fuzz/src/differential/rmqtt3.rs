//! `rmqtt-codec` 0.3, its MQTT 3.1.1 half.

use std::num::NonZeroU16;

use bytes::BytesMut;
use rmqtt_codec::v3::{Codec, Packet, SubscribeReturnCode};
use tokio_util::codec::Decoder as _;

use super::said::Said;

pub fn decode(bytes: &[u8]) -> Option<Said> {
    let (packet, _) = Codec::default().decode(&mut BytesMut::from(bytes)).ok()??;
    Some(match packet {
        Packet::Connect(connect) => {
            let said = Said::new("CONNECT")
                .field("clean", connect.clean_session)
                .field("keep alive", connect.keep_alive)
                .field("client id", &*connect.client_id);
            let said = match &connect.last_will {
                Some(will) => said.will(&will.topic, &will.message, will.qos.value(), will.retain),
                None => said,
            };
            said.optional("user name", connect.username.as_deref())
                .optional("password", connect.password.as_deref())
        }
        Packet::ConnectAck(ack) => Said::new("CONNACK")
            .field("session present", ack.session_present)
            .field("reason", u8::from(ack.return_code)),
        Packet::Publish(publish) => Said::new("PUBLISH")
            .field("dup", publish.dup)
            .field("qos", publish.qos.value())
            .field("retain", publish.retain)
            .field("topic", &*publish.topic)
            .optional("packet id", publish.packet_id.map(NonZeroU16::get))
            .field("payload", &*publish.payload),
        Packet::PublishAck { packet_id } => Said::with_id("PUBACK", packet_id.get()),
        Packet::PublishReceived { packet_id } => Said::with_id("PUBREC", packet_id.get()),
        Packet::PublishRelease { packet_id } => Said::with_id("PUBREL", packet_id.get()),
        Packet::PublishComplete { packet_id } => Said::with_id("PUBCOMP", packet_id.get()),
        Packet::Subscribe { packet_id, topic_filters } => {
            let said = Said::with_id("SUBSCRIBE", packet_id.get());
            topic_filters
                .iter()
                .fold(said, |said, (filter, qos)| said.field("filter", &**filter).field("qos", qos.value()))
        }
        Packet::SubscribeAck { packet_id, status } => {
            let said = Said::with_id("SUBACK", packet_id.get());
            status.iter().fold(said, |said, code| match code {
                SubscribeReturnCode::Success(qos) => said.field("reason", qos.value()),
                SubscribeReturnCode::Failure => said.field("reason", 0x80u8),
            })
        }
        Packet::Unsubscribe { packet_id, topic_filters } => {
            let said = Said::with_id("UNSUBSCRIBE", packet_id.get());
            topic_filters.iter().fold(said, |said, filter| said.field("filter", &**filter))
        }
        Packet::UnsubscribeAck { packet_id } => Said::with_id("UNSUBACK", packet_id.get()),
        Packet::PingRequest => Said::new("PINGREQ"),
        Packet::PingResponse => Said::new("PINGRESP"),
        Packet::Disconnect => Said::new("DISCONNECT"),
    })
}
