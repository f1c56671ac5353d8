//! The layers around the protocol engine.

mod backoff;
mod bounds;
mod draining;
mod jitter;
mod offline_queue;
mod outbox;
mod pacing;
mod reconnect;
mod resubscribe;
mod retry;
mod standard;
mod waiting;

pub use backoff::Backoff;
pub use draining::DrainRate;
pub use jitter::{Jitter, Random};
pub use offline_queue::{DropPolicy, OfflineQueue, OfflineQueueStage};
#[cfg(feature = "fuzzing")]
pub(crate) use outbox::record;
pub use outbox::{Found, Outbox, OutboxStage};
pub use pacing::{Pacing, PacingStage};
pub use reconnect::{GiveUp, Reconnect, ReconnectStage};
pub use resubscribe::{Resubscribe, ResubscribeStage};
pub use retry::{Retry, RetryStage};
pub use standard::{Standard, StandardStage};
