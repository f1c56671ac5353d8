//! Keeps messages while there is no connection.

mod backlog;
mod stage;

pub use stage::OfflineQueueStage;

use super::bounds::Bounds;
use super::draining::DrainRate;
use crate::stage::{Layer, Stage};

/// The layer that keeps messages while there is no connection and sends them in order, at a rate, when there is one
/// again. The outermost layer: it sees a connection only when the layers inside are done with recovery.
///
/// | | |
/// |---|---|
/// | full | [`DropPolicy`]: the new message or the oldest ends with [`OpError::Dropped`](crate::OpError) |
/// | [`Message::time_to_live`](crate::Message::time_to_live) over, or Message Expiry Interval (MQTT 5) | the same, at that instant |
/// | [`Message::queue(false)`](crate::Message::queue) | is not kept: [`OpError::Offline`](crate::OpError) |
/// | [`Op::Disconnect`](crate::stage::Op) | what waits goes on waiting, for the next connection |
///
/// Messages of up to 8 KiB are copied when they are kept, so that what is charged is what is held. A larger one stays as
/// it is: if it is part of a larger buffer, it keeps that alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfflineQueue {
    bounds: Bounds,
    when_full: DropPolicy,
    drain_rate: DrainRate,
}

/// Who has to go when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum DropPolicy {
    /// The message that is to be added.
    #[default]
    DropNewest,
    /// The message that has waited longest.
    DropOldest,
}

impl Default for OfflineQueue {
    /// 20 messages, the newest is dropped, two per second go out.
    fn default() -> Self {
        Self::bounded(20)
    }
}

impl OfflineQueue {
    /// Keeps at most this many messages; 0 is [`disabled`](Self::disabled).
    #[must_use]
    pub fn bounded(messages: usize) -> Self {
        Self {
            bounds: Bounds { messages: Some(messages), bytes: None },
            when_full: DropPolicy::default(),
            drain_rate: DrainRate::default(),
        }
    }

    /// Keeps any number of messages; consider [`max_bytes`](Self::max_bytes).
    #[must_use]
    pub fn unbounded() -> Self {
        Self { bounds: Bounds { messages: None, bytes: None }, ..Self::default() }
    }

    /// Keeps none: a message ends with [`OpError::Offline`](crate::OpError) when there is no connection.
    #[must_use]
    pub fn disabled() -> Self {
        Self::bounded(0)
    }

    /// Keeps at most this many bytes of topics, properties and payloads, besides the bound in messages. Default: any
    /// number.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.bounds.bytes = Some(bytes);
        self
    }

    /// Who has to go when it is full. Default: the newest.
    #[must_use]
    pub fn when_full(mut self, policy: DropPolicy) -> Self {
        self.when_full = policy;
        self
    }

    /// How fast goes out what piled up without a connection. Default: two messages per second.
    #[must_use]
    pub fn drain_rate(mut self, rate: DrainRate) -> Self {
        self.drain_rate = rate;
        self
    }

    fn is_disabled(&self) -> bool {
        self.bounds.messages == Some(0)
    }
}

impl<S: Stage> Layer<S> for OfflineQueue {
    type Stage = OfflineQueueStage<S>;

    fn layer(self, inner: S) -> Self::Stage {
        OfflineQueueStage::new(self, inner)
    }
}
