//! PUBREL, SUBSCRIBE, UNSUBSCRIBE and DISCONNECT in both standards.

use mqtt_codec::packet::{Subscribe, SubscriptionOptions, Unsubscribe};
use mqtt_codec::{DecodeError, EncodeError, Packet, QoS};

use crate::support::*;

// also [v3.1.1 MQTT-3.6.1-1]
#[test]
fn mqtt5_3_6_1_1_the_flags_of_pubrel_are_0010() {
    for version in BOTH {
        wants_its_flags(b"\x62\x02\0\x07", |bytes| from_client(version, bytes));
        wants_its_flags(b"\x62\x02\0\x07", |bytes| from_server(version, bytes));
        client_may_send(version, b"\x62\x02\0\x07");
        server_may_send(version, b"\x62\x02\0\x07");
    }
    // The same in the longer forms.
    wants_its_flags(b"\x62\x03\0\x07\x92", |bytes| from_client(V5, bytes));
    client_may_send(V5, b"\x62\x03\0\x07\x92");
    client_may_send(V5, b"\x62\x0a\0\x07\0\x06\x1f\0\x03why");
}

// also [v3.1.1 MQTT-3.8.1-1]
#[test]
fn mqtt5_3_8_1_1_the_flags_of_subscribe_are_0010() {
    for version in BOTH {
        wants_its_flags(&subscribe(version, b"a"), |bytes| from_client(version, bytes));
        let options = SubscriptionOptions::at(QoS::AtLeastOnce);
        let sent = by_client(version, Subscribe::new(id(7), [(&filter("a"), options)]));
        assert_eq!(sent, Ok(subscribe(version, b"a")));
    }
}

// also [v3.1.1 MQTT-3.8.3-1]
#[test]
fn mqtt5_3_8_3_1_the_filters_of_subscribe_are_strings() {
    for version in BOTH {
        wants_a_string(version, |filter| subscribe(version, filter));
        // Not only the first of them.
        wants_a_string(version, |filter| {
            packet(0x82, &[&[0, 7], none(version), &field(b"a"), &[0], &field(filter), &[1]])
        });
    }
}

// also [v3.1.1 MQTT-3.8.3-3]
#[test]
fn mqtt5_3_8_3_2_subscribe_has_at_least_one_filter_with_its_options() {
    for version in BOTH {
        let bytes = packet(0x82, &[&[0, 7], none(version)]);
        protocol_error(from_client(version, &bytes), DecodeError::Empty, 0x82);
        assert_eq!(by_client(version, Subscribe::new(id(7), [])), Err(EncodeError::Empty));
        // A filter whose options are missing is none.
        let bytes = packet(0x82, &[&[0, 7], none(version), &field(b"a")]);
        malformed(from_client(version, &bytes), DecodeError::Truncated);
        let bytes = packet(0x82, &[&[0, 7], none(version), &field(b"a"), &[2], &field(b"b")]);
        malformed(from_client(version, &bytes), DecodeError::Truncated);

        let bytes = packet(0x82, &[&[0, 7], none(version), &field(b"a"), &[2], &field(b"b"), &[0]]);
        let Packet::Subscribe(subscribe) = client_may_send(version, &bytes) else { panic!("no SUBSCRIBE") };
        let filters: Vec<(String, QoS)> =
            subscribe.filters().map(|(filter, options)| (filter.to_string(), options.qos)).collect();
        assert_eq!(filters, [("a".to_owned(), QoS::ExactlyOnce), ("b".to_owned(), QoS::AtMostOnce)]);
    }
}

// also [v3.1.1 MQTT-3.10.1-1]
#[test]
fn mqtt5_3_10_1_1_the_flags_of_unsubscribe_are_0010() {
    for version in BOTH {
        wants_its_flags(&unsubscribe(version, b"a"), |bytes| from_client(version, bytes));
        let sent = by_client(version, Unsubscribe::new(id(7), [&filter("a")]));
        assert_eq!(sent, Ok(unsubscribe(version, b"a")));
    }
}

// also [v3.1.1 MQTT-3.10.3-1]
#[test]
fn mqtt5_3_10_3_1_the_filters_of_unsubscribe_are_strings() {
    for version in BOTH {
        wants_a_string(version, |filter| unsubscribe(version, filter));
        // One right behind the other.
        wants_a_string(version, |filter| {
            packet(0xA2, &[&[0, 7], none(version), &field(b"a"), &field(filter), &field(b"b")])
        });
        let bytes = packet(0xA2, &[&[0, 7], none(version), &field(b"a"), &field(b"b/#")]);
        let Packet::Unsubscribe(taken) = client_may_send(version, &bytes) else { panic!("no UNSUBSCRIBE") };
        let filters: Vec<String> = taken.filters().map(|filter| filter.to_string()).collect();
        assert_eq!(filters, ["a", "b/#"]);
        assert_eq!(by_client(version, Unsubscribe::new(id(7), [&filter("a"), &filter("b/#")])), Ok(bytes));
        // A byte between them would be the length of the next.
        let bytes = packet(0xA2, &[&[0, 7], none(version), &field(b"a"), &[0], &field(b"b")]);
        assert!(from_client(version, &bytes).is_err());
    }
}

// also [v3.1.1 MQTT-3.10.3-2]
#[test]
fn mqtt5_3_10_3_2_unsubscribe_has_at_least_one_filter() {
    for version in BOTH {
        let bytes = packet(0xA2, &[&[0, 7], none(version)]);
        protocol_error(from_client(version, &bytes), DecodeError::Empty, 0x82);
        assert_eq!(by_client(version, Unsubscribe::new(id(7), [])), Err(EncodeError::Empty));
        client_may_send(version, &unsubscribe(version, b"a"));
    }
}

// also [v3.1.1 MQTT-3.14.1-1]
#[test]
fn mqtt5_3_14_1_1_the_flags_of_disconnect_are_0() {
    for version in BOTH {
        wants_its_flags(b"\xe0\0", |bytes| from_client(version, bytes));
        client_may_send(version, b"\xe0\0");
    }
    wants_its_flags(b"\xe0\x01\x8b", |bytes| from_server(V5, bytes));
    server_may_send(V5, b"\xe0\x01\x8b");
}
