//! One question to a service that gives credentials, over HTTPS, and its answer in JSON.

use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use hyper::header::{HOST, HeaderValue};
use serde_json::Value;
use zeroize::Zeroize as _;

use super::keys::{self, Named};
use super::{Credentials, CredentialsError};
use crate::connector::bracketed;
use crate::http::{self, Answer, Call};
use crate::words::{Secrets, quoted};
use crate::{Attempt, BoxConnector, ConnectError, ConnectErrorKind as Kind, Connector};

/// How long one question may take, unless told otherwise.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// A service that gives credentials, and the way to it.
#[derive(Clone, Debug)]
pub(super) struct Service {
    /// As in "the Cognito identity service".
    pub(super) name: &'static str,
    pub(super) connector: BoxConnector,
    pub(super) timeout: Duration,
}

/// A service's answer, which is wiped when it is dropped.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// Null if it was no JSON.
    pub(super) json: Value,
}

impl Service {
    /// Asks, over a stream of its own. The request gets its `Host`, unless it has one.
    pub(super) async fn ask(&self, mut call: Call, host: &str) -> Result<Reply, CredentialsError> {
        let host = self.host(host);
        let host = HeaderValue::from_str(&host).map_err(|_| {
            CredentialsError::invalid_configuration(format!("{host:?} is no host name; check the endpoint"))
        })?;
        call.headers_mut().entry(HOST).or_insert(host);
        let attempt = Attempt::within(1, self.timeout);
        let Answer { status, body, .. } =
            http::fetch(&self.connector, &attempt, call, self.name).await.map_err(failed)?;
        Ok(Reply { status, json: serde_json::from_slice(&body).unwrap_or_default() })
    }

    /// Where the connector leads to, else `host`.
    fn host(&self, host: &str) -> String {
        match self.connector.endpoint() {
            Some(endpoint) if endpoint.port() == 443 => bracketed(endpoint.host()).into_owned(),
            Some(endpoint) => endpoint.to_string(),
            None => host.to_owned(),
        }
    }

    /// Credentials out of the object that an answer holds them in; `names` are those of key, secret and token.
    pub(super) fn credentials(
        &self,
        object: &Value,
        names: [&str; 3],
        expiry: Option<SystemTime>,
        provider: &'static str,
    ) -> Result<Credentials, CredentialsError> {
        let field = |name: &str| match object.get(name).and_then(Value::as_str) {
            Some(text) if !text.is_empty() => Ok(Named { name: format!("{name} from {}", self.name), text }),
            _ => Err(self.not_as_documented(name)),
        };
        let [key, secret, token] = names;
        let (key, secret, token) = (field(key)?, field(secret)?, field(token)?);
        let expiry = expiry.ok_or_else(|| self.not_as_documented("a time at which they expire"))?;
        keys::credentials(&key, &secret, Some(&token), Some(expiry), provider)
    }

    /// The error for an answer that lacks something.
    pub(super) fn not_as_documented(&self, what: &str) -> CredentialsError {
        CredentialsError::provider_error(format!(
            "the answer of {} lacks {what}; check that the endpoint is that service and no proxy answers for it",
            self.name
        ))
    }
}

fn failed(error: ConnectError) -> CredentialsError {
    match error.kind() {
        Kind::Configuration => CredentialsError::invalid_configuration(error),
        _ => CredentialsError::provider_error(error),
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        wipe(&mut self.json);
    }
}

/// Wipes every text in it. The parser has no more than 128 levels.
fn wipe(json: &mut Value) {
    match json {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl Reply {
    /// What the service said in its `message`, for a person to read: ` ("...")`, or nothing; `secrets` are those of the
    /// question.
    pub(super) fn said(&self, secrets: &Secrets) -> String {
        let message = self.json.get("message").or_else(|| self.json.get("Message")).and_then(Value::as_str);
        message
            .and_then(|message| quoted(message, secrets))
            .map_or_else(String::new, |shown| format!(" ({shown:?})"))
    }
}
