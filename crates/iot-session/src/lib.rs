#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
//! ## The map of types
//!
//! | | |
//! |---|---|
//! | contract | [`Stage`], [`Layer`], [`stack`]; inputs, outputs and events in [`stage`] |
//! | protocol | [`proto::Engine`], [`proto::ConnectOptions`] |
//! | layers | [`layers::Standard`], or one by one in [`layers`] |
//! | bytes in, bytes out | [`Machine`] |
//! | on tokio | `client` gives a `Client` and its `Driver`; `Message`, `Ack`, `Messages`, `Requests`, `Status`, `Stats`, `Notices`; connectors in `transport`; `blocking::Client` |
//! | on disk | `storage` |
//! | what is wrong | [`OpError`], [`ConnectionError`], [`LinkError`], [`Dropped`] |

#[cfg(feature = "tokio")]
mod client;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod layers;
pub mod machine;
mod message;
pub mod proto;
pub mod stage;
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub mod storage;
mod time;

/// What a transport of one's own is made of: see [`iot_transport`], which has ready ones.
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub mod transport {
    pub use iot_transport::{
        Attempt, BoxConnector, ConnectError, ConnectErrorKind, Connector, Endpoint, Phase, from_fn,
    };
}

#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub use client::PublishService;
#[cfg(feature = "blocking")]
#[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
pub use client::blocking;
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub use client::{
    Ack, Acknowledge, Client, ClosedError, Config, Delivery, Driver, Ended, Leftover, Messages,
    NoticeHandler, Notices, Request, RequestError, Requests, Stats, Status, SubscribeOptions, Subscription,
    TryPublishError, client,
};
pub use error::{ConnectionError, Dropped, LinkError, OpError};
pub use machine::{Machine, MachineOutput};
pub use message::Message;
pub use mqtt_codec::{
    QoS, TopicFilter, TopicName, Version,
    packet::{RetainHandling, Will},
};
pub use proto::OptionsError;
pub use stage::{Layer, Stack, Stage, stack};
pub use time::{Nanos, Now, UnixMillis};
