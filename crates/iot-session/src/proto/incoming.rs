//! Received QoS 1 messages that wait to be taken, so that PUBACKs leave in arrival order (`[MQTT-4.6.0-2]`).

use std::collections::VecDeque;
use std::num::NonZeroU32;

use mqtt_codec::PacketId;

use crate::stage::AckToken;

/// The messages of one connection.
#[derive(Debug)]
pub(super) struct Incoming {
    /// Counts connections.
    epoch: NonZeroU32,
    /// Number of the first entry.
    first: u32,
    entries: VecDeque<(PacketId, bool)>,
}

impl Default for Incoming {
    fn default() -> Self {
        Self { epoch: NonZeroU32::MIN, first: 0, entries: VecDeque::new() }
    }
}

impl Incoming {
    /// A new connection: nothing of the one before can be acknowledged any more.
    pub(super) fn restart(&mut self) {
        *self = Self { epoch: self.epoch.checked_add(1).unwrap_or(NonZeroU32::MIN), ..Self::default() };
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn push(&mut self, id: PacketId) -> AckToken {
        let seq = self.first.wrapping_add(self.entries.len() as u32);
        self.entries.push_back((id, false));
        AckToken { epoch: self.epoch, seq }
    }

    /// Marks a message as taken; tokens of other connections are ignored.
    pub(super) fn accept(&mut self, token: AckToken) {
        if token.epoch == self.epoch
            && let Some(entry) = self.entries.get_mut(token.seq.wrapping_sub(self.first) as usize)
        {
            entry.1 = true;
        }
    }

    /// The next message to acknowledge: the oldest, once it was taken.
    pub(super) fn pop_accepted(&mut self) -> Option<PacketId> {
        let (id, accepted) = *self.entries.front()?;
        if !accepted {
            return None;
        }
        self.entries.pop_front();
        self.first = self.first.wrapping_add(1);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_released_in_arrival_order_and_never_across_connections() {
        let mut incoming = Incoming::default();
        let id = |n| PacketId::new(n).unwrap();
        let (a, b, c) = (incoming.push(id(7)), incoming.push(id(3)), incoming.push(id(9)));
        incoming.accept(b);
        assert_eq!(incoming.pop_accepted(), None);
        incoming.accept(a);
        assert_eq!(incoming.pop_accepted(), Some(id(7)));
        assert_eq!(incoming.pop_accepted(), Some(id(3)));
        assert_eq!(incoming.pop_accepted(), None);
        incoming.restart();
        incoming.push(id(1));
        incoming.accept(c);
        assert_eq!(incoming.pop_accepted(), None);
        assert_eq!(incoming.len(), 1);
    }
}
