//! The last message of each topic that was published with RETAIN.

use std::collections::BTreeMap;
use std::time::Duration;

use mqtt_codec::TopicName;

use super::Behaviour;
use super::message::Message;

/// Retained messages, bounded in number and bytes.
#[derive(Debug, Default)]
pub(super) struct Retained {
    messages: BTreeMap<TopicName, Message>,
    bytes: usize,
}

impl Retained {
    /// Keeps the message in place of the topic's earlier one, or clears it if the payload is empty. `false` when
    /// there is no room; the earlier one is gone then too.
    #[must_use]
    pub(super) fn set(&mut self, now: Duration, message: &Message, limits: &Behaviour) -> bool {
        if let Some(old) = self.messages.remove(&message.topic) {
            self.bytes -= old.size();
        }
        if message.payload.is_empty() {
            return true; // [MQTT-3.3.1-6]
        }
        let bytes = message.size();
        let full = |kept: &Self| {
            kept.messages.len() >= limits.max_retained || kept.bytes + bytes > limits.max_retained_bytes
        };
        if full(self) {
            self.expire(now);
        }
        if full(self) {
            return false;
        }
        self.bytes += bytes;
        self.messages.insert(message.topic.clone(), message.clone());
        true
    }

    /// Those that have not expired, in the order of their topics.
    pub(super) fn iter(&self, now: Duration) -> impl Iterator<Item = &Message> {
        self.messages.values().filter(move |message| !message.expired(now))
    }

    fn expire(&mut self, now: Duration) {
        self.messages.retain(|_, message| !message.expired(now));
        self.bytes = self.messages.values().map(Message::size).sum();
    }
}
