//! Who waits for which operation.

use mqtt_codec::{ReasonCode, TopicFilter};
use tokio::sync::oneshot;

use super::outcomes::Delivery;
use crate::error::OpError;
use crate::stage::{AckToken, Connected, OpId, Owner};

/// The one who issued an operation, and what they gave along.
#[derive(Debug)]
pub(super) enum Reply {
    Connect(oneshot::Sender<Result<Connected, OpError>>),
    Publish(oneshot::Sender<Result<Delivery, OpError>>),
    /// A publish whose writing to disk is waited for, too.
    Durable {
        stored: Option<oneshot::Sender<Result<(), OpError>>>,
        reply: oneshot::Sender<Result<Delivery, OpError>>,
    },
    Subscribe {
        /// A code for each filter.
        reply: oneshot::Sender<Result<Vec<ReasonCode>, OpError>>,
        /// With the tickets of their routes.
        filters: Vec<(u64, TopicFilter)>,
        /// Held messages that were handed to it already.
        taken: Vec<AckToken>,
    },
    Unsubscribe {
        reply: oneshot::Sender<Result<ReasonCode, OpError>>,
        filter: TopicFilter,
        /// Routes with lower numbers end with it.
        before: u64,
    },
    Disconnect(oneshot::Sender<()>),
    /// The driver itself, which does not mind the outcome.
    Nobody,
}

/// A table of the operations under way. Numbers carry the slot and how often it was used, so that no number comes
/// twice.
#[derive(Debug, Default)]
pub(super) struct Replies {
    slots: Vec<(u32, Option<Reply>)>,
    free: Vec<u32>,
}

impl Replies {
    pub(super) fn insert(&mut self, reply: Reply) -> OpId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            u32::try_from(self.slots.len().saturating_sub(1)).unwrap_or(u32::MAX)
        });
        let mut uses = 0;
        if let Some(entry) = self.slots.get_mut(slot as usize) {
            entry.0 = entry.0.wrapping_add(1) & 0x00FF_FFFF;
            entry.1 = Some(reply);
            uses = entry.0;
        }
        OpId::new(Owner::APPLICATION, u64::from(uses) << 32 | u64::from(slot))
    }

    /// Tells whoever waits for it that the operation's message is on disk.
    pub(super) fn stored(&mut self, id: OpId) {
        let Some(slot) = self.slot(id) else { return };
        if let Some(Reply::Durable { stored, .. }) = slot
            && let Some(stored) = stored.take()
        {
            let _ = stored.send(Ok(()));
        }
    }

    fn slot(&mut self, id: OpId) -> Option<&mut Option<Reply>> {
        let (uses, reply) = self.slots.get_mut(id.seq() as u32 as usize)?;
        (id.owner() == Owner::APPLICATION && u64::from(*uses) == id.seq() >> 32).then_some(reply)
    }

    pub(super) fn remove(&mut self, id: OpId) -> Option<Reply> {
        let reply = self.slot(id)?.take();
        if reply.is_some() {
            self.free.push(id.seq() as u32);
        }
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_ends_once_and_its_number_is_not_used_again() {
        let mut replies = Replies::default();
        let first = replies.insert(Reply::Nobody);
        assert!(replies.remove(first).is_some());
        assert!(replies.remove(first).is_none());
        let second = replies.insert(Reply::Nobody);
        assert_ne!(first, second);
        assert!(replies.remove(first).is_none());
        assert!(replies.remove(second).is_some());
    }
}
