//! Our codec next to those of others: whatever we take is taken by them and says the same, whatever we refuse they
//! refuse too, unless [`known`] says who is right.

mod known;
mod mqttrs;
mod ours;
mod rmqtt3;
mod rmqtt5;
mod said;

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use mqtt_codec::fuzzing::view;
use mqtt_codec::{DecodeError, PacketRef, Version};

pub use known::{Disagreement, KNOWN, Known, Shows, What};
use said::Said;

/// Another codec.
pub struct Peer {
    pub name: &'static str,
    pub version: Version,
    /// The packet at the front of the bytes; `None` when it takes no packet there.
    decode: fn(&[u8]) -> Option<Said>,
}

pub const PEERS: [Peer; 3] = [
    Peer { name: "mqttrs", version: Version::V3_1_1, decode: mqttrs::decode },
    Peer { name: "rmqtt-codec", version: Version::V3_1_1, decode: rmqtt3::decode },
    Peer { name: "rmqtt-codec", version: Version::V5, decode: rmqtt5::decode },
];

/// The first byte chooses our codec as it does for `decode`, always a strict one within the default limits; a packet
/// follows. Panics on a disagreement that is not known.
pub fn compare(data: &[u8]) {
    if let Some(found) = disagreements(data).into_iter().find(|found| found.known().is_none()) {
        panic!("{found}");
    }
}

/// What the peers see in another way than we do, known or not.
#[must_use]
pub fn disagreements(data: &[u8]) -> Vec<Disagreement> {
    let Some((choice, bytes)) = data.split_first() else { return Vec::new() };
    let choice = choice & 7;
    let bytes = first_packet(bytes);
    let ours = view(choice, bytes);
    // Our limit is ours alone.
    if matches!(ours, Err(DecodeError::PacketTooLarge { .. })) {
        return Vec::new();
    }
    let version = match &ours {
        Ok(Some((PacketRef::Connect(connect), _))) => Some(connect.version()),
        _ => version(choice),
    };
    let peers = PEERS.iter().filter(|peer| version.is_none_or(|version| peer.version == version));
    peers
        .filter_map(|peer| {
            let what = match (&ours, guarded(|| (peer.decode)(bytes))) {
                (ours, Err(Panicked)) => What::Panics { taken: matches!(ours, Ok(Some(_))) },
                (Ok(Some((packet, _))), Ok(None)) => What::Refused(ours::say(packet, peer.version)),
                (Ok(Some((packet, _))), Ok(Some(theirs))) => {
                    let ours = ours::say(packet, peer.version);
                    if ours == theirs {
                        return None;
                    }
                    What::ReadInAnotherWay { ours, theirs }
                }
                (Ok(None), Ok(Some(theirs))) => What::Completed(theirs),
                (Err(error), Ok(Some(_))) => What::Taken(*error),
                (Ok(None) | Err(_), Ok(None)) => return None,
            };
            Some(Disagreement { peer: peer.name, version: peer.version, what })
        })
        .collect()
}

/// The version of the codec that `choice` stands for; a server waits for CONNECT, of whatever version.
fn version(choice: u8) -> Option<Version> {
    match choice {
        0 | 3 | 5 => Some(Version::V3_1_1),
        1 | 4 | 6 => Some(Version::V5),
        _ => None,
    }
}

/// Not more than one packet, so that nobody reads on in the next one.
fn first_packet(bytes: &[u8]) -> &[u8] {
    let mut len = 0usize;
    for (at, byte) in bytes.iter().enumerate().skip(1).take(4) {
        len |= usize::from(byte & 0x7F) << (7 * (at - 1));
        if byte & 0x80 == 0 {
            return bytes.get(..len + at + 1).unwrap_or(bytes);
        }
    }
    bytes
}

struct Panicked;

/// Runs what may panic: libFuzzer's hook would end the process.
fn guarded<T>(peer: impl FnOnce() -> T) -> Result<T, Panicked> {
    thread_local!(static GUARDED: Cell<bool> = const { Cell::new(false) });
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                hook(info);
            }
        }));
    });
    GUARDED.set(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(peer));
    GUARDED.set(false);
    outcome.map_err(|_| Panicked)
}
