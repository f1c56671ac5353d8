//! Chapters 1 and 2: strings, fixed header, packet identifier.

use mqtt_codec::packet::{ConnectBuilder, Publish, Subscribe, SubscriptionOptions, Unsubscribe};
use mqtt_codec::{
    Codec, DecodeError, InvalidText, InvalidTopic, Packet, PacketId, QoS, Text, TopicFilter, TopicName,
};

use crate::support::*;

/// A client's packets with this string in each place that both versions have for one.
fn in_every_place(version: mqtt_codec::Version, string: &[u8]) -> Vec<Vec<u8>> {
    let (string_field, id, will) = (field(string), field(b"id"), field(b"bye"));
    vec![
        connect(version, 0x02, &[&string_field]),
        connect(version, 0x06, &[&id, none(version), &string_field, &will]),
        connect(version, 0x82, &[&id, &string_field]),
        publish(version, string),
        subscribe(version, string),
        unsubscribe(version, string),
    ]
}

// also [v3.1.1 MQTT-1.5.3-1]
#[test]
fn mqtt5_1_5_4_1_strings_are_well_formed_utf_8_without_surrogates() {
    let ill_formed: [&[u8]; 9] = [
        b"\xed\xa0\x80",             // U+D800, the first surrogate
        b"\xed\xbf\xbf",             // U+DFFF, the last
        b"\xed\xa0\xbd\xed\xb8\x80", // a pair of them
        b"\xc1\x81",                 // an A in two bytes
        b"\xe0\x80\xaf",             // a slash in three
        b"\xf4\x90\x80\x80",         // above U+10FFFF
        b"\x80",                     // a continuation of nothing
        b"a\xe2\x82",                // cut off
        b"\xfe",                     // in no character
    ];
    let well_formed: [&[u8]; 5] = [b"a", b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xf4\x8f\xbf\xbf", b"\xc2\x80"];
    for version in BOTH {
        for string in ill_formed {
            for bytes in in_every_place(version, string) {
                malformed(from_client(version, &bytes), DecodeError::Text(InvalidText::NotUtf8));
            }
            assert_eq!(Text::new(string), Err(InvalidText::NotUtf8));
        }
        for string in well_formed {
            for bytes in in_every_place(version, string) {
                client_may_send(version, &bytes);
            }
        }
    }
}

// also [v3.1.1 MQTT-1.5.3-2]
#[test]
fn mqtt5_1_5_4_2_no_string_has_the_null_character() {
    for version in BOTH {
        for string in [&b"\0"[..], b"\0a", b"a\0b", b"a long string with nothing but this at its end\0"] {
            for bytes in in_every_place(version, string) {
                malformed(from_client(version, &bytes), DecodeError::Text(InvalidText::ContainsNull));
            }
            assert_eq!(Text::new(string), Err(InvalidText::ContainsNull));
        }
        // Its neighbour is allowed, if not recommended.
        for bytes in in_every_place(version, b"\x01") {
            client_may_send(version, &bytes);
        }
    }
    let null = InvalidTopic::Text(InvalidText::ContainsNull);
    assert_eq!(TopicName::borrowed("a\0"), Err(null));
    assert_eq!(TopicFilter::borrowed("a\0"), Err(null));
}

// also [v3.1.1 MQTT-1.5.3-3]
#[test]
fn mqtt5_1_5_4_3_a_byte_order_mark_is_a_character_and_stays() {
    for version in BOTH {
        for string in ["\u{feff}", "\u{feff}a", "a\u{feff}b", "ab\u{feff}"] {
            for bytes in in_every_place(version, string.as_bytes()) {
                client_may_send(version, &bytes);
            }
            let Packet::Publish(message) =
                from_client(version, &publish(version, string.as_bytes())).unwrap()
            else {
                panic!("no PUBLISH")
            };
            assert_eq!((message.topic(), message.topic_bytes()), (string, string.as_bytes()));
            let options = ConnectBuilder::new(version, text(string));
            let bytes = by_client(version, options.build().unwrap()).unwrap();
            assert!(bytes.ends_with(&field(string.as_bytes())), "{bytes:02x?}");
        }
    }
}

// also [v3.1.1 MQTT-2.2.2-1, v3.1.1 MQTT-2.2.2-2]
#[test]
fn mqtt5_2_1_3_1_reserved_flags_have_the_value_given_for_their_packet_type() {
    for version in BOTH {
        let connect = connect(version, 0x02, &[&field(b"id")]);
        wants_its_flags(&connect, |bytes| received(&Codec::server(), bytes));
        client_may_send(version, &connect);
        let mut from_clients = vec![
            subscribe(version, b"a"),
            unsubscribe(version, b"a"),
            b"\xc0\x00".to_vec(),
            b"\xe0\x00".to_vec(),
        ];
        let mut from_servers = vec![
            packet(0x20, &[&[0, 0], none(version)]),
            packet(0x90, &[&[0, 7], none(version), &[1]]),
            packet(0xB0, &[&[0, 7], none(version), none(version)]),
            b"\xd0\x00".to_vec(),
        ];
        for header in [0x40, 0x50, 0x62, 0x70] {
            from_clients.push(packet(header, &[&[0, 7]]));
            from_servers.push(packet(header, &[&[0, 7]]));
        }
        if version == V5 {
            for packets in [&mut from_clients, &mut from_servers] {
                packets.push(auth(0x18));
            }
            from_servers.push(b"\xe0\x00".to_vec());
        }
        for bytes in from_clients {
            wants_its_flags(&bytes, |bytes| received(&Codec::server_after_connect(version), bytes));
            client_may_send(version, &bytes);
        }
        for bytes in from_servers {
            wants_its_flags(&bytes, |bytes| from_server(version, bytes));
            server_may_send(version, &bytes);
        }
    }
}

// also [v3.1.1 MQTT-2.3.1-5]
#[test]
fn mqtt5_2_2_1_2_a_qos_0_message_has_no_packet_identifier() {
    for version in BOTH {
        // What stands where an identifier would is the payload, here an identifier of zero.
        let bytes = packet(0x30, &[&field(b"a/b"), none(version), &[0, 0]]);
        for message in [client_may_send(version, &bytes), server_may_send(version, &bytes)] {
            let Packet::Publish(message) = message else { panic!("no PUBLISH") };
            assert_eq!((message.packet_id(), message.payload()), (None, &[0, 0][..]));
        }
        let numbered = Publish::new(topic("a/b"), "hi").exactly_once(id(7));
        let bytes = packet(0x34, &[&field(b"a/b"), &[0, 7], none(version), b"hi"]);
        assert_eq!(by_client(version, numbered.clone()), Ok(bytes));
        let plain = numbered.at_most_once();
        assert_eq!((plain.qos(), plain.packet_id()), (QoS::AtMostOnce, None));
        assert_eq!(by_client(version, plain.clone()), Ok(publish(version, b"a/b")));
        assert_eq!(by_server(version, plain), Ok(publish(version, b"a/b")));
    }
}

// also [v3.1.1 MQTT-2.3.1-1]
#[test]
fn mqtt5_2_2_1_3_no_packet_identifier_of_a_client_is_zero() {
    for version in BOTH {
        let numbered = |number: u8| {
            [
                packet(0x32, &[&field(b"a"), &[0, number], none(version)]),
                packet(0x34, &[&field(b"a"), &[0, number], none(version)]),
                packet(0x82, &[&[0, number], none(version), &field(b"a"), &[0]]),
                packet(0xA2, &[&[0, number], none(version), &field(b"a")]),
            ]
        };
        for bytes in numbered(0) {
            malformed(from_client(version, &bytes), DecodeError::ZeroPacketId);
        }
        for bytes in numbered(1) {
            client_may_send(version, &bytes);
        }
        // Nothing else can be put into a packet.
        assert_eq!(PacketId::new(0), None);
        let options = SubscriptionOptions::at(QoS::AtMostOnce);
        let bytes = by_client(version, Subscribe::new(id(0xFFFF), [(&filter("a"), options)])).unwrap();
        assert_eq!(bytes[2..4], [0xFF, 0xFF]);
        let bytes = by_client(version, Unsubscribe::new(id(0x0100), [&filter("a")])).unwrap();
        assert_eq!(bytes[2..4], [0x01, 0x00]);
    }
}

// also [v3.1.1 MQTT-2.3.1-1]
#[test]
fn mqtt5_2_2_1_4_no_packet_identifier_of_a_server_is_zero() {
    for version in BOTH {
        for header in [0x32, 0x34] {
            let numbered = |number: u8| packet(header, &[&field(b"a"), &[0, number], none(version)]);
            malformed(from_server(version, &numbered(0)), DecodeError::ZeroPacketId);
            server_may_send(version, &numbered(1));
        }
        // A message of QoS 1 or 2 gets its identifier from a type that has no zero.
        let message = Publish::new(topic("a"), "").at_least_once(id(0x0203));
        let bytes = packet(0x32, &[&field(b"a"), &[2, 3], none(version)]);
        assert_eq!(by_server(version, message), Ok(bytes));
    }
}
