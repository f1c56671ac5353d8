//! `rmqtt-codec` 0.3, its MQTT 5 half.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::BytesMut;
use mqtt_codec::PropertyId;
use rmqtt_codec::types::Publish;
use rmqtt_codec::v5::{Codec, Connect, ConnectAck, Packet, UserProperties};
use tokio_util::codec::Decoder as _;

use super::said::Said;

pub fn decode(bytes: &[u8]) -> Option<Said> {
    let (packet, _) = Codec::default().decode(&mut BytesMut::from(bytes)).ok()??;
    Some(match packet {
        Packet::Connect(packet) => connect(&packet),
        Packet::ConnectAck(packet) => connack(&packet),
        Packet::Publish(packet) => publish(&packet),
        Packet::PublishAck(ack) => {
            acknowledgement("PUBACK", ack.packet_id, [ack.reason_code], ack.reason_string, &ack.properties)
        }
        Packet::PublishReceived(ack) => {
            acknowledgement("PUBREC", ack.packet_id, [ack.reason_code], ack.reason_string, &ack.properties)
        }
        Packet::PublishRelease(ack) => {
            acknowledgement("PUBREL", ack.packet_id, [ack.reason_code], ack.reason_string, &ack.properties)
        }
        Packet::PublishComplete(ack) => {
            acknowledgement("PUBCOMP", ack.packet_id, [ack.reason_code], ack.reason_string, &ack.properties)
        }
        Packet::Subscribe(subscribe) => {
            let said = Said::with_id("SUBSCRIBE", subscribe.packet_id.get())
                .property(PropertyId::SubscriptionIdentifier, subscribe.id.map(NonZeroU32::get));
            let said = subscribe.topic_filters.iter().fold(said, |said, (filter, options)| {
                said.field("filter", &**filter)
                    .field("qos", options.qos.value())
                    .field("no local", options.no_local)
                    .field("retain as published", options.retain_as_published)
                    .field("retain handling", u8::from(options.retain_handling))
            });
            user(said, &subscribe.user_properties)
        }
        Packet::SubscribeAck(ack) => {
            acknowledgement("SUBACK", ack.packet_id, ack.status, ack.reason_string, &ack.properties)
        }
        Packet::Unsubscribe(unsubscribe) => {
            let said = Said::with_id("UNSUBSCRIBE", unsubscribe.packet_id.get());
            let filters = unsubscribe.topic_filters.iter();
            user(
                filters.fold(said, |said, filter| said.field("filter", &**filter)),
                &unsubscribe.user_properties,
            )
        }
        Packet::UnsubscribeAck(ack) => {
            acknowledgement("UNSUBACK", ack.packet_id, ack.status, ack.reason_string, &ack.properties)
        }
        Packet::PingRequest => Said::new("PINGREQ"),
        Packet::PingResponse => Said::new("PINGRESP"),
        Packet::Disconnect(disconnect) => {
            let said = Said::new("DISCONNECT")
                .field("reason", u8::from(disconnect.reason_code))
                .property(PropertyId::SessionExpiryInterval, disconnect.session_expiry_interval_secs)
                .property(PropertyId::ServerReference, disconnect.server_reference.as_deref())
                .property(PropertyId::ReasonString, disconnect.reason_string.as_deref());
            user(said, &disconnect.user_properties)
        }
        Packet::Auth(auth) => {
            let said = Said::new("AUTH")
                .field("reason", u8::from(auth.reason_code))
                .property(PropertyId::AuthenticationMethod, auth.auth_method.as_deref())
                .property(PropertyId::AuthenticationData, auth.auth_data.as_deref())
                .property(PropertyId::ReasonString, auth.reason_string.as_deref());
            user(said, &auth.user_properties)
        }
    })
}

fn connect(connect: &Connect) -> Said {
    let said = Said::new("CONNECT")
        .field("clean", connect.clean_start)
        .field("keep alive", connect.keep_alive)
        .field("client id", &*connect.client_id);
    let said = match &connect.last_will {
        Some(will) => {
            let said = said
                .will(&will.topic, &will.message, will.qos.value(), will.retain)
                .will_property(PropertyId::WillDelayInterval, will.will_delay_interval_sec)
                .will_property(PropertyId::CorrelationData, will.correlation_data.as_deref())
                .will_property(
                    PropertyId::MessageExpiryInterval,
                    will.message_expiry_interval.map(NonZeroU32::get),
                )
                .will_property(PropertyId::ContentType, will.content_type.as_deref())
                .will_property(PropertyId::PayloadFormatIndicator, will.is_utf8_payload)
                .will_property(PropertyId::ResponseTopic, will.response_topic.as_deref());
            will.user_properties.iter().fold(said, |said, (name, value)| {
                said.will_property(PropertyId::UserProperty, Some((&**name, &**value)))
            })
        }
        None => said,
    };
    let said = said
        .optional("user name", connect.username.as_deref())
        .optional("password", connect.password.as_deref())
        .property(PropertyId::SessionExpiryInterval, Some(connect.session_expiry_interval_secs))
        .property(PropertyId::AuthenticationMethod, connect.auth_method.as_deref())
        .property(PropertyId::AuthenticationData, connect.auth_data.as_deref())
        .property(PropertyId::RequestProblemInformation, Some(connect.request_problem_info))
        .property(PropertyId::RequestResponseInformation, Some(connect.request_response_info))
        .property(PropertyId::ReceiveMaximum, connect.receive_max.map(NonZeroU16::get))
        .property(PropertyId::TopicAliasMaximum, Some(connect.topic_alias_max))
        .property(PropertyId::MaximumPacketSize, connect.max_packet_size.map(NonZeroU32::get));
    user(said, &connect.user_properties)
}

fn connack(ack: &ConnectAck) -> Said {
    let said = Said::new("CONNACK")
        .field("session present", ack.session_present)
        .field("reason", u8::from(ack.reason_code))
        .property(PropertyId::SessionExpiryInterval, ack.session_expiry_interval_secs)
        .property(PropertyId::ReceiveMaximum, Some(ack.receive_max.get()))
        .property(PropertyId::MaximumQoS, Some(ack.max_qos.value()))
        .property(PropertyId::MaximumPacketSize, ack.max_packet_size)
        .property(PropertyId::AssignedClientIdentifier, ack.assigned_client_id.as_deref())
        .property(PropertyId::TopicAliasMaximum, Some(ack.topic_alias_max))
        .property(PropertyId::RetainAvailable, Some(ack.retain_available))
        .property(PropertyId::WildcardSubscriptionAvailable, Some(ack.wildcard_subscription_available))
        .property(PropertyId::SubscriptionIdentifierAvailable, Some(ack.subscription_identifiers_available))
        .property(PropertyId::SharedSubscriptionAvailable, Some(ack.shared_subscription_available))
        .property(PropertyId::ServerKeepAlive, ack.server_keepalive_sec)
        .property(PropertyId::ResponseInformation, ack.response_info.as_deref())
        .property(PropertyId::ServerReference, ack.server_reference.as_deref())
        .property(PropertyId::AuthenticationMethod, ack.auth_method.as_deref())
        .property(PropertyId::AuthenticationData, ack.auth_data.as_deref())
        .property(PropertyId::ReasonString, ack.reason_string.as_deref());
    user(said, &ack.user_properties)
}

fn publish(publish: &Publish) -> Said {
    let said = Said::new("PUBLISH")
        .field("dup", publish.dup)
        .field("qos", publish.qos.value())
        .field("retain", publish.retain)
        .field("topic", &*publish.topic)
        .optional("packet id", publish.packet_id.map(NonZeroU16::get))
        .field("payload", &*publish.payload);
    let Some(properties) = &publish.properties else { return said };
    let said = said
        .property(PropertyId::TopicAlias, properties.topic_alias.map(NonZeroU16::get))
        .property(PropertyId::CorrelationData, properties.correlation_data.as_deref())
        .property(
            PropertyId::MessageExpiryInterval,
            properties.message_expiry_interval.map(NonZeroU32::get),
        )
        .property(PropertyId::ContentType, properties.content_type.as_deref())
        .property(PropertyId::PayloadFormatIndicator, Some(properties.is_utf8_payload))
        .property(PropertyId::ResponseTopic, properties.response_topic.as_deref());
    let said = properties
        .subscription_ids
        .iter()
        .fold(said, |said, id| said.property(PropertyId::SubscriptionIdentifier, Some(id.get())));
    user(said, &properties.user_properties)
}

/// An identifier, reason codes and what stands in an acknowledgement's properties.
fn acknowledgement(
    packet: &'static str,
    packet_id: NonZeroU16,
    reasons: impl IntoIterator<Item = impl Into<u8>>,
    reason_string: Option<impl AsRef<str>>,
    user_properties: &UserProperties,
) -> Said {
    let said = Said::with_id(packet, packet_id.get());
    let said = reasons.into_iter().fold(said, |said, reason| said.field("reason", reason.into()));
    let said = said.property(PropertyId::ReasonString, reason_string.as_ref().map(AsRef::as_ref));
    user(said, user_properties)
}

fn user(said: Said, properties: &UserProperties) -> Said {
    properties.iter().fold(said, |said, (name, value)| {
        said.property(PropertyId::UserProperty, Some((&**name, &**value)))
    })
}
