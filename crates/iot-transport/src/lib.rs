#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(feature = "tls", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "tls"),
    doc = "A byte stream to a broker behind one trait, [`Connector`]; here with TCP alone: see [`Tcp`]."
)]

mod attempt;
mod boxed;
mod connector;
#[cfg(feature = "sigv4")]
#[cfg_attr(docsrs, doc(cfg(feature = "sigv4")))]
pub mod credentials;
mod error;
mod tcp;
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub mod tls;

pub use attempt::{Attempt, Phase};
pub use boxed::{BoxConnector, BoxIo};
pub use connector::{Connector, Endpoint, FromFn, from_fn};
pub use error::{ConnectError, ConnectErrorKind, explain_io};
pub use tcp::Tcp;
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub use tls::{Identity, Pem, Tls, TlsOptions, TlsSetupError, TlsSetupErrorKind, TrustAnchors};
