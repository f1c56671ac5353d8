//! The MQTT protocol as the innermost stage.

mod aliases;
mod engine;
mod incoming;
mod keep_alive;
mod options;
mod outgoing;

pub use engine::Engine;
pub use options::{ConnectOptions, OptionsError};
