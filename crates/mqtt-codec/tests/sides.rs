//! What each version, and each side, can say and when.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

use std::num::NonZeroU16;

use bytes::BytesMut;
use mqtt_codec::packet::{
    Ack, Auth, ConnAck, ConnectBuilder, Disconnect, Publish, SubAck, Unsubscribe, Will,
};
use mqtt_codec::{
    Codec, DecodeError, EncodeError, Leniency, Limits, Packet, PacketId, Properties, Property, PropertyId,
    ReasonCode, Text, TopicName, Version,
};

const V3: Version = Version::V3_1_1;
const V5: Version = Version::V5;

fn id(n: u16) -> PacketId {
    PacketId::new(n).unwrap()
}

fn topic(name: &str) -> TopicName {
    TopicName::try_from(name).unwrap()
}

#[test]
fn what_mqtt_3_1_1_has_no_word_for_is_an_error() {
    let mut buffer = BytesMut::new();
    for packet in [
        Packet::PubAck(Ack::with_reason(id(1), ReasonCode::NoMatchingSubscribers)),
        Packet::UnsubAck(SubAck::new(id(1), [ReasonCode::NotAuthorized])),
        ConnAck::new(false, ReasonCode::QuotaExceeded).into(),
        ConnAck::new(false, ReasonCode::Banned).into(),
    ] {
        let refused = Codec::observer(V3).encode(&packet, &mut buffer);
        assert!(matches!(refused, Err(EncodeError::NotInVersion { version: V3, .. })), "{packet:?}");
        assert!(Codec::observer(V5).encode(&packet, &mut BytesMut::new()).is_ok());
    }
    assert!(buffer.is_empty());
    for reason in (0..=255).filter_map(ReasonCode::from_u8) {
        let nearest = ConnAck::new(false, reason.in_connack(V3));
        assert!(Codec::observer(V3).encode(&nearest.into(), &mut buffer).is_ok(), "{reason}");
    }
}

#[test]
fn a_filter_of_mqtt_3_1_1_that_mqtt_5_does_not_know_is_not_sent_in_it() {
    let mut bytes = BytesMut::from(&b"\x82\x0d\x00\x01\x00\x08$share/g\x00"[..]);
    let Ok(Some(packet)) = Codec::observer(V3).decode(&mut bytes) else { panic!() };
    assert!(Codec::observer(V3).encode(&packet, &mut bytes).is_ok());
    let refused = Codec::observer(V5).encode(&packet, &mut bytes);
    assert!(matches!(refused, Err(EncodeError::NotInVersion { .. })));
    let Packet::Subscribe(subscribe) = packet else { panic!() };
    let filter = subscribe.filters().next().unwrap().0.into_owned();
    let unsubscribe = Packet::from(Unsubscribe::new(id(1), [&filter]));
    assert!(Codec::client(V3).encode(&unsubscribe, &mut bytes).is_ok());
    assert!(Codec::client(V5).encode(&unsubscribe, &mut bytes).is_err());
}

#[test]
fn a_server_refuses_a_connect_in_the_words_of_its_version() {
    for (connect, answer) in [
        // MQTT 3.1.1, an empty client identifier and no clean session.
        (&b"\x10\x0c\x00\x04MQTT\x04\x00\x00\x00\x00\x00"[..], &b"\x20\x02\x00\x02"[..]),
        // MQTT 5, a reserved flag.
        (b"\x10\x0d\x00\x04MQTT\x05\x03\x00\x00\x00\x00\x00", b"\x20\x03\x00\x81\x00"),
        // Levels that do not exist, and MQTT 3.1.
        (b"\x10\x0c\x00\x04MQTT\x06\x02\x00\x00\x00\x00", b"\x20\x02\x00\x01"),
        (b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x00\x00\x00", b"\x20\x02\x00\x01"),
    ] {
        let mut codec = Codec::server();
        let error = codec.decode(&mut BytesMut::from(connect)).unwrap_err();
        assert_eq!(codec.version(), None);
        let mut buffer = BytesMut::new();
        let reason = error.reason();
        let reason = if answer[1] == 2 { reason.in_connack(V3) } else { reason };
        codec.encode(&ConnAck::new(false, reason).into(), &mut buffer).unwrap();
        assert_eq!(&buffer[..], answer, "{error}");
    }
}

#[test]
fn a_server_says_nothing_else_before_connect() {
    let (mut buffer, codec) = (BytesMut::new(), Codec::server());
    for packet in [
        Publish::new(topic("a"), "").into(),
        Packet::PubAck(Ack::new(id(1))),
        Packet::PingResp,
        Packet::SubAck(SubAck::new(id(1), [ReasonCode::Success])),
    ] {
        assert_eq!(codec.encode(&packet, &mut buffer), Err(EncodeError::ConnectExpected));
        assert_eq!(codec.encode_vectored(&packet, &mut buffer), Err(EncodeError::ConnectExpected));
        assert_eq!(codec.encoded_len(&packet), Err(EncodeError::ConnectExpected));
    }
    assert!(buffer.is_empty());
}

#[test]
fn an_observer_follows_the_version_of_connect() {
    let mut codec = Codec::observer(V3);
    let connect = ConnectBuilder::new(V5, Text::default()).build().unwrap();
    let mut bytes = BytesMut::new();
    codec.encode(&connect.into(), &mut bytes).unwrap();
    bytes.extend_from_slice(b"\x30\x05\x00\x01a\x00x");
    assert!(matches!(codec.decode(&mut bytes), Ok(Some(Packet::Connect(_)))));
    assert_eq!(codec.version(), Some(V5));
    let Ok(Some(Packet::Publish(publish))) = codec.decode(&mut bytes) else { panic!() };
    assert_eq!(publish.payload(), b"x");
}

#[test]
fn a_length_that_is_announced_does_not_cost_its_memory() {
    let mut codec = Codec::client(V3).with_limits(Limits::with_max_packet_size(u32::MAX));
    let mut buffer = BytesMut::from(&b"\x30\xff\xff\xff\x7f"[..]);
    assert_eq!(codec.decode(&mut buffer), Ok(None));
    assert!(buffer.capacity() <= 256 * 1024, "{} bytes", buffer.capacity());
    buffer.resize(1024 * 1024, b'a');
    assert_eq!(codec.decode(&mut buffer), Ok(None));
    assert!(buffer.capacity() <= 4 * 1024 * 1024, "{} bytes", buffer.capacity());
}

#[test]
fn what_no_version_can_say_is_an_error_and_writes_nothing() {
    let properties = |property| Properties::new().with(property).unwrap();
    let aliased = Publish::new(topic("a"), "").with_topic_alias(NonZeroU16::MIN, true);
    let nameless = aliased.with_properties(&Properties::new()).unwrap();
    let misplaced =
        Disconnect { properties: properties(Property::ContentType("text/plain")), ..Disconnect::default() };
    let mut buffer = BytesMut::new();
    for (packet, error) in [
        (
            Auth { reason: ReasonCode::ContinueAuthentication, ..Auth::default() }.into(),
            EncodeError::Property(DecodeError::MissingProperty(PropertyId::AuthenticationMethod)),
        ),
        (misplaced.into(), EncodeError::Property(DecodeError::MisplacedProperty(PropertyId::ContentType))),
        (nameless.into(), EncodeError::Inconsistent("neither a topic nor a topic alias")),
        (Packet::SubAck(SubAck::new(id(1), [])), EncodeError::Empty),
        (Packet::UnsubAck(SubAck::new(id(1), [])), EncodeError::Empty),
        (
            Packet::PubAck(Ack::with_reason(id(1), ReasonCode::ServerBusy)),
            EncodeError::ReasonCode(ReasonCode::ServerBusy),
        ),
    ] {
        assert_eq!(Codec::observer(V5).encode(&packet, &mut buffer), Err(error), "{packet:?}");
        assert!(buffer.is_empty());
    }
}

#[test]
fn a_password_and_a_will_are_held_to_the_65_535_bytes_of_their_length() {
    let longest = vec![b'x'; 65_535];
    let too_long = vec![b'x'; 65_536];
    for version in [V3, V5] {
        let connect = |password: &[u8], payload: &[u8]| {
            let mut connect = ConnectBuilder::new(version, Text::try_from("id").unwrap());
            connect.username = Some(Text::try_from("user").unwrap());
            connect.password = Some(password.to_vec().into());
            connect.will = Some(Will::new(topic("w"), payload.to_vec()));
            connect.build()
        };
        let built = connect(&longest, &longest).unwrap();
        assert_eq!(built.password(), Some(&longest[..]));
        assert_eq!(built.will().unwrap().payload.as_ref(), &longest[..]);
        let refused = |what: &str, error: EncodeError| {
            assert!(matches!(error, EncodeError::Inconsistent(text) if text.contains(what)), "{error}");
        };
        refused("password", connect(&too_long, b"").unwrap_err());
        refused("will's payload", connect(b"", &too_long).unwrap_err());
    }
}

#[test]
fn what_is_let_pass_is_read_as_what_it_should_have_been_and_each_leniency_is_for_one_thing() {
    let (mut flags, mut dup) = (Leniency::none(), Leniency::none());
    flags.flags_of_acknowledgements = true;
    dup.dup_on_qos_0 = true;
    let acknowledgements: [(&[u8], &[u8]); 6] = [
        (b"\x42\x02\x00\x07", b"\x40\x02\x00\x07"),
        (b"\x52\x02\x00\x07", b"\x50\x02\x00\x07"),
        (b"\x60\x02\x00\x07", b"\x62\x02\x00\x07"),
        (b"\x71\x02\x00\x07", b"\x70\x02\x00\x07"),
        (b"\x92\x03\x00\x07\x01", b"\x90\x03\x00\x07\x01"),
        (b"\xb2\x02\x00\x07", b"\xb0\x02\x00\x07"),
    ];
    let publish: [(&[u8], &[u8]); 1] = [(b"\x38\x04\x00\x01ax", b"\x30\x04\x00\x01ax")];
    for (leniency, other, vectors, error) in [
        (flags, dup, &acknowledgements[..], DecodeError::InvalidFlags),
        (dup, flags, &publish[..], DecodeError::DupOnQoS0),
    ] {
        for (wrong, right) in vectors {
            let decode = |with| Codec::observer(V3).with_leniency(with).decode(&mut BytesMut::from(*wrong));
            let expected = Codec::observer(V3).decode(&mut BytesMut::from(*right)).unwrap();
            for with in [leniency, Leniency::all()] {
                assert_eq!(decode(with).as_ref(), Ok(&expected), "{wrong:02x?}");
            }
            for with in [other, Leniency::none()] {
                assert_eq!(decode(with), Err(error), "{wrong:02x?}");
            }
            let mut again = BytesMut::new();
            Codec::observer(V3).encode(&expected.unwrap(), &mut again).unwrap();
            assert_eq!(&again[..], *right);
        }
    }
    // Only what is named: a PINGREQ and a SUBSCRIBE have flags to keep, too.
    for bytes in [&b"\xc1\x00"[..], b"\x80\x06\x00\x01\x00\x01a\x00"] {
        let mut codec = Codec::observer(V3).with_leniency(Leniency::all());
        assert_eq!(codec.decode(&mut BytesMut::from(bytes)), Err(DecodeError::InvalidFlags));
    }
}
