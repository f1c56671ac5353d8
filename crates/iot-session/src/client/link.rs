//! The byte stream in its three lives: being dialled, up, being closed.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, BytesMut};
use iot_transport::{Attempt, ConnectError, Connector};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use crate::error::LinkError;

/// The first and smallest read, in bytes.
const SMALL_READ: usize = 2 * 1024;
/// The largest read: more per turn would let a flooding peer hold the driver.
const LARGE_READ: usize = 64 * 1024;
/// How many reads a closing link is drained by.
const DRAIN_READS: u32 = 64;

/// An attempt under way.
pub(super) struct Dialing<Io> {
    future: Pin<Box<dyn Future<Output = Result<Io, LinkError>> + Send>>,
    pub(super) deadline: Instant,
}

impl<Io: 'static> Dialing<Io> {
    pub(super) fn new<C: Connector<Io = Io>>(connector: Arc<C>, number: u64, deadline: Instant) -> Self {
        let future = Box::pin(async move {
            let attempt = Attempt::new(number, deadline);
            // Connectors keep the deadline themselves; those that do not are cut off here.
            match timeout_at(deadline, connector.connect(&attempt)).await {
                Ok(result) => result.map_err(link_error),
                Err(_) => Err(LinkError::new(format!("timed out during {}", attempt.phase()), true)),
            }
        });
        Self { future, deadline }
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Io, LinkError>> {
        self.future.as_mut().poll(context)
    }
}

fn link_error(error: ConnectError) -> LinkError {
    LinkError::new(error.to_string(), error.is_retryable()).with_source(error)
}

/// A stream with its read buffer.
pub(super) struct Up<Io> {
    io: Io,
    pub(super) buffer: BytesMut,
    chunk: usize,
    flush: bool,
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Up<Io> {
    pub(super) fn new(io: Io) -> Self {
        Self { io, buffer: BytesMut::new(), chunk: SMALL_READ, flush: false }
    }

    /// Reads once into the buffer; 0 is the end of the stream. Reads grow while they fill what they are given.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.buffer.reserve(self.chunk);
        let mut window = (&mut self.buffer).limit(self.chunk);
        let n = ready!(pin!(self.io.read_buf(&mut window)).poll(context))?;
        if n == self.chunk {
            self.chunk = self.chunk.saturating_mul(2).min(LARGE_READ);
        } else if n < self.chunk / 4 {
            self.chunk = (self.chunk / 2).max(SMALL_READ);
        }
        Poll::Ready(Ok(n))
    }

    /// Writes from the front of `bytes` and flushes once they are gone. `Ready` with 0 when there is nothing to do.
    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            if self.flush {
                ready!(Pin::new(&mut self.io).poll_flush(context))?;
                self.flush = false;
            }
            return Poll::Ready(Ok(0));
        }
        let n = ready!(Pin::new(&mut self.io).poll_write(context, bytes))?;
        if n == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        bytes.advance(n);
        self.flush = true;
        Poll::Ready(Ok(n))
    }

    /// Writes `rest`, then closes, within `patience`.
    pub(super) fn close(self, rest: BytesMut, deadline: Instant) -> Closing<Io> {
        Closing { up: self, rest, stage: Stage::Writing, sleep: Box::pin(sleep_until(deadline)), reads: 0 }
    }
}

/// A stream whose last bytes are on their way.
pub(super) struct Closing<Io> {
    up: Up<Io>,
    rest: BytesMut,
    stage: Stage,
    sleep: Pin<Box<Sleep>>,
    reads: u32,
}

enum Stage {
    Writing,
    ShuttingDown,
    /// Reads what is still under way: closing with unread bytes would reset the connection, and the server could
    /// lose the DISCONNECT that it has not read yet.
    Draining,
}

/// How far a close has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// Our bytes are written; the server's end is awaited.
    Written,
    /// It is over.
    Entirely,
}

impl<Io> Closing<Io> {
    /// Whether our last bytes are written.
    pub(super) fn is_written(&self) -> bool {
        matches!(self.stage, Stage::Draining)
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Closing<Io> {
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Closed> {
        if self.sleep.as_mut().poll(context).is_ready() {
            return Poll::Ready(Closed::Entirely);
        }
        loop {
            match self.stage {
                Stage::Writing => match ready!(self.up.poll_write(context, &mut self.rest)) {
                    Ok(0) => self.stage = Stage::ShuttingDown,
                    Ok(_) => {}
                    Err(_) => return Poll::Ready(Closed::Entirely),
                },
                Stage::ShuttingDown => match ready!(Pin::new(&mut self.up.io).poll_shutdown(context)) {
                    Ok(()) => {
                        self.stage = Stage::Draining;
                        return Poll::Ready(Closed::Written);
                    }
                    Err(_) => return Poll::Ready(Closed::Entirely),
                },
                Stage::Draining => {
                    self.up.buffer.clear();
                    self.reads = self.reads.saturating_add(1);
                    match ready!(self.up.poll_read(context)) {
                        Ok(n) if n > 0 && self.reads < DRAIN_READS => {}
                        _ => return Poll::Ready(Closed::Entirely),
                    }
                }
            }
        }
    }
}

/// A read or write that failed, in words; `explain` knows the words of the transport.
pub(super) fn broken(error: io::Error, explain: Option<fn(&io::Error) -> Option<String>>) -> LinkError {
    let message = explain
        .and_then(|explain| explain(&error))
        .unwrap_or_else(|| format!("the connection broke: {error}"));
    let by_peer = matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
    );
    let broken = LinkError::new(message, true).with_source(error);
    if by_peer { broken.by_peer() } else { broken }
}

/// The server closed the stream.
pub(super) fn ended() -> LinkError {
    LinkError::new("the server closed the connection", true).by_peer()
}
