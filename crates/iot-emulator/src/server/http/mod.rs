//! The HTTP side of the service: the request for a WebSocket, shadows, and where temporary credentials come from.

mod answer;
mod cognito;
mod credential_provider;
mod shadow;
mod status;
mod upgrade;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use iot_transport::websocket::{Role, WebSocketIo};
use tokio::io::{AsyncRead, AsyncWrite};

use self::answer::Failure;
pub(super) use self::status::serve_status;
use self::upgrade::Upgrade;
use super::accept::Shared;
use super::gate::Gate;
use super::service::Service;
use crate::access::Origin;

/// How long a client may take for the head of a request, and how long a connection may stay idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take for the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may last that does not become a WebSocket.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// The largest head of a request. Session tokens in queries take some.
const MAX_HEAD: usize = 16 * 1024;

/// The most headers of a request.
const MAX_HEADERS: usize = 64;

/// The largest body of a request, but for [documents](shadow::MAX_BODY).
const MAX_BODY: usize = 16 * 1024;

type Answer = Result<Response<Full<Bytes>>, Failure>;

/// Serves requests until the connection ends, or becomes a WebSocket and that ends.
pub(super) async fn serve<S>(stream: S, origin: Origin, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let upgrade = Mutex::new(None);
    let service = service_fn(|request| {
        let (shared, origin, upgrade) = (&shared, &origin, &upgrade);
        async move {
            let service = &shared.service;
            let answer = route(request, shared, origin, upgrade).await;
            let mut answer = answer.unwrap_or_else(Failure::into_response);
            answer::set_date(answer.headers_mut(), service.clock.now());
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1().serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::select! {
        biased;
        () = shared.events.closed() => return,
        served = tokio::time::timeout(CONNECTION_TIMEOUT, connection) => {
            if !matches!(served, Ok(Ok(()))) {
                return;
            }
        }
    }
    let upgrade = upgrade.into_inner().unwrap_or_else(PoisonError::into_inner);
    let Some(Upgrade { on, ask, lifetime }) = upgrade else { return };
    let Ok(upgraded) = on.await else { return };
    let Ok(parts) = upgraded.downcast::<TokioIo<S>>() else { return };
    let io = WebSocketIo::new(parts.io.into_inner(), parts.read_buf, Role::Server);
    let gate = Gate::websocket(Arc::clone(&shared.service), origin, ask, lifetime);
    shared.connection(gate).in_frames().serve(io).await;
}

/// HTTP with bounds on what a client may send.
fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD);
    builder
}

async fn route(
    request: Request<Incoming>,
    shared: &Shared,
    origin: &Origin,
    upgrade: &Mutex<Option<Upgrade>>,
) -> Answer {
    let service: &Service = &shared.service;
    let path = request.uri().path();
    if path == upgrade::PATH {
        return upgrade::answer(request, service, origin, upgrade);
    }
    if let Some(alias) = credential_provider::alias(path) {
        if request.method() != Method::GET {
            return Err(Failure::method("GET"));
        }
        return credential_provider::answer(&alias, service, origin);
    }
    if path == cognito::PATH {
        if request.method() != Method::POST {
            return Err(Failure::method("POST"));
        }
        let (head, body) = request.into_parts();
        let body = read(body, MAX_BODY).await?;
        return cognito::answer(&head.headers, &body, service);
    }
    if shadow::is_here(path) {
        let (head, body) = request.into_parts();
        let body = read(body, shadow::MAX_BODY).await?;
        return shadow::answer(&head, &body, shared, origin).await;
    }
    Err(Failure::new(StatusCode::NOT_FOUND, "ResourceNotFoundException", "There is nothing here."))
}

/// A whole body, unless it is too large, broken, or takes too long.
async fn read(body: Incoming, max: usize) -> Result<Bytes, Failure> {
    let too_large = || {
        let kind = "RequestEntityTooLargeException";
        Failure::closing(StatusCode::PAYLOAD_TOO_LARGE, kind, "The body is too large.")
    };
    let invalid =
        |status, message: &'static str| Failure::closing(status, "InvalidRequestException", message);
    if body.size_hint().lower() > max as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, max).collect()).await {
        Err(_) => Err(invalid(StatusCode::REQUEST_TIMEOUT, "The body took too long.")),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(invalid(StatusCode::BAD_REQUEST, "The body was not sent to its end.")),
        Ok(Ok(body)) => Ok(body.to_bytes()),
    }
}
