//! Variable byte integers, string pairs, and what properties say.

use mqtt_codec::packet::{Ack, ConnAck, ConnectBuilder, Disconnect, Publish, SubAck, Unsubscribe};
use mqtt_codec::{
    Codec, DecodeError, EncodeError, InvalidText, Limits, Packet, Properties, Property, PropertyId,
    ReasonCode,
};

use crate::support::*;

/// A QoS 0 PUBLISH to `a` with these properties.
fn message(properties: &[u8]) -> Vec<u8> {
    packet(0x30, &[&field(b"a"), &some(properties), b"hi"])
}

/// What a client writes for a QoS 0 PUBLISH to `a` with this property.
fn written(property: Property<'_>) -> Result<Vec<u8>, EncodeError> {
    by_client(V5, Publish::new(topic("a"), "hi").with_properties(&Properties::new().with(property)?)?)
}

/// A property whose value is a string is refused when that is none, in reading and in writing.
fn wants_a_string_value(id: u8, property: impl Fn(&str) -> Property<'_>) {
    for (bad, why) in BAD_STRINGS {
        let bytes = message(&[&[id], &field(bad)[..]].concat());
        malformed(from_client(V5, &bytes), DecodeError::Text(why));
        malformed(from_server(V5, &bytes), DecodeError::Text(why));
    }
    assert!(matches!(written(property("a\0")), Err(EncodeError::Property(_))));
    assert!(matches!(written(property(&"a".repeat(65_536))), Err(EncodeError::Property(_))));
    let bytes = message(&[&[id], &field("a/grün".as_bytes())[..]].concat());
    client_may_send(V5, &bytes);
    server_may_send(V5, &bytes);
    assert_eq!(written(property("a/grün")), Ok(bytes));
}

#[test]
fn mqtt5_1_5_5_1_a_variable_byte_integer_takes_as_few_bytes_as_it_can() {
    let too_long = DecodeError::InvalidVariableByteInteger;
    // The Remaining Length of a PINGRESP, which is 0.
    for bytes in [&b"\xd0\x80\0"[..], b"\xd0\x80\x80\0", b"\xd0\x80\x80\x80\0", b"\xd0\x80\x80\x80\x80\0"] {
        malformed(from_server(V5, bytes), too_long);
    }
    server_may_send(V5, b"\xd0\0");
    // A property length of 0 and of 3.
    malformed(from_client(V5, b"\x30\x05\0\x01a\x80\0"), too_long);
    malformed(from_client(V5, b"\x30\x08\0\x01a\x83\0\x23\0\x01"), too_long);
    client_may_send(V5, b"\x30\x07\0\x01a\x03\x23\0\x01");
    // A property's number, and a Subscription Identifier.
    malformed(from_client(V5, b"\x30\x08\0\x01a\x04\xa3\0\0\x01"), too_long);
    malformed(from_server(V5, b"\x30\x07\0\x01a\x03\x0b\x81\0"), too_long);
    server_may_send(V5, b"\x30\x06\0\x01a\x02\x0b\x01");
    // The ends of each length, as they are written.
    for (value, bytes) in [
        (1, &b"\x01"[..]),
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (16_383, b"\xff\x7f"),
        (16_384, b"\x80\x80\x01"),
        (2_097_151, b"\xff\xff\x7f"),
        (2_097_152, b"\x80\x80\x80\x01"),
        (268_435_455, b"\xff\xff\xff\x7f"),
    ] {
        let properties = with(Property::SubscriptionIdentifier(value));
        let publish = Publish::new(topic("a"), "hi").with_properties(&properties).unwrap();
        let expected = message(&[&b"\x0b"[..], bytes].concat());
        assert_eq!(by_server(V5, publish), Ok(expected.clone()));
        server_may_send(V5, &expected);
    }
    for (payload, length) in
        [(123, &b"\x7f"[..]), (124, b"\x80\x01"), (16_379, b"\xff\x7f"), (16_380, b"\x80\x80\x01")]
    {
        let bytes = by_client(V5, Publish::new(topic("a"), vec![0; payload])).unwrap();
        assert_eq!(bytes[1..=length.len()], *length);
        assert_eq!(bytes.len(), 1 + length.len() + 4 + payload);
    }
}

#[test]
fn mqtt5_1_5_7_1_both_strings_of_a_pair_are_strings() {
    let pair = |name: &[u8], value: &[u8]| [&b"\x26"[..], &field(name), &field(value)].concat();
    for (bad, why) in BAD_STRINGS {
        for properties in [pair(bad, b"value"), pair(b"name", bad), pair(bad, bad)] {
            malformed(from_client(V5, &message(&properties)), DecodeError::Text(why));
            malformed(from_server(V5, &message(&properties)), DecodeError::Text(why));
        }
    }
    malformed(from_client(V5, &message(b"\x26\0\x04name")), DecodeError::Truncated);
    let too_long = "a".repeat(65_536);
    for (name, value, why) in [
        ("a\0", "value", InvalidText::ContainsNull),
        ("name", "a\0", InvalidText::ContainsNull),
        (&*too_long, "value", InvalidText::TooLong),
        ("name", &*too_long, InvalidText::TooLong),
    ] {
        let refused = Properties::new().with(Property::UserProperty(name, value));
        assert_eq!(refused, Err(EncodeError::Property(DecodeError::Text(why))));
    }
    let bytes = message(&pair("größe".as_bytes(), b""));
    let Packet::Publish(taken) = client_may_send(V5, &bytes) else { panic!("no PUBLISH") };
    assert_eq!(taken.properties().user_properties().collect::<Vec<_>>(), [("größe", "")]);
    assert_eq!(written(Property::UserProperty("größe", "")), Ok(bytes));
}

#[test]
fn mqtt5_2_2_2_1_no_properties_are_a_property_length_of_zero() {
    // Where the length is missing, the packet ends too early.
    for bytes in [
        &b"\x30\x03\0\x01a"[..],
        b"\x32\x05\0\x01a\0\x07",
        b"\x82\x02\0\x07",
        b"\xa2\x02\0\x07",
        b"\xf0\x01\x18",
    ] {
        malformed(from_client(V5, bytes), DecodeError::Truncated);
    }
    for bytes in [&b"\x20\x02\0\0"[..], b"\x90\x02\0\x07", b"\xb0\x02\0\x07"] {
        malformed(from_server(V5, bytes), DecodeError::Truncated);
    }
    let options = ConnectBuilder::new(V5, text("id"));
    let connect = by_client(V5, options.build().unwrap()).unwrap();
    assert_eq!(connect[10..], *b"\0\x1e\0\0\x02id");
    for (written, bytes) in [
        (by_server(V5, ConnAck::new(false, ReasonCode::Success)), &b"\x20\x03\0\0\0"[..]),
        (by_client(V5, Publish::new(topic("a"), "")), b"\x30\x04\0\x01a\0"),
        (by_client(V5, Unsubscribe::new(id(7), [&filter("a")])), b"\xa2\x06\0\x07\0\0\x01a"),
        (by_server(V5, Packet::SubAck(SubAck::new(id(7), [ReasonCode::Success]))), b"\x90\x04\0\x07\0\0"),
        (by_server(V5, Packet::UnsubAck(SubAck::new(id(7), [ReasonCode::Success]))), b"\xb0\x04\0\x07\0\0"),
    ] {
        assert_eq!(written.as_deref(), Ok(bytes));
    }
    // At the end of these it may be left out, or said.
    for bytes in [
        &b"\x40\x02\0\x07"[..],
        b"\x40\x03\0\x07\x80",
        b"\x40\x04\0\x07\x80\0",
        b"\xe0\x01\x04",
        b"\xe0\x02\x04\0",
    ] {
        match from_client(V5, bytes) {
            Ok(
                Packet::PubAck(Ack { properties, .. }) | Packet::Disconnect(Disconnect { properties, .. }),
            ) => {
                assert!(properties.is_empty());
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn mqtt5_3_1_2_24_a_packet_larger_than_the_client_takes_is_refused() {
    let codec = Codec::client(V5).with_limits(Limits::with_max_packet_size(20));
    let of_size = |size: usize| packet(0x30, &[&field(b"a"), &[0], &vec![0; size - 6]]);
    for size in [6, 19, 20] {
        assert!(received(&codec, &of_size(size)).is_ok(), "{size}");
    }
    for size in [21, 100] {
        let too_large = DecodeError::PacketTooLarge { size: size as u32, max: 20 };
        protocol_error(received(&codec, &of_size(size)), too_large, 0x95);
        // As soon as its length is there.
        protocol_error(received(&codec, &of_size(size)[..2]), too_large, 0x95);
    }
    // All of the packet counts, whatever its type.
    let long = packet(0x20, &[&[0, 0], &some(&[&b"\x1f"[..], &field(b"a reason")].concat())]);
    assert_eq!(long.len(), 16);
    assert!(received(&codec, &long).is_ok());
    let longer = packet(0x20, &[&[0, 0], &some(&[&b"\x1f"[..], &field(b"a long reason")].concat())]);
    protocol_error(received(&codec, &longer), DecodeError::PacketTooLarge { size: 21, max: 20 }, 0x95);
    // A sender knows the size before it writes.
    let publish = Publish::new(topic("a"), vec![0; 14]).into();
    assert_eq!(Codec::server_after_connect(V5).encoded_len(&publish), Ok(20));
}

#[test]
fn mqtt5_3_3_2_8_a_topic_alias_is_not_zero() {
    for receive in [from_client, from_server] {
        let zero = DecodeError::PropertyValue(PropertyId::TopicAlias);
        protocol_error(receive(V5, &message(b"\x23\0\0")), zero, 0x94);
        // Nor does it stand for a topic.
        protocol_error(receive(V5, b"\x30\x06\0\0\x03\x23\0\0"), zero, 0x94);
        for alias in [&b"\x23\0\x01"[..], b"\x23\xff\xff"] {
            assert!(receive(V5, &message(alias)).is_ok());
        }
    }
    client_may_send(V5, b"\x30\x06\0\0\x03\x23\0\x01");
    let refused = Properties::new().with(Property::TopicAlias(0));
    assert_eq!(refused, Err(EncodeError::Property(DecodeError::PropertyValue(PropertyId::TopicAlias))));
    assert_eq!(written(Property::TopicAlias(1)), Ok(message(b"\x23\0\x01")));
}

#[test]
fn mqtt5_3_3_2_13_the_response_topic_is_a_string() {
    wants_a_string_value(0x08, |value| Property::ResponseTopic(value));
}

#[test]
fn mqtt5_3_3_2_14_the_response_topic_has_no_wildcard() {
    let refused = DecodeError::PropertyValue(PropertyId::ResponseTopic);
    for name in ["#", "+", "a/#", "a/+/b", "a#", "a+b"] {
        let property = [&b"\x08"[..], &field(name.as_bytes())].concat();
        assert_eq!(from_client(V5, &message(&property)), Err(refused));
        assert_eq!(from_server(V5, &message(&property)), Err(refused));
        // In the will as well.
        let will = [&some(&property)[..], &field(b"a"), &field(b"bye")].concat();
        assert_eq!(from_client(V5, &connect(V5, 0x06, &[&field(b"id"), &will])), Err(refused));
        assert_eq!(written(Property::ResponseTopic(name)), Err(EncodeError::Property(refused)));
    }
    let property = [&b"\x08"[..], &field(b"a/*/b")].concat();
    client_may_send(V5, &message(&property));
    let will = [&some(&property)[..], &field(b"a"), &field(b"bye")].concat();
    client_may_send(V5, &connect(V5, 0x06, &[&field(b"id"), &will]));
    assert_eq!(written(Property::ResponseTopic("a/*/b")), Ok(message(&property)));
}

#[test]
fn mqtt5_3_3_2_19_the_content_type_is_a_string() {
    wants_a_string_value(0x03, |value| Property::ContentType(value));
}

#[test]
fn mqtt5_3_3_4_6_a_message_from_a_client_has_no_subscription_identifier() {
    for properties in [&b"\x0b\x01"[..], b"\x0b\x80\x01", b"\x01\x01\x0b\x05"] {
        let refused = from_client(V5, &message(properties));
        assert!(matches!(refused, Err(DecodeError::WrongDirection { .. })), "{refused:?}");
        protocol_error(refused.clone(), refused.unwrap_err(), 0x82);
        let Packet::Publish(received) = server_may_send(V5, &message(properties)) else {
            panic!("no PUBLISH")
        };
        assert_eq!(received.properties().subscription_identifiers().count(), 1);
        // A client cannot send on what it got from the server.
        assert!(matches!(by_client(V5, received), Err(EncodeError::WrongDirection(_))));
    }
    assert!(matches!(written(Property::SubscriptionIdentifier(1)), Err(EncodeError::WrongDirection(_))));
    client_may_send(V5, &message(b"\x01\x01"));
}

#[test]
fn mqtt5_3_14_2_2_a_server_sends_no_session_expiry_interval_in_disconnect() {
    let bytes = b"\xe0\x07\x00\x05\x11\0\0\0\x0a";
    let refused = from_server(V5, bytes);
    assert!(matches!(refused, Err(DecodeError::WrongDirection { .. })), "{refused:?}");
    protocol_error(refused.clone(), refused.unwrap_err(), 0x82);
    let mut disconnect = Disconnect::new(ReasonCode::ServerShuttingDown);
    disconnect.properties = with(Property::SessionExpiryInterval(10));
    assert!(matches!(by_server(V5, disconnect), Err(EncodeError::WrongDirection(_))));

    client_may_send(V5, bytes);
    server_may_send(V5, b"\xe0\x07\x8b\x05\x1f\0\x02no");
}
