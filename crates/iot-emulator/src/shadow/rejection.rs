//! Requests that the service refuses.

use std::fmt;

use super::body::Body;
use super::id::ShadowId;
use super::rules::Rules;

/// A request that was refused: a code as HTTP has them, and words, on which nobody should count.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// 400, 404, 409, 413, 415, 429 or 500.
    pub code: u16,
    /// What is wrong.
    pub message: String,
    /// The token of the request, if it could be read and is valid.
    pub client_token: Option<String>,
}

impl Rejection {
    fn new(code: u16, message: impl Into<String>, client_token: Option<String>) -> Self {
        Self { code, message: message.into(), client_token }
    }

    pub(super) fn bad(message: impl Into<String>, token: Option<String>) -> Self {
        Self::new(400, message, token)
    }

    /// The body is not JSON, or no object.
    pub(super) fn not_json(rules: &Rules, token: Option<String>) -> Self {
        let seen = "Payload contains invalid json";
        Self::bad(if rules.documented_json_text { "Invalid JSON" } else { seen }, token)
    }

    pub(super) fn invalid_version(token: Option<String>) -> Self {
        Self::bad("Invalid version", token)
    }

    pub(super) fn thing_name() -> Self {
        Self::bad("Invalid thing name", None)
    }

    pub(super) fn shadow_name() -> Self {
        Self::bad("Invalid shadow name", None)
    }

    pub(super) fn missing(id: &ShadowId, rules: &Rules, token: Option<String>) -> Self {
        let ShadowId { thing, name } = id;
        let which = match name {
            None => thing.clone(),
            Some(name) if rules.documented_missing_text => name.clone(),
            Some(name) => format!("{thing}~{name}"),
        };
        Self::new(404, format!("No shadow exists with name: '{which}'"), token)
    }

    pub(super) fn conflict(token: Option<String>) -> Self {
        Self::new(409, "Version conflict", token)
    }

    pub(super) fn too_large(token: Option<String>) -> Self {
        Self::new(413, "The payload exceeds the maximum size allowed", token)
    }

    pub(super) fn not_utf8() -> Self {
        Self::new(415, "Unsupported documented encoding; supported encoding is UTF-8", None)
    }

    pub(super) fn too_many(token: Option<String>) -> Self {
        Self::new(429, "Too many requests", token)
    }

    pub(crate) fn internal(token: Option<String>) -> Self {
        Self::new(500, "Internal service failure", token)
    }

    /// As MQTT clients get it.
    pub(super) fn to_json(&self, timestamp: Option<u64>) -> String {
        let body =
            Body::new().number("code", self.code.into()).value("message", &self.message.as_str().into());
        let body = timestamp.into_iter().fold(body, |body, timestamp| body.number("timestamp", timestamp));
        body.token(self.client_token.clone()).end()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.message)
    }
}

impl std::error::Error for Rejection {}
