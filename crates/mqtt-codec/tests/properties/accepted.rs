//! Whatever arrives is refused, or is something that the other side could have sent.

use mqtt_codec::{Codec, Packet, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::packets::{Sender, frame, sender};
use crate::values::version;
use crate::{config, decode_borrowed, decode_chunks, encoded, ends, header_len, stream};

/// Whatever a side accepts, the other could have sent: it encodes, to bytes that decode to the same and encode to the
/// same again.
fn check_accepted(version: Version, sender: Sender, bytes: &[u8]) {
    let receiver = match (sender, bytes.first()) {
        (Sender::Client, Some(0x10)) => Codec::server(),
        (Sender::Client, _) => Codec::server_after_connect(version),
        (Sender::Server, _) => Codec::client(version),
    };
    let (packets, end) = decode_chunks(receiver.clone(), [bytes].into_iter());
    let version = match packets.first() {
        Some(Packet::Connect(connect)) => connect.version(),
        _ => version,
    };
    let [encoder, _] = ends(version, sender);
    let all: Vec<_> = packets.iter().map(|packet| encoded(&encoder, packet)).collect();
    assert_eq!(decode_borrowed(receiver.clone(), bytes, &encoder), (all.clone(), end));
    let again = all.concat();
    assert_eq!(decode_chunks(receiver.clone(), [&again[..]].into_iter()), (packets, Ok(0)));
    assert_eq!(decode_borrowed(receiver, &again, &encoder), (all, Ok(0)));
    if let Err(error) = end {
        assert!(error.reason().is_error());
    }
}

/// What can happen to a byte on the way.
fn mutations() -> impl Strategy<Value = Vec<(Index, u8, u8)>> {
    vec((any::<Index>(), 0u8..5, any::<u8>()), 1..4)
}

fn mutate(bytes: &mut Vec<u8>, mutations: &[(Index, u8, u8)]) {
    for (at, what, byte) in mutations {
        if bytes.is_empty() {
            return;
        }
        let at = at.index(bytes.len());
        match what {
            0 => bytes[at] = *byte,
            1 => bytes[at] ^= 1 << (byte % 8),
            2 => bytes.insert(at, *byte),
            3 => drop(bytes.remove(at)),
            _ => bytes.truncate(at),
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn arbitrary_bytes_never_panic(version in version(), sender in sender(), bytes in vec(any::<u8>(), 0..60)) {
        check_accepted(version, sender, &bytes);
    }

    #[test]
    fn arbitrary_bodies_never_panic(
        version in version(),
        sender in sender(),
        kind in 1u8..16,
        flags in 0u8..16,
        body in vec(prop_oneof![any::<u8>(), 0u8..4, 0u8..0x30], 0..40),
    ) {
        let flags = match kind {
            3 => flags,
            6 | 8 | 10 => 2,
            _ => 0,
        };
        check_accepted(version, sender, &frame(kind << 4 | flags, &body));
    }

    #[test]
    fn packets_with_a_few_wrong_bytes_never_panic(
        stream in stream(),
        which in any::<Index>(),
        mutations in mutations(),
        framed in any::<bool>(),
    ) {
        let bytes = encoded(&stream.codecs()[0], which.get(&stream.packets));
        let header_len = header_len(&bytes);
        // Within a correct length the fault reaches further than into the fixed header.
        let mut mutated = if framed { bytes[header_len..].to_vec() } else { bytes.clone() };
        mutate(&mut mutated, &mutations);
        let mutated = if framed { frame(bytes[0], &mutated) } else { mutated };
        check_accepted(stream.version, stream.sender, &mutated);
    }
}
