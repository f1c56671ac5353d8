#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod client;
mod door;
mod error;
mod limits;

pub use builder::{Builder, custom_authorizer, mutual_tls, mutual_tls_with, over};
#[cfg(feature = "websocket")]
#[cfg_attr(docsrs, doc(cfg(feature = "websocket")))]
pub use builder::{websocket, websocket_custom_authorizer};
pub use client::Client;
#[cfg(feature = "proxy")]
#[cfg_attr(docsrs, doc(cfg(feature = "proxy")))]
pub use door::Proxy;
pub use error::Error;
pub use iot_session::layers::Backoff;
pub use iot_session::stage::Connected;
pub use iot_session::{
    Ack, ClosedError, ConnectionError, Delivery, Message, Messages, OpError, QoS, Stats, Status,
    Subscription, TopicFilter, TopicName, Version, Will,
};
#[cfg(feature = "websocket")]
#[cfg_attr(docsrs, doc(cfg(feature = "websocket")))]
pub use iot_transport::credentials;
pub use iot_transport::{
    Address, Attempt, BoxConnector, ConnectError, Connector, CustomAuthorizer, Identity, InvalidAddress,
    Material, TlsOptions, TrustAnchors, UnknownRegion, from_fn, region_of,
};
pub use limits::{Limit, LimitExceeded};

/// The layers below, for what this facade does not offer.
pub mod crates {
    pub use {iot_session, iot_shadow, iot_transport, mqtt_codec};
}
