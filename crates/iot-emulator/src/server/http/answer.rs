//! Responses in the forms of AWS IoT Core.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ALLOW, CONNECTION, CONTENT_TYPE, DATE,
    HeaderName, HeaderValue,
};
use hyper::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use crate::access::uuid;

/// 9999-12-31T23:59:59Z, the last date that HTTP can name.
const END_OF_TIME: Duration = Duration::from_secs(253_402_300_799);

/// A request that is refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    status: StatusCode,
    kind: &'static str,
    message: String,
    more: Option<(HeaderName, &'static str)>,
}

impl Failure {
    pub(super) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), more: None }
    }

    /// 403, as all that is wrong with who somebody is.
    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "ForbiddenException", message)
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidRequestException", message)
    }

    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailureException", "The emulator has failed.")
    }

    pub(super) fn method(allowed: &'static str) -> Self {
        let message = format!("Only {allowed} is possible here.");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowedException", message).with(ALLOW, allowed)
    }

    /// After which the connection is closed: what the client still sends is not read.
    pub(super) fn closing(status: StatusCode, kind: &'static str, message: &str) -> Self {
        Self::new(status, kind, message).with(CONNECTION, "close")
    }

    pub(super) fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.more = Some((name, value));
        self
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let id = uuid().unwrap_or_default();
        let body = json!({ "message": self.message, "traceId": id });
        let mut response = json_response(self.status, "application/json", &body);
        let headers = response.headers_mut();
        // The colon is the service's.
        set(headers, "x-amzn-errortype", &format!("{}:", self.kind));
        set(headers, "x-amzn-requestid", &id);
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("x-amzn-ErrorMessage,x-amzn-RequestId,x-amzn-ErrorType,Date"),
        );
        if let Some((name, value)) = self.more {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// The service's date: a client whose clock is wrong learns it here.
pub(super) fn set_date(headers: &mut HeaderMap, now: SystemTime) {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default().min(END_OF_TIME);
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(UNIX_EPOCH + since)) {
        headers.insert(DATE, date);
    }
}

pub(super) fn json_response(status: StatusCode, kind: &'static str, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

pub(super) fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
