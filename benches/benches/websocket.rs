//! What a WebSocket adds to a stream: writes and reads over memory, beside another implementation and the least that has
//! to be done.
#![allow(missing_docs, reason = "criterion's macros make functions without any")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot run has to say so")]

use std::hint::black_box;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use iot_transport::WebSocketIo;
use iot_transport::websocket::Role;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::{self, Message, WebSocket};

const SIZES: [usize; 3] = [128, 1024, 16 * 1024];

/// Takes all, and gives the same bytes again and again.
struct Memory {
    frames: Vec<u8>,
    at: usize,
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = self.frames.get(self.at..).unwrap_or_default();
        let len = rest.len().min(buf.remaining());
        buf.put_slice(rest.get(..len).unwrap_or_default());
        self.at = if len == rest.len() { 0 } else { self.at + len };
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(buf).len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl io::Read for Memory {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let rest = self.frames.get(self.at..).unwrap_or_default();
        let len = io::Read::read(&mut &*rest, buf)?;
        self.at = if len == rest.len() { 0 } else { self.at + len };
        Ok(len)
    }
}

impl io::Write for Memory {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(black_box(buf).len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stream whose peer sends frames of this size without end.
fn stream(size: usize) -> WebSocketIo<Memory> {
    WebSocketIo::new(memory(size), Vec::new(), Role::Client)
}

/// The same by another implementation.
fn peer(size: usize) -> WebSocket<Memory> {
    WebSocket::from_raw_socket(memory(size), protocol::Role::Client, None)
}

fn memory(size: usize) -> Memory {
    let mut frame = vec![0x82, 126];
    frame.extend(u16::try_from(size).unwrap().to_be_bytes());
    frame.extend(vec![7; size]);
    Memory { frames: frame, at: 0 }
}

fn writes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("websocket write and flush");
    for size in SIZES {
        let data = vec![7u8; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("WebSocketIo", size), |bencher| {
            let mut stream = stream(size);
            let mut context = Context::from_waker(Waker::noop());
            bencher.iter(|| {
                let written = Pin::new(&mut stream).poll_write(&mut context, black_box(&data));
                let flushed = Pin::new(&mut stream).poll_flush(&mut context);
                assert!(matches!(written, Poll::Ready(Ok(n)) if n == size) && flushed.is_ready());
            });
        });
        group.bench_function(BenchmarkId::new("tungstenite", size), |bencher| {
            let mut socket = peer(size);
            // It wants to own what it sends.
            bencher.iter(|| socket.send(Message::binary(black_box(&data).clone())).unwrap());
        });
        group.bench_function(BenchmarkId::new("floor: one copy, masked", size), |bencher| {
            let mut buffer = Vec::with_capacity(size + 14);
            bencher.iter(|| {
                buffer.clear();
                buffer.extend_from_slice(&[0x82, 0xFE, 0, 0, 1, 2, 3, 4]);
                buffer.extend_from_slice(black_box(&data));
                let masked = buffer.get_mut(8..).unwrap_or_default();
                for word in masked.as_chunks_mut().0 {
                    *word = (u64::from_ne_bytes(*word) ^ 0x0403_0201_0403_0201).to_ne_bytes();
                }
                black_box(&buffer);
            });
        });
    }
    group.finish();
}

fn reads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("websocket read");
    for size in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("WebSocketIo", size), |bencher| {
            let mut stream = stream(size);
            let mut context = Context::from_waker(Waker::noop());
            let mut buffer = vec![0; size];
            bencher.iter(|| {
                let mut filled = 0;
                while filled < size {
                    let mut buf = ReadBuf::new(buffer.get_mut(filled..).unwrap_or_default());
                    let read = Pin::new(&mut stream).poll_read(&mut context, &mut buf);
                    assert!(matches!(read, Poll::Ready(Ok(()))));
                    filled += buf.filled().len();
                }
                black_box(&buffer);
            });
        });
        group.bench_function(BenchmarkId::new("tungstenite", size), |bencher| {
            let mut socket = peer(size);
            let mut buffer = vec![0; size];
            bencher.iter(|| {
                if let Message::Binary(payload) = socket.read().unwrap() {
                    buffer.copy_from_slice(&payload);
                }
                black_box(&buffer);
            });
        });
        group.bench_function(BenchmarkId::new("floor: copy", size), |bencher| {
            let source = vec![7u8; size];
            let mut buffer = vec![0; size];
            bencher.iter(|| {
                buffer.copy_from_slice(black_box(&source));
                black_box(&buffer);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, writes, reads);
criterion_main!(benches);
