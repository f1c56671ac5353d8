//! A tunnel through an HTTP proxy: CONNECT (RFC 9110, section 9.3.6), with Basic authentication if asked for.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf, Bytes};
use http_body_util::Full;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use hyper::{Method, Request};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zeroize::Zeroizing;

use crate::http::{self, Answer, Body, Call, Outcome, Switched};
use crate::{Attempt, ConnectError, ConnectErrorKind as Kind, Connector, Endpoint, Phase};

/// A tunnel through an HTTP proxy to the host that is really meant.
///
/// `inner` leads to the proxy: [`Tcp`](crate::Tcp), or TLS over it for a proxy that wants to be spoken to by TLS. The
/// proxy resolves the target's name. TLS around the tunnel verifies the target, not the proxy, and what goes through
/// it is nothing the proxy can read.
///
/// ```no_run
/// use iot_transport::{HttpProxy, Tcp, Tls, TlsOptions, Material, TrustAnchors};
///
/// let proxy = HttpProxy::new(Tcp::new("proxy.example", 3128), "abc-ats.iot.eu-west-1.amazonaws.com", 443)
///     .basic_auth("user", "password");
/// let tls = Tls::new(proxy, TlsOptions::new(TrustAnchors::ca(Material::file("AmazonRootCA1.pem"))));
/// ```
///
/// Cancelling: dropping the future drops the connection to the proxy.
pub struct HttpProxy<C> {
    inner: C,
    target: Endpoint,
    authorization: Option<Zeroizing<String>>,
}

impl<C: Connector> HttpProxy<C> {
    /// A tunnel to this host and port through the proxy that `inner` leads to.
    pub fn new(inner: C, host: impl Into<String>, port: u16) -> Self {
        Self { inner, target: Endpoint::new(host, port), authorization: None }
    }

    /// Shows the proxy a user name and a password (Basic, RFC 7617), which it can read, as can whoever listens on the
    /// way to it unless that is TLS. A colon in the user name cannot be told from the one behind it. Default: none.
    #[must_use]
    pub fn basic_auth(mut self, user: &str, password: &str) -> Self {
        let plain = Zeroizing::new([user, ":", password].concat());
        let encoded = Zeroizing::new(BASE64_STANDARD.encode(plain.as_bytes()));
        self.authorization = Some(Zeroizing::new(["Basic ", encoded.as_str()].concat()));
        self
    }

    fn call(&self) -> Result<Call, ConnectError> {
        let target = self.target.to_string();
        let wrong = |what: &str| self.failed(Kind::Configuration, what);
        let mut builder = Request::builder().method(Method::CONNECT).uri(&target).header(HOST, &target);
        if let Some(authorization) = &self.authorization {
            let mut value =
                HeaderValue::from_str(authorization).map_err(|_| wrong("the password cannot be sent"))?;
            value.set_sensitive(true);
            builder = builder.header(PROXY_AUTHORIZATION, value);
        }
        builder.body(Full::new(Bytes::new())).map_err(|error| {
            wrong("the host behind the proxy is neither a DNS name nor an IP address").with_source(error)
        })
    }

    fn failed(&self, kind: Kind, reason: impl Into<String>) -> ConnectError {
        ConnectError::new(Phase::Proxy, kind, reason).with_address(self.address())
    }

    /// The target, and the proxy on the way to it.
    fn address(&self) -> String {
        match self.inner.endpoint() {
            Some(proxy) => format!("{} through {proxy}", self.target),
            None => self.target.to_string(),
        }
    }

    fn refused(&self, answer: &Answer) -> ConnectError {
        let status = answer.status;
        let advice = match status.as_u16() {
            407 if self.authorization.is_some() => "; it does not take this user name and password",
            407 if !answer.headers.contains_key(PROXY_AUTHENTICATE) => {
                "; it wants authentication and does not say of which kind"
            }
            407 if !offers_basic(answer) => {
                "; it wants authentication of a kind other than Basic, which is the only one spoken here"
            }
            407 => "; it wants a user name and a password",
            403 | 405 => "; it does not open tunnels to this host and port: ask who runs it",
            404 | 502 | 503 | 504 => "; it could not reach the host: check the name, or try again later",
            400 => "; check that this is an HTTP proxy",
            _ => "; check the proxy's address",
        };
        self.failed(Kind::HttpRefused, format!("the proxy answered HTTP {status}{advice}"))
            .with_http_status(status.as_u16())
            // The same user and password fare no better the next time.
            .with_retryable(status.as_u16() != 407)
    }
}

fn offers_basic(answer: &Answer) -> bool {
    let schemes = answer.headers.get_all(PROXY_AUTHENTICATE);
    schemes.iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value
            .split(',')
            .any(|part| part.trim_start().get(..5).is_some_and(|s| s.eq_ignore_ascii_case("basic")))
    })
}

impl<C: Connector> Connector for HttpProxy<C> {
    type Io = Tunnel<C::Io>;

    async fn connect(&self, attempt: &Attempt) -> Result<Self::Io, ConnectError> {
        let call = self.call().inspect_err(|_| attempt.enter(Phase::Proxy))?;
        let io =
            self.inner.connect(attempt).await.map_err(|error| {
                error.with_note(&format!("that is the proxy on the way to {}", self.target))
            })?;
        attempt.enter(Phase::Proxy);
        match http::exchange(io, call, attempt.deadline(), Body::Excerpt).await {
            Ok(Outcome::Switched(Switched { io, rest, .. })) => Ok(Tunnel { io, rest }),
            Ok(Outcome::Answer(answer)) => Err(self.refused(&answer)),
            Err(error) => {
                let late = "the proxy did not answer before the deadline; check that this is an HTTP proxy, and that it \
                            reaches the host";
                Err(error.into_connect_error(Phase::Proxy, "the proxy", late).with_address(self.address()))
            }
        }
    }

    fn endpoint(&self) -> Option<&Endpoint> {
        Some(&self.target)
    }
}

impl<C: fmt::Debug> fmt::Debug for HttpProxy<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProxy")
            .field("inner", &self.inner)
            .field("target", &self.target)
            .field("authenticates", &self.authorization.is_some())
            .finish()
    }
}

/// The stream through an [`HttpProxy`].
#[derive(Debug)]
pub struct Tunnel<S> {
    io: S,
    /// What came behind the proxy's answer and was not read yet.
    rest: Bytes,
}

impl<S> Tunnel<S> {
    /// The stream to the proxy.
    pub fn get_ref(&self) -> &S {
        &self.io
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tunnel<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let len = buf.remaining().min(self.rest.len());
        buf.put_slice(self.rest.get(..len).unwrap_or_default());
        self.rest.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tunnel<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
