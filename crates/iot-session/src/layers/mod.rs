//! The layers around the protocol engine.

mod backoff;
mod jitter;
mod reconnect;

pub use backoff::Backoff;
pub use jitter::{Jitter, Random};
pub use reconnect::{GiveUp, Reconnect, ReconnectStage};
