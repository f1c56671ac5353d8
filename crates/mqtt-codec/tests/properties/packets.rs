//! Every packet that a side may send, and those that the other one may not.

use bytes::BytesMut;
use mqtt_codec::packet::{
    Ack, Auth, ConnAck, ConnectBuilder, Disconnect, Publish, RetainHandling, SubAck, Subscribe,
    SubscriptionOptions, Unsubscribe, Will,
};
use mqtt_codec::{Codec, Packet, PacketId, Properties, Property, PropertyId as Id, QoS, ReasonCode, Version};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use crate::tables::*;
use crate::values::{binary, filter, id, properties, properties_and, qos, text, topic};

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Server,
}

pub(crate) fn sender() -> impl Strategy<Value = Sender> {
    select(vec![Sender::Client, Sender::Server])
}

fn code(codes: &'static [u8]) -> impl Strategy<Value = ReasonCode> {
    select(codes).prop_map(|code| ReasonCode::from_u8(code).unwrap())
}

pub(crate) fn connect(version: Version) -> impl Strategy<Value = Packet> {
    let will = (topic(), binary(), qos(), any::<bool>(), properties(version, WILL, &[]));
    let credentials = (of(text()), of(binary()));
    let properties = properties(version, CONNECT, &[]);
    (text(), any::<u16>(), any::<bool>(), of(will), credentials, properties).prop_map(
        move |(client_id, keep_alive, clean_start, will, (username, password), properties)| {
            let mut connect = ConnectBuilder::new(version, client_id);
            connect.keep_alive = keep_alive;
            connect.properties = properties;
            // What MQTT 3.1.1 does not allow: no name without a clean session, no password without a user name.
            connect.clean_start = clean_start || (!version.is_v5() && connect.client_id.is_empty());
            connect.password = password.filter(|_| version.is_v5() || username.is_some()).map(Into::into);
            connect.username = username;
            connect.will = will.map(|(topic, payload, qos, retain, properties)| {
                let mut will = Will::new(topic, payload);
                (will.qos, will.retain, will.properties) = (qos, retain, properties);
                will
            });
            connect.build().unwrap().into()
        },
    )
}

fn connack(version: Version) -> impl Strategy<Value = Packet> {
    let refusal = if version.is_v5() { CONNACK_CODES } else { &[0x84, 0x85, 0x86, 0x87, 0x88] };
    let success = any::<bool>().prop_map(|session_present| (session_present, ReasonCode::Success));
    let refused = code(refusal).prop_map(|code| (false, code));
    (prop_oneof![success, refused], properties(version, CONNACK, &[])).prop_map(
        |((session_present, reason), properties)| ConnAck { session_present, reason, properties }.into(),
    )
}

fn publish(properties: impl Strategy<Value = Properties>) -> impl Strategy<Value = Packet> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (topic(), binary(), qos(), id(), flags, properties).prop_map(
        move |(topic, payload, qos, id, (retain, dup, nameless), properties)| {
            let publish = Publish::new(topic, payload).with_properties(&properties).unwrap();
            let publish = publish.with_retain(retain);
            let publish = match qos {
                QoS::AtMostOnce => publish,
                QoS::AtLeastOnce => publish.at_least_once(id),
                QoS::ExactlyOnce => publish.exactly_once(id),
            };
            let publish = publish.with_dup(dup);
            let nameless = nameless && publish.properties().topic_alias().is_some();
            if nameless { without_topic(publish) } else { publish.into() }
        },
    )
}

/// A topic alias alone can be received, but not be put together.
fn without_topic(publish: Publish) -> Packet {
    let topic_len = publish.topic().len();
    let (codec, mut wire) = (Codec::observer(Version::V5), BytesMut::new());
    codec.encode(&publish.into(), &mut wire).unwrap();
    let header_len = wire[1..].iter().position(|byte| *byte < 0x80).unwrap() + 2;
    let body = [&[0, 0], &wire[header_len + 2 + topic_len..]].concat();
    codec.clone().decode(&mut BytesMut::from(&frame(wire[0], &body)[..])).unwrap().unwrap()
}

/// A packet with this first byte and body, whatever they are.
pub(crate) fn frame(header: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![header];
    let mut len = body.len();
    while len >= 0x80 {
        packet.push((len % 0x80) as u8 | 0x80);
        len /= 0x80;
    }
    packet.push(len as u8);
    packet.extend_from_slice(body);
    packet
}

/// PUBACK, PUBREC, PUBREL and PUBCOMP.
fn acknowledgement(version: Version) -> impl Strategy<Value = Packet> {
    let ack = |wrap: fn(Ack) -> Packet, codes: &'static [u8]| {
        let codes = if version.is_v5() { codes } else { &[0x00] };
        (id(), code(codes), properties(version, REASON, &[]))
            .prop_map(move |(packet_id, reason, properties)| wrap(Ack { packet_id, reason, properties }))
    };
    prop_oneof![
        ack(Packet::PubAck, PUBACK_CODES),
        ack(Packet::PubRec, PUBACK_CODES),
        ack(Packet::PubRel, &[0x00, 0x92]),
        ack(Packet::PubComp, &[0x00, 0x92]),
    ]
}

pub(crate) fn subscribe(version: Version) -> impl Strategy<Value = Packet> {
    let handling = select(vec![RetainHandling::Send, RetainHandling::SendIfNew, RetainHandling::DoNotSend]);
    let options =
        (qos(), any::<bool>(), any::<bool>(), handling).prop_map(move |(qos, local, rap, handling)| {
            let mut options = SubscriptionOptions::at(qos);
            if version.is_v5() {
                (options.no_local, options.retain_as_published, options.retain_handling) =
                    (local, rap, handling);
            }
            options
        });
    let properties = properties(version, &[Id::SubscriptionIdentifier], &[]);
    (id(), vec((filter(), options), 1..6), properties).prop_map(|(id, mut filters, properties)| {
        for (filter, options) in &mut filters {
            // [MQTT-3.8.3-4]
            options.no_local &= filter.share_name().is_none();
        }
        let mut subscribe = Subscribe::new(id, filters.iter().map(|(filter, options)| (filter, *options)));
        subscribe.properties = properties;
        subscribe.into()
    })
}

pub(crate) fn unsubscribe(version: Version) -> impl Strategy<Value = Packet> {
    (id(), vec(filter(), 1..6), properties(version, &[], &[])).prop_map(|(id, filters, properties)| {
        let mut unsubscribe = Unsubscribe::new(id, &filters);
        unsubscribe.properties = properties;
        unsubscribe.into()
    })
}

fn answer(id: PacketId, codes: Vec<ReasonCode>, properties: Properties) -> SubAck {
    let mut answer = SubAck::new(id, codes);
    answer.properties = properties;
    answer
}

fn suback(version: Version) -> impl Strategy<Value = Packet> {
    let codes = if version.is_v5() { SUBACK_CODES } else { &[0, 1, 2, 0x80] };
    (id(), vec(code(codes), 1..9), properties(version, REASON, &[]))
        .prop_map(|(id, codes, properties)| Packet::SubAck(answer(id, codes, properties)))
}

fn unsuback(version: Version) -> impl Strategy<Value = Packet> {
    let lens = if version.is_v5() { 1..9 } else { 0..1 };
    (id(), vec(code(UNSUBACK_CODES), lens), properties(version, REASON, &[]))
        .prop_map(|(id, codes, properties)| Packet::UnsubAck(answer(id, codes, properties)))
}

fn disconnect(reason: ReasonCode, properties: Properties) -> Packet {
    Disconnect { reason, properties }.into()
}

fn auth(version: Version, codes: &'static [u8]) -> impl Strategy<Value = Packet> {
    // The method is always there (section 3.15.2.2.2).
    (code(codes), properties(version, AUTH, &[]), text()).prop_map(|(reason, mut properties, method)| {
        if properties.as_ref().authentication_method().is_none() {
            let method = Property::AuthenticationMethod(method.as_str());
            properties = properties.with(method).unwrap();
        }
        Auth { reason, properties }.into()
    })
}

/// What both may send, but for CONNECT, which a client sends first and once.
pub(crate) fn packet(version: Version, sender: Sender) -> BoxedStrategy<Packet> {
    let either = prop_oneof![
        2 => publish(properties(version, PUBLISH, &[])),
        2 => acknowledgement(version),
    ];
    if !version.is_v5() {
        return prop_oneof![3 => either, 4 => only(version, sender)].boxed();
    }
    let ends = (code(DISCONNECT_CODES), properties(version, REASON, &[]));
    let ends = ends.prop_map(|(reason, properties)| disconnect(reason, properties));
    prop_oneof![3 => either, 5 => only(version, sender), 1 => ends, 1 => auth(version, &[0x18])].boxed()
}

/// What just this side may send: the type, a reason code or a property is its own.
pub(crate) fn only(version: Version, sender: Sender) -> BoxedStrategy<Packet> {
    let none = || properties(version, &[], &[]);
    match (sender, version) {
        (Sender::Client, Version::V3_1_1) => prop_oneof![
            subscribe(version),
            unsubscribe(version),
            Just(Packet::PingReq),
            Just(disconnect(ReasonCode::Success, Properties::new())),
        ]
        .boxed(),
        (Sender::Client, Version::V5) => prop_oneof![
            subscribe(version),
            unsubscribe(version),
            Just(Packet::PingReq),
            none().prop_map(|properties| disconnect(ReasonCode::DisconnectWithWill, properties)),
            (code(DISCONNECT_CODES), properties_and(none(), Id::SessionExpiryInterval))
                .prop_map(|(reason, properties)| disconnect(reason, properties)),
            auth(version, &[0x19]),
        ]
        .boxed(),
        (Sender::Server, Version::V3_1_1) => {
            prop_oneof![connack(version), suback(version), unsuback(version), Just(Packet::PingResp)].boxed()
        }
        (Sender::Server, Version::V5) => prop_oneof![
            connack(version),
            suback(version),
            unsuback(version),
            Just(Packet::PingResp),
            publish(properties_and(
                properties(version, PUBLISH, &[Id::SubscriptionIdentifier]),
                Id::SubscriptionIdentifier
            )),
            (id(), none()).prop_map(|(packet_id, properties)| {
                Packet::PubAck(Ack { packet_id, reason: ReasonCode::NoMatchingSubscribers, properties })
            }),
            (id(), none()).prop_map(|(packet_id, properties)| {
                Packet::PubRec(Ack { packet_id, reason: ReasonCode::NoMatchingSubscribers, properties })
            }),
            (code(SERVER_DISCONNECT_CODES), none())
                .prop_map(|(code, properties)| disconnect(code, properties)),
            (code(DISCONNECT_CODES), properties_and(none(), Id::ServerReference))
                .prop_map(|(code, properties)| disconnect(code, properties)),
            auth(version, &[0x00]),
        ]
        .boxed(),
    }
}
