//! Two hundred connections, and as many that came to nothing, leave nothing behind: no task, no socket, no memory.
//!
//! A binary of its own, because the counting allocator serves all of a binary; it counts for each thread, so both sides
//! run on one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]
// What is open is read from /proc.
#![cfg(target_os = "linux")]

mod common;
mod dial;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use common::{BOTH, Client};
use dial::{Proxy, attempt, identity, keys, trusting};
use iot_emulator::Emulator;
use iot_transport::{BoxConnector, Connector, Phase, SigV4, Tcp, Tls, WebSocket, alpn};
use mqtt_codec::packet::Disconnect;
use mqtt_codec::{Packet, ReasonCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Handle};

/// What a hundred rounds may add, in bytes. It is nothing as a rule; a map may grow once.
const GROWTH: i64 = 1_024;

/// One test at a time: what is open belongs to the process.
static ALONE: Mutex<()> = Mutex::new(());

/// The far side, and the way there.
struct Rig {
    emulator: Emulator,
    proxy: Option<Proxy>,
    connector: BoxConnector,
    /// Where attempts have to have been given up at least once.
    phases: Vec<Phase>,
}

/// What is there at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    tasks: usize,
    files: usize,
}

fn open() -> Open {
    Open {
        tasks: Handle::current().metrics().num_alive_tasks(),
        files: std::fs::read_dir("/proc/self/fd").unwrap().count(),
    }
}

impl Rig {
    async fn hundred(&self) {
        let mut given_up = Vec::new();
        for round in 0..100_u32 {
            match round % 4 {
                0 => self.in_order(round).await,
                1 => self.kicked(round).await,
                2 => drop(self.connected(round).await),
                _ => given_up.extend(self.given_up(round / 4 % 12).await),
            }
        }
        // What the proxy remembers is of the test.
        self.proxy.as_ref().map(Proxy::forget);
        assert!(self.phases.iter().all(|phase| given_up.contains(phase)), "{given_up:?}");
    }

    async fn connected(&self, round: u32) -> Client<<BoxConnector as Connector>::Io> {
        let stream = self.connector.connect(&attempt()).await.unwrap();
        let mut client = Client::new(stream, if round % 8 < 4 { BOTH[0] } else { BOTH[1] });
        assert_eq!(client.connect("device").await, ReasonCode::Success);
        client.ping().await;
        client
    }

    async fn in_order(&self, round: u32) {
        let mut client = self.connected(round).await;
        client.send(Packet::from(Disconnect::new(ReasonCode::Success))).await;
        // Either may find that the other side was faster.
        let _ = client.stream.shutdown().await;
        let _ = client.stream.read_to_end(&mut Vec::new()).await;
    }

    async fn kicked(&self, round: u32) {
        let mut client = self.connected(round).await;
        assert!(self.emulator.kick("device").await);
        assert_eq!(client.next().await, None);
    }

    /// An attempt that is dropped when it has been polled so often, and the phase that it had come to.
    async fn given_up(&self, polls: u32) -> Option<Phase> {
        let attempt = attempt();
        let mut connect = pin!(self.connector.connect(&attempt));
        let mut left = polls;
        let done = poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(false);
            }
            left -= 1;
            connect.as_mut().poll(context).map(|stream| stream.is_ok())
        })
        .await;
        (!done).then(|| attempt.phase())
    }

    /// Waits until both sides have noticed that everything has ended.
    async fn settled(&self, wanted: Option<Open>) -> Open {
        for _ in 0..200_000 {
            let clients = self.emulator.connected_clients().await;
            match wanted {
                Some(wanted) if clients.is_empty() && open() == wanted => return wanted,
                _ => tokio::task::yield_now().await,
            }
            // The first time it is not known what is to be there: long enough for what is on its way to arrive.
            if wanted.is_none() && clients.is_empty() && open().tasks == self.idle_tasks() {
                return open();
            }
        }
        panic!("{:?} are left, not {wanted:?}", open());
    }

    /// The broker and a task for each listening socket, and for the proxy's.
    fn idle_tasks(&self) -> usize {
        let ports = [true, self.emulator.https_port().is_some(), self.emulator.plain_port().is_some()];
        1 + ports.into_iter().filter(|port| *port).count() + usize::from(self.proxy.is_some())
    }
}

fn leaves_nothing(rig: impl AsyncFnOnce() -> Rig) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let rig = runtime.block_on(rig());
    // What is set up once is set up here, and session tickets fill their caches.
    let before = runtime.block_on(async {
        rig.hundred().await;
        rig.hundred().await;
        rig.settled(None).await
    });
    for rounds in [100, 200] {
        let memory = allocation_counter::measure(|| {
            runtime.block_on(async {
                rig.hundred().await;
                assert_eq!(rig.settled(Some(before)).await, before);
            });
        });
        assert!(memory.count_total > 10_000, "measured: {memory:?}");
        assert!(memory.bytes_current < GROWTH, "after {rounds} rounds: {memory:?}");
    }
}

#[test]
fn mutual_tls_leaves_nothing_behind() {
    leaves_nothing(async || {
        let emulator = Emulator::start().await.unwrap();
        let options = trusting(&emulator).identity(identity(emulator.credentials()));
        let connector = BoxConnector::new(Tls::new(Tcp::new("127.0.0.1", emulator.port()), options));
        Rig { emulator, proxy: None, connector, phases: vec![Phase::Tcp, Phase::Tls] }
    });
}

#[test]
fn signed_websockets_leave_nothing_behind() {
    leaves_nothing(async || {
        let emulator = Emulator::start().await.unwrap();
        let connector = websocket(Tcp::new("127.0.0.1", emulator.port()), &emulator);
        Rig { emulator, proxy: None, connector, phases: vec![Phase::Tls, Phase::Upgrade] }
    });
}

#[test]
fn signed_websockets_through_a_proxy_leave_nothing_behind() {
    leaves_nothing(async || {
        let (emulator, proxy) = (Emulator::start().await.unwrap(), Proxy::start().await);
        let connector = websocket(proxy.to("127.0.0.1", emulator.port()), &emulator);
        let phases = vec![Phase::Proxy, Phase::Tls, Phase::Upgrade];
        Rig { emulator, proxy: Some(proxy), connector, phases }
    });
}

fn websocket(inner: impl Connector, emulator: &Emulator) -> BoxConnector {
    let signer = SigV4::new(keys(&emulator.aws_credentials())).region(emulator.region());
    let tls = Tls::new(inner, trusting(emulator).alpn([alpn::HTTP]));
    BoxConnector::new(WebSocket::new(tls).authorizer(signer))
}
