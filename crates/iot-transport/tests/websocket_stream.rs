//! The stream behind an upgrade, against a peer written by hand.
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

use std::io::{ErrorKind, IoSlice};

use iot_transport::{Connector, WebSocket, WebSocketIo};
use peer::{BINARY, CLOSE, PING, PONG, Peer, TEXT, attempt, frame, pipe};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

/// A stream after its upgrade, and its peer.
async fn upgraded(size: usize) -> (WebSocketIo<DuplexStream>, Peer) {
    let (inner, mut peer) = pipe(size);
    let socket = WebSocket::new(inner);
    let attempt = attempt();
    let (stream, _) = tokio::join!(socket.connect(&attempt), peer.upgrade());
    (stream.unwrap(), peer)
}

#[tokio::test]
async fn a_write_is_one_masked_frame_of_at_most_64_kib() {
    let (mut stream, mut peer) = upgraded(256 * 1024).await;
    stream.write_all(b"one").await.unwrap();
    let parts = [IoSlice::new(b"two "), IoSlice::new(b""), IoSlice::new(b"parts")];
    assert!(stream.is_write_vectored());
    assert_eq!(stream.write_vectored(&parts).await.unwrap(), 9);
    let large: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
    stream.write_all(&large).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(peer.frame().await, (true, BINARY, b"one".to_vec()));
    assert_eq!(peer.frame().await, (true, BINARY, b"two parts".to_vec()));
    assert_eq!(peer.frame().await, (true, BINARY, large[..65_536].to_vec()));
    assert_eq!(peer.frame().await, (true, BINARY, large[65_536..].to_vec()));
    // Nothing is no frame.
    assert_eq!(stream.write(b"").await.unwrap(), 0);
    let vast = vec![1; 200_000];
    let parts = [IoSlice::new(b"x"), IoSlice::new(&vast)];
    assert_eq!(stream.write_vectored(&parts).await.unwrap(), 65_536);
    stream.flush().await.unwrap();
    assert_eq!(peer.frame().await.2.len(), 65_536);
}

#[tokio::test]
async fn a_ping_is_answered_with_its_payload_while_data_goes_on() {
    let (mut stream, mut peer) = upgraded(1024).await;
    peer.say(frame(true, PING, b"are you there")).await;
    peer.say(frame(true, BINARY, b"data")).await;
    let mut read = [0; 4];
    stream.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"data");
    assert_eq!(peer.frame().await, (true, PONG, b"are you there".to_vec()));
}

#[tokio::test]
async fn a_close_frame_is_answered_and_is_an_orderly_end() {
    let (mut stream, mut peer) = upgraded(1024).await;
    peer.say(frame(true, BINARY, b"last")).await;
    peer.say(frame(true, CLOSE, &[0x03, 0xE8])).await;
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"last");
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "and stays one");
    assert_eq!(peer.frame().await, (true, CLOSE, vec![0x03, 0xE8]));
    let error = stream.write_all(b"late").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    stream.shutdown().await.unwrap();
}

#[tokio::test]
async fn shutdown_sends_a_close_frame_and_what_the_peer_still_says_can_be_read() {
    let (mut stream, mut peer) = upgraded(1024).await;
    stream.write_all(b"bye").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(peer.frame().await, (true, BINARY, b"bye".to_vec()));
    assert_eq!(peer.frame().await, (true, CLOSE, Vec::new()));
    assert_eq!(peer.0.read(&mut [0; 1]).await.unwrap(), 0, "the stream underneath is shut down too");
    peer.say(frame(true, BINARY, b"so long")).await;
    peer.say(frame(true, CLOSE, &[])).await;
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"so long");
    stream.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_end_without_a_close_frame_is_an_error_even_between_frames() {
    for said in [Vec::new(), frame(true, BINARY, b"half")[..4].to_vec()] {
        let (mut stream, mut peer) = upgraded(1024).await;
        peer.say(said).await;
        drop(peer);
        let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
        assert!(error.to_string().contains("cut off"), "{error}");
    }
}

#[tokio::test]
async fn a_text_frame_is_refused_with_the_code_for_it() {
    let (mut stream, mut peer) = upgraded(1024).await;
    peer.say(frame(true, TEXT, b"hello")).await;
    let error = stream.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(error.to_string().contains("text frame"), "{error}");
    let (_, operation, payload) = peer.frame().await;
    assert_eq!((operation, &payload[..2]), (CLOSE, &[0x03, 0xEB][..]), "1003");
}

#[tokio::test]
async fn what_is_no_frame_of_a_server_is_an_error() {
    let large = [&[0x82, 127][..], &u64::MAX.to_be_bytes()].concat();
    for (said, why) in [
        (vec![0x82, 0x80, 1, 2, 3, 4], "asked"),
        (vec![0xC2, 0], "eserved"),
        (vec![0x83, 0], "opcode"),
        (frame(false, PING, b""), "ragmented"),
        (frame(true, PING, &[0; 126]), "ontrol"),
        (frame(true, 0, b"x"), "ontinu"),
        (large, "too"),
    ] {
        let (mut stream, mut peer) = upgraded(1024).await;
        peer.say(&said).await;
        let error = stream.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{said:?}: {error}");
        assert!(error.to_string().contains(why), "{said:?}: {error}");
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "no further");
    }
}

#[tokio::test]
async fn a_frame_of_any_size_is_read_as_it_comes() {
    let (mut stream, mut peer) = upgraded(1024).await;
    let head = [&[0x82, 127][..], &(1u64 << 40).to_be_bytes()].concat();
    peer.say(head).await;
    for n in 0..100u8 {
        peer.say([n; 500]).await;
        let mut read = [0; 500];
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(read, [n; 500]);
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_stops_the_writer_within_bounds() {
    let (mut stream, peer) = upgraded(1024).await;
    let mut taken = 0;
    let chunk = [7; 8 * 1024];
    loop {
        tokio::select! {
            biased;
            written = stream.write(&chunk) => taken += written.unwrap(),
            () = tokio::task::yield_now() => break,
        }
        assert!(taken < 200_000, "{taken} bytes taken and nobody reads");
    }
    assert!(taken >= 16 * 1024, "{taken}");
    // Once the peer reads, all of it arrives.
    let mut peer = peer;
    let reading = tokio::spawn(async move {
        let mut read = 0;
        while read < taken {
            read += peer.frame().await.2.len();
        }
        read
    });
    stream.flush().await.unwrap();
    assert_eq!(reading.await.unwrap(), taken);
}
