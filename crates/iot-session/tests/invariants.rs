//! The invariants of the driver; those that whole stacks show are among the scenarios of `aws-iot`.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

mod support;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use iot_session::layers::Standard;
use iot_session::proto::Engine;
use iot_session::{Client, Config, Message, OpError, Version, client, stack};
use iot_transport::{Attempt, ConnectError, Connector};
use support::{options, secs};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A server that agrees to CONNECT and then says the same message for ever, as fast as it is read.
#[derive(Clone, Default)]
struct Flood {
    reads: Arc<AtomicUsize>,
}

struct FloodLink {
    reads: Arc<AtomicUsize>,
    greeted: bool,
    asked: bool,
}

impl Connector for Flood {
    type Io = FloodLink;

    async fn connect(&self, _attempt: &Attempt) -> Result<FloodLink, ConnectError> {
        Ok(FloodLink { reads: Arc::clone(&self.reads), greeted: false, asked: false })
    }
}

impl AsyncRead for FloodLink {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.asked {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !std::mem::replace(&mut self.greeted, true) {
            buf.put_slice(&[0x20, 2, 0, 0]);
        }
        // PUBLISH, QoS 0, topic "a".
        for _ in 0..(buf.remaining() / 6).min(50) {
            buf.put_slice(&[0x30, 4, 0, 1, b'a', b'x']);
        }
        self.reads.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for FloodLink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.asked = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

async fn turns(n: usize) {
    for _ in 0..n {
        tokio::task::yield_now().await;
    }
}

fn flooded(server: &Flood) -> Client {
    let engine = Engine::new(options(Version::V3_1_1));
    let codec = engine.codec();
    let stage = stack(engine).layer(Standard::default()).into_stage();
    let (client, driver) = client(stage, codec, server.clone(), Config::default());
    tokio::spawn(driver.run());
    client
}

#[tokio::test(start_paused = true)]
async fn invariant_6_a_flooding_server_starves_neither_timers_nor_publishers_nor_other_tasks() {
    let server = Flood::default();
    let client = flooded(&server);
    client.connect().await.unwrap();
    let mut ack = Box::pin(client.publish(Message::new("b", "x").unwrap()).await.unwrap());
    turns(2).await; // it is handed to the link
    let started = server.reads.load(Ordering::Relaxed);
    // The clock stands while there is something to do, so it is moved by hand.
    tokio::time::advance(secs(5) - Duration::from_millis(1)).await;
    turns(2).await;
    assert!(futures_poll(&mut ack).is_pending(), "before its time");
    tokio::time::advance(Duration::from_millis(2)).await;
    turns(2).await;
    let end = futures_poll(&mut ack);
    assert!(matches!(end, Poll::Ready(Err(OpError::TimedOut))), "the timer fires in time: {end:?}");
    let reads = server.reads.load(Ordering::Relaxed) - started;
    assert!(reads >= 40, "{reads} reads: it was read from all the while");
    assert_eq!(client.stats().dropped + client.stats().unrouted, client.stats().received);
    client.disconnect().await.unwrap();
}

/// Looks at a future without waiting for it.
fn futures_poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(std::task::Waker::noop()))
}

#[test]
fn invariant_6_under_a_paused_clock_every_run_is_the_same() {
    let run = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true);
        runtime.build().unwrap().block_on(async {
            let server = Flood::default();
            let client = flooded(&server);
            client.connect().await.unwrap();
            turns(3).await;
            (server.reads.load(Ordering::Relaxed), client.stats().wakeups, client.stats().received)
        })
    };
    let first = run();
    assert!(first.2 > 1_000, "{first:?}");
    assert_eq!([run(), run()], [first, first]);
}
