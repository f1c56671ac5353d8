//! The bodies of the fuzz targets. Each panics when an invariant does not hold.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::arithmetic_side_effects,
    reason = "a fuzz target reports by panicking"
)]

use alloc::vec::Vec;

use ::arbitrary::{Arbitrary, Unstructured};
use bytes::BytesMut;

use crate::properties::{Context, validate};
use crate::{
    Buffer, Codec, DecodeError, Leniency, Limits, Packet, PacketRef, Properties, Property, Text, TopicFilter,
    TopicName, TopicTree, Version, VersionedPacket, matches,
};

/// The codec that the first byte of an input chooses: side and version, what is let pass, and tight limits.
#[must_use]
pub fn codec(choice: u8) -> Codec {
    let codec = match choice & 7 {
        0 => Codec::client(Version::V3_1_1),
        1 => Codec::client(Version::V5),
        3 => Codec::server_after_connect(Version::V3_1_1),
        4 => Codec::server_after_connect(Version::V5),
        5 => Codec::observer(Version::V3_1_1),
        6 => Codec::observer(Version::V5),
        _ => Codec::server(),
    };
    let codec = if choice & 8 == 0 { codec } else { codec.with_leniency(Leniency::all()) };
    if choice & 16 == 0 {
        return codec;
    }
    let limits =
        Limits { max_packet_size: 64, max_control_packet_size: 32, max_filters: 2, max_properties: 2 };
    codec.with_limits(limits)
}

/// The packets in a stream that arrives in `chunks`, each with the version it was read in, and how the stream ended.
#[must_use]
pub fn read(mut codec: Codec, chunks: &[&[u8]]) -> (Vec<(Version, Packet)>, Option<DecodeError>) {
    let mut buffer = BytesMut::new();
    let mut packets = Vec::new();
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(packet)) => packets.push((version_of(&codec, &packet), packet)),
                Ok(None) => break,
                Err(error) => return (packets, Some(error)),
            }
        }
    }
    (packets, None)
}

/// A CONNECT says its own version, all others have the connection's.
fn version_of(codec: &Codec, packet: &Packet) -> Version {
    match packet {
        Packet::Connect(connect) => connect.version(),
        _ => codec.version().unwrap(),
    }
}

/// Decodes a stream: the first byte chooses the codec, the rest arrives. The borrowed view says the same; whatever is
/// accepted encodes again, to bytes that decode to the same packet.
pub fn decode(data: &[u8]) {
    let Some((choice, stream)) = data.split_first() else { return };
    let (packets, error) = read(codec(*choice), &[stream]);

    let (mut views, mut rest) = (codec(*choice), stream);
    for (version, packet) in &packets {
        let (view, len) = views.decode_ref(rest).unwrap().unwrap();
        assert_eq!(view.name(), packet.name());
        assert_eq!(encoded(*version, &view), encoded(*version, packet));
        look(&view);
        assert_eq!(view.into_owned(), *packet);
        rest = rest.get(len..).unwrap();
    }
    assert_eq!(views.decode_ref(rest).err(), error);

    for (version, packet) in packets {
        look(&packet);
        round_trip(version, &packet);
    }
}

fn encoded<B: Buffer>(version: Version, packet: &crate::AnyPacket<B>) -> BytesMut {
    let mut bytes = BytesMut::new();
    Codec::observer(version).encode(packet, &mut bytes).unwrap();
    bytes
}

/// Everything that can be asked of a packet.
fn look<B: Buffer>(packet: &crate::AnyPacket<B>) {
    assert!(!alloc::format!("{packet:?}").is_empty());
    match packet {
        crate::AnyPacket::Publish(publish) => {
            assert_eq!(publish.topic().len(), publish.topic_bytes().len());
            assert_eq!(publish.payload_bytes().as_ref(), publish.payload());
            assert_eq!(publish.detach().topic(), publish.topic());
            assert_eq!(publish.topic_name().is_none(), publish.topic().is_empty());
        }
        crate::AnyPacket::Connect(connect) => {
            let will = connect.will();
            assert!(will.is_none_or(|will| !will.topic.as_str().is_empty()));
            let _ = (connect.client_id(), connect.username(), connect.password());
        }
        crate::AnyPacket::Subscribe(subscribe) => assert!(subscribe.filters().count() > 0),
        crate::AnyPacket::Unsubscribe(unsubscribe) => assert!(unsubscribe.filters().count() > 0),
        crate::AnyPacket::SubAck(ack) => assert!(ack.reasons().len() > 0),
        _ => {}
    }
}

/// A packet that can be sent comes back as it was, in every form; encoding is a fixed point.
fn round_trip(version: Version, packet: &Packet) {
    let codec = Codec::observer(version).with_limits(Limits::with_max_packet_size(u32::MAX));
    let bytes = encoded(version, packet);
    assert_eq!(codec.encoded_len(packet), Ok(bytes.len()));
    let mut head = BytesMut::new();
    let payload = codec.encode_vectored(packet, &mut head).unwrap();
    head.extend_from_slice(&payload);
    assert_eq!(head, bytes);

    let (view, len) = codec.clone().decode_ref(&bytes).unwrap().unwrap();
    assert_eq!(len, bytes.len());
    assert_eq!(encoded(version, &view), bytes);
    let mut buffer = bytes.clone();
    let again = codec.clone().decode(&mut buffer).unwrap().unwrap();
    assert!(buffer.is_empty());
    assert_eq!(again, *packet);
    assert_eq!(encoded(version, &again), bytes, "encoding is a fixed point");
}

/// Packets made of the input, instead of bytes: each can be sent, and comes back as it was.
pub fn roundtrip(data: &[u8]) {
    let mut input = Unstructured::new(data);
    while !input.is_empty() {
        let Ok(VersionedPacket { version, packet }) = VersionedPacket::arbitrary(&mut input) else { return };
        round_trip(version, &packet);
    }
}

/// A stream cut at any places decodes alike.
pub fn chunking(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let Some((cuts, stream)) = rest.split_at_checked(8) else { return };
    let mut chunks: Vec<&[u8]> = Vec::new();
    let mut left = stream;
    for cut in cuts {
        let (chunk, rest) = left.split_at(usize::from(*cut).min(left.len()));
        chunks.push(chunk);
        left = rest;
    }
    chunks.push(left);
    assert_eq!(read(codec(*choice), &[stream]), read(codec(*choice), &chunks));
}

/// A set of properties: the first byte chooses where it stands, the rest is the set.
pub fn properties(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else { return };
    let context = Context::ALL.get(usize::from(*choice) % Context::ALL.len()).unwrap();
    let verdict = validate(bytes, *context, u32::MAX);
    // Whoever sends it, what is fine from one side is fine for those who watch both.
    if verdict.is_ok() {
        assert!(validate(bytes, context.by_either(), u32::MAX).is_ok());
    }
    let Ok(seen) = verdict else { return };
    // Reading it and writing it again gives the same bytes: nothing is lost, nothing is long-winded.
    let set = Properties::<&[u8]>::from_checked(bytes);
    let mut again = Properties::new();
    let mut count = 0u32;
    for property in set.as_ref() {
        count += 1;
        assert!(seen.has(property.id()));
        assert!(!alloc::format!("{property:?}").is_empty());
        again = again.with(property).unwrap();
    }
    assert_eq!(again.as_bytes(), bytes);
    // The limit is exact.
    assert!(validate(bytes, *context, count).is_ok());
    assert!(count == 0 || validate(bytes, *context, count - 1).is_err());
    let users = set.as_ref().iter().filter(|p| matches!(p, Property::UserProperty(..))).count();
    assert_eq!(set.as_ref().user_properties().count(), users);
}

/// Filters and a topic, a line each: matching one by one, the tree, and what the standard's words say agree.
pub fn topic_match(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let topic = lines.next().unwrap_or_default();
    let name = text(topic).is_some_and(|text| TopicName::new(text).is_ok());
    let mut tree = TopicTree::new();
    let mut filters: Vec<TopicFilter> = Vec::new();
    for line in lines.take(16) {
        let filter = text(line).and_then(|text| TopicFilter::new(text).ok());
        assert_eq!(filter.is_some(), text(line).is_some_and(|text| is_filter(text.as_str())), "{line:?}");
        let Some(filter) = filter else { continue };
        let before = tree.insert(&filter, filters.len());
        assert_eq!(before.is_some(), filters.contains(&filter));
        filters.push(filter);
    }
    if name {
        let mut found: Vec<usize> = tree.matches(topic).copied().collect();
        found.sort_unstable();
        let expected: Vec<usize> = (0..filters.len())
            .filter(|index| {
                let filter = filters.get(*index).unwrap();
                let matched = matches(filter.as_bytes(), topic);
                assert_eq!(matched, is_matched(filter.without_share(), text(topic).unwrap().as_str()));
                // The same filter again took the value's place.
                matched && filters.iter().rposition(|last| last == filter) == Some(*index)
            })
            .collect();
        assert_eq!(found, expected);
    }
    for filter in &filters {
        // A filter that stands in the list twice is taken away once.
        let inside = tree.get(filter).is_some();
        assert_eq!(tree.remove(filter).is_some(), inside);
        assert_eq!(tree.get(filter), None);
        assert_eq!(tree.remove(filter), None);
    }
    assert!(tree.is_empty());
}

fn text(bytes: &[u8]) -> Option<Text> {
    Text::new(bytes.to_vec()).ok()
}

/// Section 4.7.1 and 4.8.2 of MQTT 5, level by level.
fn is_filter(filter: &str) -> bool {
    let levels: Vec<&str> = filter.split('/').collect();
    let levels = match levels.as_slice() {
        ["$share", name, rest @ ..] => {
            if name.is_empty() || name.contains(['+', '#']) || rest.is_empty() || rest == [""] {
                return false;
            }
            rest
        }
        levels => levels,
    };
    !filter.is_empty()
        && levels.iter().enumerate().all(|(at, level)| match *level {
            "#" => at + 1 == levels.len(),
            "+" => true,
            level => !level.contains(['+', '#']),
        })
}

/// Section 4.7 of both standards, level by level.
fn is_matched(filter: &str, topic: &str) -> bool {
    fn levels(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            (["#"], _) | ([], []) => true,
            ([f, filter @ ..], [t, topic @ ..]) => (*f == "+" || f == t) && levels(filter, topic),
            _ => false,
        }
    }
    let (filter, topic): (Vec<_>, Vec<_>) = (filter.split('/').collect(), topic.split('/').collect());
    let hidden =
        topic.first().is_some_and(|t| t.starts_with('$')) && matches!(filter.first(), Some(&("+" | "#")));
    !hidden && levels(&filter, &topic)
}

/// A view read from `bytes`, for those who compare codecs: the packet and its length.
///
/// # Errors
/// What the codec says.
pub fn view(choice: u8, bytes: &[u8]) -> Result<Option<(PacketRef<'_>, usize)>, DecodeError> {
    codec(choice).decode_ref(bytes)
}
