//! The request for a WebSocket: who may have one (RFC 6455, section 4.2).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version};
use iot_transport::websocket::accept_key;

use super::Answer;
use super::answer::Failure;
use crate::access::{HttpContext, Origin, SignedRequest, parameters};
use crate::server::service::Service;

/// Where MQTT over WebSocket is.
pub(super) const PATH: &str = "/mqtt";

/// What clients call the protocol, the first SDK for Python with its version.
const PROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// A WebSocket that is to be.
pub(super) struct Upgrade {
    pub(super) on: OnUpgrade,
    /// What the custom authorizer is told at CONNECT, when the request itself did not ask it.
    pub(super) ask: Option<HttpContext>,
    /// How long the WebSocket may last.
    pub(super) lifetime: Option<Duration>,
}

pub(super) fn answer(
    mut request: Request<Incoming>,
    service: &Service,
    origin: &Origin,
    upgrade: &Mutex<Option<Upgrade>>,
) -> Answer {
    let key = check(&request)?;
    let protocol = protocol(request.headers())?;
    let (ask, lifetime) = authorize(&request, service, origin)?;
    let on = hyper::upgrade::on(&mut request);
    *upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(Upgrade { on, ask, lifetime });

    let mut response = Response::new(Full::<Bytes>::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    super::answer::set(headers, "sec-websocket-accept", &accept_key(key));
    if let Some(protocol) = protocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    }
    // Extensions are not answered, so none is used: no compression.
    Ok(response)
}

/// Whether this asks for a WebSocket at all; its key.
fn check(request: &Request<Incoming>) -> Result<HeaderValue, Failure> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err(Failure::method("GET"));
    }
    if request.version() != Version::HTTP_11 {
        return Err(Failure::bad_request("A WebSocket begins with HTTP/1.1."));
    }
    if !has_word(headers, &UPGRADE, "websocket") || !has_word(headers, &CONNECTION, "upgrade") {
        return Err(upgrade_required("Here is a WebSocket: ask for one.").with(UPGRADE, "websocket"));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(upgrade_required("Sec-WebSocket-Version has to be 13.").with(SEC_WEBSOCKET_VERSION, "13"));
    }
    headers
        .get(SEC_WEBSOCKET_KEY)
        .filter(|key| is_key(key.as_bytes()))
        .cloned()
        .ok_or_else(|| Failure::bad_request("Sec-WebSocket-Key has to be 16 bytes or more in base64."))
}

fn upgrade_required(message: &str) -> Failure {
    Failure::new(StatusCode::UPGRADE_REQUIRED, "UpgradeRequiredException", message)
}

/// 16 bytes in base64, or more: the first SDK for Python sends 128, against the standard, and AWS IoT Core takes them.
fn is_key(key: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let digits = key.strip_suffix(b"==").or_else(|| key.strip_suffix(b"=")).unwrap_or(key);
    key.len() >= 24 && key.len().is_multiple_of(4) && digits.iter().all(digit)
}

/// The first protocol offered that is known; none if none is offered.
fn protocol(headers: &HeaderMap) -> Result<Option<&'static str>, Failure> {
    if !headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
        return Ok(None);
    }
    words(headers, &SEC_WEBSOCKET_PROTOCOL)
        .find_map(|offered| PROTOCOLS.into_iter().find(|known| *known == offered))
        .map(Some)
        .ok_or_else(|| Failure::bad_request("Sec-WebSocket-Protocol has to offer mqtt."))
}

/// By signature, by custom authorizer, or by custom authorizer at CONNECT.
fn authorize(
    request: &Request<Incoming>,
    service: &Service,
    origin: &Origin,
) -> Result<(Option<HttpContext>, Option<Duration>), Failure> {
    let query = request.uri().query().unwrap_or_default();
    let parameters = parameters(query).map_err(|refusal| Failure::forbidden(refusal.to_string()))?;
    let signed = SignedRequest {
        method: request.method().as_str(),
        path: request.uri().path(),
        query: &parameters,
        headers: request.headers(),
        body: b"",
    };
    if signed.is_signed() {
        service.verify(signed).map_err(|refusal| Failure::forbidden(refusal.to_string()))?;
        return Ok((None, None));
    }
    let http = context(request, query);
    if let Some(decision) = service.authorizer.authorize_request(&parameters, http.clone(), origin) {
        if !service.authorizer.is_set() {
            let message = "There is no custom authorizer.";
            return Err(Failure::new(StatusCode::UNAUTHORIZED, "UnauthorizedException", message));
        }
        return match decision {
            Ok(lifetime) => Ok((None, lifetime)),
            Err(_) => Err(Failure::forbidden("The custom authorizer has denied the connection.")),
        };
    }
    if service.authorizer.is_set() {
        return Ok((Some(http), None));
    }
    Err(Failure::forbidden("Missing Authentication Token"))
}

fn context(request: &Request<Incoming>, query: &str) -> HttpContext {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let headers = request.headers().iter().filter_map(text).collect();
    let query_string = if query.is_empty() { String::new() } else { format!("?{query}") };
    HttpContext { headers, query_string }
}

fn has_word(headers: &HeaderMap, name: &HeaderName, expected: &str) -> bool {
    words(headers, name).any(|word| word.eq_ignore_ascii_case(expected))
}

/// The words of a header that is a list.
fn words<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}
