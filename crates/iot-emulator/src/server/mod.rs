//! The broker on sockets: mutual TLS, one task for the broker, one for each connection.

mod accept;
mod builder;
mod clock;
mod connection;
mod faults;
mod hub;
mod link;
mod tls;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use mqtt_codec::{InvalidTopic, QoS, TopicName};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};

pub use builder::Builder;

use crate::authority::{Authority, Credentials, server_names};
use crate::broker::{Broker, Stats};
use accept::{Shared, Task, Wire};
use clock::Clock;
use hub::{Command, Hub};

/// Packets on their way from all connections to the broker.
const EVENTS: usize = 64;

/// A running emulator. Dropping it stops it at once; [`shutdown`](Emulator::shutdown) does so in an orderly way.
pub struct Emulator {
    authority: Authority,
    credentials: Credentials,
    endpoint: String,
    tls: SocketAddr,
    plain: Option<SocketAddr>,
    max_connections: u32,
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    hub: Task,
    /// Empty while it accepts nobody.
    listeners: Mutex<Vec<Task>>,
}

impl Emulator {
    /// Starts an emulator on any free port of this machine.
    ///
    /// # Errors
    /// The system gives no socket or no random numbers.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time enabled, as everything of tokio does.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Settings first.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The host name for clients: `localhost`, or the address that the emulator listens at.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The port for mutual TLS.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.tls.port()
    }

    /// The port without TLS, if [asked for](Builder::plain).
    #[must_use]
    pub fn plain_port(&self) -> Option<u16> {
        self.plain.map(|address| address.port())
    }

    /// A client certificate that the emulator accepts.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Issues more client certificates.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The client identifiers that are connected, in order.
    pub async fn connected_clients(&self) -> Vec<String> {
        self.call(|hub| hub.broker.connected_clients().map(ToString::to_string).collect()).await
    }

    /// What the broker has dropped so far.
    pub async fn stats(&self) -> Stats {
        self.call(|hub| hub.broker.stats()).await
    }

    /// Publishes from the side of the service. QoS 2 counts as QoS 1.
    ///
    /// # Errors
    /// The topic is not a topic name.
    pub async fn publish(
        &self,
        topic: &str,
        payload: impl Into<Bytes>,
        qos: QoS,
        retain: bool,
    ) -> Result<(), InvalidTopic> {
        let (topic, payload) = (TopicName::try_from(topic)?, payload.into());
        self.call(move |hub| hub.broker.publish(hub.clock.now(), &topic, &payload, qos, retain)).await;
        Ok(())
    }

    /// Closes the listening sockets: who connects now is refused by the system. Connections go on.
    pub async fn stop_accepting(&self) {
        let listeners = std::mem::take(&mut *self.listeners());
        for listener in listeners {
            listener.stop().await;
        }
    }

    /// Listens again, on the same ports.
    ///
    /// # Errors
    /// A port has been taken by another program since.
    pub async fn resume_accepting(&self) -> io::Result<()> {
        if !self.listeners().is_empty() {
            return Ok(());
        }
        let tls = accept::listen(self.tls).await?;
        let plain = match self.plain {
            Some(address) => Some(accept::listen(address).await?),
            None => None,
        };
        *self.listeners() = spawn_listeners(tls, plain, &self.shared);
        Ok(())
    }

    /// Tells MQTT 5 clients, closes all connections and the listening sockets, and returns when that is done. No wills
    /// are published.
    pub async fn shutdown(mut self) {
        self.stop_accepting().await;
        self.call(Hub::stop).await;
        self.hub.wait().await;
        // All permits are back when all connections have ended.
        let _ = self.shared.permits.acquire_many(self.max_connections).await;
    }

    async fn launch(builder: Builder) -> io::Result<Self> {
        let authority = Authority::new()?;
        let credentials = authority.issue_client("device")?;
        let acceptor = tls::acceptor(&authority, &server_names(builder.bind, &builder.server_names))?;
        let tls = accept::listen(SocketAddr::new(builder.bind, builder.port)).await?;
        let plain = match builder.plain_port {
            Some(port) => Some(accept::listen(SocketAddr::new(builder.bind, port)).await?),
            None => None,
        };
        let tls_address = tls.local_addr()?;
        let plain_address = plain.as_ref().map(TcpListener::local_addr).transpose()?;
        let local = builder.bind.is_loopback() || builder.bind.is_unspecified();
        let endpoint = if local { "localhost".to_owned() } else { builder.bind.to_string() };

        let (commands, command_queue) = mpsc::channel(EVENTS);
        let (events, event_queue) = mpsc::channel(EVENTS);
        let shared = Arc::new(Shared {
            events,
            tls: acceptor,
            permits: Arc::new(Semaphore::new(builder.max_connections as usize)),
            max_packet_size: builder.behaviour.max_packet_size,
            outgoing_limit: builder.outgoing_limit,
            cut_after: Mutex::new(None),
            next_id: AtomicU64::new(1),
        });
        let hub = Hub::new(Broker::new(builder.behaviour), Clock::start());
        Ok(Self {
            authority,
            credentials,
            endpoint,
            tls: tls_address,
            plain: plain_address,
            max_connections: builder.max_connections,
            hub: Task::spawn(hub.run(command_queue, event_queue)),
            listeners: Mutex::new(spawn_listeners(tls, plain, &shared)),
            shared,
            commands,
        })
    }

    /// Does something between two events of the broker, and returns what came of it.
    async fn call<T: Default + Send + 'static>(
        &self,
        command: impl FnOnce(&mut Hub) -> T + Send + 'static,
    ) -> T {
        let (reply, answer) = oneshot::channel();
        let command: Command = Box::new(move |hub| {
            let _ = reply.send(command(hub));
        });
        // The hub lives as long as the handle, so both succeed.
        let _ = self.commands.send(command).await;
        answer.await.unwrap_or_default()
    }

    fn listeners(&self) -> std::sync::MutexGuard<'_, Vec<Task>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn spawn_listeners(tls: TcpListener, plain: Option<TcpListener>, shared: &Arc<Shared>) -> Vec<Task> {
    let plain = plain.map(|listener| (listener, Wire::Plain));
    std::iter::once((tls, Wire::Tls))
        .chain(plain)
        .map(|(listener, wire)| Task::spawn(accept::accept(listener, wire, Arc::clone(shared))))
        .collect()
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator").field("tls", &self.tls).field("plain", &self.plain).finish_non_exhaustive()
    }
}
