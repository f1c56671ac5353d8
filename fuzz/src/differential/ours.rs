//! What our packets say.

use mqtt_codec::packet::RetainHandling;
use mqtt_codec::{PacketId, PacketRef, PropertiesRef, Property, PropertyId, QoS, Version};

use super::said::{Said, Value};

pub fn say(packet: &PacketRef<'_>, version: Version) -> Said {
    let said = Said::new(packet.name());
    match packet {
        PacketRef::Connect(connect) => {
            let said = said
                .field("clean", connect.clean_start())
                .field("keep alive", connect.keep_alive())
                .field("client id", connect.client_id());
            let said = match connect.will() {
                Some(will) => {
                    let said = said.will(will.topic.as_str(), will.payload, level(will.qos), will.retain);
                    each(said, will.properties.as_ref(), Said::will_property)
                }
                None => said,
            };
            let said =
                said.optional("user name", connect.username()).optional("password", connect.password());
            properties(said, connect.properties())
        }
        PacketRef::ConnAck(ack) => {
            let code = if version.is_v5() { ack.reason.code() } else { ack.reason.to_connect_return_code() };
            let said = said.field("session present", ack.session_present).field("reason", code);
            properties(said, ack.properties.as_ref())
        }
        PacketRef::Publish(publish) => {
            let said = said
                .field("dup", publish.dup())
                .field("qos", level(publish.qos()))
                .field("retain", publish.retain())
                .field("topic", publish.topic())
                .optional("packet id", publish.packet_id().map(PacketId::value))
                .field("payload", publish.payload());
            properties(said, publish.properties())
        }
        PacketRef::PubAck(ack) | PacketRef::PubRec(ack) | PacketRef::PubRel(ack) | PacketRef::PubComp(ack) => {
            let said = said.field("packet id", ack.packet_id.value());
            let said = if version.is_v5() { said.field("reason", ack.reason.code()) } else { said };
            properties(said, ack.properties.as_ref())
        }
        PacketRef::Subscribe(subscribe) => {
            let mut said = said.field("packet id", subscribe.packet_id.value());
            for (filter, options) in subscribe.filters() {
                said = said.field("filter", filter.as_str()).field("qos", level(options.qos));
                if version.is_v5() {
                    let handling = match options.retain_handling {
                        RetainHandling::Send => 0u8,
                        RetainHandling::SendIfNew => 1,
                        RetainHandling::DoNotSend => 2,
                    };
                    said = said
                        .field("no local", options.no_local)
                        .field("retain as published", options.retain_as_published)
                        .field("retain handling", handling);
                }
            }
            properties(said, subscribe.properties.as_ref())
        }
        PacketRef::Unsubscribe(unsubscribe) => {
            let said = said.field("packet id", unsubscribe.packet_id.value());
            let said = unsubscribe.filters().fold(said, |said, filter| said.field("filter", filter.as_str()));
            properties(said, unsubscribe.properties.as_ref())
        }
        PacketRef::SubAck(ack) | PacketRef::UnsubAck(ack) => {
            let said = said.field("packet id", ack.packet_id.value());
            let said = ack.reasons().fold(said, |said, reason| said.field("reason", reason.code()));
            properties(said, ack.properties.as_ref())
        }
        PacketRef::PingReq | PacketRef::PingResp => said,
        PacketRef::Disconnect(disconnect) => {
            let said = if version.is_v5() { said.field("reason", disconnect.reason.code()) } else { said };
            properties(said, disconnect.properties.as_ref())
        }
        PacketRef::Auth(auth) => {
            properties(said.field("reason", auth.reason.code()), auth.properties.as_ref())
        }
        _ => unreachable!("a packet type that MQTT does not have"),
    }
}

fn level(qos: QoS) -> u8 {
    match qos {
        QoS::AtMostOnce => 0,
        QoS::AtLeastOnce => 1,
        QoS::ExactlyOnce => 2,
    }
}

fn properties(said: Said, properties: PropertiesRef<'_>) -> Said {
    each(said, properties, Said::property)
}

fn each(
    said: Said,
    properties: PropertiesRef<'_>,
    add: fn(Said, PropertyId, Option<Value>) -> Said,
) -> Said {
    properties.iter().fold(said, |said, property| add(said, property.id(), Some(value(property))))
}

fn value(property: Property<'_>) -> Value {
    match property {
        Property::PayloadFormatIndicator(flag)
        | Property::RequestProblemInformation(flag)
        | Property::RequestResponseInformation(flag)
        | Property::MaximumQoS(flag)
        | Property::RetainAvailable(flag)
        | Property::WildcardSubscriptionAvailable(flag)
        | Property::SubscriptionIdentifierAvailable(flag)
        | Property::SharedSubscriptionAvailable(flag) => flag.into(),
        Property::ServerKeepAlive(number)
        | Property::ReceiveMaximum(number)
        | Property::TopicAliasMaximum(number)
        | Property::TopicAlias(number) => number.into(),
        Property::MessageExpiryInterval(number)
        | Property::SubscriptionIdentifier(number)
        | Property::SessionExpiryInterval(number)
        | Property::WillDelayInterval(number)
        | Property::MaximumPacketSize(number) => number.into(),
        Property::ContentType(text)
        | Property::ResponseTopic(text)
        | Property::AssignedClientIdentifier(text)
        | Property::AuthenticationMethod(text)
        | Property::ResponseInformation(text)
        | Property::ServerReference(text)
        | Property::ReasonString(text) => text.into(),
        Property::CorrelationData(bytes) | Property::AuthenticationData(bytes) => bytes.into(),
        Property::UserProperty(name, value) => (name, value).into(),
        _ => unreachable!("a property that MQTT 5 does not have"),
    }
}
