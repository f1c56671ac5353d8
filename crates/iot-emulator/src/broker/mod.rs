//! An MQTT 3.1.1 and MQTT 5 broker without a clock, a socket or a task.
//!
//! # Contract
//! The owner tells the broker what happens: [`Broker::connected`], [`Broker::handle`] and [`Broker::malformed`] for
//! what a connection sends, [`Broker::closed`] or [`Broker::left`] when it is gone, [`Broker::handle_timeout`] when [`Broker::deadline`]
//! has come. After each of them [`Broker::poll`] is called until it returns `None`, and what it says is done in its
//! order. Time is the duration since any moment the owner chooses; it never goes back.
//!
//! What comes in for a connection that is not known, or no longer, is ignored. After [`Output::Close`] or
//! [`Output::Abort`] a connection is forgotten: nothing more is said about it.
//!
//! # Choices that the standards leave open
//! - A session gets one copy of a message, however many of its own subscriptions match, at the highest of their QoS;
//!   RETAIN is kept as published if any of them asks for it. Each shared subscription adds its own copy.
//! - A shared subscription's messages go to its connected members in turn. With none connected, QoS 1 waits for a
//!   member whose session lives on, QoS 0 is dropped.
//! - A QoS 1 message is sent again only when its session is resumed.
//! - A topic that may not be published to closes a connection, except QoS 1 in MQTT 5, where PUBACK says so.
//! - Message expiry intervals are brought into the range of 1 second to 7 days.

mod ack;
mod behaviour;
mod connect;
mod deliver;
mod disconnect;
mod message;
mod policy;
mod publish;
mod retained;
mod service;
mod session;
mod subscribe;
mod timers;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub use behaviour::Behaviour;
pub use policy::Policy;
pub use service::SessionView;

use bytes::Bytes;
use mqtt_codec::packet::{Disconnect, Will};
use mqtt_codec::{
    Codec, DecodeError, Packet, PacketId, QoS, ReasonCode, Text, TopicFilter, TopicName, Version,
};

use deliver::Group;
use retained::Retained;
use session::Session;
use timers::{Timer, Timers};

/// Names a connection; the owner makes them up and uses none twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What the owner has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Sends a packet, encoded in this version.
    Send {
        /// Where to.
        connection: ConnectionId,
        /// What the connection speaks.
        version: Version,
        /// What to send.
        packet: Packet,
    },
    /// Closes a connection once everything before this has been written.
    Close(ConnectionId),
    /// Cuts a connection at once; what has not been written is thrown away.
    Abort(ConnectionId),
    /// A client's message was taken and handed to its subscribers: for services that listen to what clients publish.
    Published {
        /// Whose.
        connection: ConnectionId,
        /// Its alias is resolved.
        topic: TopicName,
        /// Shares the read buffer.
        payload: Bytes,
        /// As it was published.
        qos: QoS,
    },
}

/// What was dropped, since the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// QoS 1 messages for which a session's queue had no room.
    pub queue_full: u64,
    /// Messages larger than what a client takes.
    pub too_large: u64,
    /// Messages that waited longer than their expiry interval.
    pub expired: u64,
    /// Retained messages that there was no room to keep.
    pub retained_full: u64,
}

/// The broker. See the [module](self) for how it is driven.
#[derive(Debug)]
pub struct Broker {
    behaviour: Behaviour,
    policy: Policy,
    connections: BTreeMap<ConnectionId, Connection>,
    sessions: BTreeMap<Text, Session>,
    groups: BTreeMap<TopicFilter, Group>,
    retained: Retained,
    timers: Timers,
    outputs: VecDeque<Output>,
    stats: Stats,
    assigned: u64,
    hold_acks: bool,
}

/// Until CONNECT nothing is known of a connection.
#[derive(Debug)]
enum Connection {
    Fresh,
    Up(Box<Up>),
}

/// A connection after CONNACK.
#[derive(Debug)]
struct Up {
    version: Version,
    client_id: Text,
    /// 1.5 times the keep-alive.
    silence: Option<Duration>,
    /// How many QoS 1 messages the client takes unacknowledged.
    window: usize,
    max_packet_size: Option<u32>,
    aliases: BTreeMap<u16, TopicName>,
    will: Option<Will>,
    /// Received, and not acknowledged while acknowledgements are held.
    unacknowledged: Vec<PacketId>,
}

impl Broker {
    /// A broker without sessions or messages.
    #[must_use]
    pub fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour,
            policy: Policy::default(),
            connections: BTreeMap::new(),
            sessions: BTreeMap::new(),
            groups: BTreeMap::new(),
            retained: Retained::default(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            stats: Stats::default(),
            assigned: 0,
            hold_acks: false,
        }
    }

    /// A transport connection was made; CONNECT is expected.
    pub fn connected(&mut self, now: Duration, id: ConnectionId) {
        self.connections.insert(id, Connection::Fresh);
        self.timers.set(Timer::Silence(id), now.saturating_add(self.behaviour.connect_timeout));
    }

    /// A connection has sent a packet.
    pub fn handle(&mut self, now: Duration, id: ConnectionId, packet: Packet) {
        match (self.connections.get(&id), packet) {
            (None, _) => {}
            (Some(Connection::Fresh), Packet::Connect(connect)) => self.connect(now, id, &connect),
            (Some(Connection::Fresh), _) => self.close(now, id), // [MQTT-3.1.0-1]
            (Some(Connection::Up(up)), packet) => {
                if let Some(silence) = up.silence {
                    self.timers.set(Timer::Silence(id), now.saturating_add(silence));
                }
                self.packet(now, id, packet);
            }
        }
    }

    /// A connection has sent what is no packet. Its stream cannot be read on.
    pub fn malformed(&mut self, now: Duration, id: ConnectionId, error: DecodeError) {
        match (self.connections.get(&id), error) {
            (None, _) => {}
            // [MQTT-3.1.2-2], [MQTT-3.1.3-8]: answered in the words of 3.1.1, which is what such clients speak.
            (Some(Connection::Fresh), DecodeError::ProtocolLevel(_) | DecodeError::EmptyClientId) => {
                self.refuse(now, id, Version::V3_1_1, error.reason());
            }
            (Some(Connection::Fresh), _) => self.close(now, id),
            (Some(Connection::Up(_)), error) => self.fail(now, id, error.reason()),
        }
    }

    /// A transport connection is gone, without the broker having asked for it.
    pub fn closed(&mut self, now: Duration, id: ConnectionId) {
        self.detach(now, id, true);
    }

    /// A transport connection was closed by the client in the transport's own orderly way, as a close frame does: no
    /// will is published.
    pub fn left(&mut self, now: Duration, id: ConnectionId) {
        self.detach(now, id, false);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Duration) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Silence(id) => self.fail(now, id, ReasonCode::KeepAliveTimeout), // [MQTT-3.1.2-22]
                Timer::Will(client) => self.publish_delayed_will(now, &client),
                Timer::SessionEnd(client) => self.end_session(now, &client),
            }
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). Later than the last call's time.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// What to do next; until it returns `None`.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn packet(&mut self, now: Duration, id: ConnectionId, packet: Packet) {
        match packet {
            Packet::Publish(publish) => self.publish_received(now, id, &publish),
            Packet::PubAck(ack) => self.acknowledged(now, id, ack.packet_id),
            Packet::Subscribe(subscribe) => self.subscribe(now, id, &subscribe),
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(id, &unsubscribe),
            Packet::PingReq => self.send(id, Packet::PingResp), // [MQTT-3.12.4-1]
            Packet::Disconnect(disconnect) => self.client_disconnects(now, id, &disconnect),
            // [MQTT-3.1.0-2] a second CONNECT; QoS 2, enhanced authentication, and what only servers send
            _ => self.fail(now, id, ReasonCode::ProtocolError),
        }
    }

    fn up(&self, id: ConnectionId) -> Option<&Up> {
        match self.connections.get(&id)? {
            Connection::Up(up) => Some(up),
            Connection::Fresh => None,
        }
    }

    fn up_mut(&mut self, id: ConnectionId) -> Option<&mut Up> {
        match self.connections.get_mut(&id)? {
            Connection::Up(up) => Some(up),
            Connection::Fresh => None,
        }
    }

    /// Sends unless the client takes no packet of that size ([MQTT-3.1.2-24] of MQTT 5).
    fn send(&mut self, id: ConnectionId, packet: Packet) {
        let Some(up) = self.up(id) else { return };
        let version = up.version;
        if up.takes(&packet) {
            self.outputs.push_back(Output::Send { connection: id, version, packet });
        }
    }

    /// Ends a connection for a reason, which MQTT 5 clients are told.
    fn fail(&mut self, now: Duration, id: ConnectionId, reason: ReasonCode) {
        if self.up(id).is_some_and(|up| up.version.is_v5()) {
            self.send(id, Packet::Disconnect(Disconnect::new(reason)));
        }
        self.close(now, id);
    }

    /// Ends a connection without a word; its will is published.
    fn close(&mut self, now: Duration, id: ConnectionId) {
        if self.connections.contains_key(&id) {
            self.outputs.push_back(Output::Close(id));
            self.detach(now, id, true);
        }
    }
}

impl Up {
    fn takes(&self, packet: &Packet) -> bool {
        self.max_packet_size.is_none_or(|max| {
            Codec::server_after_connect(self.version).encoded_len(packet).is_ok_and(|len| len <= max as usize)
        })
    }
}

#[cfg(test)]
mod tests;
