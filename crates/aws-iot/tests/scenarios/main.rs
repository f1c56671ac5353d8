//! What the AWS IoT Device SDK for Python is tested with, what it fails at, and what other clients fail at: whole stacks
//! against the local AWS IoT Core's broker, at exact instants.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "tests say what they expect by panicking"
)]

mod faults;
mod invariants;
mod reference;
mod world;
