//! One HTTP/1.1 request and its answer over a stream, by hyper. What comes back is bounded in size and in time.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::HeaderMap;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};
use zeroize::Zeroizing;

use crate::error::kind_of;
use crate::{ConnectError, ConnectErrorKind as Kind, Phase};

/// The most header lines of an answer.
const HEADERS: usize = 64;
/// The most bytes of an answer's head.
const HEAD: usize = 16 * 1024;
/// The most bytes of an answer's body that are kept.
const BODY: usize = 64 * 1024;
/// How long the body of a refusal is waited for once the head is there: it is told even if its body never ends.
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

/// An answer: head and body.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    #[cfg_attr(
        not(feature = "websocket"),
        expect(dead_code, reason = "what a proxy says is a page for people")
    )]
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// How much of an answer's body is wanted.
#[derive(Clone, Copy)]
pub(crate) enum Body {
    /// What comes soon, for people: an answer without it is an answer, too.
    Excerpt,
    /// All of it, or it is no answer.
    #[cfg(any(feature = "cognito", feature = "iot-credentials"))]
    Whole,
}

/// Why there is no answer.
pub(crate) enum HttpError {
    /// The deadline passed.
    Late,
    /// There was no head, or none that can be read.
    Head(hyper::Error),
    /// The body broke off.
    #[cfg(any(feature = "cognito", feature = "iot-credentials"))]
    Body(hyper::Error),
    /// The body is larger than what is kept.
    #[cfg(any(feature = "cognito", feature = "iot-credentials"))]
    TooLarge,
}

/// Sends the request over the stream and waits for the answer, until the deadline at the longest.
///
/// A stream that does not switch protocols is closed. Dropping the future closes it, too.
pub(crate) async fn exchange<Io>(
    io: Io,
    call: Call,
    deadline: Instant,
    wanted: Body,
) -> Result<Outcome<Io>, HttpError>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let tunnel = call.method() == Method::CONNECT;
    let (mut sender, mut connection) = http1::Builder::new()
        .max_headers(HEADERS)
        .max_buf_size(HEAD)
        .handshake(TokioIo::new(io))
        .await
        .map_err(HttpError::Head)?;
    let mut over = false;
    let mut reply = pin!(async move {
        let response = timeout_at(deadline, sender.send_request(call))
            .await
            .map_err(|_| HttpError::Late)?
            .map_err(HttpError::Head)?;
        let (head, body) = response.into_parts();
        if switches(head.status, tunnel) {
            return Ok((head, None));
        }
        let body = match wanted {
            Body::Excerpt => excerpt(body, deadline).await,
            #[cfg(any(feature = "cognito", feature = "iot-credentials"))]
            Body::Whole => timeout_at(deadline, whole(body)).await.map_err(|_| HttpError::Late)??,
        };
        Ok((head, Some(body)))
    });
    let (head, body) = poll_fn(|cx| {
        // The connection moves the bytes; how it ends is told to whoever waits for the answer.
        over = over || connection.poll_without_shutdown(cx).is_ready();
        reply.as_mut().poll(cx)
    })
    .await?;
    let (status, headers) = (head.status, head.headers);
    if let Some(body) = body {
        return Ok(Outcome::Answer(Answer { status, headers, body }));
    }
    let moved = poll_fn(|cx| if over { Poll::Ready(Ok(())) } else { connection.poll_without_shutdown(cx) });
    timeout_at(deadline, moved).await.map_err(|_| HttpError::Late)?.map_err(HttpError::Head)?;
    let parts = connection.into_parts();
    Ok(Outcome::Switched(Switched { headers, io: parts.io.into_inner(), rest: parts.read_buf }))
}

fn switches(status: StatusCode, tunnel: bool) -> bool {
    if tunnel { status.is_success() } else { status == StatusCode::SWITCHING_PROTOCOLS }
}

/// What is there of a body in time.
async fn excerpt(mut body: Incoming, deadline: Instant) -> Zeroizing<Vec<u8>> {
    let mut kept = Zeroizing::new(Vec::new());
    let filled = async {
        while let Some(Ok(frame)) = body.frame().await {
            let Some(data) = frame.data_ref() else { continue };
            let room = BODY.saturating_sub(kept.len()).min(data.len());
            kept.extend_from_slice(data.get(..room).unwrap_or_default());
            if kept.len() == BODY {
                return;
            }
        }
    };
    // Whatever is missing at the end is missing: the head has said the most.
    let _ = timeout(BODY_TIME, timeout_at(deadline, filled)).await;
    kept
}

/// A body up to its end; it may be a secret.
#[cfg(any(feature = "cognito", feature = "iot-credentials"))]
async fn whole(mut body: Incoming) -> Result<Zeroizing<Vec<u8>>, HttpError> {
    // Room for all of it from the start: a buffer that grows leaves what it held behind.
    let mut kept = Zeroizing::new(Vec::with_capacity(BODY));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(HttpError::Body)?;
        let Some(data) = frame.data_ref() else { continue };
        if data.len() > BODY.saturating_sub(kept.len()) {
            return Err(HttpError::TooLarge);
        }
        kept.extend_from_slice(data);
    }
    Ok(kept)
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
    match exchange(io, call, attempt.deadline(), Body::Whole).await {
        Ok(Outcome::Answer(answer)) => Ok(answer),
        Ok(Outcome::Switched(_)) => {
            let reason = format!("{server} switched to another protocol, unasked");
            Err(failed(ConnectError::new(Phase::Credentials, Kind::Protocol, reason)))
        }
        Err(error) => {
            let late = format!("{server} did not answer before the deadline");
            Err(failed(error.into_connect_error(Phase::Credentials, server, &late)))
        }
    }
}

impl HttpError {
    /// As the error of a connection attempt; `server` is who did not answer as it should ("the proxy"), `late` what to say
    /// if it did not in time.
    pub(crate) fn into_connect_error(self, phase: Phase, server: &str, late: &str) -> ConnectError {
        match self {
            Self::Late => ConnectError::new(phase, Kind::TimedOut, late),
            Self::Head(error) => {
                let closed = format!("{server} closed the connection without an answer; check the port");
                broken(error, phase, server, closed)
            }
            #[cfg(any(feature = "cognito", feature = "iot-credentials"))]
            Self::Body(error) => {
                let closed = format!("{server} closed the connection in the middle of its answer");
                broken(error, phase, server, closed)
            }
            #[cfg(any(feature = "cognito", feature = "iot-credentials"))]
            Self::TooLarge => {
                let reason =
                    format!("{server}'s answer is larger than 64 KiB; check that no proxy answers for it");
                ConnectError::new(phase, Kind::Protocol, reason)
            }
        }
    }
}

/// The error for what hyper met; `closed` is what to say if that was the end of the stream.
fn broken(error: hyper::Error, phase: Phase, server: &str, closed: String) -> ConnectError {
    let closes = match io_error(&error) {
        Some(io) if kind_of(io) != Kind::Closed => {
            return ConnectError::from_io(phase, io::Error::new(io.kind(), error));
        }
        Some(_) => true,
        None => error.is_incomplete_message() || error.is_canceled() || error.is_closed(),
    };
    let (kind, reason) = if closes {
        (Kind::Closed, closed)
    } else if error.is_parse() {
        let reason = format!(
            "{server}'s answer is not HTTP/1.1 with a head of at most 16 KiB and 64 lines ({error}); check the port"
        );
        (Kind::Protocol, reason)
    } else {
        (Kind::Other, format!("the HTTP request failed: {error}"))
    };
    ConnectError::new(phase, kind, reason).with_source(error)
}

/// The I/O error underneath, if one is.
fn io_error(error: &hyper::Error) -> Option<&io::Error> {
    let mut next = std::error::Error::source(error);
    while let Some(current) = next {
        if let Some(io) = current.downcast_ref::<io::Error>() {
            return Some(io);
        }
        next = current.source();
    }
    None
}
