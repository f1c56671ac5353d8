//! What MQTT 3.1.1 alone asks for, or asks for differently.

use mqtt_codec::packet::{ConnectBuilder, RetainHandling, SubAck, Subscribe, SubscriptionOptions};
use mqtt_codec::{DecodeError, EncodeError, ErrorKind, Packet, QoS, ReasonCode};

use crate::support::*;

#[test]
fn mqtt311_3_1_2_22_there_is_no_password_without_a_user_name() {
    let (id, name, word) = (field(b"id"), field(b"user"), field(b"word"));
    malformed(from_client(V3, &connect(V3, 0x42, &[&id, &word])), DecodeError::ConnectFlags);
    let mut options = ConnectBuilder::new(V3, text("id"));
    options.password = Some("word".into());
    assert!(matches!(options.build(), Err(EncodeError::NotInVersion { version: V3, .. })));

    client_may_send(V3, &connect(V3, 0xC2, &[&id, &name, &word]));
    client_may_send(V3, &connect(V3, 0x82, &[&id, &name]));
    options.username = Some(text("user"));
    assert!(options.build().is_ok());
    // MQTT 5 allows it.
    client_may_send(V5, &connect(V5, 0x42, &[&id, &word]));
}

#[test]
fn mqtt311_3_1_3_7_an_empty_client_identifier_comes_with_clean_session() {
    assert_eq!(from_client(V3, &connect(V3, 0x00, &[&[0, 0]])), Err(DecodeError::EmptyClientId));
    let mut options = ConnectBuilder::new(V3, text(""));
    options.clean_start = false;
    assert!(matches!(options.build(), Err(EncodeError::NotInVersion { version: V3, .. })));

    client_may_send(V3, &connect(V3, 0x02, &[&[0, 0]]));
    client_may_send(V3, &connect(V3, 0x00, &[&field(b"i")]));
    options.clean_start = true;
    assert!(options.build().is_ok());
    // MQTT 5 allows it.
    client_may_send(V5, &connect(V5, 0x00, &[&[0, 0]]));
}

#[test]
fn mqtt311_3_1_3_8_an_empty_client_identifier_without_clean_session_is_answered_with_0x02() {
    let bytes = connect(V3, 0x80, &[&[0, 0], &field(b"user")]);
    let refused = from_client(V3, &bytes).unwrap_err();
    assert_eq!((refused, refused.kind()), (DecodeError::EmptyClientId, ErrorKind::Protocol));
    assert_eq!(refused.reason(), ReasonCode::ClientIdentifierNotValid);
    assert_eq!(refused.reason().to_connect_return_code(), 0x02);
    client_may_send(V3, &connect(V3, 0x82, &[&[0, 0], &field(b"user")]));
}

#[test]
fn mqtt311_3_8_3_4_beside_a_filter_is_a_qos_and_nothing_else() {
    let bytes = |options: u8| packet(0x82, &[&[0, 7], &field(b"a"), &[options]]);
    for options in 0..=255_u8 {
        let taken = from_client(V3, &bytes(options));
        match options {
            0..=2 => {
                let Packet::Subscribe(packet) = client_may_send(V3, &bytes(options)) else {
                    panic!("no SUBSCRIBE")
                };
                assert!(packet.filters().all(|(_, options_of)| options_of.qos as u8 == options));
            }
            _ if options & 3 == 3 => malformed(taken, DecodeError::InvalidQoS),
            _ => malformed(taken, DecodeError::SubscriptionOptions),
        }
    }
    // What MQTT 5 has there cannot be written.
    let plain = SubscriptionOptions::at(QoS::AtLeastOnce);
    for options in [
        SubscriptionOptions { no_local: true, ..plain },
        SubscriptionOptions { retain_as_published: true, ..plain },
        SubscriptionOptions { retain_handling: RetainHandling::SendIfNew, ..plain },
        SubscriptionOptions { retain_handling: RetainHandling::DoNotSend, ..plain },
    ] {
        let subscribe = Subscribe::new(id(7), [(&filter("a"), options)]);
        assert!(matches!(by_client(V3, subscribe), Err(EncodeError::NotInVersion { version: V3, .. })));
    }
    assert_eq!(by_client(V3, Subscribe::new(id(7), [(&filter("a"), plain)])), Ok(bytes(1)));
}

#[test]
fn mqtt311_3_9_3_2_suback_has_no_other_codes_than_0_1_2_and_0x80() {
    let codes = [0x00, 0x01, 0x02, 0x80];
    wants_reasons(&codes, |code| from_server(V3, &packet(0x90, &[&[0, 7], &[code]])));
    // Behind others too.
    wants_reasons(&codes, |code| from_server(V3, &packet(0x90, &[&[0, 7], &[0, 1, code]])));
    writes_reasons(&codes, |reason| by_server(V3, Packet::SubAck(SubAck::new(id(7), [reason]))));
    server_may_send(V3, &packet(0x90, &[&[0, 7], &codes]));
}
