//! The doors of AWS IoT Core, and the connectors that lead through them.

use std::fmt;

#[cfg(feature = "proxy")]
use iot_transport::HttpProxy;
use iot_transport::{
    BoxConnector, Connector, CustomAuthorizer, Identity, Tcp, Tls, TlsOptions, TrustAnchors, alpn,
};
#[cfg(feature = "websocket")]
use iot_transport::{SigV4, WebSocket};

use crate::error::Error;

/// The port of MQTT with a client certificate.
const MQTTS: u16 = 8883;
/// The port of everything, told apart by ALPN (AWS IoT Core Developer Guide, "Protocols, port mappings, and
/// authentication").
const HTTPS: u16 = 443;

/// Who the device says it is, and how.
#[derive(Clone)]
pub(crate) enum Door {
    MutualTls(Identity),
    CustomAuthorizer(CustomAuthorizer),
    #[cfg(feature = "websocket")]
    SigV4(SigV4),
    #[cfg(feature = "websocket")]
    WebSocketCustomAuthorizer(CustomAuthorizer),
    /// Whatever the user has built.
    Own(BoxConnector),
}

/// What lies between the device and the door.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) anchors: TrustAnchors,
    #[cfg(feature = "websocket")]
    pub(crate) region: Option<String>,
    #[cfg(feature = "proxy")]
    pub(crate) proxy: Option<Proxy>,
}

impl Default for Way {
    fn default() -> Self {
        Self {
            anchors: TrustAnchors::amazon(),
            #[cfg(feature = "websocket")]
            region: None,
            #[cfg(feature = "proxy")]
            proxy: None,
        }
    }
}

/// An HTTP proxy to go through. `Debug` shows no password.
///
/// ```
/// use aws_iot::Proxy;
///
/// let proxy = Proxy::new("proxy.example", 3128).basic_auth("user", "password");
/// ```
#[cfg(feature = "proxy")]
#[cfg_attr(docsrs, doc(cfg(feature = "proxy")))]
#[derive(Clone)]
pub struct Proxy {
    host: String,
    port: u16,
    login: Option<(String, zeroize::Zeroizing<String>)>,
}

#[cfg(feature = "proxy")]
impl Proxy {
    /// The proxy at this host and port, spoken to without TLS.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, login: None }
    }

    /// Shows the proxy a user name and a password (Basic, RFC 7617), which whoever listens on the way to it can read, too.
    /// Default: none.
    #[must_use]
    pub fn basic_auth(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.login = Some((user.into(), zeroize::Zeroizing::new(password.into())));
        self
    }

    /// Where it is.
    pub(crate) fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    pub(crate) fn tunnel(&self, host: &str, port: u16) -> HttpProxy<Tcp> {
        let tunnel = HttpProxy::new(Tcp::new(self.host.as_str(), self.port), host, port);
        match &self.login {
            Some((user, password)) => tunnel.basic_auth(user, password),
            None => tunnel,
        }
    }
}

#[cfg(feature = "proxy")]
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Door {
    pub(crate) fn default_port(&self) -> u16 {
        match self {
            Self::MutualTls(_) => MQTTS,
            _ => HTTPS,
        }
    }

    /// What is asked for by ALPN.
    pub(crate) fn protocol(&self, port: u16) -> Option<&'static str> {
        match self {
            Self::MutualTls(_) => (port == HTTPS).then_some(alpn::MUTUAL_TLS),
            Self::CustomAuthorizer(_) => Some(alpn::CUSTOM_AUTHORIZER),
            #[cfg(feature = "websocket")]
            Self::SigV4(_) | Self::WebSocketCustomAuthorizer(_) => Some(alpn::HTTP),
            Self::Own(_) => None,
        }
    }

    /// How TLS is spoken at this door.
    pub(crate) fn tls(&self, way: &Way, port: u16) -> TlsOptions {
        let options = TlsOptions::new(way.anchors.clone()).alpn(self.protocol(port));
        match self {
            Self::MutualTls(identity) => options.identity(identity.clone()),
            _ => options,
        }
    }

    /// The connector through this door; everything that can be checked before dialling is. What may heal by itself
    /// passes if it is `patient`.
    pub(crate) fn connector(
        &self,
        way: &Way,
        (host, port): (&str, u16),
        patient: bool,
    ) -> Result<BoxConnector, Error> {
        #[cfg(feature = "proxy")]
        if let Some(proxy) = &way.proxy {
            return self.over(proxy.tunnel(host, port), way, port, patient);
        }
        self.over(Tcp::new(host, port), way, port, patient)
    }

    fn over(
        &self,
        inner: impl Connector,
        way: &Way,
        port: u16,
        patient: bool,
    ) -> Result<BoxConnector, Error> {
        if let Self::Own(connector) = self {
            return Ok(connector.clone());
        }
        let tls = Tls::new(inner, self.tls(way, port));
        match tls.check() {
            Err(error) if patient && error.is_retryable() => {}
            checked => checked?,
        }
        Ok(match self {
            Self::MutualTls(_) | Self::CustomAuthorizer(_) | Self::Own(_) => BoxConnector::new(tls),
            #[cfg(feature = "websocket")]
            Self::SigV4(signer) => {
                let host = tls.endpoint().map(iot_transport::Endpoint::host).unwrap_or_default();
                let region = match &way.region {
                    Some(region) => region.clone(),
                    None => iot_transport::region_of(host)?,
                };
                BoxConnector::new(WebSocket::new(tls).authorizer(signer.clone().region(region)))
            }
            #[cfg(feature = "websocket")]
            Self::WebSocketCustomAuthorizer(parameters) => {
                BoxConnector::new(WebSocket::new(tls).authorizer(parameters.clone()))
            }
        })
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MutualTls(_) => "mutual TLS",
            Self::Own(_) => "a connector of the user's",
            Self::CustomAuthorizer(_) => "custom authorizer",
            #[cfg(feature = "websocket")]
            Self::SigV4(_) => "WebSocket with SigV4",
            #[cfg(feature = "websocket")]
            Self::WebSocketCustomAuthorizer(_) => "WebSocket with a custom authorizer",
        })
    }
}
