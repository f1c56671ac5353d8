//! The other end of a pipe, written by hand: what it gets is looked at byte by byte, what it says is whatever the test
//! wants.

use std::future::ready;
use std::io;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::Duration;

use iot_transport::{Attempt, BoxConnector, ConnectError, Connector, FromFn, Phase, from_fn};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

pub const BINARY: u8 = 2;
pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

pub fn attempt() -> Attempt {
    Attempt::within(1, Duration::from_secs(30))
}

pub type Dialled = std::future::Ready<Result<DuplexStream, ConnectError>>;

/// A connector that leads to broker.example:443 once, and the other end.
pub fn pipe(size: usize) -> (FromFn<impl Fn(Attempt) -> Dialled + Send + Sync + 'static>, Peer) {
    let (ours, theirs) = duplex(size);
    let ours = Mutex::new(Some(ours));
    let connector = from_fn(move |attempt: Attempt| {
        attempt.enter(Phase::Tcp);
        ready(Ok(ours.lock().unwrap().take().expect("dialled once")))
    });
    (connector.with_endpoint("broker.example", 443), Peer(theirs))
}

/// The error of a connector over a pipe whose other end answers its request with this, and closes.
pub async fn refused<C: Connector>(
    connector: &C,
    mut peer: Peer,
    phase: Phase,
    answer: impl AsRef<[u8]>,
) -> ConnectError {
    let attempt = attempt();
    let answering = async {
        peer.head().await;
        peer.say(answer).await;
        drop(peer);
    };
    let (result, ()) = tokio::join!(connector.connect(&attempt), answering);
    assert_eq!(attempt.phase(), phase);
    result.map(drop).unwrap_err()
}

/// A stream that takes what is written and was reset by the other end when it is read from.
#[derive(Debug)]
pub struct Reset;

impl AsyncRead for Reset {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

impl AsyncWrite for Reset {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The error of a connector over a stream that is reset.
pub async fn reset<C: Connector>(around: impl FnOnce(BoxConnector) -> C) -> ConnectError {
    let inner = from_fn(|_| ready(Ok(Reset))).with_endpoint("broker.example", 443);
    around(BoxConnector::new(inner)).connect(&attempt()).await.map(drop).unwrap_err()
}

pub struct Peer(pub DuplexStream);

impl Peer {
    /// The head of the request: its lines, without the empty one.
    pub async fn head(&mut self) -> Vec<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap().trim_end().lines().map(str::to_owned).collect()
    }

    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// Takes part in the upgrade; returns the request's head.
    pub async fn upgrade(&mut self) -> Vec<String> {
        let head = self.head().await;
        let answer = switching(&head, "Sec-WebSocket-Protocol: mqtt\r\n");
        self.say(answer).await;
        head
    }

    /// The next frame from the client: final or not, operation, payload unmasked. It must be masked.
    pub async fn frame(&mut self) -> (bool, u8, Vec<u8>) {
        let first = self.0.read_u8().await.unwrap();
        let second = self.0.read_u8().await.unwrap();
        assert_eq!(first & 0x70, 0, "reserved bits");
        assert_eq!(second & 0x80, 0x80, "a client's frame that is not masked");
        let len = match second & 0x7F {
            126 => u64::from(self.0.read_u16().await.unwrap()),
            127 => self.0.read_u64().await.unwrap(),
            short => u64::from(short),
        };
        let mask = self.0.read_u32().await.unwrap().to_be_bytes();
        let mut payload = vec![0; usize::try_from(len).unwrap()];
        self.0.read_exact(&mut payload).await.unwrap();
        for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        (first & 0x80 != 0, first & 0x0F, payload)
    }
}

/// A header's value in a head.
pub fn header<'a>(head: &'a [String], name: &str) -> Option<&'a str> {
    head.iter().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// The answer that switches to WebSocket.
pub fn switching(head: &[String], more: &str) -> String {
    let key = header(head, "sec-websocket-key").unwrap();
    let accept = derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
}

/// A server's frame.
pub fn frame(last: bool, operation: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![u8::from(last) << 7 | operation];
    match payload.len() {
        len @ 0..=125 => frame.push(len as u8),
        len @ 126..=0xFFFF => {
            frame.push(126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// An error page as some proxies have it: the request, line for line.
pub fn echo(head: &[String]) -> String {
    let body = format!("denied\n{}", head.join("\n"));
    format!("HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}
