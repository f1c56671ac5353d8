//! The MQTT protocol as the innermost stage.

mod aliases;
mod engine;
mod incoming;
mod keep_alive;
mod options;
mod outgoing;
mod saved;

pub use engine::Engine;
pub use options::{ConnectOptions, OptionsError};
pub use saved::SavedSession;
