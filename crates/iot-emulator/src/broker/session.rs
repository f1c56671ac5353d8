//! What the broker keeps for a client identifier, with or without a connection.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use mqtt_codec::packet::SubscriptionOptions;
use mqtt_codec::{PacketId, TopicFilter, Version};

use super::message::Message;
use super::{Behaviour, ConnectionId};

/// A session's subscription to the filter it is kept under.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subscription {
    pub(super) options: SubscriptionOptions,
    /// A member of a `$share` group; its messages come through the group.
    pub(super) shared: bool,
}

/// Subscriptions, unacknowledged messages, and those that wait.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) version: Version,
    pub(super) connection: Option<ConnectionId>,
    pub(super) subscriptions: BTreeMap<TopicFilter, Subscription>,
    /// How long it lives without a connection; zero: not at all.
    pub(super) expiry: Duration,
    /// Of a connection that has ended, waiting for its delay.
    pub(super) will: Option<Message>,
    /// Sent and not acknowledged, in the order of sending.
    in_flight: VecDeque<(PacketId, Message)>,
    /// Those of them that still have to be sent again on this connection.
    resend: VecDeque<PacketId>,
    queue: VecDeque<Message>,
    queued_bytes: usize,
    last_id: u16,
}

impl Session {
    pub(super) fn new(version: Version) -> Self {
        Self {
            version,
            connection: None,
            subscriptions: BTreeMap::new(),
            expiry: Duration::ZERO,
            will: None,
            in_flight: VecDeque::new(),
            resend: VecDeque::new(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            last_id: 0,
        }
    }

    /// Lets a QoS 1 message wait; `false` when there is no room, then it is gone.
    #[must_use]
    pub(super) fn enqueue(&mut self, message: Message, limits: &Behaviour) -> bool {
        let bytes = self.queued_bytes + message.size();
        if self.queue.len() >= limits.max_queued || bytes > limits.max_queued_bytes {
            return false;
        }
        self.queued_bytes = bytes;
        self.queue.push_back(message);
        true
    }

    /// The next message that waits, if the window has room for it.
    pub(super) fn dequeue(&mut self, window: usize) -> Option<Message> {
        if self.in_flight.len() >= window {
            return None;
        }
        let message = self.queue.pop_front()?;
        self.queued_bytes -= message.size();
        Some(message)
    }

    /// Numbers a message that is being sent and remembers it until it is acknowledged.
    pub(super) fn begin(&mut self, message: Message) -> Option<PacketId> {
        let id = self.free_id()?;
        self.in_flight.push_back((id, message));
        Some(id)
    }

    /// Forgets an acknowledged message.
    pub(super) fn acknowledged(&mut self, id: PacketId) {
        if let Some(at) = self.in_flight.iter().position(|(used, _)| *used == id) {
            self.in_flight.remove(at);
        }
        self.resend.retain(|waiting| *waiting != id);
    }

    /// A new connection has taken the session up: what was never acknowledged is to be sent again.
    pub(super) fn resumed(&mut self) {
        self.resend = self.in_flight.iter().map(|(id, _)| *id).collect();
    }

    /// The next message to send again, in their order, if the window has room for it.
    pub(super) fn next_resend(&mut self, window: usize) -> Option<(PacketId, Message)> {
        if self.in_flight.len().saturating_sub(self.resend.len()) >= window {
            return None;
        }
        let id = self.resend.pop_front()?;
        self.in_flight.iter().find(|(used, _)| *used == id).cloned()
    }

    /// How many messages wait to be sent.
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Messages unacknowledged and waiting, and the bytes of the latter.
    #[cfg(test)]
    pub(super) fn backlog(&self) -> (usize, usize, usize) {
        (self.in_flight.len(), self.queue.len(), self.queued_bytes)
    }

    /// The window is far smaller than the identifiers, so one is found soon.
    fn free_id(&mut self) -> Option<PacketId> {
        for _ in 0..=self.in_flight.len() + 1 {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            let id = PacketId::new(self.last_id)?;
            if self.in_flight.iter().all(|(used, _)| *used != id) {
                return Some(id);
            }
        }
        None
    }
}
