#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
//! ## The map of types
//!
//! | | |
//! |---|---|
//! | ways in | [`mutual_tls`], [`mutual_tls_with`], [`custom_authorizer`], [`over`]; with features `websocket`, `websocket_custom_authorizer`, `Settings` |
//! | how | [`Builder`]: [`TrustAnchors`], [`Identity`], [`Material`], [`Will`], [`Backoff`], [`Jitter`], [`GiveUp`], [`OfflineQueue`], [`DropPolicy`], [`DrainRate`], [`Pacing`]; with features `Proxy`, `OutboxFile` |
//! | the connection | [`Client`]; [`Status`], [`Stats`], [`Notice`] by [`Notices`] or a [`NoticeHandler`]; with a feature `blocking::Client` |
//! | out | [`Message`], [`Ack`], [`Delivery`]; [`basic_ingest`] |
//! | in | [`Messages`], or a [`Subscription`] with a handler; [`SubscribeOptions`], [`Acknowledge`], [`Ended`] |
//! | shadows | the module `shadow`: `ShadowClient`, `Deltas`, `Documents`, `ShadowSync` |
//! | what is wrong | [`Error`], [`OpError`], [`ConnectionError`], [`LimitExceeded`]; [`doctor`] |
//! | below | [`crates`], [`Layers`] |

#[cfg(feature = "blocking")]
#[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
pub mod blocking;
mod builder;
mod client;
pub mod doctor;
mod door;
mod entry;
mod error;
mod ingest;
mod layers;
mod limits;
#[cfg(feature = "outbox")]
mod outbox;
#[cfg(feature = "config")]
mod settings;
mod start;

pub use builder::Builder;
pub use client::Client;
#[cfg(feature = "proxy")]
#[cfg_attr(docsrs, doc(cfg(feature = "proxy")))]
pub use door::Proxy;
pub use entry::{custom_authorizer, mutual_tls, mutual_tls_with, over};
#[cfg(feature = "websocket")]
#[cfg_attr(docsrs, doc(cfg(feature = "websocket")))]
pub use entry::{websocket, websocket_custom_authorizer};
pub use error::{Error, TryPublishError};
pub use ingest::{InvalidIngest, basic_ingest};
pub use iot_session::layers::{Backoff, DrainRate, DropPolicy, GiveUp, Jitter, OfflineQueue, Pacing};
pub use iot_session::stage::{Connected, Notice, Quarantine, StoreError, StoreErrorKind};
#[cfg(feature = "outbox")]
#[cfg_attr(docsrs, doc(cfg(feature = "outbox")))]
pub use iot_session::storage::Durability;
pub use iot_session::{
    Ack, Acknowledge, ClosedError, ConnectionError, Delivery, Dropped, Ended, Leftover, Message, Messages,
    NoticeHandler, Notices, OpError, QoS, RetainHandling, Stats, Status, SubscribeOptions, Subscription,
    TopicFilter, TopicName, Version, Will,
};
#[cfg(feature = "websocket")]
#[cfg_attr(docsrs, doc(cfg(feature = "websocket")))]
pub use iot_transport::credentials;
pub use iot_transport::{
    Address, Attempt, BoxConnector, ConnectError, Connector, CustomAuthorizer, Identity, InvalidAddress,
    Material, TlsOptions, TrustAnchors, UnknownRegion, from_fn, region_of,
};
pub use layers::Layers;
pub use limits::{Limit, LimitExceeded};
#[cfg(feature = "outbox")]
#[cfg_attr(docsrs, doc(cfg(feature = "outbox")))]
pub use outbox::OutboxFile;

#[cfg(feature = "config")]
#[cfg_attr(docsrs, doc(cfg(feature = "config")))]
pub use settings::{Settings, SettingsError};

/// Device Shadow, over a [`Client`]: see [`Client::shadow`].
#[cfg(feature = "shadow")]
#[cfg_attr(docsrs, doc(cfg(feature = "shadow")))]
pub mod shadow {
    pub use iot_shadow::{
        Accepted, Action, Call, Change, Deleted, Delta, Deltas, Documents, ErrorKind, InvalidName, Metadata,
        Options, Patch, Rejection, Reply, Shadow, ShadowClient, ShadowError, ShadowId, ShadowName,
        ShadowSync, ShadowTopic, Snapshot, State, SyncError, ThingName, Update, Value,
    };
}

/// The layers below, for what this facade does not offer.
pub mod crates {
    pub use {iot_session, iot_shadow, iot_transport, mqtt_codec};
}
