#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod client;
mod endpoint;
mod error;
mod limits;

pub use builder::{Builder, mutual_tls};
pub use client::Client;
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use error::Error;
pub use iot_session::layers::Backoff;
pub use iot_session::stage::Connected;
pub use iot_session::{
    Ack, ClosedError, ConnectionError, Delivery, Message, Messages, OpError, QoS, Stats, Status,
    Subscription, TopicFilter, TopicName, Version, Will,
};
pub use iot_transport::Material;
pub use limits::{Limit, LimitExceeded};

/// The layers below, for what this facade does not offer.
pub mod crates {
    pub use {iot_session, iot_shadow, iot_transport, mqtt_codec};
}
