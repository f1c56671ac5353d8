//! A small HTTP proxy, so that a sample has one to go through.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::{Failure, say};

/// The largest request; what is longer is none of ours.
const HEAD: usize = 8 * 1024;
/// How long a request, or the connection that it asks for, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Tunnels at one time.
const TUNNELS: usize = 16;

/// A proxy on a free loopback port that opens tunnels to this machine's own addresses (RFC 9110, section 9.3.6), and to none
/// else. It ends when it is dropped.
#[derive(Debug)]
pub struct LocalProxy {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl LocalProxy {
    /// Starts it.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start() -> Result<Self, Failure> {
        let failed =
            |error| Failure::Failed(format!("no proxy could be started on a free loopback port: {error}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let task = tokio::spawn(async move {
            let tunnels = Arc::new(Semaphore::new(TUNNELS));
            while let Ok(permit) = Arc::clone(&tunnels).acquire_owned().await {
                let Ok((stream, _)) = listener.accept().await else { break };
                tokio::spawn(async move {
                    // Who asks sees by the closed connection that something is wrong.
                    let _ = serve(stream).await;
                    drop(permit);
                });
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for LocalProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut asks: TcpStream) -> io::Result<()> {
    let target = tokio::time::timeout(PATIENCE, target(&mut asks)).await??;
    let Some(target) = target.filter(|target| is_local(target)) else {
        return asks.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    };
    let mut answers = match tokio::time::timeout(PATIENCE, TcpStream::connect(&target)).await? {
        Ok(stream) => stream,
        Err(_) => return asks.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await,
    };
    asks.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    // If nobody reads the output, the tunnel serves all the same.
    let _ = say(format_args!("The proxy opened a tunnel to {target}."));
    copy_bidirectional(&mut asks, &mut answers).await.map(|_| ())
}

/// Host and port of a CONNECT request; `None` for any other.
async fn target(asks: &mut TcpStream) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD {
            return Ok(None);
        }
        // Byte by byte: what follows the request belongs to the tunnel.
        head.push(asks.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.split_ascii_whitespace();
    Ok((words.next() == Some("CONNECT")).then(|| words.next().map(str::to_owned)).flatten())
}

fn is_local(target: &str) -> bool {
    let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
    ["localhost", "127.0.0.1", "[::1]"].contains(&host)
}
