//! A broker that acknowledges, echoes and counts, in a process of its own: TCP and mutual TLS.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::connection::Connection;
use super::{Command, Order, commands, say};
use crate::ledger::Ledger;

/// How many connections may wait to be accepted: a fleet comes back at once.
const BACKLOG: u32 = 16 * 1024;
/// The least and the most that is read at once: ten thousand connections that do nothing need no more.
const READ: (usize, usize) = (1024, 256 * 1024);
/// How long connections have to end before a report: a client's process is over then.
const ENDING: Duration = Duration::from_secs(5);

/// What all connections share.
#[derive(Debug)]
struct Shared {
    ledger: Mutex<Ledger>,
    open: AtomicUsize,
    sessions: AtomicUsize,
    /// Whether something came that nobody expected.
    broken: AtomicBool,
    making: watch::Sender<Option<Order>>,
}

/// Serves until its standard input ends. Its first line are the two ports, without and with TLS; those that are asked for,
/// if they are not 0. The certificates are in this directory.
pub fn run(ports: [u16; 2], files: &Path) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let serving = async {
        let acceptor = acceptor(files).map_err(|error| io::Error::other(error.to_string()))?;
        let (plain, tls) = (listen(ports[0])?, listen(ports[1])?);
        let shared = Arc::new(Shared {
            ledger: Mutex::default(),
            open: AtomicUsize::new(0),
            sessions: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            making: watch::Sender::new(None),
        });
        say(format_args!("{} {}", plain.local_addr()?.port(), tls.local_addr()?.port()));
        tokio::spawn(accept(plain, None, Arc::clone(&shared)));
        tokio::spawn(accept(tls, Some(acceptor), Arc::clone(&shared)));
        obey(&shared).await;
        Ok(())
    };
    runtime.and_then(|runtime| runtime.block_on(serving)).map_err(|error: io::Error| format!("sink: {error}"))
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(BACKLOG)
}

/// Who has a certificate of our CA may come in.
fn acceptor(files: &Path) -> Result<TlsAcceptor, Box<dyn std::error::Error>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(files.join("ca.pem"))?)?;
    let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build()?;
    let certificate = CertificateDer::from_pem_file(files.join("server.pem"))?;
    let key = PrivateKeyDer::from_pem_file(files.join("server.key"))?;
    let config = rustls::ServerConfig::builder().with_client_cert_verifier(clients);
    Ok(TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key)?)))
}

async fn obey(shared: &Shared) {
    let mut commands = commands();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Report => {
                let mut ticks = tokio::time::interval(Duration::from_millis(5));
                for _ in 0..ENDING.as_millis() / ticks.period().as_millis() {
                    if shared.open.load(Ordering::Relaxed) == 0 {
                        break;
                    }
                    ticks.tick().await;
                }
                let ledger =
                    std::mem::take(&mut *shared.ledger.lock().unwrap_or_else(PoisonError::into_inner));
                let mut report = ledger.report();
                report.broken |= shared.broken.swap(false, Ordering::Relaxed);
                say(report);
            }
            Command::Sessions => say(shared.sessions.load(Ordering::Relaxed)),
            Command::Make(order) => {
                shared.making.send_replace(Some(order));
                say("ok");
            }
        }
    }
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    loop {
        // Too many descriptors, perhaps: some end.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
        tokio::spawn(async move {
            shared.open.fetch_add(1, Ordering::Relaxed);
            let served = async {
                stream.set_nodelay(true)?;
                match acceptor {
                    None => serve(stream, &shared).await,
                    Some(acceptor) => serve(acceptor.accept(stream).await?, &shared).await,
                }
            };
            if let Err(error) = served.await
                && error.kind() == io::ErrorKind::Other
            {
                eprintln!("sink: {error}");
                shared.broken.store(true, Ordering::Relaxed);
            }
            shared.open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, shared: &Shared) -> io::Result<()> {
    let mut connection = Connection::new();
    let served = exchange(&mut stream, &mut connection, shared).await;
    if connection.is_up {
        shared.sessions.fetch_sub(1, Ordering::Relaxed);
    }
    served
}

/// All that was read is answered by one write. Whoever just goes away is no trouble: what is missing is noticed.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    connection: &mut Connection,
    shared: &Shared,
) -> io::Result<()> {
    let (mut input, mut output, mut room) = (BytesMut::new(), BytesMut::new(), READ.0);
    let mut making = shared.making.subscribe();
    making.mark_unchanged();
    loop {
        input.reserve(room);
        tokio::select! {
            read = stream.read_buf(&mut input) => match read? {
                0 => return Ok(()),
                n if n >= room => room = (room * 2).min(READ.1),
                _ => {}
            },
            Ok(()) = making.changed(), if connection.is_subscribed() => {
                if let Some(order) = *making.borrow_and_update() {
                    connection.make(order)?;
                }
            }
        }
        let was_up = connection.is_up;
        let taken = {
            let mut ledger = shared.ledger.lock().unwrap_or_else(PoisonError::into_inner);
            connection.take(&mut input, &mut output, &mut ledger)
        };
        match (was_up, connection.is_up) {
            (false, true) => drop(shared.sessions.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(shared.sessions.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        taken?;
        loop {
            connection.made(&mut output);
            if output.is_empty() {
                break;
            }
            stream.write_all(&output).await?;
            output.clear();
        }
        stream.flush().await?;
        if input.is_empty() && room == READ.0 {
            // What does nothing keeps no buffers.
            (input, output) = (BytesMut::new(), BytesMut::new());
        }
    }
}
