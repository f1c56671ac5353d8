//! What a stream has to write: frames of the one who writes, and what reading has to answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use super::Role;
use super::frame::{Head, Operation};
use super::mask::Masks;

/// From how many waiting bytes on a write waits for the stream underneath.
pub(super) const HIGH_WATER: usize = 16 * 1024;

/// What is to be written.
#[derive(Default)]
pub(super) struct Writing {
    masks: Masks,
    pub(super) out: BytesMut,
    /// The answer to the last ping, if it had no room in `out`.
    pub(super) pong: Option<Bytes>,
    /// Something in `out` was put there by reading, which sees to it that it leaves.
    pub(super) answers: bool,
    /// A close frame is in `out`, or has left.
    pub(super) closing: bool,
}

impl Writing {
    pub(super) fn push(&mut self, role: Role, operation: Operation, parts: &[&[u8]]) -> io::Result<()> {
        let mask = match role {
            Role::Client => Some(self.masks.next()?),
            Role::Server => None,
        };
        Head::write(operation, mask, parts, &mut self.out);
        Ok(())
    }

    /// Moves the pong into `out` if there is room.
    pub(super) fn place_pong(&mut self, role: Role) -> io::Result<()> {
        self.answers = true;
        if self.closing {
            self.pong = None;
        } else if self.out.len() < HIGH_WATER
            && let Some(payload) = self.pong.take()
        {
            self.push(role, Operation::Pong, &[&payload])?;
        }
        Ok(())
    }

    /// A close frame goes out once, and is the last.
    pub(super) fn close(&mut self, role: Role, code: Option<u16>) -> io::Result<()> {
        if self.closing {
            return Ok(());
        }
        self.place_pong(role)?;
        (self.closing, self.answers, self.pong) = (true, true, None);
        let code = code.map(u16::to_be_bytes);
        let payload = code.as_ref().map(<[u8; 2]>::as_slice).unwrap_or_default();
        self.push(role, Operation::Close, &[payload])
    }

    pub(super) fn poll_drain<S>(
        &mut self,
        io: &mut S,
        role: Role,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>>
    where
        S: AsyncWrite + Unpin,
    {
        loop {
            while !self.out.is_empty() {
                match ready!(Pin::new(&mut *io).poll_write(cx, &self.out))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    len => self.out.advance(len),
                }
            }
            if self.pong.is_none() {
                break;
            }
            self.place_pong(role)?;
        }
        // What was needed for a backlog is given back.
        if self.out.capacity() > HIGH_WATER {
            self.out = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}
