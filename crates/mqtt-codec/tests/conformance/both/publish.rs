//! Section 3.3 of both standards, and what QoS 0 asks for.

use mqtt_codec::packet::Publish;
use mqtt_codec::{Codec, DecodeError, InvalidTopic, Packet, QoS, TopicName};

use crate::support::*;

/// From both sides, what comes of it.
fn from_both(version: mqtt_codec::Version, bytes: &[u8]) -> [Result<Packet, DecodeError>; 2] {
    [from_client(version, bytes), from_server(version, bytes)]
}

// also [v3.1.1 MQTT-3.3.1-2]
#[test]
fn mqtt5_3_3_1_2_a_qos_0_message_never_carries_dup() {
    for version in BOTH {
        for header in [0x38, 0x39] {
            let bytes = packet(header, &[&field(b"a/b"), none(version), b"hi"]);
            for refused in from_both(version, &bytes) {
                malformed(refused, DecodeError::DupOnQoS0);
            }
        }
        for (header, qos) in [(0x3A, 1), (0x3C, 2), (0x3B, 1), (0x3D, 2)] {
            let bytes = packet(header, &[&field(b"a/b"), &[0, 7], none(version), b"hi"]);
            let Packet::Publish(message) = client_may_send(version, &bytes) else { panic!("no PUBLISH") };
            assert_eq!((message.dup(), message.qos() as u8), (true, qos));
            server_may_send(version, &bytes);
        }
        // It cannot be set, and does not stay when a message becomes one of QoS 0.
        let message = Publish::new(topic("a/b"), "hi");
        for message in
            [message.clone().with_dup(true), message.at_least_once(id(7)).with_dup(true).at_most_once()]
        {
            assert!(!message.dup());
            assert_eq!(by_client(version, message.clone()), Ok(publish(version, b"a/b")));
            assert_eq!(by_server(version, message), Ok(publish(version, b"a/b")));
        }
    }
}

// also [v3.1.1 MQTT-3.3.1-4]
#[test]
fn mqtt5_3_3_1_4_the_two_qos_bits_are_never_both_set() {
    for version in BOTH {
        for header in [0x36, 0x37, 0x3E, 0x3F] {
            let bytes = packet(header, &[&field(b"a/b"), &[0, 7], none(version), b"hi"]);
            for refused in from_both(version, &bytes) {
                malformed(refused, DecodeError::InvalidQoS);
            }
        }
        for (header, qos) in [(0x32, QoS::AtLeastOnce), (0x34, QoS::ExactlyOnce)] {
            let bytes = packet(header, &[&field(b"a/b"), &[0, 7], none(version), b"hi"]);
            let Packet::Publish(message) = client_may_send(version, &bytes) else { panic!("no PUBLISH") };
            assert_eq!(message.qos(), qos);
            server_may_send(version, &bytes);
        }
        assert_eq!(QoS::try_from(3), Err(DecodeError::InvalidQoS));
    }
}

// also [v3.1.1 MQTT-3.3.2-1]
#[test]
fn mqtt5_3_3_2_1_the_topic_name_is_a_string_and_comes_first() {
    for version in BOTH {
        wants_a_string(version, |topic| publish(version, topic));
        for (bad, why) in BAD_STRINGS {
            malformed(from_server(version, &publish(version, bad)), DecodeError::Text(why));
        }
        // Before the packet identifier.
        let bytes = packet(0x32, &[&field(b"a/b"), &[0, 7], none(version), b"hi"]);
        let Packet::Publish(message) = server_may_send(version, &bytes) else { panic!("no PUBLISH") };
        assert_eq!((message.topic(), message.packet_id()), ("a/b", Some(id(7))));
        let topic = field(b"a/b");
        for len in 0..topic.len() {
            for refused in from_both(version, &packet(0x30, &[&topic[..len]])) {
                malformed(refused, DecodeError::Truncated);
            }
        }
    }
}

// also [v3.1.1 MQTT-3.3.2-2]
#[test]
fn mqtt5_3_3_2_2_the_topic_of_a_message_has_no_wildcard() {
    for version in BOTH {
        for name in ["#", "+", "a/#", "a/+/b", "+/b", "a#", "a+b", "$share/g/#", "a/topic/of/some/length/#"] {
            for refused in from_both(version, &publish(version, name.as_bytes())) {
                malformed(refused, DecodeError::Topic(InvalidTopic::WildcardInName));
            }
            assert_eq!(TopicName::borrowed(name), Err(InvalidTopic::WildcardInName));
            assert_eq!(TopicName::try_from(name), Err(InvalidTopic::WildcardInName));
        }
        // The characters beside them mean nothing.
        for name in ["a/*/\"/$/,/!", "a/topic/of/some/length/*"] {
            let bytes = publish(version, name.as_bytes());
            client_may_send(version, &bytes);
            assert_eq!(by_server(version, Publish::new(topic(name), "hi")), Ok(bytes));
        }
    }
}

// also [v3.1.1 MQTT-4.3.1-1]
#[test]
fn mqtt5_4_3_1_1_qos_0_goes_out_as_qos_0_without_dup() {
    for version in BOTH {
        let message = Publish::new(topic("a/b"), "hi");
        for (retain, header) in [(false, 0x30), (true, 0x31)] {
            let message = message.clone().with_retain(retain).with_dup(true);
            let bytes = packet(header, &[&field(b"a/b"), none(version), b"hi"]);
            assert_eq!(by_client(version, message.clone()), Ok(bytes.clone()));
            assert_eq!(by_server(version, message.clone()), Ok(bytes.clone()));
            // The same without copying the payload.
            let mut head = bytes::BytesMut::new();
            let payload = Codec::client(version).encode_vectored(&message.into(), &mut head).unwrap();
            assert_eq!([&head[..], &payload].concat(), bytes);
            for taken in from_both(version, &bytes) {
                let Ok(Packet::Publish(taken)) = taken else { panic!("no PUBLISH") };
                assert_eq!((taken.qos(), taken.dup(), taken.packet_id()), (QoS::AtMostOnce, false, None));
            }
        }
    }
}
