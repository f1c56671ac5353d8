//! One HTTP/1.1 request and its answer over a stream, by hyper. What comes back is bounded in size and in time.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::HeaderMap;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::kind_of;
use crate::{ConnectError, ConnectErrorKind as Kind, Phase};

/// The most header lines of an answer.
const HEADERS: usize = 64;
/// The most bytes of an answer's head.
const HEAD: usize = 16 * 1024;
/// The most bytes of an answer's body that are kept.
const BODY: usize = 64 * 1024;
/// How long a body is waited for once the head is there: a refusal is told even if its body never ends.
const BODY_TIME: Duration = Duration::from_secs(2);

/// A request whose body, if it has one, is in memory.
pub(crate) type Call = Request<Full<Bytes>>;

/// What came of a request.
pub(crate) enum Outcome<Io> {
    /// The server speaks another protocol from here on.
    Switched(Switched<Io>),
    /// An ordinary answer.
    Answer(Answer),
}

/// A stream that has left HTTP behind.
pub(crate) struct Switched<Io> {
    #[cfg_attr(
        not(feature = "websocket"),
        expect(dead_code, reason = "a tunnel's answer has nothing to say")
    )]
    pub(crate) headers: HeaderMap,
    pub(crate) io: Io,
    /// What was read of the new protocol already.
    pub(crate) rest: Bytes,
}

/// An answer: head, and as much of the body as was to be had.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    #[cfg_attr(
        not(feature = "websocket"),
        expect(dead_code, reason = "what a proxy says is a page for people")
    )]
    pub(crate) body: Bytes,
}

/// Why there is no answer.
pub(crate) struct HttpError(hyper::Error);

/// Sends the request over the stream and waits for the answer. The caller sets the time limit; by this deadline, a body
/// is waited for no longer.
///
/// A stream that does not switch protocols is closed. Dropping the future closes it, too.
pub(crate) async fn exchange<Io>(io: Io, call: Call, deadline: Instant) -> Result<Outcome<Io>, HttpError>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let tunnel = call.method() == Method::CONNECT;
    let (mut sender, mut connection) = http1::Builder::new()
        .max_headers(HEADERS)
        .max_buf_size(HEAD)
        .handshake(TokioIo::new(io))
        .await
        .map_err(HttpError)?;
    let mut over = false;
    let mut reply = pin!(async move {
        let response = sender.send_request(call).await?;
        if switches(response.status(), tunnel) {
            return Ok((response.status(), response.into_parts().0.headers, None));
        }
        let (head, body) = split(response, deadline).await;
        Ok((head.0, head.1, Some(body)))
    });
    let (status, headers, body) = poll_fn(|cx| {
        // The connection moves the bytes; how it ends is told to whoever waits for the answer.
        over = over || connection.poll_without_shutdown(cx).is_ready();
        reply.as_mut().poll(cx)
    })
    .await
    .map_err(HttpError)?;
    if let Some(body) = body {
        return Ok(Outcome::Answer(Answer { status, headers, body }));
    }
    poll_fn(|cx| if over { Poll::Ready(Ok(())) } else { connection.poll_without_shutdown(cx) })
        .await
        .map_err(HttpError)?;
    let parts = connection.into_parts();
    Ok(Outcome::Switched(Switched { headers, io: parts.io.into_inner(), rest: parts.read_buf }))
}

fn switches(status: StatusCode, tunnel: bool) -> bool {
    if tunnel { status.is_success() } else { status == StatusCode::SWITCHING_PROTOCOLS }
}

async fn split(response: Response<Incoming>, deadline: Instant) -> ((StatusCode, HeaderMap), Bytes) {
    let (head, body) = response.into_parts();
    let mut kept = BytesMut::new();
    // Whatever is missing at the end is missing: the head has said the most.
    let _ = timeout_at(deadline, timeout(BODY_TIME, keep(body, &mut kept))).await;
    ((head.status, head.headers), kept.freeze())
}

async fn keep(mut body: Incoming, kept: &mut BytesMut) {
    while let Some(Ok(frame)) = body.frame().await {
        let Some(data) = frame.data_ref() else { continue };
        let room = BODY.saturating_sub(kept.len()).min(data.len());
        kept.extend_from_slice(data.get(..room).unwrap_or_default());
        if kept.len() == BODY {
            return;
        }
    }
}

/// Dials, asks and gives the answer, within the attempt's deadline; `server` is who is asked ("the Cognito service").
/// The errors are of the phase [`Phase::Credentials`], but for those of the connector.
#[cfg(any(feature = "cognito", feature = "iot-credentials"))]
pub(crate) async fn fetch<C: crate::Connector>(
    connector: &C,
    attempt: &crate::Attempt,
    call: Call,
    server: &str,
) -> Result<Answer, ConnectError> {
    let failed = |error: ConnectError| error.at_endpoint(connector.endpoint());
    let io = connector.connect(attempt).await?;
    attempt.enter(Phase::Credentials);
    match timeout_at(attempt.deadline(), exchange(io, call, attempt.deadline())).await {
        Ok(Ok(Outcome::Answer(answer))) => Ok(answer),
        Ok(Ok(Outcome::Switched(_))) => {
            let reason = format!("{server} switched to another protocol, unasked");
            Err(failed(ConnectError::new(Phase::Credentials, Kind::Protocol, reason)))
        }
        Ok(Err(error)) => Err(failed(error.into_connect_error(Phase::Credentials, server))),
        Err(_) => {
            let reason = format!("{server} did not answer before the deadline");
            Err(failed(ConnectError::new(Phase::Credentials, Kind::TimedOut, reason)))
        }
    }
}

impl HttpError {
    /// As the error of a connection attempt; `server` is who did not answer as it should ("the proxy").
    pub(crate) fn into_connect_error(self, phase: Phase, server: &str) -> ConnectError {
        let Self(error) = self;
        if let Some(io) = io_error(&error) {
            return ConnectError::from_io(phase, io::Error::new(io.kind(), error));
        }
        let (kind, reason) = if error.is_parse() {
            let reason = format!(
                "{server}'s answer is not HTTP/1.1 with a head of at most 16 KiB and 64 lines ({error}); check the \
                 port"
            );
            (Kind::Protocol, reason)
        } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            (Kind::Closed, format!("{server} closed the connection without an answer; check the port"))
        } else {
            (Kind::Other, format!("the HTTP request failed: {error}"))
        };
        ConnectError::new(phase, kind, reason).with_source(error)
    }
}

/// The I/O error underneath, if one is.
fn io_error(error: &hyper::Error) -> Option<&io::Error> {
    let mut next = std::error::Error::source(error);
    while let Some(current) = next {
        if let Some(io) = current.downcast_ref::<io::Error>() {
            return (kind_of(io) != Kind::Closed).then_some(io);
        }
        next = current.source();
    }
    None
}
