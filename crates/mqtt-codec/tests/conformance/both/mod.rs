//! What both standards ask for: each test goes through both versions.

mod connect;
mod connect_fields;
mod filters;
mod format;
mod publish;
mod topics;
