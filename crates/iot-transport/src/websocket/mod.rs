//! MQTT over WebSocket around any connector: an HTTP upgrade, then a stream of bytes over binary frames.

mod frame;
mod mask;
mod request;
mod stream;
mod wakers;
mod writing;

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Method, Request, StatusCode};
use sha1::{Digest, Sha1};
use tokio::time::timeout_at;

use crate::http::{self, Body, Call, Outcome, Switched};
use crate::words::Secrets;
use crate::{Attempt, ConnectError, ConnectErrorKind as Kind, Connector, Endpoint, Phase};

use request::Parts;
pub use request::{Authorizer, Refusal, UpgradeRequest};
pub use stream::WebSocketIo;

/// Where AWS IoT Core, and most brokers, serve MQTT over WebSocket.
const PATH: &str = "/mqtt";
/// The subprotocol of MQTT 3.1.1 and 5 (MQTT 5, section 6).
const SUBPROTOCOL: &str = "mqtt";

/// A side of a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Asked for the upgrade, and masks what it sends.
    Client,
    /// Answered, and does not mask.
    Server,
}

/// What a server answers to `Sec-WebSocket-Key` with, in `Sec-WebSocket-Accept` (RFC 6455, section 4.2.2).
///
/// ```
/// use iot_transport::websocket::accept_key;
///
/// assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
#[must_use]
pub fn accept_key(key: impl AsRef<[u8]>) -> String {
    const WEBSOCKET: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    BASE64_STANDARD.encode(Sha1::new().chain_update(key).chain_update(WEBSOCKET).finalize())
}

/// MQTT over WebSocket (MQTT 5, section 6; RFC 6455) around another connector, usually TLS.
///
/// The request is put together anew for each attempt, before anything is dialled: its [`Authorizer`] may look up
/// credentials and sign. The stream is a [`WebSocketIo`].
///
/// Cancelling: dropping the future drops the stream underneath, unfinished upgrade included.
///
/// ```no_run
/// use std::time::Duration;
/// use iot_transport::{Attempt, Connector, Tcp, WebSocket};
///
/// # async fn f() -> Result<(), iot_transport::ConnectError> {
/// // A broker that asks for no credentials before CONNECT; `Tls::new(Tcp::new(..), ..)` inside makes it wss.
/// let connector = WebSocket::new(Tcp::new("broker.example", 8080));
/// let stream = connector.connect(&Attempt::within(1, Duration::from_secs(30))).await?;
/// # drop(stream); Ok(()) }
/// ```
pub struct WebSocket<C, A = ()> {
    inner: C,
    authorizer: A,
    path: String,
}

impl<C: Connector> WebSocket<C> {
    /// WebSocket over the streams of `inner`, at `/mqtt`, without authorization of its own.
    pub fn new(inner: C) -> Self {
        Self { inner, authorizer: (), path: PATH.to_owned() }
    }
}

impl<C: Connector, A: Authorizer> WebSocket<C, A> {
    /// What lets the upgrade pass: [`SigV4`](crate::SigV4), a
    /// [`CustomAuthorizer`](crate::CustomAuthorizer), or one's own. Default: nothing.
    #[must_use]
    pub fn authorizer<B: Authorizer>(self, authorizer: B) -> WebSocket<C, B> {
        let Self { inner, path, .. } = self;
        WebSocket { inner, authorizer, path }
    }

    /// The path of the resource, which begins with a slash and has no query. Default: `/mqtt`.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    fn failed(&self, kind: Kind, reason: impl Into<String>) -> ConnectError {
        ConnectError::new(Phase::Upgrade, kind, reason).at_endpoint(self.inner.endpoint())
    }

    /// The request as it goes out, the key that its answer has to match, and what its answer may not repeat.
    fn call(&self, request: UpgradeRequest) -> Result<(Call, String, Secrets), ConnectError> {
        let Parts { target, host, headers, secrets } = request.into_parts();
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| {
            self.failed(Kind::Other, "the operating system has no random numbers to give").with_source(error)
        })?;
        let key = BASE64_STANDARD.encode(nonce);
        let mut builder = Request::builder()
            .method(Method::GET)
            .uri(target.as_str())
            .header(HOST, host)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key)
            .header(SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
        if let Some(all) = builder.headers_mut() {
            all.extend(headers);
        }
        let call = builder.body(Full::new(Bytes::new())).map_err(|error| {
            self.failed(Kind::Configuration, "the upgrade request cannot be written: check path and host")
                .with_source(error)
        })?;
        Ok((call, key, secrets))
    }

    /// What is not as RFC 6455, section 4.1, has it in an answer that switches.
    fn check(&self, headers: &HeaderMap, key: &str) -> Result<(), ConnectError> {
        let wrong = |what: &str| {
            self.failed(
                Kind::Protocol,
                format!("the server's answer to the upgrade {what}; check that this is a WebSocket endpoint"),
            )
        };
        if !lists(headers, &UPGRADE, "websocket") || !lists(headers, &CONNECTION, "upgrade") {
            return Err(wrong("switches to something other than WebSocket"));
        }
        let accepted = headers.get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
        if accepted != Some(accept_key(key).as_bytes()) {
            return Err(wrong("does not belong to our request (Sec-WebSocket-Accept)"));
        }
        if headers.contains_key(SEC_WEBSOCKET_EXTENSIONS) {
            return Err(wrong("turns on an extension that was not asked for (Sec-WebSocket-Extensions)"));
        }
        // A server that names none is taken: some leave it out. [MQTT-6.0.0-4]
        let mut named = headers
            .get_all(SEC_WEBSOCKET_PROTOCOL)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii));
        match (named.next(), named.next()) {
            (None, _) => Ok(()),
            (Some(name), None) if name == SUBPROTOCOL.as_bytes() => Ok(()),
            (Some(_), None) => Err(wrong("names a subprotocol other than `mqtt`")),
            (Some(_), Some(_)) => Err(wrong("names more than one subprotocol")),
        }
    }

    fn refused(&self, refusal: &Refusal<'_>, proof: &A::Proof) -> ConnectError {
        let status = refusal.status();
        let name = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        let mut reason = match name {
            Some(name) => format!("the server refused it with HTTP {status} {name}"),
            None => format!("the server refused it with HTTP {status}"),
        };
        if let Some(message) = refusal.message() {
            reason.push_str(&format!(": {message:?}"));
        }
        let advice = self.authorizer.refused(proof, refusal).or_else(|| advice(refusal));
        if let Some(advice) = advice {
            reason.push_str("; ");
            reason.push_str(&advice);
        }
        self.failed(Kind::HttpRefused, reason)
            .with_http_status(status)
            // Where there is no WebSocket endpoint now, there is none in a second.
            .with_retryable(!matches!(status, 200..=399 | 404 | 426))
    }
}

/// What an answer means whoever the authorizer is.
fn advice(refusal: &Refusal<'_>) -> Option<String> {
    Some(match refusal.status() {
        300..=399 => match refusal.quoted_header(LOCATION.as_str()) {
            Some(location) => format!("it points to {location:?}: connect there, if you trust it"),
            None => "it points elsewhere without saying where".into(),
        },
        401 | 403 => "the broker wants credentials in the request: give an authorizer".into(),
        404 => "nothing is served at this path: check path and host".into(),
        426 | 200..=299 => "this is not a WebSocket endpoint: check host, port and path".into(),
        429 | 500..=599 => "try again later".into(),
        _ => return None,
    })
}

/// Whether a header lists this token, in whatever case.
fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

impl<C: Connector, A: Authorizer> Connector for WebSocket<C, A> {
    type Io = WebSocketIo<C::Io>;

    async fn connect(&self, attempt: &Attempt) -> Result<Self::Io, ConnectError> {
        let prepared = async {
            let mut request = UpgradeRequest::new(self.inner.endpoint(), &self.path)?;
            let proof = self.authorizer.authorize(&mut request, attempt).await?;
            let (call, key, secrets) = self.call(request)?;
            Ok((call, key, secrets, proof))
        };
        let late = || {
            let reason = "the credentials were not there before the deadline; check where they come from";
            ConnectError::new(Phase::Credentials, Kind::TimedOut, reason)
        };
        let (call, key, secrets, proof) = timeout_at(attempt.deadline(), prepared)
            .await
            .unwrap_or_else(|_| Err(late()))
            .inspect_err(|error: &ConnectError| attempt.enter(error.phase()))
            .map_err(|error| error.or_at_endpoint(self.inner.endpoint()))?;

        let io = self.inner.connect(attempt).await?;
        attempt.enter(Phase::Upgrade);
        match http::exchange(io, call, attempt.deadline(), Body::Excerpt).await {
            Ok(Outcome::Switched(Switched { headers, io, rest })) => {
                self.check(&headers, &key)?;
                Ok(WebSocketIo::new(io, rest, Role::Client))
            }
            Ok(Outcome::Answer(answer)) => Err(self.refused(&Refusal::new(&answer, &secrets), &proof)),
            Err(error) => {
                let late = "the server did not answer the upgrade before the deadline; check that this port speaks HTTP";
                let error = error.into_connect_error(Phase::Upgrade, "the server", late);
                Err(error.at_endpoint(self.inner.endpoint()))
            }
        }
    }

    fn endpoint(&self) -> Option<&Endpoint> {
        self.inner.endpoint()
    }
}

impl<C: fmt::Debug, A: fmt::Debug> fmt::Debug for WebSocket<C, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("inner", &self.inner)
            .field("authorizer", &self.authorizer)
            .field("path", &self.path)
            .finish()
    }
}
