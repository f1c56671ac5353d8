//! The bodies of the fuzz targets. They panic when an invariant does not hold.
#![allow(clippy::panic, clippy::missing_panics_doc, reason = "a fuzz target reports by panicking")]

mod endpoint_parse;
mod script;
mod shared_credentials_file;
mod websocket_frames;

pub use endpoint_parse::endpoint_parse;
pub use shared_credentials_file::shared_credentials_file;
pub use websocket_frames::websocket_frames;
