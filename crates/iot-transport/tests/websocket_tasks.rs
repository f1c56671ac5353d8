//! The two halves of a WebSocket in two tasks, and peers that try to come between them.
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

use std::cell::Cell;
use std::time::Duration;

use iot_transport::websocket::Role;
use iot_transport::{Connector, WebSocket, WebSocketIo};
use peer::{BINARY, CLOSE, PING, PONG, Peer, TEXT, attempt, frame, pipe};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::task::yield_now;
use tokio::time::timeout;

/// On a paused clock it passes as soon as everybody waits.
const LONG: Duration = Duration::from_secs(600);

/// A stream after its upgrade, and its peer.
async fn upgraded(size: usize) -> (WebSocketIo<DuplexStream>, Peer) {
    let (inner, mut peer) = pipe(size);
    let socket = WebSocket::new(inner);
    let attempt = attempt();
    let (stream, _) = tokio::join!(socket.connect(&attempt), peer.upgrade());
    (stream.unwrap(), peer)
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_waits_for_room_is_woken_though_the_reader_has_met_the_end() {
    for end in [CLOSE, TEXT] {
        let (stream, mut peer) = upgraded(1024).await;
        let (mut read, mut write) = split(stream);
        let writer = tokio::spawn(async move {
            write.write_all(&[7; 8_000]).await.unwrap();
            write.flush().await
        });
        yield_now().await;
        assert!(!writer.is_finished(), "there is no room");
        peer.say(frame(true, end, b"")).await;
        let reader = tokio::spawn(async move { read.read(&mut [0; 8]).await.is_ok_and(|len| len == 0) });
        assert_eq!(reader.await.unwrap(), end == CLOSE);
        let rest = async { (peer.frame().await.2.len(), peer.frame().await.1) };
        let ended = timeout(LONG, async { tokio::join!(writer, rest) }).await;
        let (written, rest) = ended.expect("nobody wakes the writer");
        written.unwrap().unwrap();
        assert_eq!(rest, (8_000, CLOSE));
    }
}

#[tokio::test(start_paused = true)]
async fn pongs_that_nobody_reads_make_writing_and_shutdown_wait() {
    for shuts in [false, true] {
        let (mut stream, mut peer) = upgraded(4 * 1024).await;
        let flood = async {
            for _ in 0..5_000 {
                peer.say(frame(true, PING, &[3; 100])).await;
            }
            peer.say(frame(true, BINARY, b"go")).await;
        };
        let mut go = [0; 2];
        let ((), read) = tokio::join!(flood, stream.read_exact(&mut go));
        read.unwrap();
        let writing = async {
            if shuts {
                return stream.shutdown().await;
            }
            stream.write_all(&[7; 60_000]).await?;
            stream.flush().await
        };
        let reading = async {
            loop {
                let (_, operation, payload) = peer.frame().await;
                if operation != PONG {
                    return (operation, payload.len());
                }
            }
        };
        let (written, read) = timeout(LONG, async { tokio::join!(writing, reading) }).await.unwrap();
        written.unwrap();
        assert_eq!(read, if shuts { (CLOSE, 0) } else { (BINARY, 60_000) });
    }
}

#[tokio::test]
async fn a_flood_of_frames_without_content_leaves_other_tasks_their_turns() {
    let (mut stream, mut peer) = upgraded(1024 * 1024).await;
    peer.say(frame(true, BINARY, b"").repeat(10_000)).await;
    peer.say(frame(true, BINARY, b"x")).await;
    let turns = Cell::new(0);
    let others = async {
        loop {
            turns.set(turns.get() + 1);
            yield_now().await;
        }
    };
    let mut byte = [0];
    tokio::select! {
        biased;
        () = others => {}
        read = stream.read_exact(&mut byte) => assert_eq!(read.unwrap(), 1),
    }
    assert!(turns.get() > 10, "{}", turns.get());
}

/// Writes `total` bytes in pieces of all sizes, and reads as many, in two tasks.
async fn both_ways(stream: WebSocketIo<DuplexStream>, seed: usize, total: usize) -> impl Sized {
    let (mut read, mut write) = split(stream);
    let content = |at: usize| (at * 31 % 251) as u8;
    let writer = tokio::spawn(async move {
        let mut sent = 0;
        let mut step = seed;
        while sent < total {
            step = (step * 4_093 + 7) % 65_521;
            let chunk: Vec<u8> = (sent..total.min(sent + 1 + step % 3_000)).map(content).collect();
            write.write_all(&chunk).await.unwrap();
            sent += chunk.len();
            match step % 3 {
                0 => write.flush().await.unwrap(),
                1 => yield_now().await,
                _ => {}
            }
        }
        write.flush().await.unwrap();
        write
    });
    let mut received = 0;
    let mut buffer = [0; 1_500];
    while received < total {
        let len = read.read(&mut buffer).await.unwrap();
        assert!(len > 0, "an end after {received} bytes");
        assert!(buffer[..len].iter().enumerate().all(|(at, byte)| *byte == content(received + at)));
        received += len;
    }
    assert_eq!(received, total);
    (read, writer.await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn two_tasks_at_each_end_lose_nothing_however_narrow_the_pipe() {
    for (size, total) in [(1, 5_000), (7, 20_000), (1_000, 200_000), (100_000, 200_000)] {
        for seed in 1..8 {
            let (ours, theirs) = duplex(size);
            let client = WebSocketIo::new(ours, Vec::new(), Role::Client);
            let server = WebSocketIo::new(theirs, Vec::new(), Role::Server);
            let client = tokio::spawn(both_ways(client, seed, total));
            let server = tokio::spawn(both_ways(server, seed + 100, total));
            let both = async { (client.await.unwrap(), server.await.unwrap()) };
            timeout(LONG, both).await.unwrap_or_else(|_| panic!("a pipe of {size}, seed {seed}"));
        }
    }
}
