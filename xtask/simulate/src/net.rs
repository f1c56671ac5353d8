//! A network in memory whose every byte the adversary sees.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use iot_transport::{Attempt, ConnectError, Connector, Phase};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// So many bytes are on their way at most: what is beyond waits at the writer.
const CAPACITY: usize = 4096;

/// One direction of a link.
#[derive(Debug, Clone, Default)]
pub struct Pipe(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    /// Ended: in order, or by a reset.
    ended: Option<bool>,
    /// Whatever is written is lost.
    swallows: bool,
    /// Ends after so many more bytes.
    left: Option<u64>,
    reset: bool,
    readers: Vec<Waker>,
    writers: Vec<Waker>,
}

impl Pipe {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(mut state: MutexGuard<'_, State>) {
        let wakers: Vec<Waker> = std::mem::take(&mut state.readers)
            .into_iter()
            .chain(std::mem::take(&mut state.writers))
            .collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ends: in order, so that what is on its way arrives, or by a reset, so that it does not.
    pub fn end(&self, reset: bool) {
        let mut state = self.state();
        if reset {
            state.bytes.clear();
        }
        state.ended.get_or_insert(reset);
        Self::wake(state);
    }

    /// Takes up to `piece` bytes; `None`: not now.
    fn write(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
        piece: usize,
    ) -> Poll<io::Result<(usize, bool)>> {
        let mut state = self.state();
        if state.ended.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = if state.swallows { CAPACITY } else { CAPACITY.saturating_sub(state.bytes.len()) };
        let mut count = bytes.len().min(piece).min(room);
        if let Some(left) = &mut state.left {
            count = count.min(usize::try_from(*left).unwrap_or(usize::MAX));
            *left = left.saturating_sub(count as u64);
        }
        let cut = state.left == Some(0);
        if count == 0 && !cut {
            state.writers.push(context.waker().clone());
            return Poll::Pending;
        }
        if !state.swallows {
            state.bytes.extend(bytes.iter().take(count));
        }
        Self::wake(state);
        Poll::Ready(Ok((count, cut)))
    }

    fn read(&self, context: &mut Context<'_>, max: usize) -> Poll<io::Result<Vec<u8>>> {
        let mut state = self.state();
        if state.bytes.is_empty() {
            return match state.ended {
                Some(true) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Some(false) => Poll::Ready(Ok(Vec::new())),
                None => {
                    state.readers.push(context.waker().clone());
                    Poll::Pending
                }
            };
        }
        let count = max.min(state.bytes.len());
        let bytes = state.bytes.drain(..count).collect();
        Self::wake(state);
        Poll::Ready(Ok(bytes))
    }

    /// The next bytes for the far end; none: the end.
    pub async fn recv(&self) -> Vec<u8> {
        poll_fn(|context| self.read(context, CAPACITY)).await.unwrap_or_default()
    }
}

/// A connection between client and broker.
#[derive(Debug, Clone, Default)]
pub struct Link {
    /// From the client to the broker.
    pub up: Pipe,
    /// From the broker to the client.
    pub down: Pipe,
}

impl Link {
    /// Ends it for both.
    pub fn end(&self, reset: bool) {
        self.up.end(reset);
        self.down.end(reset);
    }

    /// Ends it after this many more bytes in one direction.
    pub fn cut_after(&self, up: bool, bytes: u64, reset: bool) {
        if bytes == 0 {
            return self.end(reset);
        }
        let pipe = if up { &self.up } else { &self.down };
        let mut state = pipe.state();
        state.left = Some(bytes);
        state.reset = reset;
    }

    /// It is not cut any more.
    pub fn spare(&self) {
        (self.up.state().left, self.down.state().left) = (None, None);
    }

    /// From now on it swallows what is written.
    pub fn swallow(&self, up: bool, down: bool) {
        for (pipe, swallows) in [(&self.up, up), (&self.down, down)] {
            let mut state = pipe.state();
            state.swallows |= swallows;
            Pipe::wake(state);
        }
    }

    /// Whether bytes still arrive both ways.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        [&self.up, &self.down].into_iter().all(|pipe| {
            let state = pipe.state();
            state.ended.is_none() && !state.swallows
        })
    }

    fn write_to(
        &self,
        pipe: &Pipe,
        context: &mut Context<'_>,
        bytes: &[u8],
        piece: usize,
    ) -> Poll<io::Result<usize>> {
        let (count, cut) = std::task::ready!(pipe.write(context, bytes, piece))?;
        if cut {
            let reset = pipe.state().reset;
            self.end(reset);
        }
        if count == 0 { Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) } else { Poll::Ready(Ok(count)) }
    }

    /// The broker writes all of this, or the link is gone.
    pub async fn send_down(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Ok(count) = poll_fn(|context| self.write_to(&self.down, context, bytes, usize::MAX)).await
            else {
                return;
            };
            bytes = bytes.get(count..).unwrap_or_default();
        }
    }
}

/// The client's end of a link.
#[derive(Debug)]
pub struct Near {
    link: Link,
    piece: usize,
    latency: Duration,
    /// What arrived, once it has been on its way for long enough.
    waiting: Option<(Pin<Box<Sleep>>, Vec<u8>)>,
}

impl Drop for Near {
    fn drop(&mut self) {
        // What was written before is still on its way.
        self.link.up.end(false);
        self.link.down.end(true);
    }
}

impl AsyncRead for Near {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.waiting.is_none() {
            let max = into.remaining().min(this.piece);
            let bytes = std::task::ready!(this.link.down.read(context, max))?;
            if bytes.is_empty() {
                return Poll::Ready(Ok(()));
            }
            // Byte by byte it need not take longer.
            let latency = if this.piece > 100 { this.latency } else { Duration::ZERO };
            this.waiting = Some((Box::pin(tokio::time::sleep(latency)), bytes));
        }
        if let Some((sleep, bytes)) = &mut this.waiting {
            std::task::ready!(sleep.as_mut().poll(context));
            let count = bytes.len().min(into.remaining());
            into.put_slice(bytes.get(..count).unwrap_or_default());
            bytes.drain(..count);
            if bytes.is_empty() {
                this.waiting = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Near {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.link.write_to(&self.link.up, context, bytes, self.piece)
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.up.end(false);
        Poll::Ready(Ok(()))
    }
}

/// Dials: asks whether there is a broker, and hands it the far end.
#[derive(Debug, Clone)]
pub struct Dialer {
    /// Whether it answers, and where links go.
    pub exchange: Arc<Mutex<Exchange>>,
    /// At most so many bytes at once.
    pub piece: usize,
    /// How long bytes take.
    pub latency: Duration,
}

/// Where dials arrive.
#[derive(Debug, Default)]
pub struct Exchange {
    /// Nobody is there.
    pub closed: bool,
    /// So many dials fail.
    pub refuses: u64,
    /// The instants of all dials, in milliseconds.
    pub dials: Vec<u64>,
    /// The links that nobody took yet.
    pub links: VecDeque<Link>,
    /// Somebody waits for one.
    pub waiter: Option<Waker>,
}

impl Exchange {
    /// The exchange behind its lock.
    pub fn lock(exchange: &Mutex<Self>) -> MutexGuard<'_, Self> {
        exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next link.
    pub async fn accept(exchange: &Mutex<Self>) -> Link {
        poll_fn(|context| {
            let mut exchange = Self::lock(exchange);
            match exchange.links.pop_front() {
                Some(link) => Poll::Ready(link),
                None => {
                    exchange.waiter = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Connector for Dialer {
    type Io = Near;

    async fn connect(&self, _attempt: &Attempt) -> Result<Near, ConnectError> {
        tokio::time::sleep(self.latency).await;
        let mut exchange = Exchange::lock(&self.exchange);
        exchange.dials.push(crate::clock::millis());
        if exchange.closed || exchange.refuses > 0 {
            exchange.refuses = exchange.refuses.saturating_sub(1);
            return Err(ConnectError::from_io(Phase::Tcp, io::ErrorKind::ConnectionRefused.into()));
        }
        let link = Link::default();
        exchange.links.push_back(link.clone());
        if let Some(waiter) = exchange.waiter.take() {
            waiter.wake();
        }
        Ok(Near { link, piece: self.piece, latency: self.latency, waiting: None })
    }
}
