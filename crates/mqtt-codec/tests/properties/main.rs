//! What holds for all packets, all streams and all bytes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod accepted;
mod limits;
mod packets;
mod tables;
mod values;

use std::collections::BTreeSet;

use bytes::BytesMut;
use mqtt_codec::{AnyPacket, Buffer, Codec, DecodeError, Packet, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use packets::{Sender, connect, only, packet, sender};
use values::version;

/// The packets that one side sends, a client's from CONNECT on.
#[derive(Debug, Clone)]
struct Stream {
    version: Version,
    sender: Sender,
    packets: Vec<Packet>,
}

impl Stream {
    /// What sends it, and what receives it.
    fn codecs(&self) -> [Codec; 2] {
        ends(self.version, self.sender)
    }

    fn wire(&self) -> Vec<u8> {
        let mut wire = BytesMut::new();
        for packet in &self.packets {
            self.codecs()[0].encode(packet, &mut wire).unwrap();
        }
        wire.to_vec()
    }
}

fn ends(version: Version, sender: Sender) -> [Codec; 2] {
    match sender {
        Sender::Client => [Codec::client(version), Codec::server()],
        Sender::Server => [Codec::server_after_connect(version), Codec::client(version)],
    }
}

fn stream() -> impl Strategy<Value = Stream> {
    (version(), sender()).prop_flat_map(|(version, sender)| {
        (connect(version), vec(packet(version, sender), 1..10)).prop_map(move |(connect, mut packets)| {
            if sender == Sender::Client {
                packets.insert(0, connect);
            }
            Stream { version, sender, packets }
        })
    })
}

/// A packet that its sender may send and the other side may not.
fn one_sided() -> impl Strategy<Value = (Version, Sender, Packet)> {
    (version(), sender())
        .prop_flat_map(|(version, sender)| (Just(version), Just(sender), only(version, sender)))
}

/// All packets of a stream and how it ends: with what error, or with how many bytes left.
type Outcome = (Vec<Packet>, Result<usize, DecodeError>);

fn decode_chunks<'a>(mut codec: Codec, chunks: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let (mut buffer, mut packets) = (BytesMut::new(), Vec::new());
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => break,
                Err(error) => return (packets, Err(error)),
            }
        }
    }
    (packets, Ok(buffer.len()))
}

/// The same, borrowed. Compared by what it is once it is encoded again, for lack of an owned form.
fn decode_borrowed(
    mut codec: Codec,
    mut bytes: &[u8],
    encoder: &Codec,
) -> (Vec<Vec<u8>>, Result<usize, DecodeError>) {
    let mut packets = Vec::new();
    loop {
        match codec.decode_ref(bytes) {
            Ok(Some((packet, len))) => {
                packets.push(encoded(encoder, &packet));
                bytes = &bytes[len..];
            }
            Ok(None) => return (packets, Ok(bytes.len())),
            Err(error) => return (packets, Err(error)),
        }
    }
}

fn encoded<B: Buffer>(codec: &Codec, packet: &AnyPacket<B>) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    codec.encode(packet, &mut bytes).unwrap();
    assert_eq!(codec.encoded_len(packet), Ok(bytes.len()));
    bytes.to_vec()
}

/// The outcome of the first packet, which is the same owned and borrowed, without the packet.
fn verdict(mut codec: Codec, bytes: &[u8]) -> Result<bool, DecodeError> {
    let borrowed = codec.clone().decode_ref(bytes).map(|packet| packet.is_some());
    assert_eq!(codec.decode(&mut BytesMut::from(bytes)).map(|packet| packet.is_some()), borrowed);
    borrowed
}

/// Failures are written down in the output, not into files.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// The length of the fixed header.
fn header_len(packet: &[u8]) -> usize {
    packet[1..].iter().position(|byte| *byte < 0x80).unwrap() + 2
}

#[test]
fn streams_are_made_of_every_packet_type() {
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    for _ in 0..300 {
        let stream = stream().new_tree(&mut runner).unwrap().current();
        seen.extend(stream.packets.iter().map(|packet| (stream.version.level(), packet.name())));
    }
    assert_eq!(seen.len(), 14 + 15, "AUTH is in MQTT 5 only: {seen:?}");
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_encoded_decodes_to_the_same_owned_and_borrowed(stream in stream()) {
        let [sender, receiver] = stream.codecs();
        let wire = stream.wire();
        let (packets, end) = decode_chunks(receiver.clone(), [&wire[..]].into_iter());
        prop_assert_eq!(end, Ok(0));
        prop_assert_eq!(&packets, &stream.packets);
        let (borrowed, end) = decode_borrowed(receiver, &wire, &sender);
        prop_assert_eq!(end, Ok(0));
        prop_assert_eq!(borrowed.concat(), wire);
    }

    #[test]
    fn encoding_what_was_decoded_is_a_fixed_point(stream in stream()) {
        let [sender, receiver] = stream.codecs();
        let wire = stream.wire();
        let (packets, _) = decode_chunks(receiver, [&wire[..]].into_iter());
        let again: Vec<_> = packets.iter().flat_map(|packet| encoded(&sender, packet)).collect();
        prop_assert_eq!(again, wire);
    }

    #[test]
    fn the_length_and_the_vectored_form_agree_with_the_bytes(stream in stream()) {
        let [sender, receiver] = stream.codecs();
        for packet in &stream.packets {
            let bytes = encoded(&sender, packet);
            let mut vectored = BytesMut::new();
            let payload = sender.encode_vectored(packet, &mut vectored).unwrap();
            vectored.extend_from_slice(&payload);
            prop_assert_eq!(&vectored[..], &bytes[..]);
            if !matches!(stream.sender, Sender::Client) || matches!(packet, Packet::Connect(_)) {
                prop_assert_eq!(receiver.packet_len(&bytes), Ok(Some(bytes.len())));
            }
        }
    }

    #[test]
    fn a_stream_in_any_pieces_decodes_alike(stream in stream(), cuts in vec(1usize..40, 1..50)) {
        let [_, receiver] = stream.codecs();
        let wire = stream.wire();
        let mut rest = &wire[..];
        let mut cuts = cuts.into_iter().cycle();
        let chunks = std::iter::from_fn(|| {
            let (chunk, left) = rest.split_at(cuts.next()?.min(rest.len()));
            rest = left;
            (!chunk.is_empty()).then_some(chunk)
        });
        prop_assert_eq!(decode_chunks(receiver, chunks), (stream.packets, Ok(0)));
    }

    #[test]
    fn every_prefix_of_a_stream_is_packets_and_never_an_error(stream in stream()) {
        let [sender, receiver] = stream.codecs();
        let wire = stream.wire();
        let lens: Vec<_> = stream.packets.iter().map(|packet| encoded(&sender, packet).len()).collect();
        // Whole packets are taken from the front, so that each prefix begins inside of one packet.
        let (mut owned, mut borrowed) = (receiver.clone(), receiver);
        let mut start = 0;
        for (len, packet) in lens.into_iter().zip(&stream.packets) {
            let bytes = &wire[start..start + len];
            for end in 0..len {
                prop_assert_eq!(owned.decode(&mut BytesMut::from(&bytes[..end])), Ok(None));
                prop_assert_eq!(borrowed.decode_ref(&bytes[..end]), Ok(None));
            }
            prop_assert_eq!(&owned.decode(&mut BytesMut::from(bytes)).unwrap().unwrap(), packet);
            prop_assert_eq!(borrowed.decode_ref(bytes).unwrap().map(|(_, taken)| taken), Some(len));
            start += len;
        }
    }

    #[test]
    fn neither_side_accepts_or_sends_what_only_the_other_may_send((version, sender, packet) in one_sided()) {
        let bytes = encoded(&Codec::observer(version), &packet);
        let [right, _] = ends(version, sender);
        prop_assert_eq!(&encoded(&right, &packet), &bytes);
        // The sender's own end would have to receive it, and the other end to send it.
        prop_assert!(verdict(right, &bytes).is_err());
        let wrong = match sender {
            Sender::Client => Codec::server_after_connect(version),
            Sender::Server => Codec::client(version),
        };
        let mut buffer = BytesMut::new();
        prop_assert!(wrong.encode(&packet, &mut buffer).is_err());
        prop_assert!(buffer.is_empty());
        prop_assert_eq!(verdict(wrong, &bytes), Ok(true));
    }

    #[test]
    fn connect_is_what_a_client_sends_and_sends_once(connect in version().prop_flat_map(connect)) {
        let Packet::Connect(fields) = &connect else { panic!("{connect:?}") };
        let version = fields.version();
        let bytes = encoded(&Codec::client(version), &connect);
        prop_assert!(verdict(Codec::client(version), &bytes).is_err());
        prop_assert_eq!(verdict(Codec::server_after_connect(version), &bytes), Err(DecodeError::SecondConnect));
        prop_assert!(Codec::server().encode(&connect, &mut BytesMut::new()).is_err());
    }
}
