//! The client against a real Mosquitto: behind a proxy that breaks connections, killed while it publishes, and for long. Run by
//! `cargo xtask chaos` and `cargo xtask soak`.
#![allow(clippy::print_stdout, reason = "its results are for people")]

pub mod account;
pub mod clients;
pub mod crash;
pub mod network;
pub mod proxy;
pub mod random;
pub mod soak;
