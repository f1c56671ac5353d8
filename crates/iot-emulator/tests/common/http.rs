//! HTTP and WebSocket frames written by hand.

use std::time::SystemTime;

use iot_emulator::{AwsCredentials, Emulator};
use iot_transport::SigV4;
use iot_transport::credentials::Credentials;
use iot_transport::websocket::{Role, WebSocketIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Sends a request and reads the response, or `None` if there is none.
pub(crate) async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: impl AsRef<[u8]>,
) -> Option<Reply> {
    // Who refuses a request may have stopped reading it.
    let _ = stream.write_all(request.as_ref()).await;
    let _ = stream.flush().await;
    reply(stream).await
}

/// Reads a response, byte for byte up to its end.
pub(crate) async fn reply(stream: &mut (impl AsyncRead + Unpin)) -> Option<Reply> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut reply = Reply { status, head, body: String::new() };
    if let Some(len) = reply.header("content-length") {
        let mut body = vec![0; len.parse().unwrap()];
        stream.read_exact(&mut body).await.ok()?;
        reply.body = String::from_utf8(body).unwrap();
    }
    Some(reply)
}

pub(crate) async fn plain_stream(emulator: &Emulator) -> TcpStream {
    TcpStream::connect(("127.0.0.1", emulator.plain_port().unwrap())).await.unwrap()
}

/// Path and query of a WebSocket request, signed by the signer of the SDK.
pub(crate) fn signed(emulator: &Emulator, credentials: &AwsCredentials, time: SystemTime) -> String {
    signed_for(emulator.region(), credentials, time)
}

pub(crate) fn signed_for(region: &str, credentials: &AwsCredentials, time: SystemTime) -> String {
    let AwsCredentials { access_key_id, secret_access_key, session_token, .. } = credentials.clone();
    let credentials = Credentials::new(access_key_id, secret_access_key, session_token, None, "test");
    let signer = SigV4::new(credentials.clone()).region(region);
    let url = signer.presigned_url("localhost", "/mqtt", &credentials, time).unwrap();
    url.strip_prefix("wss://localhost").unwrap().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "the emulator takes the system's date, and so does its client")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// The head of a request for a WebSocket; `more` are lines with their ends.
pub(crate) fn upgrade(target: &str, more: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost:443\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// A stream after a signed upgrade.
pub(crate) async fn upgraded<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, emulator: &Emulator) -> S {
    let target = signed(emulator, &emulator.aws_credentials(), now());
    let reply = exchange(&mut stream, upgrade(&target, "Sec-WebSocket-Protocol: mqtt\r\n")).await.unwrap();
    assert_eq!(reply.status, 101, "{reply:?}");
    stream
}

/// The bytes in the frames of a stream after its upgrade.
pub(crate) fn bytes<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> WebSocketIo<S> {
    WebSocketIo::new(stream, Vec::new(), Role::Client)
}

/// A masked frame, as clients send them.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).unwrap();
    assert!(len < 126);
    let mask = [0x12, 0x34, 0x56, 0x78];
    let masked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [0x80 | opcode, 0x80 | len].into_iter().chain(mask).chain(masked).collect()
}

/// The next frame of the server: its opcode and payload; `None` at the end.
pub(crate) async fn next_frame(stream: &mut (impl AsyncRead + Unpin)) -> Option<(u8, Vec<u8>)> {
    let first = stream.read_u8().await.ok()?;
    let len = stream.read_u8().await.ok()?;
    assert!(first & 0x80 != 0 && len < 126, "{first:x} {len:x}");
    let mut payload = vec![0; len.into()];
    stream.read_exact(&mut payload).await.ok()?;
    Some((first & 0x0F, payload))
}
