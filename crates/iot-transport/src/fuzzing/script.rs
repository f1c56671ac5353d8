//! A stream that follows a script: it gives and takes bytes in pieces, and is not always ready.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How the stream behaves, one step for each call; the last step goes on for ever.
#[derive(Clone, Debug)]
pub(super) struct Steps<'a>(&'a [u8]);

impl<'a> Steps<'a> {
    pub(super) fn new(steps: &'a [u8]) -> Self {
        Self(steps)
    }

    /// Nothing this time, or as many bytes.
    fn next(&mut self) -> Option<usize> {
        let (&step, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(usize::from(step))
    }
}

/// One end of a connection whose other end has said all it has to say.
#[derive(Debug)]
pub(super) struct Scripted<'a> {
    incoming: &'a [u8],
    steps: Steps<'a>,
    pub(super) written: Vec<u8>,
}

impl<'a> Scripted<'a> {
    pub(super) fn new(incoming: &'a [u8], steps: Steps<'a>) -> Self {
        Self { incoming, steps, written: Vec::new() }
    }

    /// Pending, with the promise of another try, or the most bytes to move.
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        match self.steps.next() {
            Some(0) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(most) => Poll::Ready(most),
            None => Poll::Ready(usize::MAX),
        }
    }
}

impl AsyncRead for Scripted<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Poll::Ready(most) = self.step(cx) else { return Poll::Pending };
        let len = most.min(buf.remaining()).min(self.incoming.len());
        let (now, later) = self.incoming.split_at_checked(len).unwrap_or_default();
        buf.put_slice(now);
        self.incoming = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Scripted<'_> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Poll::Ready(most) = self.step(cx) else { return Poll::Pending };
        let part = buf.get(..most).unwrap_or(buf);
        self.written.extend_from_slice(part);
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
