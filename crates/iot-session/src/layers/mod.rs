//! The layers around the protocol engine.

mod backoff;
mod reconnect;

pub use backoff::Backoff;
pub use reconnect::{Reconnect, ReconnectStage};
