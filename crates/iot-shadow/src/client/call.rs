//! A request before it is sent: awaited, it is.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use iot_session::{Message, Request};

use super::error::{ErrorKind, ShadowError};
use super::versions::Mark;
use super::wire::{MAX_PAYLOAD, MAX_TOKEN, parse};
use super::{Options, ShadowClient};
use crate::rejection::Rejection;
use crate::topic::{Action, Reply, ShadowTopic};

/// A request to a shadow. Awaiting it sends it and gives its outcome; nothing happens before.
///
/// ```
/// use std::time::Duration;
/// use iot_shadow::{Shadow, ShadowClient, ShadowError};
///
/// async fn look(lamp: &ShadowClient) -> Result<(), ShadowError> {
///     let shadow: Shadow = lamp.get().timeout(Duration::from_secs(2)).await?;
///     println!("version {}", shadow.version);
///     Ok(())
/// }
/// ```
///
/// # Cancellation
/// Dropping the future before its end gives up the answer, and unsubscribes what was subscribed for it alone. The request
/// may have been sent, and may take effect.
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct Call<R> {
    shadow: ShadowClient,
    action: Action,
    /// `state` and `version` of an update, or why there is none.
    document: Result<Option<(String, Option<u64>)>, String>,
    token: Option<String>,
    options: Options,
    outcome: Outcome<R>,
}

/// Reads an answer that is no rejection: what it says of the shadow, and what is returned.
pub(super) type Outcome<R> = fn(&[u8]) -> Result<(Told, R), String>;

/// What an answer says of the shadow.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told {
    /// It has this version.
    Has(Mark),
    /// It had this version.
    Had(Mark),
}

impl<R: Send + 'static> Call<R> {
    pub(super) fn new(shadow: &ShadowClient, action: Action, outcome: Outcome<R>) -> Self {
        let options = shadow.0.options;
        Self { shadow: shadow.clone(), action, document: Ok(None), token: None, options, outcome }
    }

    pub(super) fn document(mut self, state: Result<String, serde_json::Error>, version: Option<u64>) -> Self {
        self.document = match state {
            Ok(state) => Ok(Some((state, version))),
            Err(error) => Err(format!("the state cannot be written as JSON: {error}")),
        };
        self
    }

    pub(super) fn token(mut self, token: Option<String>) -> Self {
        self.token = token;
        self
    }

    /// A token of the caller's own, at most 64 bytes, which no other request under way may have. Default: one that nobody
    /// else has.
    pub fn client_token(self, token: impl Into<String>) -> Self {
        self.token(Some(token.into()))
    }

    /// How long all of it may take. Default: what the client [has](Options::timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = timeout;
        self
    }

    /// Whether to wait for a connection if there is none, within the [time](Self::timeout). Default: what the client
    /// [has](Options::wait_for_connection).
    pub fn wait_for_connection(mut self, wait: bool) -> Self {
        self.options.wait_for_connection = wait;
        self
    }

    async fn send(self) -> Result<R, ShadowError> {
        let Self { shadow, action, document, token, options, outcome } = self;
        let inner = &*shadow.0;
        let token = token.unwrap_or_else(|| inner.tokens.next());
        let failed = |kind| ShadowError::new(kind, Some(token.clone()));
        let document = document.map_err(|why| failed(ErrorKind::Invalid(why)))?;
        let message =
            message(&shadow, action, document, &token).map_err(|why| failed(ErrorKind::Invalid(why)))?;
        let request = Request::new(message, token.clone(), options.timeout)
            .wait_for_connection(options.wait_for_connection);
        let answers_before = inner.versions.answers();
        let answer = inner
            .requests(action)
            .send(request)
            .await
            .map_err(|error| ShadowError::of_request(error, Some(token.clone())))?;
        if answer.topic().ends_with("/rejected") {
            let unreadable = |why| Rejection { code: 0, message: why, timestamp: None };
            let rejection: Rejection = parse(answer.payload()).unwrap_or_else(unreadable);
            if rejection.is_missing() {
                inner.versions.reset(answers_before);
            }
            return Err(failed(ErrorKind::Rejected(rejection)));
        }
        let (told, outcome) = outcome(answer.payload()).map_err(|why| failed(ErrorKind::Unreadable(why)))?;
        match told {
            Told::Has(mark) => inner.versions.accepted(mark),
            Told::Had(mark) => inner.versions.gone(mark),
        }
        Ok(outcome)
    }
}

/// The request as it is published.
fn message(
    shadow: &ShadowClient,
    action: Action,
    document: Option<(String, Option<u64>)>,
    token: &str,
) -> Result<Message, String> {
    if token.len() > MAX_TOKEN {
        return Err(format!("the client token has {} bytes, at most {MAX_TOKEN} are allowed", token.len()));
    }
    let token = serde_json::to_string(token).map_err(|error| error.to_string())?;
    let mut payload = String::from("{");
    if let Some((state, version)) = document {
        payload.push_str(&format!("\"state\":{state},"));
        if let Some(version) = version {
            payload.push_str(&format!("\"version\":{version},"));
        }
    }
    payload.push_str(&format!("\"clientToken\":{token}}}"));
    if payload.len() > MAX_PAYLOAD {
        return Err(format!("it has {} bytes, AWS IoT Core takes at most {MAX_PAYLOAD}", payload.len()));
    }
    let topic = shadow.id().topic(ShadowTopic::Action(action, Reply::Request));
    Message::new(topic, payload).map_err(|error| error.to_string())
}

impl<R: Send + 'static> IntoFuture for Call<R> {
    type Output = Result<R, ShadowError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
