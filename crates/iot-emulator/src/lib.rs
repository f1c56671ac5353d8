#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod authority;
pub mod broker;
mod server;
pub mod shadow;

pub use access::{AuthorizerReply, AuthorizerRequest, AwsCredentials, HttpContext, MqttContext};
pub use authority::{Authority, CredentialFiles, Credentials};
pub use server::{Builder, Emulator};
