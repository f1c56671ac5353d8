#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod name;
mod topic;

pub use name::{InvalidName, ShadowName, ThingName};
pub use topic::{Action, Reply, Shadow, ShadowTopic};
