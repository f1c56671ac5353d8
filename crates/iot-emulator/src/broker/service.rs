//! What the side of the service can see and do: observation, publishing, and closing connections.

use std::time::Duration;

use mqtt_codec::packet::Disconnect;
use mqtt_codec::{Packet, QoS, ReasonCode, Text, TopicFilter, TopicName, Version};

use super::message::Message;
use super::session::Session;
use super::timers::Timer;
use super::{Broker, Connection, ConnectionId, Output, Policy, Stats};

impl Broker {
    /// The client identifiers that are connected, in order.
    pub fn connected_clients(&self) -> impl Iterator<Item = &Text> {
        self.sessions.iter().filter(|(_, session)| session.connection.is_some()).map(|(client, _)| client)
    }

    /// The connection of a client.
    #[must_use]
    pub fn connection_of(&self, client_id: &str) -> Option<ConnectionId> {
        self.sessions.get(&Text::try_from(client_id).ok()?)?.connection
    }

    /// The client of a connection, once it has sent CONNECT.
    #[must_use]
    pub fn client_of(&self, id: ConnectionId) -> Option<&str> {
        Some(self.up(id)?.client_id.as_str())
    }

    /// The connections that have sent CONNECT, with what they speak.
    pub fn connections(&self) -> impl Iterator<Item = (ConnectionId, &str, Version)> {
        self.connections.iter().filter_map(|(id, connection)| match connection {
            Connection::Up(up) => Some((*id, up.client_id.as_str(), up.version)),
            Connection::Fresh => None,
        })
    }

    /// All sessions, in the order of their client identifiers.
    pub fn sessions(&self) -> impl Iterator<Item = SessionView<'_>> {
        self.sessions
            .iter()
            .map(|(client_id, session)| SessionView { client_id: client_id.as_str(), session })
    }

    /// How many sessions there are, connected or not.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// What was dropped.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// What clients may do.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What clients may do, to change it.
    pub fn policy_mut(&mut self) -> &mut Policy {
        &mut self.policy
    }

    /// Publishes from the side of the service. QoS 2 counts as QoS 1.
    pub fn publish(&mut self, now: Duration, topic: &TopicName, payload: &[u8], qos: QoS, retain: bool) {
        let qos = qos.min(QoS::AtLeastOnce);
        self.route(now, None, &Message::new(topic, payload, qos, retain));
    }

    /// Cuts a client's connection without a word; its will is published. Whether there was one.
    pub fn kick(&mut self, now: Duration, client_id: &str) -> bool {
        let Some(id) = self.connection_of(client_id) else { return false };
        self.abort(now, id);
        true
    }

    /// Cuts all connections, and returns how many clients were connected.
    pub fn kick_all(&mut self, now: Duration) -> usize {
        let connected = self.connected_clients().count();
        let all: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in all {
            self.abort(now, id);
        }
        connected
    }

    /// Cuts a connection that takes too little, or that is to go for any other reason.
    pub fn abort(&mut self, now: Duration, id: ConnectionId) {
        if self.connections.contains_key(&id) {
            self.outputs.push_back(Output::Abort(id));
            self.detach(now, id, true);
        }
    }

    /// A connection whose CONNECT the owner does not let through: CONNACK with the reason and the end, or without a
    /// reason just the end. Does nothing to those that the broker has accepted.
    pub fn turn_away(
        &mut self,
        now: Duration,
        id: ConnectionId,
        version: Version,
        reason: Option<ReasonCode>,
    ) {
        match (self.connections.get(&id), reason) {
            (Some(Connection::Fresh), Some(reason)) => self.refuse(now, id, version, reason),
            (Some(Connection::Fresh), None) => self.close(now, id),
            _ => {}
        }
    }

    /// Ends a connection that has lasted as long as it may; its will is published.
    pub fn expire(&mut self, now: Duration, id: ConnectionId) {
        self.fail(now, id, ReasonCode::MaximumConnectTime);
    }

    /// The end: MQTT 5 clients are told, all connections are closed, and nobody's will is published.
    pub fn shut_down(&mut self, now: Duration) {
        let all: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in all {
            if self.up(id).is_some_and(|up| up.version.is_v5()) {
                self.send(id, Packet::Disconnect(Disconnect::new(ReasonCode::ServerShuttingDown)));
            }
            self.outputs.push_back(Output::Close(id));
            self.detach(now, id, false);
        }
    }

    /// Does not time the connection out until its next packet.
    pub fn forget_silence(&mut self, id: ConnectionId) {
        self.timers.clear(&Timer::Silence(id));
    }
}

/// A session, to look at.
#[derive(Debug, Clone, Copy)]
pub struct SessionView<'a> {
    client_id: &'a str,
    session: &'a Session,
}

impl<'a> SessionView<'a> {
    /// Whose session.
    #[must_use]
    pub fn client_id(&self) -> &'a str {
        self.client_id
    }

    /// Whether the client is connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.session.connection.is_some()
    }

    /// What is subscribed, and the highest QoS at which it is delivered.
    pub fn subscriptions(&self) -> impl Iterator<Item = (&'a TopicFilter, QoS)> {
        self.session.subscriptions.iter().map(|(filter, subscription)| (filter, subscription.options.qos))
    }

    /// How many messages wait to be sent.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.session.queued()
    }
}
