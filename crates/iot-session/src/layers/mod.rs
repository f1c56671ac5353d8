//! The layers around the protocol engine.

mod backoff;
mod draining;
mod offline_queue;
mod pacing;
mod reconnect;
mod retry;
mod waiting;

pub use backoff::Backoff;
pub use draining::DrainRate;
pub use offline_queue::{DropPolicy, OfflineQueue, OfflineQueueStage};
pub use pacing::{Pacing, PacingStage};
pub use reconnect::{Reconnect, ReconnectStage};
pub use retry::{Retry, RetryStage};
