//! Keeps messages on disk until they are acknowledged.

mod book;
mod entry;
mod found;
pub(crate) mod record;
mod stage;

pub use found::Found;
pub use stage::OutboxStage;

use super::DropPolicy;
use super::bounds::Bounds;
use super::draining::DrainRate;
use crate::stage::{Layer, Stage};

/// The layer that writes every QoS 1 message to a store before it is sent, with a connection, too, and keeps it there until
/// the server acknowledges it: so it survives the end of the process and a loss of power. It does what the
/// [`OfflineQueue`](super::OfflineQueue) does as well, and stands in its place.
///
/// | message | |
/// |---|---|
/// | QoS 1 | on disk from before it is sent until PUBACK, a refusal, its time is over, or it is dropped; each of these is told to its publisher, or by [`Notice::Undelivered`](crate::stage::Notice) when that was an earlier run of the program |
/// | QoS 0 and 2, [`resend(false)`](crate::Message::resend) | with a connection and nothing waiting passes straight; otherwise waits on disk and leaves it for good just before it is sent, so that a crash never doubles it |
/// | QoS 2 with [`exactly_once`](Self::exactly_once) | as QoS 1, until PUBCOMP |
/// | [`queue(false)`](crate::Message::queue) | passes straight, or ends with [`OpError::Offline`](crate::OpError) |
///
/// A message that is kept is issued below with [`Resend::UntilAnswered`](crate::stage::Resend): no operation timeout ends it,
/// and neither does a disconnect. After a crash those go out again that had been sent and were not known to be
/// acknowledged: what at-least-once means. One that was dropped or expired just before a crash may go out after it, since
/// removals wait for company on the disk. Messages wait and go in the order in which they were published; after a restart
/// those of before come first, at the drain rate.
///
/// # Time to live
/// Counted by the monotonic clock within a run of the program, and by the calendar across runs, if both runs know it; a clock
/// that was set back, or is unknown, lets the time begin anew. Messages that were sent do not expire.
///
/// # Bounds
/// In messages and in bytes of topics, properties and payloads, what is in flight included. When they are passed without a
/// connection the [`DropPolicy`] decides; a message that was sent is never dropped for a new one. With a connection
/// [`ready`](Stage::ready) says no, so that publishers wait. In memory are about 100 bytes for each message, and the
/// contents of some 256 messages or 1 MiB; what is beyond is read back when its turn comes.
///
/// # The store
/// The layer wishes by [`Output::Store`](crate::stage::Output); who holds the stack carries it out and answers by
/// [`Input::Stored`](crate::stage::Input). A message that cannot be written ends with
/// [`OpError::Store`](crate::OpError) and is not sent.
#[derive(Debug, Clone)]
pub struct Outbox {
    bounds: Bounds,
    when_full: DropPolicy,
    drain_rate: DrainRate,
    exactly_once: bool,
    found: Found,
}

impl Outbox {
    /// Takes up what an earlier run left; for a store that is empty, [`Found::default`]. Keeps at most 10,000 messages
    /// of together 16 MiB, drops the newest when it is full, and drains two messages per second.
    #[must_use]
    pub fn new(found: Found) -> Self {
        Self {
            bounds: Bounds { messages: Some(10_000), bytes: Some(16 * 1024 * 1024) },
            when_full: DropPolicy::default(),
            drain_rate: DrainRate::default(),
            exactly_once: false,
            found,
        }
    }

    /// Keeps messages of QoS 2 until they are completed, as those of QoS 1: for an engine that
    /// [keeps its session](crate::proto::Engine::keeping), without which a crash would double them. Default: no.
    #[must_use]
    pub fn exactly_once(mut self, keep: bool) -> Self {
        self.exactly_once = keep;
        self
    }

    /// Keeps at most this many messages, at least 1. Default: 10,000.
    #[must_use]
    pub fn max_messages(mut self, messages: usize) -> Self {
        self.bounds.messages = Some(messages.max(1));
        self
    }

    /// Keeps at most this many bytes of topics, properties and payloads. Default: 16 MiB.
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

    /// How fast goes out what piled up without a connection, or was left by an earlier run. Default: two messages per second.
    #[must_use]
    pub fn drain_rate(mut self, rate: DrainRate) -> Self {
        self.drain_rate = rate;
        self
    }
}

impl<S: Stage> Layer<S> for Outbox {
    type Stage = OutboxStage<S>;

    fn layer(self, inner: S) -> Self::Stage {
        OutboxStage::new(Some(self), inner)
    }
}

/// Without an outbox everything passes.
impl<S: Stage> Layer<S> for Option<Outbox> {
    type Stage = OutboxStage<S>;

    fn layer(self, inner: S) -> Self::Stage {
        OutboxStage::new(self, inner)
    }
}
