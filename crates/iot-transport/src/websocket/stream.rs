//! A WebSocket as a stream of bytes.
//!
//! Received frames are never put together: a payload goes straight into the reader's buffer, but for what a first read
//! brought along behind its head. What is sent is copied once, masked in its place in the write buffer.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::Role;
use super::frame::{Fault, Head, LONGEST_CONTROL, LONGEST_HEAD, Operation};
use super::mask::Mask;
use super::wakers::{Side, Wakers};
use super::writing::{HIGH_WATER, Writing};

/// The most bytes that one frame of ours carries: a write is cut there.
const LARGEST_SENT: usize = 64 * 1024;
/// What is read ahead at once, to find heads.
const READ_AHEAD: usize = 2 * 1024;

/// A byte stream over the binary frames of a WebSocket (RFC 6455), for either side of it.
///
/// Where frames begin and end means nothing, as MQTT wants it (MQTT 5, section 6): reads join them, whatever their size;
/// each write leaves as one frame of at most 64 KiB, masked if we are the client. Pings are answered with their payload
/// while the stream is read, of many at once perhaps only the last. Written bytes wait for a flush, at most 16 KiB of them
/// and a frame; then writing waits for the peer to read.
///
/// Reading gives
///
/// - `Ok(0)` after a close frame, which is answered: an orderly end;
/// - an error of kind [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the stream under it ends without one;
/// - an error of kind [`InvalidData`](io::ErrorKind::InvalidData) for a text frame and for whatever else is not
///   WebSocket, of which the peer is told by a close frame.
///
/// `shutdown` sends a close frame and shuts the stream underneath down; what the peer still sends can be read.
///
/// Cancelling: a read or write that is dropped while it waits has taken nothing.
///
/// ```
/// use iot_transport::websocket::{Role, WebSocketIo};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// let (ours, theirs) = tokio::io::duplex(1024);
/// let mut client = WebSocketIo::new(ours, Vec::new(), Role::Client);
/// let mut server = WebSocketIo::new(theirs, Vec::new(), Role::Server);
/// client.write_all(b"hello").await?;
/// client.shutdown().await?;
/// let mut received = String::new();
/// server.read_to_string(&mut received).await?;
/// assert_eq!(received, "hello");
/// # Ok(()) }
/// ```
pub struct WebSocketIo<S> {
    io: S,
    role: Role,
    reading: Reading,
    writing: Writing,
    wakers: Wakers,
}

/// How far reading has come.
struct Reading {
    /// Read and not looked at yet.
    ahead: BytesMut,
    state: State,
    /// Within a message that goes on in the next frame.
    within: bool,
}

enum State {
    /// A head is next.
    Head,
    /// A data frame's payload: how many bytes are left of it, how many have been read.
    Payload { left: u64, read: u64, mask: Option<Mask> },
    /// A control frame's payload.
    Control(Head),
    /// Nothing comes any more.
    Ended,
}

/// What a step of reading came to.
#[derive(Clone, Copy)]
enum Progress {
    /// Bytes were read, or the end was reached.
    Done,
    /// Neither, so far.
    Within,
}

impl<S> WebSocketIo<S> {
    /// A stream after its upgrade, and the bytes that came behind the upgrade's head.
    pub fn new(io: S, rest: impl Into<Bytes>, role: Role) -> Self {
        let ahead = BytesMut::from(rest.into());
        let reading = Reading { ahead, state: State::Head, within: false };
        Self { io, role, reading, writing: Writing::default(), wakers: Wakers::default() }
    }

    /// The stream underneath.
    pub fn get_ref(&self) -> &S {
        &self.io
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketIo<S> {
    /// One step of reading.
    fn poll_step(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<Progress>> {
        match self.reading.state {
            State::Ended => return Poll::Ready(Ok(Progress::Done)),
            State::Head => match Head::parse(&self.reading.ahead, self.role) {
                Ok(Some((head, size))) => {
                    self.reading.ahead.advance(size);
                    if let Err(fault) = self.begin(head) {
                        return Poll::Ready(Err(self.refuse(fault)));
                    }
                }
                Ok(None) => return self.poll_ahead(cx).map_ok(|()| Progress::Within),
                Err(fault) => return Poll::Ready(Err(self.refuse(fault))),
            },
            State::Payload { left: 0, .. } => self.reading.state = State::Head,
            State::Payload { left, read, mask } => {
                let before = buf.filled().len();
                if self.reading.ahead.is_empty() {
                    ready!(Pin::new(&mut (&mut self.io).take(left)).poll_read(cx, buf))?;
                } else {
                    let most = usize::try_from(left).unwrap_or(usize::MAX).min(buf.remaining());
                    let part = self.reading.ahead.split_to(most.min(self.reading.ahead.len()));
                    buf.put_slice(&part);
                }
                let fresh = buf.filled_mut().get_mut(before..).unwrap_or_default();
                if fresh.is_empty() {
                    return Poll::Ready(self.stream_ended().map(|()| Progress::Done));
                }
                if let Some(mask) = mask {
                    mask.apply(fresh, read);
                }
                let len = fresh.len() as u64;
                self.reading.state = State::Payload { left: left - len, read: read + len, mask };
                return Poll::Ready(Ok(Progress::Done));
            }
            State::Control(head) => {
                let len = usize::try_from(head.len).unwrap_or(usize::MAX).min(LONGEST_CONTROL);
                if self.reading.ahead.len() < len {
                    return self.poll_ahead(cx).map_ok(|()| Progress::Within);
                }
                let mut payload = self.reading.ahead.split_to(len);
                if let Some(mask) = head.mask {
                    mask.apply(&mut payload, 0);
                }
                self.reading.state = State::Head;
                self.answer(head.operation, payload.freeze())?;
            }
        }
        Poll::Ready(Ok(Progress::Within))
    }

    /// Takes up a frame.
    fn begin(&mut self, head: Head) -> Result<(), Fault> {
        let Head { last, operation, mask, len } = head;
        match operation {
            Operation::Text => return Err(Fault::TEXT),
            Operation::Binary if self.reading.within => {
                return Err(Fault::new("the peer began a message within another that had to be continued"));
            }
            Operation::Continuation if !self.reading.within => {
                return Err(Fault::new("the peer continued a message that it had not begun"));
            }
            Operation::Binary | Operation::Continuation => {
                self.reading.within = !last;
                self.reading.state = State::Payload { left: len, read: 0, mask };
            }
            Operation::Close | Operation::Ping | Operation::Pong => {
                self.reading.state = State::Control(head);
            }
        }
        Ok(())
    }

    /// Does what a control frame asks for.
    fn answer(&mut self, operation: Operation, payload: Bytes) -> io::Result<()> {
        match operation {
            Operation::Close => {
                self.reading.state = State::Ended;
                // The code is repeated, if it is one that may be sent (RFC 6455, section 7.4).
                let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                let fine = code.is_none_or(|code| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999));
                self.writing.close(self.role, if fine { code } else { Some(1002) })?;
            }
            Operation::Ping => {
                self.writing.pong = Some(payload);
                self.writing.place_pong(self.role)?;
            }
            Operation::Pong | Operation::Continuation | Operation::Text | Operation::Binary => {}
        }
        Ok(())
    }

    /// Ends reading with an error, of which the peer is told.
    fn refuse(&mut self, fault: Fault) -> io::Error {
        self.reading.state = State::Ended;
        match self.writing.close(self.role, Some(fault.code)) {
            Ok(()) => io::Error::new(io::ErrorKind::InvalidData, fault.what),
            Err(error) => error,
        }
    }

    /// Reads ahead at least a byte, or finds the end.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ahead = &mut self.reading.ahead;
        ahead.reserve(READ_AHEAD.saturating_sub(ahead.len()).max(LONGEST_HEAD));
        // The future keeps nothing between two polls.
        let read = pin!(self.io.read_buf(ahead)).poll(cx);
        match ready!(read)? {
            0 => Poll::Ready(self.stream_ended()),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// The stream underneath has ended: in order, if we had said good-bye.
    fn stream_ended(&mut self) -> io::Result<()> {
        self.reading.state = State::Ended;
        if self.writing.closing {
            return Ok(());
        }
        let text = "the peer ended the connection without closing the WebSocket first: it was cut off";
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, text))
    }

    /// Sends what reading has to answer, as far as there is room; otherwise both sides are woken when there is.
    fn send_answers(&mut self) {
        if !self.writing.answers {
            return;
        }
        let mut cx = Context::from_waker(self.wakers.both());
        let sent = match self.writing.poll_drain(&mut self.io, self.role, &mut cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut self.io).poll_flush(&mut cx),
            other => other,
        };
        // What is wrong with writing is told to who writes.
        self.writing.answers = sent.is_pending();
    }

    /// Puts a frame with these parts behind what waits, once there is room for it.
    fn poll_send(&mut self, cx: &Context<'_>, parts: &[&[u8]]) -> Poll<io::Result<usize>> {
        if self.writing.closing {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, "the WebSocket is closed")));
        }
        let len = parts.iter().map(|part| part.len()).sum();
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        if self.writing.out.len() >= HIGH_WATER
            && self.poll_drain(cx)?.is_pending()
            && self.writing.out.len() >= HIGH_WATER
        {
            return Poll::Pending;
        }
        self.writing.push(self.role, Operation::Binary, parts)?;
        Poll::Ready(Ok(len))
    }

    /// Writes what waits, for who writes.
    fn poll_drain(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        self.wakers.register(Side::Writer, cx.waker());
        let mut cx = Context::from_waker(self.wakers.both());
        self.writing.poll_drain(&mut self.io, self.role, &mut cx)
    }
}

/// How many heads, and frames without a payload, are looked at before others get their turn.
const STEPS: usize = 256;

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocketIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.wakers.register(Side::Reader, cx.waker());
        for _ in 0..STEPS {
            match self.poll_step(cx, buf) {
                Poll::Ready(Ok(Progress::Within)) => {}
                Poll::Ready(Ok(Progress::Done)) => {
                    self.send_answers();
                    return Poll::Ready(Ok(()));
                }
                other => {
                    self.send_answers();
                    return other.map_ok(drop);
                }
            }
        }
        self.send_answers();
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The most parts that are written as one frame.
const PARTS: usize = 16;

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocketIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let part = buf.get(..LARGEST_SENT).unwrap_or(buf);
        self.poll_send(cx, &[part])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut parts: [&[u8]; PARTS] = [&[]; PARTS];
        let mut room = LARGEST_SENT;
        for (part, buf) in parts.iter_mut().zip(bufs) {
            *part = buf.get(..room).unwrap_or(buf);
            room -= part.len();
        }
        self.poll_send(cx, &parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.io).poll_flush(&mut Context::from_waker(this.wakers.both()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let role = self.role;
        self.writing.close(role, None)?;
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<S> fmt::Debug for WebSocketIo<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketIo")
            .field("role", &self.role)
            .field("ended", &matches!(self.reading.state, State::Ended))
            .field("closing", &self.writing.closing)
            .finish_non_exhaustive()
    }
}
