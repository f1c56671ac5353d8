//! Reason codes, and the flags of CONNACK and AUTH.

use mqtt_codec::packet::{Ack, Auth, ConnAck, Disconnect, SubAck};
use mqtt_codec::{DecodeError, EncodeError, Packet, Property, ReasonCode};

use crate::support::*;

#[test]
fn mqtt5_3_2_2_1_bits_7_to_1_of_the_flags_of_connack_are_0() {
    for flags in 2..=255 {
        malformed(from_server(V5, &packet(0x20, &[&[flags, 0, 0]])), DecodeError::ConnAckFlags);
    }
    for flags in [0, 1] {
        let bytes = packet(0x20, &[&[flags, 0, 0]]);
        server_may_send(V5, &bytes);
        assert_eq!(by_server(V5, ConnAck::new(flags == 1, ReasonCode::Success)), Ok(bytes));
    }
}

#[test]
fn mqtt5_3_2_2_8_connack_has_one_of_its_reason_codes() {
    let codes = [
        0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99,
        0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
    ];
    wants_reasons(&codes, |code| from_server(V5, &packet(0x20, &[&[0, code, 0]])));
    writes_reasons(&codes, |reason| by_server(V5, ConnAck::new(false, reason)));
}

/// An acknowledgement has one of these reason codes. Only a server knows that nobody subscribes (0x10).
fn acknowledges_with(codes: &[u8], header: u8, ack: fn(Ack) -> Packet) {
    let by_clients: Vec<u8> = codes.iter().copied().filter(|code| *code != 0x10).collect();
    let from_clients = |after: &'static [u8]| {
        move |code| match from_client(V5, &packet(header, &[&[0, 7, code], after])) {
            // That it is the server's is said in other words.
            Err(DecodeError::WrongDirection { .. }) if code == 0x10 => {
                Err(DecodeError::InvalidReasonCode(code))
            }
            verdict => verdict,
        }
    };
    wants_reasons(&by_clients, from_clients(b""));
    wants_reasons(codes, |code| from_server(V5, &packet(header, &[&[0, 7, code]])));
    // Before properties too.
    wants_reasons(&by_clients, from_clients(b"\x04\x1f\0\x01a"));
    writes_reasons(&by_clients, |reason| match by_client(V5, ack(Ack::with_reason(id(7), reason))) {
        Err(EncodeError::WrongDirection(_)) if reason.code() == 0x10 => Err(EncodeError::ReasonCode(reason)),
        verdict => verdict,
    });
    writes_reasons(codes, |reason| by_server(V5, ack(Ack::with_reason(id(7), reason))));
    // None is success.
    let plain = packet(header, &[&[0, 7]]);
    assert_eq!(client_may_send(V5, &plain), ack(Ack::new(id(7))));
}

#[test]
fn mqtt5_3_4_2_1_puback_has_one_of_its_reason_codes() {
    let codes = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
    acknowledges_with(&codes, 0x40, Packet::PubAck);
}

#[test]
fn mqtt5_3_5_2_1_pubrec_has_one_of_its_reason_codes() {
    let codes = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
    acknowledges_with(&codes, 0x50, Packet::PubRec);
}

#[test]
fn mqtt5_3_6_2_1_pubrel_has_one_of_its_reason_codes() {
    acknowledges_with(&[0x00, 0x92], 0x62, Packet::PubRel);
}

#[test]
fn mqtt5_3_7_2_1_pubcomp_has_one_of_its_reason_codes() {
    acknowledges_with(&[0x00, 0x92], 0x70, Packet::PubComp);
}

#[test]
fn mqtt5_3_9_3_2_suback_has_reason_codes_of_its_own() {
    let codes = [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2];
    wants_reasons(&codes, |code| from_server(V5, &packet(0x90, &[&[0, 7, 0, code]])));
    // Behind others too.
    wants_reasons(&codes, |code| from_server(V5, &packet(0x90, &[&[0, 7, 0, 2, 0x80, code]])));
    writes_reasons(&codes, |reason| by_server(V5, Packet::SubAck(SubAck::new(id(7), [reason]))));
    let after_one = |reason| SubAck::new(id(7), [ReasonCode::Success, reason]);
    writes_reasons(&codes, |reason| by_server(V5, Packet::SubAck(after_one(reason))));
}

#[test]
fn mqtt5_3_11_3_2_unsuback_has_reason_codes_of_its_own() {
    let codes = [0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];
    wants_reasons(&codes, |code| from_server(V5, &packet(0xB0, &[&[0, 7, 0, code]])));
    wants_reasons(&codes, |code| from_server(V5, &packet(0xB0, &[&[0, 7, 0, 0, 0x11, code]])));
    writes_reasons(&codes, |reason| by_server(V5, Packet::UnsubAck(SubAck::new(id(7), [reason]))));
}

/// Table 3-10, and 0x8C, which table 2-6 gives to DISCONNECT: what either side sends, a client, a server.
const BY_EITHER: [u8; 13] = [0x00, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];
const BY_CLIENT: [u8; 1] = [0x04];
const BY_SERVER: [u8; 16] =
    [0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2];

#[test]
fn mqtt5_3_14_2_1_disconnect_has_one_of_its_reason_codes() {
    let bytes = |code: u8| packet(0xE0, &[&[code]]);
    for code in 0..=255 {
        let (client, server) = (from_client(V5, &bytes(code)), from_server(V5, &bytes(code)));
        let either = BY_EITHER.contains(&code);
        if !either && !BY_CLIENT.contains(&code) && !BY_SERVER.contains(&code) {
            malformed(client, DecodeError::InvalidReasonCode(code));
            malformed(server, DecodeError::InvalidReasonCode(code));
            continue;
        }
        for (taken, allowed) in
            [(client, either || BY_CLIENT.contains(&code)), (server, either || BY_SERVER.contains(&code))]
        {
            match taken {
                Ok(_) => assert!(allowed, "0x{code:02X}"),
                Err(error) => {
                    assert!(!allowed, "0x{code:02X}: {error}");
                    assert!(matches!(error, DecodeError::WrongDirection { .. }));
                    assert_eq!(error.reason(), ReasonCode::ProtocolError);
                }
            }
        }
    }
    for reason in (0..=255).filter_map(ReasonCode::from_u8) {
        let code = reason.code();
        let (client, server) =
            (by_client(V5, Disconnect::new(reason)), by_server(V5, Disconnect::new(reason)));
        assert_eq!(client.is_ok(), BY_EITHER.contains(&code) || BY_CLIENT.contains(&code), "{reason}");
        assert_eq!(server.is_ok(), BY_EITHER.contains(&code) || BY_SERVER.contains(&code), "{reason}");
    }
    // None is normal disconnection.
    assert_eq!(client_may_send(V5, b"\xe0\0"), Disconnect::new(ReasonCode::Success).into());
}

#[test]
fn mqtt5_3_15_1_1_the_flags_of_auth_are_0() {
    wants_its_flags(&auth(0x18), |bytes| from_client(V5, bytes));
    wants_its_flags(&auth(0x18), |bytes| from_server(V5, bytes));
    wants_its_flags(b"\xf0\0", |bytes| from_server(V5, bytes));
    client_may_send(V5, &auth(0x18));
    server_may_send(V5, b"\xf0\0");
}

#[test]
fn mqtt5_3_15_2_1_auth_has_one_of_its_reason_codes() {
    let packet = |reason| Auth { reason, properties: with(Property::AuthenticationMethod("m")) };
    for code in (0..=255).filter(|code| ![0x00, 0x18, 0x19].contains(code)) {
        malformed(from_client(V5, &auth(code)), DecodeError::InvalidReasonCode(code));
        malformed(from_server(V5, &auth(code)), DecodeError::InvalidReasonCode(code));
        if let Some(reason) = ReasonCode::from_u8(code) {
            assert_eq!(by_client(V5, packet(reason)), Err(EncodeError::ReasonCode(reason)));
            assert_eq!(by_server(V5, packet(reason)), Err(EncodeError::ReasonCode(reason)));
        }
    }
    // Table 3-11: success is the server's, re-authentication the client's.
    for (code, client, server) in [(0x00, false, true), (0x18, true, true), (0x19, true, false)] {
        for (taken, allowed) in
            [(from_client(V5, &auth(code)), client), (from_server(V5, &auth(code)), server)]
        {
            match taken {
                Ok(_) => assert!(allowed, "0x{code:02X}"),
                Err(error) => {
                    assert!(!allowed && matches!(error, DecodeError::WrongDirection { .. }), "{error}");
                    assert_eq!(error.reason(), ReasonCode::ProtocolError);
                }
            }
        }
        let reason = ReasonCode::from_u8(code).unwrap();
        let (by_client, by_server) = (by_client(V5, packet(reason)), by_server(V5, packet(reason)));
        for (written, allowed) in [(by_client, client), (by_server, server)] {
            match written {
                Ok(written) => assert!(allowed && written == auth(code)),
                Err(error) => assert!(!allowed && matches!(error, EncodeError::WrongDirection(_)), "{error}"),
            }
        }
    }
}
