//! The bodies of the fuzz targets that need more than our own crates.

pub mod differential;
