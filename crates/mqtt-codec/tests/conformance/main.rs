//! A test for each statement of the standards that the codec meets, named by its number and written from what it asks.
//!
//! `cargo xtask conformance` holds the names against the tables in `conformance/`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod both;
mod support;
mod v3_1_1;
mod v5;
