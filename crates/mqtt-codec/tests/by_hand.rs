//! Byte vectors written by hand from the standards' figures: what decodes, to what, and what does not.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

use bytes::BytesMut;
use mqtt_codec::packet::{
    Ack, Auth, ConnAck, ConnectBuilder, Disconnect, Publish, SubAck, Subscribe, SubscriptionOptions,
};
use mqtt_codec::packet::{RetainHandling, Unsubscribe, Will};
use mqtt_codec::{
    Codec, DecodeError, ErrorKind, InvalidText, InvalidTopic, Limits, Packet, PacketId, Properties, Property,
    PropertyId, QoS, ReasonCode, Text, TopicFilter, TopicName, Version,
};

const V3: Version = Version::V3_1_1;
const V5: Version = Version::V5;

fn id(n: u16) -> PacketId {
    PacketId::new(n).unwrap()
}

fn topic(name: &str) -> TopicName {
    TopicName::try_from(name).unwrap()
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::try_from(text).unwrap()
}

fn props(list: &[Property<'_>]) -> Properties {
    list.iter().fold(Properties::new(), |all, property| all.with(*property).unwrap())
}

/// The bytes decode to the packet, and the packet encodes to the bytes.
fn both(version: Version, bytes: &[u8], packet: impl Into<Packet>) {
    let packet = packet.into();
    let mut buffer = BytesMut::from(bytes);
    let mut codec = Codec::observer(version);
    assert_eq!(codec.decode(&mut buffer), Ok(Some(packet.clone())), "{bytes:02x?}");
    assert!(buffer.is_empty());
    codec.encode(&packet, &mut buffer).unwrap();
    assert_eq!(&buffer[..], bytes, "{packet:?}");
    assert_eq!(codec.encoded_len(&packet), Ok(bytes.len()));
}

fn decode(version: Version, bytes: &[u8]) -> Result<Option<Packet>, DecodeError> {
    Codec::observer(version).decode(&mut BytesMut::from(bytes))
}

#[test]
fn connect() {
    // MQTT 3.1.1, figure 3.6: user name, password, will QoS 1, clean session, keep-alive 10.
    let mut connect = ConnectBuilder::new(V3, Text::try_from("id").unwrap());
    connect.keep_alive = 10;
    connect.username = Some(Text::try_from("u").unwrap());
    connect.password = Some("pw".into());
    let mut will = Will::new(topic("w"), "m");
    will.qos = QoS::AtLeastOnce;
    will.retain = true;
    connect.will = Some(will.clone());
    let v3 = b"\x10\x1d\x00\x04MQTT\x04\xee\x00\x0a\x00\x02id\x00\x01w\x00\x01m\x00\x01u\x00\x02pw";
    let mut bytes = v3.to_vec();
    bytes[1] = (bytes.len() - 2) as u8;
    both(V3, &bytes, connect.build().unwrap());
    // MQTT 5: property lengths behind the keep-alive and before the will's topic.
    connect.version = V5;
    connect.properties = props(&[Property::SessionExpiryInterval(10)]);
    will.properties = props(&[Property::WillDelayInterval(1)]);
    connect.will = Some(will);
    let mut bytes =
        b"\x10\x00\x00\x04MQTT\x05\xee\x00\x0a\x05\x11\x00\x00\x00\x0a\x00\x02id\x05\x18\x00\x00\x00\x01\x00\x01w\x00\x01m\x00\x01u\x00\x02pw"
            .to_vec();
    bytes[1] = (bytes.len() - 2) as u8;
    both(V5, &bytes, connect.build().unwrap());
}

#[test]
fn a_server_takes_the_version_from_connect() {
    let mut codec = Codec::server();
    let mut bytes = BytesMut::from(&b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02id\xc0\x00"[..]);
    assert!(matches!(codec.decode(&mut bytes), Ok(Some(Packet::Connect(_)))));
    assert_eq!(codec.version(), Some(V3));
    assert_eq!(codec.decode(&mut bytes), Ok(Some(Packet::PingReq)));
    let mut codec = Codec::server();
    assert_eq!(codec.decode(&mut BytesMut::from(&b"\xc0"[..])), Err(DecodeError::ConnectExpected));
}

#[test]
fn connack() {
    both(V3, b"\x20\x02\x01\x00", ConnAck::new(true, ReasonCode::Success));
    for (code, reason) in [(1, 0x84), (2, 0x85), (3, 0x88), (4, 0x86), (5, 0x87)] {
        both(V3, &[0x20, 2, 0, code], ConnAck::new(false, ReasonCode::from_u8(reason).unwrap()));
    }
    // A server that knows MQTT 3.1.1 only answers MQTT 5 in its own form.
    let refused = ConnAck::new(false, ReasonCode::UnsupportedProtocolVersion);
    assert_eq!(decode(V5, b"\x20\x02\x00\x01"), Ok(Some(refused.into())));
    let mut connack = ConnAck::new(false, ReasonCode::Success);
    connack.properties = props(&[Property::ReceiveMaximum(100), Property::ServerKeepAlive(30)]);
    both(V5, b"\x20\x09\x00\x00\x06\x21\x00\x64\x13\x00\x1e", connack);
}

#[test]
fn publish() {
    // MQTT 3.1.1, figure 3.11: topic a/b, packet identifier 10.
    let publish = Publish::new(topic("a/b"), "hi").at_least_once(id(10));
    both(V3, b"\x32\x09\x00\x03a/b\x00\x0ahi", publish.clone());
    both(V5, b"\x32\x0a\x00\x03a/b\x00\x0a\x00hi", publish.clone());
    both(V3, b"\x3b\x09\x00\x03a/b\x00\x0ahi", publish.clone().with_dup(true).with_retain(true));
    both(V3, b"\x34\x07\x00\x03a/b\x00\x0a", Publish::new(topic("a/b"), "").exactly_once(id(10)));
    both(V3, b"\x30\x05\x00\x03a/b", Publish::new(topic("a/b"), ""));
    let with = publish
        .at_most_once()
        .with_properties(&props(&[Property::ContentType("t"), Property::TopicAlias(3)]))
        .unwrap();
    both(V5, b"\x30\x0f\x00\x03a/b\x07\x03\x00\x01t\x23\x00\x03hi", with);
}

#[test]
fn a_decoded_publish_shares_the_buffer_it_was_read_into() {
    let bytes = BytesMut::from(&b"\x32\x0d\x00\x03a/b\x00\x0a\x03\x23\x00\x01hi"[..]);
    let range = bytes.as_ptr_range();
    let Ok(Some(Packet::Publish(publish))) = Codec::observer(V5).decode(&mut { bytes }) else { panic!() };
    for part in [publish.topic().as_bytes(), publish.payload(), publish.properties_bytes().as_bytes()] {
        assert!(!part.is_empty() && range.contains(&part.as_ptr()), "{part:?} was copied");
    }
    assert_eq!(publish.properties().topic_alias(), Some(1));
}

#[test]
fn acknowledgements() {
    for (header, wrap) in [
        (0x40, Packet::PubAck as fn(Ack) -> Packet),
        (0x50, Packet::PubRec),
        (0x62, Packet::PubRel),
        (0x70, Packet::PubComp),
    ] {
        both(V3, &[header, 2, 0, 7], wrap(Ack::new(id(7))));
        both(V5, &[header, 2, 0, 7], wrap(Ack::new(id(7))));
        // Success may be spelled out, with and without a property length.
        assert_eq!(decode(V5, &[header, 3, 0, 7, 0]), Ok(Some(wrap(Ack::new(id(7))))));
        assert_eq!(decode(V5, &[header, 4, 0, 7, 0, 0]), Ok(Some(wrap(Ack::new(id(7))))));
    }
    both(V5, b"\x40\x03\x00\x07\x87", Packet::PubAck(Ack::with_reason(id(7), ReasonCode::NotAuthorized)));
    let mut ack = Ack::with_reason(id(7), ReasonCode::PacketIdentifierNotFound);
    ack.properties = props(&[Property::ReasonString("no")]);
    both(V5, b"\x70\x09\x00\x07\x92\x05\x1f\x00\x02no", Packet::PubComp(ack));
}

#[test]
fn subscriptions() {
    let (a, b) = (filter("a/b"), filter("c/#"));
    let wanted =
        [(&a, SubscriptionOptions::at(QoS::AtLeastOnce)), (&b, SubscriptionOptions::at(QoS::ExactlyOnce))];
    let subscribe = Subscribe::new(id(10), wanted);
    both(V3, b"\x82\x0e\x00\x0a\x00\x03a/b\x01\x00\x03c/#\x02", subscribe.clone());
    let read: Vec<_> =
        subscribe.filters().map(|(filter, options)| (filter.to_string(), options.qos)).collect();
    assert_eq!(read, [("a/b".into(), QoS::AtLeastOnce), ("c/#".into(), QoS::ExactlyOnce)]);
    let options = SubscriptionOptions {
        qos: QoS::AtLeastOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
    };
    both(V5, b"\x82\x09\x00\x0a\x00\x00\x03a/b\x2d", Subscribe::new(id(10), [(&a, options)]));
    let grants = [ReasonCode::GrantedQoS1, ReasonCode::UnspecifiedError];
    both(V3, b"\x90\x04\x00\x0a\x01\x80", Packet::SubAck(SubAck::new(id(10), grants)));
    both(V5, b"\x90\x05\x00\x0a\x00\x01\x80", Packet::SubAck(SubAck::new(id(10), grants)));
    let unsubscribe = Unsubscribe::new(id(10), [&a, &b]);
    assert_eq!(unsubscribe.filters().map(|f| f.to_string()).collect::<Vec<_>>(), ["a/b", "c/#"]);
    both(V3, b"\xa2\x0c\x00\x0a\x00\x03a/b\x00\x03c/#", unsubscribe.clone());
    both(V5, b"\xa2\x0d\x00\x0a\x00\x00\x03a/b\x00\x03c/#", unsubscribe);
    both(V3, b"\xb0\x02\x00\x0a", Packet::UnsubAck(SubAck::new(id(10), [])));
    both(
        V5,
        b"\xb0\x04\x00\x0a\x00\x11",
        Packet::UnsubAck(SubAck::new(id(10), [ReasonCode::NoSubscriptionExisted])),
    );
}

#[test]
fn pings_and_ends() {
    both(V3, b"\xc0\x00", Packet::PingReq);
    both(V5, b"\xd0\x00", Packet::PingResp);
    both(V3, b"\xe0\x00", Disconnect::default());
    both(V5, b"\xe0\x00", Disconnect::default());
    // Mosquitto sends a reason code without a property length.
    both(V5, b"\xe0\x01\x8e", Disconnect::new(ReasonCode::SessionTakenOver));
    both(V5, b"\xf0\x00", Auth::default());
    let mut auth = Auth { reason: ReasonCode::ContinueAuthentication, ..Auth::default() };
    auth.properties = props(&[Property::AuthenticationMethod("m")]);
    both(V5, b"\xf0\x06\x18\x04\x15\x00\x01m", auth);
}

#[test]
fn malformed_packets_are_refused_with_the_rule_they_break() {
    use DecodeError as E;
    let text = |error| E::Text(error);
    let name = |error| E::Topic(error);
    for (version, bytes, error) in [
        (V5, &b"\x00\x00"[..], E::UnknownPacketType(0)),
        (V3, b"\xf0\x00", E::UnknownPacketType(15)),
        (V3, b"\xc1\x00", E::InvalidFlags),
        (V3, b"\x80\x00", E::InvalidFlags),
        (V3, b"\x60\x02\x00\x01", E::InvalidFlags),
        (V3, b"\xc0\x80\x00", E::InvalidVariableByteInteger),
        (V3, b"\xc0\xff\xff\xff\xff", E::InvalidVariableByteInteger),
        (V3, b"\xc0\x01\x00", E::TrailingBytes),
        (V3, b"\xe0\x01\x00", E::TrailingBytes),
        (V3, b"\x36\x05\x00\x01a\x00\x01", E::InvalidQoS),
        (V3, b"\x38\x03\x00\x01a", E::DupOnQoS0),
        (V3, b"\x32\x05\x00\x01a\x00\x00", E::ZeroPacketId),
        (V3, b"\x30\x02\x00\x00", E::NoTopic),
        (V5, b"\x30\x03\x00\x00\x00", E::NoTopic),
        (V3, b"\x30\x03\x00\x01#", name(InvalidTopic::WildcardInName)),
        (V3, b"\x30\x03\x00\x01\x00", text(InvalidText::ContainsNull)),
        (V3, b"\x30\x05\x00\x03\xed\xa0\x80", text(InvalidText::NotUtf8)),
        (V3, b"\x30\x03\x00\x09a", E::Truncated),
        (V5, b"\x30\x05\x00\x01a\x01\x04", E::UnknownProperty(4)),
        (V5, b"\x30\x07\x00\x01a\x03\x13\x00\x01", E::MisplacedProperty(PropertyId::ServerKeepAlive)),
        (
            V5,
            b"\x30\x08\x00\x01a\x04\x01\x00\x01\x00",
            E::RepeatedProperty(PropertyId::PayloadFormatIndicator),
        ),
        (V5, b"\x30\x07\x00\x01a\x03\x23\x00\x00", E::PropertyValue(PropertyId::TopicAlias)),
        (V3, b"\x40\x02\x00\x00", E::ZeroPacketId),
        (V3, b"\x40\x03\x00\x01\x00", E::TrailingBytes),
        (V5, b"\x40\x03\x00\x01\x01", E::InvalidReasonCode(1)),
        (V3, b"\x82\x02\x00\x01", E::Empty),
        (V3, b"\x82\x06\x00\x01\x00\x01a\x03", E::InvalidQoS),
        (V3, b"\x82\x06\x00\x01\x00\x01a\x04", E::SubscriptionOptions),
        (V5, b"\x82\x07\x00\x01\x00\x00\x01a\x40", E::SubscriptionOptions),
        (V5, b"\x82\x07\x00\x01\x00\x00\x01a\x30", E::RetainHandling),
        (V5, b"\x82\x07\x00\x01\x00\x00\x01a\x03", E::SubscriptionQoS),
        (V5, b"\xf0\x02\x18\x00", E::MissingProperty(PropertyId::AuthenticationMethod)),
        (V5, b"\x82\x10\x00\x01\x00\x00\x0a$share/g/a\x04", E::NoLocalOnShared),
        (V3, b"\x82\x0a\x00\x01\x00\x05a/#/b\x00", name(InvalidTopic::MisplacedHash)),
        (V3, b"\x82\x07\x00\x01\x00\x02a+\x00", name(InvalidTopic::MisplacedPlus)),
        (V3, b"\xa2\x04\x00\x01\x00\x00", name(InvalidTopic::Empty)),
        (V3, b"\x90\x02\x00\x01", E::Empty),
        (V3, b"\x90\x03\x00\x01\x87", E::InvalidReasonCode(0x87)),
        (V3, b"\xb0\x03\x00\x01\x00", E::TrailingBytes),
        (V3, b"\x20\x02\x02\x00", E::ConnAckFlags),
        (V3, b"\x20\x02\x01\x05", E::ConnAckFlags),
        (V3, b"\x20\x02\x00\x06", E::InvalidReasonCode(6)),
        (V5, b"\x20\x03\x00\x01\x00", E::InvalidReasonCode(1)),
        (V3, b"\x10\x0c\x00\x04MQTX\x04\x02\x00\x00\x00\x00", E::ProtocolName),
        (V3, b"\x10\x0c\x00\x04MQTT\x06\x02\x00\x00\x00\x00", E::ProtocolLevel(6)),
        (V3, b"\x10\x0c\x00\x04MQTT\x04\x03\x00\x00\x00\x00", E::ConnectFlags),
        (V3, b"\x10\x0c\x00\x04MQTT\x04\x22\x00\x00\x00\x00", E::ConnectFlags),
        (V3, b"\x10\x0f\x00\x04MQTT\x04\x42\x00\x00\x00\x00\x00\x01p", E::ConnectFlags),
        (V3, b"\x10\x0c\x00\x04MQTT\x04\x00\x00\x00\x00\x00", E::EmptyClientId),
        (V3, b"\x10\x0c\x00\x04MQTT\x04\x1e\x00\x00\x00\x00", E::InvalidQoS),
        (
            V5,
            b"\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x03\x16\x00\x00\x00\x00",
            E::MissingProperty(PropertyId::AuthenticationMethod),
        ),
        (V5, b"\xe0\x01\x01", E::InvalidReasonCode(1)),
        (V5, b"\xf0\x02\x87\x00", E::InvalidReasonCode(0x87)),
    ] {
        assert_eq!(decode(version, bytes), Err(error), "{bytes:02x?}");
        assert!(error.reason().is_error());
        assert!(!error.to_string().is_empty());
    }
    assert_eq!(DecodeError::Truncated.kind(), ErrorKind::Malformed);
    assert_eq!(DecodeError::NoTopic.reason(), ReasonCode::ProtocolError);
}

#[test]
fn the_size_limit_holds_before_anything_is_buffered() {
    let mut codec = Codec::observer(V3).with_limits(Limits::with_max_packet_size(10));
    let mut buffer = BytesMut::from(&b"\x30\x09"[..]);
    assert_eq!(codec.decode(&mut buffer), Err(DecodeError::PacketTooLarge { size: 11, max: 10 }));
    let mut buffer = BytesMut::from(&b"\x30\x08"[..]);
    assert_eq!(codec.decode(&mut buffer), Ok(None));
    let mut buffer = BytesMut::from(&b"\x30\xff\xff\xff\x7f"[..]);
    let capacity = buffer.capacity();
    assert!(codec.decode(&mut buffer).is_err());
    assert_eq!(buffer.capacity(), capacity);
}

#[test]
fn what_a_version_cannot_carry_is_an_error_and_writes_nothing() {
    let mut buffer = BytesMut::new();
    let with = Publish::new(topic("a"), "x").with_properties(&props(&[Property::ContentType("t")])).unwrap();
    let options = SubscriptionOptions { no_local: true, ..SubscriptionOptions::default() };
    for packet in [
        with.into(),
        Packet::from(Auth::default()),
        Disconnect::new(ReasonCode::DisconnectWithWill).into(),
        Packet::PubAck(Ack::with_reason(id(1), ReasonCode::NotAuthorized)),
        Subscribe::new(id(1), [(&filter("a"), options)]).into(),
        Subscribe::new(id(1), []).into(),
        Unsubscribe::new(id(1), []).into(),
        Packet::SubAck(SubAck::new(id(1), [ReasonCode::NotAuthorized])),
    ] {
        assert!(Codec::observer(V3).encode(&packet, &mut buffer).is_err(), "{packet:?}");
        assert!(buffer.is_empty());
    }
    let connect = ConnectBuilder::new(V5, Text::default()).build().unwrap();
    assert!(Codec::client(V3).encode(&connect.into(), &mut buffer).is_err());
    assert!(buffer.is_empty());
}
