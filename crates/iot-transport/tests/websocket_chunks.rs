//! Frames and packets have nothing to do with each other: however bytes are cut into frames, messages and reads, the
//! stream is the same.
#![cfg(feature = "websocket")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]
#![allow(unreachable_pub, dead_code, reason = "the shared helpers serve other tests too")]

mod peer;

use iot_transport::WebSocketIo;
use iot_transport::websocket::Role;
use peer::{BINARY, CLOSE, CONTINUATION, PING, PONG, Peer, frame};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

/// What a server sends next.
#[derive(Clone, Debug)]
enum Said {
    /// A message, in frames of these payloads.
    Message(Vec<Vec<u8>>),
    Ping(Vec<u8>),
    Pong,
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        4 => prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..4).prop_map(Said::Message),
        1 => prop::collection::vec(any::<u8>(), 0..126).prop_map(Said::Ping),
        1 => Just(Said::Pong),
    ]
}

/// The bytes on the wire, and those that the stream has to give. A ping may stand within a message.
fn wire(script: &[Said], ping_inside: bool) -> (Vec<u8>, Vec<u8>, Vec<Vec<u8>>) {
    let (mut wire, mut stream, mut pings) = (Vec::new(), Vec::new(), Vec::new());
    for said in script {
        match said {
            Said::Message(parts) => {
                for (index, part) in parts.iter().enumerate() {
                    let operation = if index == 0 { BINARY } else { CONTINUATION };
                    wire.extend(frame(index + 1 == parts.len(), operation, part));
                    stream.extend(part);
                    if ping_inside && index == 0 && parts.len() > 1 {
                        wire.extend(frame(true, PING, b"inside"));
                        pings.push(b"inside".to_vec());
                    }
                }
            }
            Said::Ping(payload) => {
                wire.extend(frame(true, PING, payload));
                pings.push(payload.clone());
            }
            Said::Pong => wire.extend(frame(true, PONG, b"unasked")),
        }
    }
    wire.extend(frame(true, CLOSE, &[]));
    (wire, stream, pings)
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_a_server_sends_is_read_as_one_stream(
        script in prop::collection::vec(said(), 0..8),
        ping_inside in any::<bool>(),
        cuts in prop::collection::vec(1usize..200, 1..20),
        reads in prop::collection::vec(1usize..400, 1..20),
        pipe in 1usize..600,
    ) {
        let (wire, expected, pings) = wire(&script, ping_inside);
        run(async move {
            let (ours, theirs) = duplex(pipe.max(16));
            let mut stream = WebSocketIo::new(ours, Vec::new(), Role::Client);
            let mut peer = Peer(theirs);
            let (mut from, mut to) = tokio::io::split(peer.0);
            let writing = async move {
                let mut rest = &wire[..];
                for cut in cuts.iter().cycle() {
                    if rest.is_empty() {
                        break;
                    }
                    let (now, later) = rest.split_at((*cut).min(rest.len()));
                    to.write_all(now).await.unwrap();
                    tokio::task::yield_now().await;
                    rest = later;
                }
                to
            };
            let answers = async {
                let mut answers = Vec::new();
                from.read_to_end(&mut answers).await.unwrap();
                (from, answers)
            };
            let reading = async {
                let mut read = Vec::new();
                for size in reads.iter().cycle() {
                    let mut buffer = vec![0; *size];
                    let len = stream.read(&mut buffer).await.unwrap();
                    if len == 0 {
                        break;
                    }
                    read.extend_from_slice(&buffer[..len]);
                }
                stream.shutdown().await.unwrap();
                drop(stream);
                read
            };
            let (to, (_, answers), read) = tokio::join!(writing, answers, reading);
            drop(to);
            assert_eq!(read, expected);

            // Every pong repeats a ping, in order (a later ping may make an earlier pong superfluous: RFC 6455,
            // section 5.5.3), the last of them is answered, and the close frame is.
            let (copy, mut here) = duplex(answers.len() + 1);
            here.write_all(&answers).await.unwrap();
            drop(here);
            peer = Peer(copy);
            let mut left = pings.iter();
            let mut last = None;
            loop {
                let (_, operation, payload) = peer.frame().await;
                if operation == CLOSE {
                    break;
                }
                assert_eq!(operation, PONG);
                assert!(left.any(|ping| *ping == payload), "a pong for no ping");
                last = Some(payload);
            }
            assert_eq!(last.as_ref(), pings.last());
        });
    }

    #[test]
    fn what_a_client_writes_is_read_by_a_server_as_one_stream(
        writes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 0..10),
        flushes in any::<u16>(),
        pipe in 1usize..4000,
    ) {
        let expected = writes.concat();
        let read = std::cell::RefCell::new(Vec::new());
        run(async {
            let (ours, theirs) = duplex(pipe);
            let mut client = WebSocketIo::new(ours, Vec::new(), Role::Client);
            let mut server = WebSocketIo::new(theirs, Vec::new(), Role::Server);
            let writing = async {
                for (index, write) in writes.iter().enumerate() {
                    client.write_all(write).await.unwrap();
                    if flushes >> index & 1 == 1 {
                        client.flush().await.unwrap();
                    }
                }
                client.shutdown().await.unwrap();
            };
            let reading = async {
                let mut all = Vec::new();
                server.read_to_end(&mut all).await.unwrap();
                all
            };
            let ((), all) = tokio::join!(writing, reading);
            *read.borrow_mut() = all;
        });
        prop_assert_eq!(read.into_inner(), expected);
    }
}
