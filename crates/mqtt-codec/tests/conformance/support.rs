//! Packets put together by hand, and what the codec at the other end says to them.

use bytes::BytesMut;
use mqtt_codec::{
    Codec, DecodeError, EncodeError, ErrorKind, InvalidText, Packet, PacketId, Properties, Property,
    ReasonCode, Text, TopicFilter, TopicName, Version,
};

pub(crate) const V3: Version = Version::V3_1_1;
pub(crate) const V5: Version = Version::V5;
pub(crate) const BOTH: [Version; 2] = [V3, V5];

/// The first byte, the Remaining Length, and the fields one behind the other.
pub(crate) fn packet(header: u8, fields: &[&[u8]]) -> Vec<u8> {
    let body = fields.concat();
    let mut bytes = vec![header];
    let mut rest = body.len();
    loop {
        let low = (rest % 128) as u8;
        rest /= 128;
        if rest == 0 {
            bytes.push(low);
            break;
        }
        bytes.push(low | 0x80);
    }
    bytes.extend(body);
    bytes
}

/// A string or binary data: a length of two bytes, and the bytes.
pub(crate) fn field(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&len, bytes].concat()
}

/// Where MQTT 5 has properties, that there are none.
pub(crate) fn none(version: Version) -> &'static [u8] {
    match version {
        Version::V3_1_1 => &[],
        Version::V5 => &[0],
    }
}

/// The properties of MQTT 5 behind their length, which has one byte here.
pub(crate) fn some(properties: &[u8]) -> Vec<u8> {
    assert!(properties.len() < 128);
    [&[properties.len() as u8], properties].concat()
}

/// A CONNECT with a keep-alive of ten seconds, no properties, and this payload.
pub(crate) fn connect(version: Version, flags: u8, payload: &[&[u8]]) -> Vec<u8> {
    let head = [0, 4, b'M', b'Q', b'T', b'T', version.level(), flags, 0, 10];
    packet(0x10, &[&head, none(version), &payload.concat()])
}

/// A QoS 0 PUBLISH without properties.
pub(crate) fn publish(version: Version, topic: &[u8]) -> Vec<u8> {
    packet(0x30, &[&field(topic), none(version), b"hi"])
}

/// A SUBSCRIBE of one filter at QoS 1.
pub(crate) fn subscribe(version: Version, filter: &[u8]) -> Vec<u8> {
    packet(0x82, &[&[0, 7], none(version), &field(filter), &[1]])
}

/// An UNSUBSCRIBE of one filter.
pub(crate) fn unsubscribe(version: Version, filter: &[u8]) -> Vec<u8> {
    packet(0xA2, &[&[0, 7], none(version), &field(filter)])
}

/// What a server makes of these bytes: as the first of a connection when they are a CONNECT, else behind one.
pub(crate) fn from_client(version: Version, bytes: &[u8]) -> Result<Packet, DecodeError> {
    let is_connect = bytes.first().is_some_and(|header| header >> 4 == 1);
    received(&if is_connect { Codec::server() } else { Codec::server_after_connect(version) }, bytes)
}

/// What a client makes of these bytes.
pub(crate) fn from_server(version: Version, bytes: &[u8]) -> Result<Packet, DecodeError> {
    received(&Codec::client(version), bytes)
}

/// Takes one whole packet, owned and borrowed, which have to agree.
pub(crate) fn received(codec: &Codec, bytes: &[u8]) -> Result<Packet, DecodeError> {
    let borrowed = codec.clone().decode_ref(bytes).map(|packet| packet.map(|(_, len)| len));
    let mut buffer = BytesMut::from(bytes);
    let owned = codec.clone().decode(&mut buffer);
    match owned {
        Ok(packet) => {
            assert_eq!(borrowed, Ok(Some(bytes.len())));
            assert!(buffer.is_empty());
            Ok(packet.expect("a whole packet"))
        }
        Err(error) => {
            assert_eq!(borrowed, Err(error));
            Err(error)
        }
    }
}

/// What a client writes for this packet.
pub(crate) fn by_client(version: Version, packet: impl Into<Packet>) -> Result<Vec<u8>, EncodeError> {
    sent(&Codec::client(version), &packet.into())
}

/// What a server writes for this packet.
pub(crate) fn by_server(version: Version, packet: impl Into<Packet>) -> Result<Vec<u8>, EncodeError> {
    sent(&Codec::server_after_connect(version), &packet.into())
}

fn sent(codec: &Codec, packet: &Packet) -> Result<Vec<u8>, EncodeError> {
    let mut buffer = BytesMut::new();
    let written = codec.encode(packet, &mut buffer);
    assert_eq!(codec.encoded_len(packet), written.map(|()| buffer.len()));
    written.map(|()| buffer.to_vec())
}

/// The packet is taken, and a client writes the same bytes for it.
#[track_caller]
pub(crate) fn client_may_send(version: Version, bytes: &[u8]) -> Packet {
    let packet =
        from_client(version, bytes).unwrap_or_else(|error| panic!("{version} {bytes:02x?}: {error}"));
    assert_eq!(by_client(version, packet.clone()).as_deref(), Ok(bytes), "{version}");
    packet
}

/// The packet is taken, and a server writes the same bytes for it.
#[track_caller]
pub(crate) fn server_may_send(version: Version, bytes: &[u8]) -> Packet {
    let packet =
        from_server(version, bytes).unwrap_or_else(|error| panic!("{version} {bytes:02x?}: {error}"));
    assert_eq!(by_server(version, packet.clone()).as_deref(), Ok(bytes), "{version}");
    packet
}

/// Refused as malformed, which MQTT 5 answers with 0x81.
#[track_caller]
pub(crate) fn malformed(result: Result<Packet, DecodeError>, error: DecodeError) {
    assert_eq!(result.expect_err("refused"), error);
    assert_eq!((error.kind(), error.reason().code()), (ErrorKind::Malformed, 0x81));
}

/// Refused as a protocol error, which MQTT 5 answers with 0x82 unless it has a code of its own for it.
#[track_caller]
pub(crate) fn protocol_error(result: Result<Packet, DecodeError>, error: DecodeError, code: u8) {
    assert_eq!(result.expect_err("refused"), error);
    assert_eq!((error.kind(), error.reason().code()), (ErrorKind::Protocol, code));
}

/// What is no string of MQTT, and why.
pub(crate) const BAD_STRINGS: [(&[u8], InvalidText); 3] = [
    (b"a\xff", InvalidText::NotUtf8),
    (b"\xed\xa0\x80/a", InvalidText::NotUtf8),
    (b"a\x00b", InvalidText::ContainsNull),
];

/// A client's packet around a string is refused when that is none, and taken when it is.
#[track_caller]
pub(crate) fn wants_a_string(version: Version, around: impl Fn(&[u8]) -> Vec<u8>) {
    for (bad, why) in BAD_STRINGS {
        malformed(from_client(version, &around(bad)), DecodeError::Text(why));
        assert_eq!(Text::new(bad), Err(why), "nor can it be written");
    }
    client_may_send(version, &around("a/grün".as_bytes()));
}

/// A packet of reserved flags is taken with the flags it has, and malformed with the fifteen others.
#[track_caller]
pub(crate) fn wants_its_flags(bytes: &[u8], receive: impl Fn(&[u8]) -> Result<Packet, DecodeError>) {
    assert!(receive(bytes).is_ok(), "{bytes:02x?}: {:?}", receive(bytes));
    for flags in 0..16 {
        let header = bytes[0] & 0xF0 | flags;
        if header != bytes[0] {
            malformed(receive(&[&[header], &bytes[1..]].concat()), DecodeError::InvalidFlags);
        }
    }
}

/// Of all 256 numbers, just these are taken as the reason code of a packet.
#[track_caller]
pub(crate) fn wants_reasons(allowed: &[u8], receive: impl Fn(u8) -> Result<Packet, DecodeError>) {
    for code in 0..=255 {
        if allowed.contains(&code) {
            assert!(receive(code).is_ok(), "0x{code:02X}: {:?}", receive(code));
        } else {
            malformed(receive(code), DecodeError::InvalidReasonCode(code));
        }
    }
}

/// Of all the reason codes there are, just these are written.
#[track_caller]
pub(crate) fn writes_reasons(allowed: &[u8], send: impl Fn(ReasonCode) -> Result<Vec<u8>, EncodeError>) {
    for reason in (0..=255).filter_map(ReasonCode::from_u8) {
        if allowed.contains(&reason.code()) {
            assert!(send(reason).is_ok(), "{reason}");
        } else {
            assert_eq!(send(reason), Err(EncodeError::ReasonCode(reason)));
        }
    }
}

/// An AUTH of this reason code with the authentication method `m`.
pub(crate) fn auth(code: u8) -> Vec<u8> {
    packet(0xF0, &[&[code], &some(b"\x15\0\x01m")])
}

pub(crate) fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

pub(crate) fn text(text: &str) -> Text {
    Text::try_from(text).unwrap()
}

pub(crate) fn topic(name: &str) -> TopicName {
    TopicName::try_from(name).unwrap()
}

pub(crate) fn filter(text: &str) -> TopicFilter {
    TopicFilter::try_from(text).unwrap()
}

pub(crate) fn with(property: Property<'_>) -> Properties {
    Properties::new().with(property).unwrap()
}
