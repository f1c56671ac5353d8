//! An HTTP proxy on loopback that opens tunnels, and is asked for nothing else.

use std::sync::{Arc, Mutex};

use iot_transport::{HttpProxy, Tcp};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The example of RFC 7617, section 2.
const USER: &str = "Aladdin";
const PASSWORD: &str = "open sesame";
const BASIC: &str = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";

/// It takes every name to be this machine's. Dropped, it takes no more connections.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A proxy that lets in who knows its password.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(tunnel(stream, Arc::clone(&log)));
            }
        });
        Self { port, asked, task }
    }

    /// The first lines of all requests since this was called before.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// Forgets what it was asked.
    pub(crate) fn forget(&self) {
        *self.asked.lock().unwrap() = Vec::new();
    }

    pub(crate) fn to(&self, host: &str, port: u16) -> HttpProxy<Tcp> {
        self.to_without_login(host, port).basic_auth(USER, PASSWORD)
    }

    pub(crate) fn to_without_login(&self, host: &str, port: u16) -> HttpProxy<Tcp> {
        HttpProxy::new(Tcp::new("127.0.0.1", self.port), host, port)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn tunnel(mut near: TcpStream, log: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // The client may have given up.
        let Ok(byte) = near.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let line = head.lines().next().unwrap().to_owned();
    let port: u16 = line.split(' ').nth(1).unwrap().rsplit(':').next().unwrap().parse().unwrap();
    log.lock().unwrap().push(line);
    let authorized = head.lines().any(|line| {
        line.split_once(": ")
            .is_some_and(|(name, value)| name.eq_ignore_ascii_case("proxy-authorization") && value == BASIC)
    });
    if !authorized {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"test\"\r\n\
                       Content-Length: 0\r\n\r\n";
        let _ = near.write_all(refusal.as_bytes()).await;
        return;
    }
    let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else {
        let _ = near.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").await;
        return;
    };
    if near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_ok() {
        let _ = copy_bidirectional(&mut near, &mut far).await;
    }
}
