#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    all(feature = "amazon-roots", feature = "proxy", feature = "sigv4", feature = "tls"),
    doc = include_str!("../README.md")
)]
#![cfg_attr(
    not(all(feature = "amazon-roots", feature = "proxy", feature = "sigv4", feature = "tls")),
    doc = "A byte stream to a broker behind one trait, [`Connector`]; here with some of its features only: see [`Tcp`], and \
           the README for what there is."
)]

//! ## The map of types
//!
//! | | |
//! |---|---|
//! | the trait | [`Connector`], [`Attempt`], [`Phase`], [`Endpoint`]; [`BoxConnector`], [`from_fn`] |
//! | connectors, which nest | [`Tcp`]; with features `HttpProxy`, `Tls`, `WebSocket` |
//! | who the device is | `Identity`, `Material`; `SigV4` and `credentials`; [`CustomAuthorizer`] |
//! | whom it trusts | `TrustAnchors`, `TlsOptions` |
//! | names | [`Address`], [`region_of`], [`alpn`] |
//! | what is wrong | [`ConnectError`], [`ConnectErrorKind`], `TlsSetupError`; [`explain_io`] |

mod address;
pub mod alpn;
mod attempt;
mod boxed;
mod connector;
#[cfg(feature = "sigv4")]
#[cfg_attr(docsrs, doc(cfg(feature = "sigv4")))]
pub mod credentials;
mod custom_authorizer;
mod error;
#[cfg(any(feature = "tls", feature = "sigv4"))]
mod file;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(any(feature = "proxy", feature = "websocket"))]
mod http;
#[cfg(feature = "proxy")]
mod proxy;
mod region;
#[cfg(feature = "sigv4")]
mod sigv4;
mod tcp;
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub mod tls;
#[cfg(feature = "websocket")]
#[cfg_attr(docsrs, doc(cfg(feature = "websocket")))]
pub mod websocket;
#[cfg(feature = "websocket")]
mod words;

pub use address::{Address, InvalidAddress};
pub use attempt::{Attempt, Phase};
pub use boxed::{BoxConnector, BoxIo};
pub use connector::{Connector, Endpoint, FromFn, from_fn};
pub use custom_authorizer::CustomAuthorizer;
pub use error::{ConnectError, ConnectErrorKind, explain_io};
#[cfg(feature = "proxy")]
#[cfg_attr(docsrs, doc(cfg(feature = "proxy")))]
pub use proxy::{HttpProxy, Tunnel};
pub use region::{UnknownRegion, region_of};
#[cfg(feature = "sigv4")]
#[cfg_attr(docsrs, doc(cfg(feature = "sigv4")))]
pub use sigv4::{Presigned, SigV4};
pub use tcp::Tcp;
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub use tls::{Identity, Material, Tls, TlsOptions, TlsSetupError, TlsSetupErrorKind, TrustAnchors};
#[cfg(feature = "websocket")]
#[cfg_attr(docsrs, doc(cfg(feature = "websocket")))]
pub use websocket::{WebSocket, WebSocketIo};
