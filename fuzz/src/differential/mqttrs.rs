//! `mqttrs` 0.4: MQTT 3.1.1.

use mqttrs::{ConnectReturnCode, Packet, Pid, QoS, SubscribeReturnCodes, decode_slice};

use super::said::Said;

pub fn decode(bytes: &[u8]) -> Option<Said> {
    Some(match decode_slice(bytes).ok()?? {
        Packet::Connect(connect) => {
            let said = Said::new("CONNECT")
                .field("clean", connect.clean_session)
                .field("keep alive", connect.keep_alive)
                .field("client id", connect.client_id);
            let said = match &connect.last_will {
                Some(will) => said.will(will.topic, will.message, level(will.qos), will.retain),
                None => said,
            };
            said.optional("user name", connect.username).optional("password", connect.password)
        }
        Packet::Connack(ack) => {
            let code = match ack.code {
                ConnectReturnCode::Accepted => 0u8,
                ConnectReturnCode::RefusedProtocolVersion => 1,
                ConnectReturnCode::RefusedIdentifierRejected => 2,
                ConnectReturnCode::ServerUnavailable => 3,
                ConnectReturnCode::BadUsernamePassword => 4,
                ConnectReturnCode::NotAuthorized => 5,
            };
            Said::new("CONNACK").field("session present", ack.session_present).field("reason", code)
        }
        Packet::Publish(publish) => Said::new("PUBLISH")
            .field("dup", publish.dup)
            .field("qos", level(publish.qospid.qos()))
            .field("retain", publish.retain)
            .field("topic", publish.topic_name)
            .optional("packet id", publish.qospid.pid().map(Pid::get))
            .field("payload", publish.payload),
        Packet::Puback(id) => Said::with_id("PUBACK", id.get()),
        Packet::Pubrec(id) => Said::with_id("PUBREC", id.get()),
        Packet::Pubrel(id) => Said::with_id("PUBREL", id.get()),
        Packet::Pubcomp(id) => Said::with_id("PUBCOMP", id.get()),
        Packet::Subscribe(subscribe) => {
            let said = Said::with_id("SUBSCRIBE", subscribe.pid.get());
            subscribe.topics.iter().fold(said, |said, topic| {
                said.field("filter", topic.topic_path.as_str()).field("qos", level(topic.qos))
            })
        }
        Packet::Suback(ack) => {
            let said = Said::with_id("SUBACK", ack.pid.get());
            ack.return_codes.iter().fold(said, |said, code| match code {
                SubscribeReturnCodes::Success(qos) => said.field("reason", level(*qos)),
                SubscribeReturnCodes::Failure => said.field("reason", 0x80u8),
            })
        }
        Packet::Unsubscribe(unsubscribe) => {
            let said = Said::with_id("UNSUBSCRIBE", unsubscribe.pid.get());
            unsubscribe.topics.iter().fold(said, |said, filter| said.field("filter", filter.as_str()))
        }
        Packet::Unsuback(id) => Said::with_id("UNSUBACK", id.get()),
        Packet::Pingreq => Said::new("PINGREQ"),
        Packet::Pingresp => Said::new("PINGRESP"),
        Packet::Disconnect => Said::new("DISCONNECT"),
    })
}

fn level(qos: QoS) -> u8 {
    match qos {
        QoS::AtMostOnce => 0,
        QoS::AtLeastOnce => 1,
        QoS::ExactlyOnce => 2,
    }
}
