#![cfg_attr(feature = "client", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "client"), doc = "The names and topics of the AWS IoT Device Shadow service.")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(feature = "client", doc = "## The map of types")]
#![cfg_attr(feature = "client", doc = "")]
#![cfg_attr(feature = "client", doc = "| | |")]
#![cfg_attr(feature = "client", doc = "|---|---|")]
#![cfg_attr(
    feature = "client",
    doc = "| names and topics | [`ThingName`], [`ShadowName`], [`ShadowId`], [`ShadowTopic`], [`Action`], [`Reply`] |"
)]
#![cfg_attr(
    feature = "client",
    doc = "| requests | [`ShadowClient`], [`Options`], [`Call`], [`Update`], [`Patch`] |"
)]
#![cfg_attr(
    feature = "client",
    doc = "| documents | [`Shadow`], [`State`], [`Metadata`], [`Accepted`], [`Deleted`], [`Value`] |"
)]
#![cfg_attr(
    feature = "client",
    doc = "| what comes by itself | [`Deltas`] of [`Delta`], [`Documents`] of [`Change`] |"
)]
#![cfg_attr(feature = "client", doc = "| a state in step | [`ShadowSync`] |")]
#![cfg_attr(
    feature = "client",
    doc = "| what is wrong | [`ShadowError`], [`ErrorKind`], [`Rejection`], [`SyncError`], [`InvalidName`] |"
)]

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod document;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod name;
#[cfg(feature = "client")]
mod rejection;
mod topic;
#[cfg(feature = "client")]
mod update;

#[cfg(feature = "client")]
#[cfg_attr(docsrs, doc(cfg(feature = "client")))]
pub use client::{
    Call, Deltas, Documents, ErrorKind, Options, ShadowClient, ShadowError, ShadowSync, SyncError,
};
#[cfg(feature = "client")]
#[cfg_attr(docsrs, doc(cfg(feature = "client")))]
pub use document::{Accepted, Change, Deleted, Delta, Metadata, Shadow, Snapshot, State};
pub use name::{InvalidName, ShadowName, ThingName};
#[cfg(feature = "client")]
#[cfg_attr(docsrs, doc(cfg(feature = "client")))]
pub use rejection::Rejection;
#[cfg(feature = "client")]
pub use serde_json::Value;
pub use topic::{Action, Reply, ShadowId, ShadowTopic};
#[cfg(feature = "client")]
#[cfg_attr(docsrs, doc(cfg(feature = "client")))]
pub use update::{Patch, Update};
