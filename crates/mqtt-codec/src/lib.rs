#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]
#![cfg_attr(docsrs, feature(doc_cfg))]
//! ## The map of types
//!
//! | | |
//! |---|---|
//! | bytes and packets | [`Codec`]; [`Limits`], [`Leniency`] |
//! | packets | [`Packet`], [`PacketRef`], and each kind in [`packet`]; [`PacketId`], [`QoS`], [`Version`], [`ReasonCode`] |
//! | MQTT 5 properties | [`Properties`], [`PropertiesRef`], [`Property`] |
//! | topics | [`TopicName`], [`TopicFilter`], [`matches()`], [`TopicTree`] |
//! | what is wrong | [`DecodeError`], [`EncodeError`], [`ErrorKind`], [`InvalidTopic`], [`InvalidText`] |

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

#[cfg(feature = "arbitrary")]
mod arbitrary;
mod buffer;
mod codec;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod glance;
mod layout;
pub mod packet;
mod primitives;
mod properties;
mod reader;
mod reason;
mod rules;
mod text;
#[cfg(feature = "tokio-util")]
mod tokio_util;
mod topic;
mod topic_tree;

#[cfg(feature = "arbitrary")]
pub use crate::arbitrary::VersionedPacket;
pub use buffer::Buffer;
pub use codec::Codec;
pub use error::{DecodeError, EncodeError, ErrorKind};
pub use packet::{AnyPacket, Packet, PacketRef};
pub use primitives::{PacketId, QoS, Version};
pub use properties::{Iter, Properties, PropertiesRef, Property, PropertyId};
pub use reason::ReasonCode;
pub use rules::{Leniency, Limits};
pub use text::{InvalidText, Text};
pub use topic::{InvalidTopic, TopicFilter, TopicName, matches};
pub use topic_tree::{Matches, TopicTree};
