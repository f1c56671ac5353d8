//! A WebSocket as a stream of bytes.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_core::Stream;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};

/// The most bytes that one frame of ours carries: a write is cut there, and a blocked peer holds up no more.
const LARGEST_SENT: usize = 64 * 1024;
/// From how many waiting bytes on frames are written without a flush.
const WRITE_BUFFER: usize = 16 * 1024;
/// What is read at once.
const READ_BUFFER: usize = 8 * 1024;

/// A byte stream over the binary frames of a WebSocket (RFC 6455), for either side of it.
///
/// Where frames begin and end means nothing, as MQTT wants it (MQTT 5, section 6): reads join them, each write
/// leaves as one frame of at most 64 KiB, masked if we are the client. Pings are answered with their payload while
/// the stream is read. Written bytes wait for a flush, at most 16 KiB of them and a frame; then writing waits for
/// the peer to read.
///
/// Reading gives
///
/// - `Ok(0)` after a close frame, which is answered: an orderly end;
/// - an error of kind [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the stream under it ends without one;
/// - an error of kind [`InvalidData`](io::ErrorKind::InvalidData) for a text frame, a frame larger than the
///   limit, and whatever else is not WebSocket.
///
/// `shutdown` sends a close frame and shuts the stream underneath down; what the peer still sends can be read.
///
/// ```
/// use iot_transport::websocket::{Role, WebSocketIo};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// let (ours, theirs) = tokio::io::duplex(1024);
/// let mut client = WebSocketIo::new(ours, Vec::new(), Role::Client, 1024).await;
/// let mut server = WebSocketIo::new(theirs, Vec::new(), Role::Server, 1024).await;
/// client.write_all(b"hello").await?;
/// client.shutdown().await?;
/// let mut received = String::new();
/// server.read_to_string(&mut received).await?;
/// assert_eq!(received, "hello");
/// # Ok(()) }
/// ```
pub struct WebSocketIo<S> {
    socket: WebSocketStream<S>,
    /// Of the frame received last, what was not read yet.
    incoming: Bytes,
    /// Reading has come to its end.
    ended: bool,
    /// A close frame of ours is on its way.
    closing: bool,
    /// Who has written last, and may wait for room.
    writer: Option<Waker>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketIo<S> {
    /// A stream after its upgrade, and the bytes that came behind the upgrade's head. Frames and messages that are
    /// to hold more than `largest` bytes are refused before anything of them is kept.
    pub async fn new(io: S, rest: impl Into<Vec<u8>>, role: Role, largest: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_write_buffer_size(WRITE_BUFFER + 2 * LARGEST_SENT)
            .max_frame_size(Some(largest))
            .max_message_size(Some(largest));
        let socket = WebSocketStream::from_partially_read(io, rest.into(), role, Some(config)).await;
        Self { socket, incoming: Bytes::new(), ended: false, closing: false, writer: None }
    }

    /// The stream underneath.
    pub fn get_ref(&self) -> &S {
        self.socket.get_ref()
    }

    /// The next frame's payload into `incoming`, or the end of reading into `ended`.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
            Some(Ok(Message::Binary(payload))) => self.incoming = payload,
            // Tungstenite has the pong ready and sends it when it is polled next, at once.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(_))) => {
                self.ended = true;
                self.try_flush();
            }
            Some(Ok(Message::Text(_))) => {
                self.ended = true;
                let refusal = CloseFrame { code: CloseCode::Unsupported, reason: "MQTT is binary".into() };
                if Pin::new(&mut self.socket).start_send(Message::Close(Some(refusal))).is_ok() {
                    self.try_flush();
                }
                let text = "the peer sent a text frame, where MQTT goes in binary frames";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
            }
            Some(Err(WsError::ConnectionClosed | WsError::AlreadyClosed)) | None => self.ended = true,
            Some(Err(error)) => {
                self.ended = true;
                return Poll::Ready(Err(io_error(error)));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends a close frame if there is room: the end of reading is not held up by a peer that does not read. The socket
    /// remembers one writer only, which this must not displace: it may be another task that waits for room.
    fn try_flush(&mut self) {
        let writer = self.writer.clone().unwrap_or_else(|| Waker::noop().clone());
        let _ = Pin::new(&mut self.socket).poll_flush(&mut Context::from_waker(&writer));
    }

    fn writes(&mut self, cx: &Context<'_>) {
        match &mut self.writer {
            Some(writer) => writer.clone_from(cx.waker()),
            None => self.writer = Some(cx.waker().clone()),
        }
    }

    /// Sends what `fill` puts into a frame of at most this many bytes.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        len: usize,
        fill: impl FnOnce(&mut BytesMut),
    ) -> Poll<io::Result<usize>> {
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        self.writes(cx);
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(io_error)?;
        let mut payload = BytesMut::with_capacity(len);
        fill(&mut payload);
        let payload = payload.freeze();
        loop {
            let sent = Pin::new(&mut self.socket).start_send(Message::Binary(payload.clone()));
            if !matches!(sent, Err(WsError::WriteBufferFull(_))) {
                return Poll::Ready(sent.map(|()| len).map_err(io_error));
            }
            // Pongs have taken the room, which `poll_ready` does not see.
            ready!(Pin::new(&mut self.socket).poll_flush(cx)).map_err(io_error)?;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocketIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.incoming.is_empty() && !self.ended && buf.remaining() > 0 {
            // Thousands of frames fit into one read of the stream underneath, and may hold nothing: each counts.
            let turn = ready!(coop::poll_proceed(cx));
            ready!(self.poll_frame(cx))?;
            turn.made_progress();
        }
        let len = buf.remaining().min(self.incoming.len());
        buf.put_slice(self.incoming.get(..len).unwrap_or_default());
        self.incoming.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocketIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let part = buf.get(..LARGEST_SENT).unwrap_or(buf);
        self.poll_send(cx, part.len(), |payload| payload.extend_from_slice(part))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let total = bufs.iter().fold(0usize, |total, buf| total.saturating_add(buf.len())).min(LARGEST_SENT);
        self.poll_send(cx, total, |payload| {
            for buf in bufs {
                let room = total - payload.len();
                payload.extend_from_slice(buf.get(..room).unwrap_or(buf));
            }
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writes(cx);
        Pin::new(&mut self.socket).poll_flush(cx).map_err(io_error)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closing {
            self.writes(cx);
            // What waits goes first: pongs may have taken the room of the close frame, which is then lost.
            let flushed = ready!(Pin::new(&mut self.socket).poll_flush(cx));
            let closed = match flushed {
                Ok(()) => ready!(Pin::new(&mut self.socket).poll_close(cx)),
                Err(error) => Err(error),
            };
            match closed {
                // Whoever has closed already wants no close frame any more.
                Ok(()) | Err(WsError::AlreadyClosed | WsError::Protocol(ProtocolError::SendAfterClosing)) => {
                }
                Err(error) => return Poll::Ready(Err(io_error(error))),
            }
            self.closing = true;
        }
        Pin::new(self.socket.get_mut()).poll_shutdown(cx)
    }
}

fn io_error(error: WsError) -> io::Error {
    match error {
        WsError::Io(error) => error,
        WsError::ConnectionClosed
        | WsError::AlreadyClosed
        | WsError::Protocol(ProtocolError::SendAfterClosing) => {
            io::Error::new(io::ErrorKind::BrokenPipe, "the WebSocket is closed")
        }
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the peer ended the connection without closing the WebSocket first: it was cut off",
        ),
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    }
}

impl<S> fmt::Debug for WebSocketIo<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketIo").field("ended", &self.ended).finish_non_exhaustive()
    }
}
