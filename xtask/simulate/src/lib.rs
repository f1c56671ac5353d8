#![doc = include_str!("../README.md")]

pub mod broker;
mod check;
pub mod clock;
pub mod device;
pub mod ledger;
pub mod mutants;
pub mod net;
pub mod plan;
pub mod random;
pub mod shrink;
pub mod world;
