#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
//! ## The map of types
//!
//! | | |
//! |---|---|
//! | the server | [`Emulator`], [`Builder`] |
//! | who gets in | [`Authority`], [`Credentials`], [`CredentialFiles`], [`AwsCredentials`]; [`AuthorizerRequest`], [`AuthorizerReply`], [`MqttContext`], [`HttpContext`] |
//! | without sockets | [`broker`], [`shadow`] |

mod access;
mod authority;
pub mod broker;
mod server;
pub mod shadow;

pub use access::{AuthorizerReply, AuthorizerRequest, AwsCredentials, HttpContext, MqttContext};
pub use authority::{Authority, CredentialFiles, Credentials};
pub use server::{Builder, Emulator};
