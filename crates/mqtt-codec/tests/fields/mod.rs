//! Reads every field of every packet, for tests of where fields lie and of what reading them costs.

use std::hint::black_box;

use mqtt_codec::packet::{Connect, Publish};
use mqtt_codec::{AnyPacket, Buffer, PropertiesRef, Property};

/// Reads all of `packet` without allocating, and hands each string and each run of bytes to `part`.
pub(crate) fn read<B: Buffer>(packet: &AnyPacket<B>, part: &mut impl FnMut(&'static str, &[u8])) {
    match packet {
        AnyPacket::Connect(packet) => connect(packet, part),
        AnyPacket::ConnAck(packet) => {
            black_box((packet.session_present, packet.reason));
            properties(packet.properties.as_ref(), part);
        }
        AnyPacket::Publish(packet) => publish(packet, part),
        AnyPacket::PubAck(packet)
        | AnyPacket::PubRec(packet)
        | AnyPacket::PubRel(packet)
        | AnyPacket::PubComp(packet) => {
            black_box((packet.packet_id, packet.reason));
            properties(packet.properties.as_ref(), part);
        }
        AnyPacket::Subscribe(packet) => {
            black_box(packet.packet_id);
            for (filter, options) in packet.filters() {
                part("filter", filter.as_bytes());
                part("filter", filter.as_str().as_bytes());
                part("filter behind $share", filter.without_share().as_bytes());
                filter.share_name().into_iter().for_each(|name| part("share name", name.as_bytes()));
                black_box(options);
            }
            properties(packet.properties.as_ref(), part);
        }
        AnyPacket::SubAck(packet) | AnyPacket::UnsubAck(packet) => {
            black_box(packet.packet_id);
            black_box(packet.reasons().len());
            for reason in packet.reasons() {
                black_box(reason);
            }
            properties(packet.properties.as_ref(), part);
        }
        AnyPacket::Unsubscribe(packet) => {
            black_box(packet.packet_id);
            packet.filters().for_each(|filter| part("filter", filter.as_bytes()));
            properties(packet.properties.as_ref(), part);
        }
        AnyPacket::Disconnect(packet) => {
            black_box(packet.reason);
            properties(packet.properties.as_ref(), part);
        }
        AnyPacket::Auth(packet) => {
            black_box(packet.reason);
            properties(packet.properties.as_ref(), part);
        }
        AnyPacket::PingReq | AnyPacket::PingResp => {}
        other => panic!("{} is new: say here how to read it", other.name()),
    }
}

fn connect<B: Buffer>(packet: &Connect<B>, part: &mut impl FnMut(&'static str, &[u8])) {
    black_box((packet.version(), packet.clean_start(), packet.keep_alive()));
    part("client identifier", packet.client_id().as_bytes());
    if let Some(will) = packet.will() {
        part("will topic", will.topic.as_bytes());
        part("will payload", will.payload.as_ref());
        black_box((will.qos, will.retain));
        properties(will.properties.as_ref(), part);
    }
    packet.username().into_iter().for_each(|name| part("user name", name.as_bytes()));
    packet.password().into_iter().for_each(|password| part("password", password));
    properties(packet.properties(), part);
}

fn publish<B: Buffer>(packet: &Publish<B>, part: &mut impl FnMut(&'static str, &[u8])) {
    black_box((packet.qos(), packet.retain(), packet.dup(), packet.packet_id()));
    part("topic", packet.topic().as_bytes());
    part("topic", packet.topic_bytes());
    packet.topic_name().into_iter().for_each(|topic| part("topic", topic.as_bytes()));
    part("payload", packet.payload());
    part("payload", packet.payload_bytes().as_ref());
    part("payload", packet.clone().into_payload().as_ref());
    part("properties", packet.properties_bytes().as_bytes());
    properties(packet.properties(), part);
}

fn properties(set: PropertiesRef<'_>, part: &mut impl FnMut(&'static str, &[u8])) {
    for property in set {
        match property {
            Property::ContentType(text) => part("Content Type", text.as_bytes()),
            Property::ResponseTopic(text) => part("Response Topic", text.as_bytes()),
            Property::CorrelationData(data) => part("Correlation Data", data),
            Property::AssignedClientIdentifier(text) => part("Assigned Client Identifier", text.as_bytes()),
            Property::AuthenticationMethod(text) => part("Authentication Method", text.as_bytes()),
            Property::AuthenticationData(data) => part("Authentication Data", data),
            Property::ResponseInformation(text) => part("Response Information", text.as_bytes()),
            Property::ServerReference(text) => part("Server Reference", text.as_bytes()),
            Property::ReasonString(text) => part("Reason String", text.as_bytes()),
            Property::UserProperty(name, value) => {
                part("User Property, name", name.as_bytes());
                part("User Property, value", value.as_bytes());
            }
            number => {
                black_box(number);
            }
        }
    }
    // The getters find the same.
    for text in [
        set.content_type(),
        set.response_topic(),
        set.assigned_client_identifier(),
        set.authentication_method(),
        set.response_information(),
        set.server_reference(),
        set.reason_string(),
    ] {
        text.into_iter().for_each(|text| part("a property by its getter", text.as_bytes()));
    }
    for data in [set.correlation_data(), set.authentication_data()] {
        data.into_iter().for_each(|data| part("a property by its getter", data));
    }
    for (name, value) in set.user_properties() {
        part("a property by its getter", name.as_bytes());
        part("a property by its getter", value.as_bytes());
    }
    for id in set.subscription_identifiers() {
        black_box(id);
    }
    black_box([
        set.payload_format_indicator(),
        set.request_problem_information(),
        set.request_response_information(),
        set.maximum_qos(),
        set.retain_available(),
        set.wildcard_subscription_available(),
        set.subscription_identifiers_available(),
        set.shared_subscription_available(),
    ]);
    black_box([set.server_keep_alive(), set.receive_maximum(), set.topic_alias_maximum(), set.topic_alias()]);
    black_box([
        set.message_expiry_interval(),
        set.session_expiry_interval(),
        set.will_delay_interval(),
        set.maximum_packet_size(),
    ]);
}
