//! Links in memory, with a server's codec at the far end.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use iot_session::layers::Reconnect;
use iot_session::proto::{ConnectOptions, Engine};
use iot_session::{Client, Config, Layer, Messages, QoS, Status, Version, client, stack};
use iot_transport::{Attempt, ConnectError, Connector, Phase};
use mqtt_codec::packet::{Ack, ConnAck, SubAck};
use mqtt_codec::{Codec, Packet, ReasonCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

use super::options;

/// Gives out prepared streams and refusals, one for each dial; without one the dial hangs.
#[derive(Clone, Default)]
pub struct Links(Arc<Mutex<VecDeque<Option<DuplexStream>>>>);

impl Links {
    /// Prepares a link and gives its far end.
    pub fn add(&self, capacity: usize) -> Server {
        let (near, far) = tokio::io::duplex(capacity);
        self.0.lock().unwrap().push_back(Some(near));
        Server { io: far, codec: Codec::server(), buffer: BytesMut::new() }
    }

    /// So many dials fail next.
    pub fn refuse(&self, dials: usize) {
        self.0.lock().unwrap().extend((0..dials).map(|_| None));
    }

    /// How many prepared links are left.
    pub fn left(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Connector for Links {
    type Io = DuplexStream;

    async fn connect(&self, _attempt: &Attempt) -> Result<DuplexStream, ConnectError> {
        let next = self.0.lock().unwrap().pop_front();
        match next {
            Some(Some(link)) => Ok(link),
            Some(None) => Err(ConnectError::from_io(
                Phase::Tcp,
                std::io::Error::from(std::io::ErrorKind::ConnectionRefused),
            )),
            None => pending().await,
        }
    }
}

/// The far end of a link.
pub struct Server {
    pub io: DuplexStream,
    codec: Codec,
    buffer: BytesMut,
}

impl Server {
    /// The next packet; `None` at the end of the stream.
    pub async fn recv(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = self.codec.decode(&mut self.buffer).unwrap() {
                return Some(packet);
            }
            if self.io.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// The next packet but PINGREQ, which is answered.
    pub async fn recv_or_pong(&mut self) -> Option<Packet> {
        loop {
            match self.recv().await? {
                Packet::PingReq => self.send(Packet::PingResp).await,
                packet => return Some(packet),
            }
        }
    }

    pub async fn send(&mut self, packet: impl Into<Packet>) {
        let mut bytes = BytesMut::new();
        self.codec.encode(&packet.into(), &mut bytes).unwrap();
        self.io.write_all(&bytes).await.unwrap();
    }

    /// CONNECT and CONNACK.
    pub async fn accept(&mut self, session_present: bool) {
        let Some(Packet::Connect(_)) = self.recv().await else { panic!("no CONNECT") };
        self.send(ConnAck::new(session_present, ReasonCode::Success)).await;
    }

    /// The same, while `client` connects.
    pub async fn accept_from(&mut self, client: &Client, session_present: bool) {
        let (result, ()) = tokio::join!(client.connect(), self.accept(session_present));
        result.unwrap();
    }

    /// Answers everything until the end of the stream; gives what came.
    pub async fn serve(mut self) -> Vec<Packet> {
        let mut seen = Vec::new();
        while let Some(packet) = self.recv().await {
            match &packet {
                Packet::Connect(_) => self.send(ConnAck::new(false, ReasonCode::Success)).await,
                Packet::PingReq => self.send(Packet::PingResp).await,
                Packet::Publish(publish) => {
                    if let Some(id) = publish.packet_id() {
                        self.send(Packet::PubAck(Ack::new(id))).await;
                    }
                }
                Packet::Subscribe(subscribe) => {
                    let codes = subscribe.filters().map(|_| ReasonCode::GrantedQoS1);
                    self.send(Packet::SubAck(SubAck::new(subscribe.packet_id, codes))).await;
                }
                Packet::Unsubscribe(unsubscribe) => {
                    let codes = unsubscribe.filters().map(|_| ReasonCode::Success);
                    self.send(Packet::UnsubAck(SubAck::new(unsubscribe.packet_id, codes))).await;
                }
                _ => {}
            }
            seen.push(packet);
        }
        seen
    }
}

/// A client over `links`, its driver spawned.
pub fn start(
    options: ConnectOptions,
    reconnect: Reconnect,
    links: &Links,
    config: Config,
) -> (Client, JoinHandle<()>) {
    start_with(options, reconnect, links, config)
}

/// A client over `links` with these layers around the engine, its driver spawned.
pub fn start_with<L>(
    options: ConnectOptions,
    layers: L,
    links: &Links,
    config: Config,
) -> (Client, JoinHandle<()>)
where
    L: Layer<Engine>,
    L::Stage: Send + 'static,
{
    let engine = Engine::new(options);
    let codec = engine.codec();
    let stage = stack(engine).layer(layers).into_stage();
    let (client, driver) = client(stage, codec, links.clone(), config);
    (client, tokio::spawn(driver.run()))
}

/// A client that is connected to the server that comes with it.
pub async fn connected(version: Version, config: Config) -> (Client, Server, Links) {
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let (client, _) = start(options(version), Reconnect::default(), &links, config);
    server.accept_from(&client, false).await;
    (client, server, links)
}

/// Subscribes and lets the server agree.
pub async fn subscribed(client: &Client, server: &mut Server, filter: &str) -> Messages {
    let answer = async {
        let Some(Packet::Subscribe(subscribe)) = server.recv_or_pong().await else { panic!() };
        server.send(Packet::SubAck(SubAck::new(subscribe.packet_id, [ReasonCode::GrantedQoS1]))).await;
    };
    let (messages, ()) = tokio::join!(client.subscribe(filter, QoS::AtLeastOnce), answer);
    messages.unwrap()
}

/// Waits for a status.
pub async fn until(client: &Client, wanted: impl Fn(&Status) -> bool) -> Status {
    client.status().wait_for(|status| wanted(status)).await.unwrap().clone()
}
