//! What MQTT 5 alone asks for, or asks for differently.

mod properties;
mod reasons;
mod shared;
