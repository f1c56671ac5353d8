//! Listening sockets: bounded in connections, each connection with a time limit on its handshake.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::connection::Connection;
use super::gate::Gate;
use super::http;
use super::hub::Event;
use super::link::Link;
use super::service::Service;
use super::tls::{Door, Tls};
use crate::access::Origin;
use crate::broker::ConnectionId;

/// How long a client may take for its TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait when the system has no more sockets to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What all connections have in common.
pub(super) struct Shared {
    pub(super) events: mpsc::Sender<Event>,
    /// How clients reach it: its host name, and its port for TLS.
    pub(super) endpoint: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    pub(super) service: Arc<Service>,
    /// One for each connection that may exist.
    pub(super) permits: Arc<Semaphore>,
    pub(super) max_packet_size: u32,
    /// How long a client may take for its first byte where that decides what it speaks.
    pub(super) connect_timeout: Duration,
    pub(super) outgoing_limit: usize,
    /// For the next connection.
    pub(super) cut_after: Mutex<Option<usize>>,
    pub(super) next_id: AtomicU64,
}

/// A task that ends with its owner.
#[derive(Debug)]
pub(super) struct Task(JoinHandle<()>);

impl Task {
    pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }

    /// Ends the task, and returns when it has let go of everything it held.
    pub(super) async fn stop(mut self) {
        self.0.abort();
        self.wait().await;
    }

    /// Returns when the task has ended by itself.
    pub(super) async fn wait(&mut self) {
        let _ = (&mut self.0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// TLS, with a door for those who do not say what they want.
    Tls(Door),
    /// Without TLS: MQTT, or HTTP if it begins like that.
    Plain,
    /// The page to look at.
    Status,
}

/// Listens at an address; the error names it.
pub(super) async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => "; another program uses the port, choose a different one",
            io::ErrorKind::PermissionDenied => "; choose a port above 1023",
            _ => "",
        };
        io::Error::new(error.kind(), format!("cannot listen at {address}: {error}{hint}"))
    })
}

/// Accepts connections for ever.
pub(super) async fn accept(listener: TcpListener, wire: Wire, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Over the limit: closed at once, as a service under load would do.
        if let Ok(permit) = Arc::clone(&shared.permits).try_acquire_owned() {
            tokio::spawn(connect(stream, wire, Arc::clone(&shared), permit));
        }
    }
}

async fn connect(stream: TcpStream, wire: Wire, shared: Arc<Shared>, _permit: OwnedSemaphorePermit) {
    // Small packets in both directions: nothing is gained by waiting for more.
    let _ = stream.set_nodelay(true);
    let service = Arc::clone(&shared.service);
    if wire == Wire::Status {
        return http::serve_status(stream, shared).await;
    }
    let Wire::Tls(default) = wire else {
        return match shared.in_time(shared.connect_timeout, first_byte(&stream)).await {
            Some(byte) if byte.is_ascii_uppercase() => http::serve(stream, Origin::default(), shared).await,
            Some(_) => shared.connection(Gate::open(service, Origin::default())).serve(stream).await,
            None => {}
        };
    };
    let handshake = shared.in_time(HANDSHAKE_TIMEOUT, shared.tls.accept(stream, default)).await;
    let Some((stream, door, origin)) = handshake else { return };
    match door {
        Door::Mqtt => shared.connection(Gate::open(service, origin)).serve(stream).await,
        Door::MqttAuthorizer => shared.connection(Gate::authorizer(service, origin)).serve(stream).await,
        Door::Http => http::serve(stream, origin, shared).await,
    }
}

/// The first byte that a client sends. It stays there to be read.
async fn first_byte(stream: &TcpStream) -> io::Result<u8> {
    let mut byte = [0];
    match stream.peek(&mut byte).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(u8::from_be_bytes(byte)),
    }
}

impl Shared {
    /// What comes of it, unless it fails, takes too long, or the emulator ends before.
    async fn in_time<T>(&self, limit: Duration, future: impl Future<Output = io::Result<T>>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.events.closed() => None,
            done = tokio::time::timeout(limit, future) => done.ok()?.ok(),
        }
    }

    /// A connection with the next number, behind a gate.
    pub(super) fn connection(&self, gate: Gate) -> Connection {
        Connection {
            id: ConnectionId(self.next_id.fetch_add(1, Ordering::Relaxed)),
            link: Arc::new(Link::new(self.outgoing_limit)),
            events: self.events.clone(),
            max_packet_size: self.max_packet_size,
            gate,
            cut_after: self.cut_after.lock().unwrap_or_else(PoisonError::into_inner).take(),
            one_by_one: false,
        }
    }
}
