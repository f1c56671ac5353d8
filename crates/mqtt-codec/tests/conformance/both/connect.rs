//! Sections 3.1.0 to 3.1.2.3 and 3.1.4 of both standards, and CONNACK: the first packet, its head, and the answer.

use mqtt_codec::packet::{ConnAck, ConnectBuilder};
use mqtt_codec::{Codec, DecodeError, EncodeError, Packet, ReasonCode};

use crate::support::*;

// also [v3.1.1 MQTT-3.1.0-1]
#[test]
fn mqtt5_3_1_0_1_the_first_packet_of_a_client_is_connect() {
    for version in BOTH {
        for bytes in [
            packet(0x20, &[&[0, 0], none(version)]),
            publish(version, b"a"),
            packet(0x40, &[&[0, 7]]),
            packet(0x50, &[&[0, 7]]),
            packet(0x62, &[&[0, 7]]),
            packet(0x70, &[&[0, 7]]),
            subscribe(version, b"a"),
            packet(0x90, &[&[0, 7], none(version), &[1]]),
            unsubscribe(version, b"a"),
            packet(0xB0, &[&[0, 7], none(version), none(version)]),
            b"\xc0\x00".to_vec(),
            b"\xd0\x00".to_vec(),
            b"\xe0\x00".to_vec(),
            b"\xf0\x00".to_vec(),
        ] {
            let refused = DecodeError::ConnectExpected;
            protocol_error(received(&Codec::server(), &bytes), refused, 0x82);
            // The first byte is enough.
            protocol_error(received(&Codec::server(), &bytes[..1]), refused, 0x82);
        }
        client_may_send(version, &connect(version, 0x02, &[&field(b"id")]));
    }
}

// also [v3.1.1 MQTT-3.1.0-2]
#[test]
fn mqtt5_3_1_0_2_a_second_connect_is_a_protocol_error() {
    for version in BOTH {
        let bytes = connect(version, 0x02, &[&field(b"id")]);
        let mut codec = Codec::server();
        let (first, len) = codec.decode_ref(&bytes).unwrap().unwrap();
        assert_eq!((first.name(), len), ("CONNECT", bytes.len()));
        assert_eq!(codec.version(), Some(version));
        for codec in [codec, Codec::server_after_connect(version)] {
            protocol_error(received(&codec, &bytes), DecodeError::SecondConnect, 0x82);
            // Another version makes it no better, and the connection goes on without one.
            for other in BOTH {
                let bytes = connect(other, 0x02, &[&field(b"other")]);
                protocol_error(received(&codec, &bytes), DecodeError::SecondConnect, 0x82);
            }
            assert_eq!(received(&codec, b"\xc0\x00"), Ok(Packet::PingReq));
        }
        let options = ConnectBuilder::new(version, text("id"));
        let sent = by_server(version, options.build().unwrap());
        assert_eq!(sent, Err(EncodeError::WrongDirection("CONNECT")));
    }
}

// also [v3.1.1 MQTT-3.1.2-1]
#[test]
fn mqtt5_3_1_2_1_the_protocol_name_is_mqtt() {
    for version in BOTH {
        for name in [&b"MQIsdp"[..], b"mqtt", b"MQT", b"MQTTT", b"MQTT\0", b""] {
            let rest = [version.level(), 0x02, 0, 10];
            let bytes = packet(0x10, &[&field(name), &rest, none(version), &field(b"id")]);
            let refused = from_client(version, &bytes).unwrap_err();
            assert_eq!(refused, DecodeError::ProtocolName, "{name:?}");
            assert_eq!(refused.reason(), ReasonCode::UnsupportedProtocolVersion);
        }
        client_may_send(version, &connect(version, 0x02, &[&field(b"id")]));
        let options = ConnectBuilder::new(version, text("id"));
        let bytes = by_client(version, options.build().unwrap()).unwrap();
        assert_eq!(bytes[2..8], *b"\0\x04MQTT");
    }
}

// also [v3.1.1 MQTT-3.1.2-2]
#[test]
fn mqtt5_3_1_2_2_only_known_protocol_versions_are_taken() {
    for level in (0..=255).filter(|level| ![4, 5].contains(level)) {
        let bytes = packet(0x10, &[b"\0\x04MQTT", &[level, 0x02, 0, 10], &field(b"id")]);
        let refused = received(&Codec::server(), &bytes).unwrap_err();
        assert_eq!(refused, DecodeError::ProtocolLevel(level));
        // The answer is 0x84, or 0x01 in the numbers of MQTT 3.1.1.
        assert_eq!((refused.reason().code(), refused.reason().to_connect_return_code()), (0x84, 1));
    }
    for (version, level) in [(V3, 4), (V5, 5)] {
        let bytes = connect(version, 0x02, &[&field(b"id")]);
        assert_eq!(bytes[8], level);
        let Packet::Connect(connect) = client_may_send(version, &bytes) else { panic!("no CONNECT") };
        assert_eq!(connect.version(), version);
    }
}

// also [v3.1.1 MQTT-3.1.2-3]
#[test]
fn mqtt5_3_1_2_3_the_reserved_bit_of_the_connect_flags_is_zero() {
    let (id, name, word) = (field(b"id"), field(b"user"), field(b"word"));
    for version in BOTH {
        for (flags, rest) in [(0x00, vec![]), (0x02, vec![]), (0xC2, [name.clone(), word.clone()].concat())] {
            malformed(
                from_client(version, &connect(version, flags | 1, &[&id, &rest])),
                DecodeError::ConnectFlags,
            );
            client_may_send(version, &connect(version, flags, &[&id, &rest]));
        }
        let mut options = ConnectBuilder::new(version, text("id"));
        options.username = Some(text("user"));
        options.password = Some("word".into());
        let bytes = by_client(version, options.build().unwrap()).unwrap();
        assert_eq!(bytes[9], 0xC2);
    }
}

// also [v3.1.1 MQTT-3.1.4-1]
#[test]
fn mqtt5_3_1_4_1_a_server_checks_the_format_of_connect() {
    let (id, topic, bye) = (field(b"id"), field(b"a/b"), field(b"bye"));
    let (name, word) = (field(b"user"), field(b"word"));
    for version in BOTH {
        let whole = connect(version, 0xF6, &[&id, none(version), &topic, &bye, &name, &word]);
        client_may_send(version, &whole);
        let body = &whole[2..];
        // Cut off anywhere, there is a field that is not whole.
        for len in 0..body.len() {
            let refused = from_client(version, &packet(0x10, &[&body[..len]]));
            malformed(refused, DecodeError::Truncated);
        }
        malformed(from_client(version, &packet(0x10, &[body, b"\0"])), DecodeError::TrailingBytes);
        // A length that leads out of the packet.
        let mut bytes = connect(version, 0x02, &[&id]);
        *bytes.last_mut().unwrap() = b'd';
        let at = bytes.len() - 3;
        bytes[at] = 3;
        malformed(from_client(version, &bytes), DecodeError::Truncated);
    }
}

// also [v3.1.1 MQTT-3.2.2-4]
#[test]
fn mqtt5_3_2_2_6_a_connack_that_refuses_has_no_session_present() {
    for version in BOTH {
        let codes = if version == V5 { [0x80, 0x84, 0x87, 0x9F] } else { [1, 2, 3, 5] };
        for code in codes {
            let refused = from_server(version, &packet(0x20, &[&[1, code], none(version)]));
            malformed(refused, DecodeError::ConnAckFlags);
            let bytes = packet(0x20, &[&[0, code], none(version)]);
            let Packet::ConnAck(connack) = server_may_send(version, &bytes) else { panic!("no CONNACK") };
            let sent = by_server(version, ConnAck::new(true, connack.reason));
            assert!(matches!(sent, Err(EncodeError::Inconsistent(_))), "{sent:?}");
        }
        server_may_send(version, &packet(0x20, &[&[1, 0], none(version)]));
        server_may_send(version, &packet(0x20, &[&[0, 0], none(version)]));
    }
}
