//! The broker on sockets: its doors, one task for the broker, one for each connection.

mod accept;
mod builder;
mod clock;
mod connection;
mod faults;
mod gate;
mod history;
mod http;
mod hub;
mod link;
mod service;
mod settings;
mod shadow_file;
mod shadows;
mod status;
mod tls;
mod ways;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use mqtt_codec::{InvalidTopic, QoS, TopicName};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};

pub use builder::Builder;

use crate::authority::{Authority, Credentials, server_names};
use crate::broker::{Broker, Stats};
use crate::shadow::Shadows;
use accept::{Shared, Task, Wire};
use hub::{Command, Hub};
use service::Service;
use shadow_file::ShadowFile;
use tls::{Door, Tls};

/// Packets on their way from all connections to the broker.
const EVENTS: usize = 64;

/// A running emulator. Dropping it stops it at once; [`shutdown`](Emulator::shutdown) does so in an orderly way.
pub struct Emulator {
    authority: Authority,
    credentials: Credentials,
    endpoint: String,
    tls: SocketAddr,
    https: Option<SocketAddr>,
    plain: Option<SocketAddr>,
    status: Option<SocketAddr>,
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

    /// The port for TLS: without a protocol name (ALPN) it is for MQTT with a client certificate.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.tls.port()
    }

    /// The port without TLS, if [asked for](Builder::plain).
    #[must_use]
    pub fn plain_port(&self) -> Option<u16> {
        self.plain.map(|address| address.port())
    }

    /// A page in the browser that shows connections, subscriptions, shadows and the last messages, if
    /// [asked for](Builder::status_port). It only shows; nothing can be changed there.
    #[must_use]
    pub fn status_url(&self) -> Option<String> {
        self.status.map(|address| format!("http://{address}/"))
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
        self.call(move |hub| hub.publish(&topic, &payload, qos, retain)).await;
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
        let sockets = Sockets::open(self.tls, self.https, self.plain, self.status).await?;
        *self.listeners() = sockets.spawn(&self.shared);
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
        let names = server_names(builder.bind, &builder.server_names);
        let handshakes = Tls::new(&authority, &names, builder.check_server_name)?;
        let address = |port| SocketAddr::new(builder.bind, port);
        let (https, plain) = (builder.https_port.map(address), builder.plain_port.map(address));
        let status = builder.status_port.map(|port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
        let sockets = Sockets::open(address(builder.port), https, plain, status).await?;
        let local_addr =
            |socket: &Option<TcpListener>| socket.as_ref().map(TcpListener::local_addr).transpose();
        let local = builder.bind.is_loopback() || builder.bind.is_unspecified();
        let endpoint = if local { "localhost".to_owned() } else { builder.bind.to_string() };

        let dates = builder.service.clock.clone();
        let (commands, command_queue) = mpsc::channel(EVENTS);
        let (events, event_queue) = mpsc::channel(EVENTS);
        let shared = Arc::new(Shared {
            events,
            endpoint: endpoint.clone(),
            port: sockets.tls.local_addr()?.port(),
            tls: handshakes,
            service: Arc::new(Service::new(builder.service)?),
            permits: Arc::new(Semaphore::new(builder.max_connections as usize)),
            max_packet_size: builder.behaviour.max_packet_size,
            connect_timeout: builder.behaviour.connect_timeout,
            outgoing_limit: builder.outgoing_limit,
            cut_after: Mutex::new(None),
            next_id: AtomicU64::new(1),
        });
        let mut shadows = Shadows::new(builder.shadow_rules);
        let file = builder.shadow_file.map(|path| ShadowFile::open(&path, &mut shadows)).transpose()?;
        let hub = Hub::new(Broker::new(builder.behaviour), shadows, file, dates);
        Ok(Self {
            authority,
            credentials,
            endpoint,
            tls: sockets.tls.local_addr()?,
            https: local_addr(&sockets.https)?,
            plain: local_addr(&sockets.plain)?,
            status: local_addr(&sockets.status)?,
            max_connections: builder.max_connections,
            hub: Task::spawn(hub.run(command_queue, event_queue)),
            listeners: Mutex::new(sockets.spawn(&shared)),
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

/// The listening sockets.
struct Sockets {
    tls: TcpListener,
    https: Option<TcpListener>,
    plain: Option<TcpListener>,
    status: Option<TcpListener>,
}

impl Sockets {
    async fn open(
        tls: SocketAddr,
        https: Option<SocketAddr>,
        plain: Option<SocketAddr>,
        status: Option<SocketAddr>,
    ) -> io::Result<Self> {
        let open = async |address: Option<SocketAddr>| match address {
            Some(address) => accept::listen(address).await.map(Some),
            None => Ok(None),
        };
        Ok(Self {
            tls: accept::listen(tls).await?,
            https: open(https).await?,
            plain: open(plain).await?,
            status: open(status).await?,
        })
    }

    fn spawn(self, shared: &Arc<Shared>) -> Vec<Task> {
        let https = self.https.map(|socket| (socket, Wire::Tls(Door::Http)));
        let plain = self.plain.map(|socket| (socket, Wire::Plain));
        let status = self.status.map(|socket| (socket, Wire::Status));
        std::iter::once((self.tls, Wire::Tls(Door::Mqtt)))
            .chain(https)
            .chain(plain)
            .chain(status)
            .map(|(socket, wire)| Task::spawn(accept::accept(socket, wire, Arc::clone(shared))))
            .collect()
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator")
            .field("tls", &self.tls)
            .field("https", &self.https)
            .field("plain", &self.plain)
            .finish_non_exhaustive()
    }
}
