//! The page in the browser: three files and the document that they show.
//!
//! Anyone on this machine may look; so may not a page of the Internet that a browser of this machine has open: requests
//! have to name this machine as their host, and no other origin is let in.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::server::accept::Shared;
use crate::server::hub::Event;

/// The page runs its own script and nothing else, whatever the messages that it shows hold.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// For all answers.
const HEADERS: [(HeaderName, &str); 4] = [
    (CACHE_CONTROL, "no-store"),
    (CONTENT_SECURITY_POLICY, POLICY),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

const TEXT: &str = "text/plain; charset=utf-8";

/// Serves requests until the connection or the emulator ends.
pub(in crate::server) async fn serve_status(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request| {
        let shared = &shared;
        async move {
            let mut answer = answer(&request, shared).await;
            for (name, value) in HEADERS {
                answer.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = super::http1().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        biased;
        () = shared.events.closed() => {}
        _ = tokio::time::timeout(super::CONNECTION_TIMEOUT, connection) => {}
    }
}

async fn answer(request: &Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    if !names_this_machine(request) {
        return body(StatusCode::FORBIDDEN, TEXT, "The page is at localhost only.\n");
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut answer = body(StatusCode::METHOD_NOT_ALLOWED, TEXT, "The page can only be looked at.\n");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    match request.uri().path() {
        "/" => body(StatusCode::OK, "text/html; charset=utf-8", include_str!("status/index.html")),
        "/page.css" => body(StatusCode::OK, "text/css; charset=utf-8", include_str!("status/page.css")),
        "/page.js" => body(StatusCode::OK, "text/javascript; charset=utf-8", include_str!("status/page.js")),
        "/status.json" => match status(shared).await {
            Some(status) => body(StatusCode::OK, "application/json", status),
            None => body(StatusCode::SERVICE_UNAVAILABLE, TEXT, "The emulator is about to end.\n"),
        },
        _ => body(StatusCode::NOT_FOUND, TEXT, "There is nothing here.\n"),
    }
}

/// Whether the host of a request is this machine, by a name that nobody else can give to it (DNS rebinding).
fn names_this_machine(request: &Request<Incoming>) -> bool {
    let Some(host) = request.headers().get(HOST).and_then(|host| host.to_str().ok()) else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|own| name.eq_ignore_ascii_case(own))
}

async fn status(shared: &Shared) -> Option<String> {
    let (reply, answer) = oneshot::channel();
    let endpoint = shared.endpoint.clone();
    let port = shared.port;
    let asked = Event::Asked(Box::new(move |hub| {
        let _ = reply.send(hub.status(&endpoint, port));
    }));
    shared.events.send(asked).await.ok()?;
    // It is made into text here, so that the broker goes on meanwhile.
    Some(answer.await.ok()?.to_string())
}

fn body(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
