//! The stream beside another implementation, tungstenite, and under a flood of pings.
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

use std::io;

use iot_transport::WebSocketIo;
use iot_transport::websocket::Role;
use peer::{BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_tungstenite::tungstenite::protocol::{self, Message, WebSocketContext};

/// How reading ended.
#[derive(Debug, PartialEq)]
enum End {
    Closed,
    Text,
    Fault(String),
}

/// What tungstenite makes of the bytes of a server: the payload of binary messages up to the end, and that.
fn tungstenite(wire: &[u8]) -> (Vec<u8>, End) {
    struct Memory<'a>(&'a [u8]);
    impl io::Read for Memory<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            io::Read::read(&mut self.0, buf)
        }
    }
    impl io::Write for Memory<'_> {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            Ok(buf.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut memory = Memory(wire);
    let mut context = WebSocketContext::new(protocol::Role::Client, None);
    let mut bytes = Vec::new();
    loop {
        match context.read(&mut memory) {
            Ok(Message::Binary(payload)) => bytes.extend(payload),
            Ok(Message::Close(_)) => return (bytes, End::Closed),
            Ok(Message::Text(_)) => return (bytes, End::Text),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
            Err(error) => return (bytes, End::Fault(error.to_string())),
        }
    }
}

/// The same by us, who give the parts of a message before it is whole.
async fn ours(wire: &[u8]) -> (Vec<u8>, End) {
    let (here, mut there) = duplex(wire.len() + 1);
    there.write_all(wire).await.unwrap();
    there.shutdown().await.unwrap();
    let mut stream = WebSocketIo::new(here, Vec::new(), Role::Client);
    let mut bytes = Vec::new();
    let end = match stream.read_to_end(&mut bytes).await {
        Ok(_) => End::Closed,
        Err(error) if error.to_string().contains("text frame") => End::Text,
        Err(error) => End::Fault(error.to_string()),
    };
    (bytes, end)
}

/// Frames as servers send them, and as they should not.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let operation = prop_oneof![
        8 => Just(BINARY), 4 => Just(CONTINUATION), 3 => Just(PING), 1 => Just(PONG), 1 => Just(CLOSE), 1 => Just(TEXT),
        1 => 0u8..16,
    ];
    let one = (prop::bool::weighted(0.8), operation, prop::collection::vec(any::<u8>(), 0..140));
    let damage = prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()));
    (prop::collection::vec(one, 0..8), damage).prop_map(|(frames, damage)| {
        let mut wire: Vec<u8> =
            frames.iter().flat_map(|(last, operation, payload)| frame(*last, *operation, payload)).collect();
        if let (Some((at, value)), false) = (damage, wire.is_empty()) {
            let at = at.index(wire.len());
            wire[at] = value;
        }
        wire
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn both_read_the_same_and_end_alike(wire in frames()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (theirs, their_end) = tungstenite(&wire);
        let (ours, our_end) = runtime.block_on(ours(&wire));
        // A message that never became whole they keep to themselves.
        prop_assert!(ours.starts_with(&theirs), "{ours:?} {theirs:?}");
        let alike = match (&our_end, &their_end) {
            (End::Closed, End::Closed) | (End::Fault(_), End::Fault(_)) | (End::Text, End::Text) => true,
            // A text that is not whole, or is none.
            (End::Text, End::Fault(_)) => true,
            // A close frame is an end for us whatever reason it gives; they look at the reason.
            (End::Closed, End::Fault(why)) => why.contains("close sequence") || why.contains("UTF-8"),
            _ => false,
        };
        prop_assert!(alike, "{wire:?}: {our_end:?} {their_end:?}");
    }
}

/// A peer that pings without end and takes nothing: its pings cost a bounded amount, and what it says is still read.
#[tokio::test]
async fn a_flood_of_pings_from_a_peer_that_does_not_read_is_read_and_kept_small() {
    let (ours, theirs) = duplex(4096);
    let mut stream = WebSocketIo::new(ours, Vec::new(), Role::Client);
    let (mut from, mut to) = tokio::io::split(theirs);
    let flood = tokio::spawn(async move {
        let ping = frame(true, PING, &[7; 125]);
        for _ in 0..20_000 {
            to.write_all(&ping).await.unwrap();
        }
        to.write_all(&frame(true, BINARY, b"still here")).await.unwrap();
        to
    });
    let mut read = [0; 10];
    stream.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"still here");
    drop(flood.await.unwrap());
    // The pongs that were kept, not twenty thousand of them.
    let draining = tokio::spawn(async move {
        let mut all = Vec::new();
        from.read_to_end(&mut all).await.unwrap();
        all.len()
    });
    let _ = stream.shutdown().await;
    drop(stream);
    let kept = draining.await.unwrap();
    assert!(kept < 24 * 1024, "{kept} bytes of pongs");
}
