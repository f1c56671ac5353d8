//! Links that break or swallow after any byte.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use super::random::Random;

/// What links are like from now on. Clones share it.
#[derive(Clone)]
pub(crate) struct Weather(Arc<Mutex<State>>);

struct State {
    random: Random,
    /// How many of a hundred links break by themselves.
    percent: u64,
    fair: bool,
    /// Whether a link swallows what it should carry: it does not get well again.
    swallowed: bool,
}

impl Weather {
    pub(crate) fn new(mut random: Random) -> Self {
        let percent = *random.pick(&[0, 30, 60, 90]);
        Self(Arc::new(Mutex::new(State { random, percent, fair: false, swallowed: false })))
    }

    pub(crate) fn link(&self, stream: DuplexStream) -> Link {
        let mut state = self.0.lock().unwrap();
        let percent = state.percent;
        let breaks = !state.fair && state.random.chance(percent);
        let mut left = |most| if breaks { state.random.below(most) as usize } else { usize::MAX };
        let (to_read, to_write) = (left(12_000), left(8_000));
        let swallows = state.random.chance(25);
        Link { stream, to_read, to_write, swallows, weather: self.clone() }
    }

    /// Links break no more. Whether one is of no use.
    pub(crate) fn clear_up(&self) -> bool {
        let mut state = self.0.lock().unwrap();
        state.fair = true;
        state.swallowed
    }

    fn swallows(&self) {
        self.0.lock().unwrap().swallowed = true;
    }

    pub(crate) fn is_fair(&self) -> bool {
        self.0.lock().unwrap().fair
    }
}

pub(crate) struct Link {
    stream: DuplexStream,
    to_read: usize,
    to_write: usize,
    /// Instead of breaking.
    swallows: bool,
    weather: Weather,
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; 4096];
        loop {
            let len = match self.to_read {
                0 if !self.swallows => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                0 => bytes.len(),
                left => left.min(bytes.len()).min(buffer.remaining()),
            };
            let mut read = ReadBuf::new(&mut bytes[..len]);
            if Pin::new(&mut self.stream).poll_read(context, &mut read)?.is_pending() {
                return Poll::Pending;
            }
            if self.to_read > 0 || read.filled().is_empty() {
                buffer.put_slice(read.filled());
                if !self.weather.is_fair() {
                    self.to_read -= read.filled().len();
                }
                return Poll::Ready(Ok(()));
            }
            self.weather.swallows();
        }
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.to_write == 0 {
            if !self.swallows {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            self.weather.swallows();
            return Poll::Ready(Ok(bytes.len()));
        }
        let len = bytes.len().min(self.to_write);
        let written = Pin::new(&mut self.stream).poll_write(context, &bytes[..len]);
        if let Poll::Ready(Ok(written)) = written
            && !self.weather.is_fair()
        {
            self.to_write -= written;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
