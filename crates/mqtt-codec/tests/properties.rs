//! Properties that hold for all packets: round trip, fixed point, any chunking.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests say what they expect by panicking")]

use bytes::BytesMut;
use mqtt_codec::packet::{Ack, ConnectBuilder, Publish, Subscribe, SubscriptionOptions, Will};
use mqtt_codec::{
    Codec, Packet, PacketId, Properties, Property, QoS, ReasonCode, Text, TopicFilter, TopicName, Version,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V3_1_1), Just(Version::V5)]
}

fn qos() -> impl Strategy<Value = QoS> {
    prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)]
}

fn id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|n| PacketId::new(n).unwrap())
}

fn text() -> impl Strategy<Value = Text> {
    "[^\\x00]{0,30}".prop_map(|s| Text::try_from(s).unwrap())
}

fn topic() -> impl Strategy<Value = TopicName> {
    "[^\\x00#+]{1,30}".prop_map(|s| TopicName::try_from(s).unwrap())
}

fn filter() -> impl Strategy<Value = TopicFilter> {
    ("[a-z/]{1,20}", "(/\\+){0,3}(/#)?").prop_map(|(a, b)| TopicFilter::try_from(format!("{a}{b}")).unwrap())
}

fn properties(version: Version) -> BoxedStrategy<Properties> {
    if version == Version::V3_1_1 {
        return Just(Properties::new()).boxed();
    }
    (of("[^\\x00]{0,20}"), of(vec(any::<u8>(), 0..20)), vec(("[^\\x00]{0,9}", "[^\\x00]{0,9}"), 0..4))
        .prop_map(|(content_type, correlation, user)| {
            let mut all = Properties::new();
            if let Some(text) = &content_type {
                all = all.with(Property::ContentType(text)).unwrap();
            }
            if let Some(data) = &correlation {
                all = all.with(Property::CorrelationData(data)).unwrap();
            }
            user.iter().fold(all, |all, (name, value)| all.with(Property::UserProperty(name, value)).unwrap())
        })
        .boxed()
}

fn publish(version: Version) -> impl Strategy<Value = Packet> {
    (topic(), vec(any::<u8>(), 0..300), qos(), id(), any::<bool>(), any::<bool>(), properties(version))
        .prop_map(|(topic, payload, qos, id, retain, dup, properties)| {
            let publish =
                Publish::new(topic, payload).with_properties(&properties).unwrap().with_retain(retain);
            let publish = match qos {
                QoS::AtMostOnce => publish,
                QoS::AtLeastOnce => publish.at_least_once(id),
                QoS::ExactlyOnce => publish.exactly_once(id),
            };
            publish.with_dup(dup).into()
        })
}

fn connect(version: Version) -> impl Strategy<Value = Packet> {
    let will = (topic(), vec(any::<u8>(), 0..20), qos(), any::<bool>(), properties(version));
    (text(), any::<u16>(), of(will), of(text()), of(vec(any::<u8>(), 0..20)), any::<bool>()).prop_map(
        move |(client_id, keep_alive, will, username, password, clean_start)| {
            let mut connect = ConnectBuilder::new(version, client_id);
            connect.keep_alive = keep_alive;
            connect.clean_start = clean_start || connect.client_id.is_empty();
            connect.password = password.filter(|_| username.is_some()).map(Into::into);
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

fn packet(version: Version) -> impl Strategy<Value = Packet> {
    prop_oneof![
        4 => publish(version),
        2 => connect(version),
        1 => (id(), vec((filter(), qos()), 1..9)).prop_map(|(id, filters)| {
            Subscribe::new(id, filters.iter().map(|(f, q)| (f, SubscriptionOptions::at(*q)))).into()
        }),
        1 => id().prop_map(move |id| {
            let reason = if version.is_v5() { ReasonCode::QuotaExceeded } else { ReasonCode::Success };
            Packet::PubAck(Ack::with_reason(id, reason))
        }),
        1 => Just(Packet::PingReq),
    ]
}

fn stream() -> impl Strategy<Value = (Version, Vec<Packet>)> {
    version().prop_flat_map(|version| (Just(version), vec(packet(version), 1..12)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_encoded_decodes_to_the_same_packets((version, packets) in stream()) {
        let mut codec = Codec::observer(version);
        let mut wire = BytesMut::new();
        for packet in &packets {
            let before = wire.len();
            codec.encode(packet, &mut wire).unwrap();
            prop_assert_eq!(wire.len() - before, codec.encoded_len(packet).unwrap());
        }
        for packet in packets {
            prop_assert_eq!(codec.decode(&mut wire).unwrap(), Some(packet));
        }
        prop_assert!(wire.is_empty());
    }

    #[test]
    fn a_stream_in_any_pieces_decodes_alike((version, packets) in stream(), cuts in vec(1usize..40, 1..50)) {
        let mut codec = Codec::observer(version);
        let mut wire = BytesMut::new();
        for packet in &packets {
            codec.encode(packet, &mut wire).unwrap();
        }
        let (mut buffer, mut decoded, mut cuts) = (BytesMut::new(), Vec::new(), cuts.into_iter().cycle());
        while !wire.is_empty() {
            let n = cuts.next().unwrap().min(wire.len());
            buffer.extend_from_slice(&wire.split_to(n));
            while let Some(packet) = codec.decode(&mut buffer).unwrap() {
                decoded.push(packet);
            }
        }
        prop_assert_eq!(decoded, packets);
    }

    #[test]
    fn what_arbitrary_bytes_decode_to_encodes_again(choice in 0u8..3, bytes in vec(any::<u8>(), 0..60)) {
        let mut data = vec![choice];
        data.extend(bytes);
        check(&data);
    }
}

/// Decoding must not panic, and what was accepted can be sent.
fn check(data: &[u8]) {
    let mut codec =
        if data[0] == 0 { Codec::observer(Version::V3_1_1) } else { Codec::observer(Version::V5) };
    let mut buffer = BytesMut::from(&data[1..]);
    while let Ok(Some(packet)) = codec.decode(&mut buffer) {
        if !matches!(packet, Packet::Connect(_)) {
            assert!(codec.encode(&packet, &mut BytesMut::new()).is_ok(), "{packet:?}");
        }
    }
}
