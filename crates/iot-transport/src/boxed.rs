//! Type erasure: one connector type for whichever transport was chosen at run time.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{Attempt, ConnectError, Connector, Endpoint};

/// Any connector behind one type, so that the transport can be chosen at run time.
///
/// It behaves as the connector inside. The price is one boxed future and one boxed stream per attempt, and a
/// virtual call per read or write. Clones share the connector.
///
/// ```
/// use iot_transport::{BoxConnector, Tcp};
///
/// let transports = [BoxConnector::new(Tcp::new("broker.example", 1883)), BoxConnector::new(Tcp::new("::1",
/// 1883))];
/// ```
#[derive(Clone)]
pub struct BoxConnector(Arc<dyn DynConnector>);

impl BoxConnector {
    /// Erases the type of a connector.
    pub fn new(connector: impl Connector) -> Self {
        Self(Arc::new(Erased(connector)))
    }
}

impl Connector for BoxConnector {
    type Io = BoxIo;

    async fn connect(&self, attempt: &Attempt) -> Result<BoxIo, ConnectError> {
        self.0.dial(attempt).await
    }

    fn endpoint(&self) -> Option<&Endpoint> {
        self.0.leads_to()
    }
}

impl fmt::Debug for BoxConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxConnector").field("endpoint", &self.0.leads_to()).finish_non_exhaustive()
    }
}

/// The stream that a [`BoxConnector`] makes.
pub struct BoxIo(Pin<Box<dyn Io>>);

impl BoxIo {
    /// Erases the type of a stream.
    pub fn new(io: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        Self(Box::pin(io))
    }
}

impl AsyncRead for BoxIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_read(cx, buf)
    }
}

impl AsyncWrite for BoxIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_shutdown(cx)
    }
}

impl fmt::Debug for BoxIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxIo").finish_non_exhaustive()
    }
}

trait Io: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Io for T {}

type Dialling<'a> = Pin<Box<dyn Future<Output = Result<BoxIo, ConnectError>> + Send + 'a>>;

trait DynConnector: Send + Sync {
    fn dial<'a>(&'a self, attempt: &'a Attempt) -> Dialling<'a>;
    fn leads_to(&self) -> Option<&Endpoint>;
}

struct Erased<C>(C);

impl<C: Connector> DynConnector for Erased<C> {
    fn dial<'a>(&'a self, attempt: &'a Attempt) -> Dialling<'a> {
        Box::pin(async move { self.0.connect(attempt).await.map(BoxIo::new) })
    }

    fn leads_to(&self) -> Option<&Endpoint> {
        self.0.endpoint()
    }
}
