//! The project's own commands, as a library so that they can be tested: `cargo xtask --help` lists them.
//!
//! - [`tidy`]: the rules that no compiler holds (who may depend on whom, no clock in a stage, ...).
//! - [`features`]: every crate alone, with each of its features alone.
//! - [`trees`]: how many crates a user pulls in with each of ours.
//! - [`conformance`]: every normative statement of both standards, and what shows that the codec meets its own.
//! - [`no_std`]: a program without `std` that uses the codec.
//! - [`interop`]: our client and our emulator against programs we did not write.
//! - [`mod@bench`]: what is measured, alone or next to what others measure.
//! - [`cross`]: the crates compile for the machines that devices have.
//! - [`doc_links`]: every relative link of the documentation leads somewhere.
//! - [`package`]: every crate can be published.
//! - [`walkthrough`]: what the READMEs tell a newcomer to write, in projects outside of this workspace.
//! - [`fuzz`]: every fuzz target for some seconds, on a copy of its corpus.
//!
//! A new command is a module here and a line in `main.rs`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its user")]

pub mod bench;
pub mod cargo;
pub mod chaos;
pub mod conformance;
pub mod cross;
pub mod deny;
pub mod doc_links;
pub mod features;
pub mod fuzz;
pub mod interop;
pub mod mosquitto;
pub mod no_std;
pub mod package;
pub mod simulate;
pub mod tidy;
pub mod trees;
pub mod walkthrough;

/// What a command returns: the error is a sentence for the person who ran it.
pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;
