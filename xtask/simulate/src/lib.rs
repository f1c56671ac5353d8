#![doc = include_str!("../README.md")]
#![allow(clippy::print_stdout, reason = "a program for people")]

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
pub mod watchdog;
pub mod world;
