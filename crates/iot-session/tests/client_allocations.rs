//! What a QoS 1 publish costs from `publish` to its acknowledgement, driver included: allocations, wake-ups, writes.
#![cfg(feature = "tokio")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use iot_session::layers::{OfflineQueue, Reconnect, Retry};
use iot_session::proto::{ConnectOptions, Engine};
use iot_session::{Client, Config, Message, Version, client, stack};
use iot_transport::{Attempt, ConnectError, Connector};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};

/// A server at the other end of a function call: agrees to CONNECT, acknowledges every PUBLISH, and allocates nothing.
#[derive(Clone, Default)]
struct Server {
    writes: Arc<AtomicU64>,
}

struct Link {
    writes: Arc<AtomicU64>,
    answers: VecDeque<u8>,
    reader: Option<Waker>,
}

impl Connector for Server {
    type Io = Link;

    async fn connect(&self, _attempt: &Attempt) -> Result<Link, ConnectError> {
        let answers = VecDeque::with_capacity(4096);
        Ok(Link { writes: Arc::clone(&self.writes), answers, reader: None })
    }
}

impl Link {
    /// Packets of less than 128 bytes.
    fn answer(&mut self, mut bytes: &[u8]) {
        while let [kind, len, rest @ ..] = bytes {
            let (body, next) = rest.split_at(usize::from(*len));
            match kind >> 4 {
                1 => self.answers.extend([0x20, 3, 0, 0, 0]),
                3 => {
                    let topic = usize::from(body[1]);
                    self.answers.extend([0x40, 2, body[2 + topic], body[3 + topic]]);
                }
                _ => {}
            }
            bytes = next;
        }
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.answers.is_empty() {
            self.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        while buf.remaining() > 0
            && let Some(byte) = self.answers.pop_front()
        {
            buf.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.answer(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A connected client with the layers that every publish goes through.
fn connected() -> (Runtime, Client, Server) {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let server = Server::default();
    let engine = Engine::new(ConnectOptions::new(Version::V5, "device").unwrap());
    let codec = engine.codec();
    let stage = stack(engine)
        .layer(Reconnect::default())
        .layer(Retry::default())
        .layer(OfflineQueue::bounded(20))
        .into_stage();
    let config = Config { commands: 128, ..Config::default() };
    let (client, driver) = client(stage, codec, server.clone(), config);
    runtime.spawn(driver.run());
    runtime.block_on(client.connect()).unwrap();
    (runtime, client, server)
}

fn message() -> Message {
    Message::new("sensor/1", "0123456789").unwrap()
}

async fn publish_one_by_one(client: &Client, message: &Message, n: usize) {
    for _ in 0..n {
        client.publish(message.clone()).await.unwrap().await.unwrap();
    }
}

#[test]
fn a_publish_costs_two_allocations_at_most() {
    let (runtime, client, _server) = connected();
    let message = message();
    runtime.block_on(publish_one_by_one(&client, &message, 1000));
    let cost = measure(|| runtime.block_on(publish_one_by_one(&client, &message, 100_000)));
    println!("{} allocations, {} bytes", cost.count_total, cost.bytes_total);
    assert!(cost.count_total <= 200_000, "{} allocations", cost.count_total);
    assert_eq!(cost.count_current, 0, "what was allocated is given back");
}

async fn publish_batches(client: &Client, message: &Message, batches: usize, size: usize) {
    let mut acks = Vec::with_capacity(size);
    for _ in 0..batches {
        acks.extend((0..size).map(|_| client.try_publish(message.clone()).unwrap()));
        for ack in acks.drain(..) {
            ack.await.unwrap();
        }
    }
}

#[test]
fn publishes_under_load_cost_no_more_and_share_wake_ups_and_writes() {
    let (runtime, client, server) = connected();
    let message = message();
    runtime.block_on(publish_batches(&client, &message, 20, 100));
    let (wakeups, writes) = (client.stats().wakeups, server.writes.load(Ordering::Relaxed));
    let cost = measure(|| runtime.block_on(publish_batches(&client, &message, 1000, 100)));
    println!("{} allocations, {} bytes", cost.count_total, cost.bytes_total);
    assert!(cost.count_total <= 200_000, "{} allocations", cost.count_total);
    let wakeups = client.stats().wakeups - wakeups;
    let writes = server.writes.load(Ordering::Relaxed) - writes;
    assert!(wakeups <= 3 * 1000, "{wakeups} wake-ups for 1000 batches of 100");
    assert!(writes <= 3 * 1000, "{writes} writes for 1000 batches of 100");
}

#[test]
fn a_single_publish_leaves_at_once() {
    let (runtime, client, server) = connected();
    let (wakeups, writes) = (client.stats().wakeups, server.writes.load(Ordering::Relaxed));
    runtime.block_on(publish_one_by_one(&client, &message(), 100));
    assert_eq!(server.writes.load(Ordering::Relaxed) - writes, 100);
    assert!(client.stats().wakeups - wakeups <= 2 * 100, "one each way");
}
