//! TLS as AWS IoT Core speaks it: versions 1.2 and 1.3, and one port for several protocols, which the client's offer
//! (ALPN) decides between before anything else is said.

use std::io;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{Acceptor, ClientHello, NoClientAuth, NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::Authority;
use crate::access::{Fingerprint, Origin};

/// A fatal alert: unrecognized_name.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// What a client is let in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// MQTT with a client certificate.
    Mqtt,
    /// MQTT without one: CONNECT goes to the custom authorizer.
    MqttAuthorizer,
    /// HTTP, and WebSockets. A client certificate is welcome.
    Http,
}

/// The handshakes of all doors.
#[derive(Debug)]
pub(super) struct Tls {
    mqtt: Arc<ServerConfig>,
    mqtt_authorizer: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
    /// The only names that clients may ask for.
    names: Option<Vec<String>>,
}

impl Door {
    const ALL: [Self; 3] = [Self::Mqtt, Self::MqttAuthorizer, Self::Http];

    fn alpn(self) -> &'static [u8] {
        match self {
            Self::Mqtt => b"x-amzn-mqtt-ca",
            Self::MqttAuthorizer => b"mqtt",
            Self::Http => b"http/1.1",
        }
    }

    /// The first known name of those offered; without an offer, what the port is for.
    fn chosen(hello: &ClientHello<'_>, default: Self) -> Option<Self> {
        match hello.alpn() {
            None => Some(default),
            Some(mut offered) => {
                offered.find_map(|name| Self::ALL.into_iter().find(|door| door.alpn() == name))
            }
        }
    }
}

impl Tls {
    /// `check_names`: whether clients that ask for a name other than those of the certificate are refused.
    pub(super) fn new(authority: &Authority, server_names: &[String], check_names: bool) -> io::Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.ca_der()).map_err(io::Error::other)?;
        let roots = Arc::new(roots);
        let verifier =
            || WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
        let required = verifier().build().map_err(io::Error::other)?;
        let optional = verifier().allow_unauthenticated().build().map_err(io::Error::other)?;

        let (certificate, key) = authority.issue_server(server_names)?;
        let config = |door: Door, verifier: Arc<dyn ClientCertVerifier>| {
            let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(&[&TLS13, &TLS12])
                .map_err(io::Error::other)?
                .with_client_cert_verifier(verifier)
                .with_single_cert(vec![certificate.clone()], key.clone_key())
                .map_err(io::Error::other)?;
            config.alpn_protocols = vec![door.alpn().to_vec()];
            // As the service has it: every handshake is a full one.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            Ok::<_, io::Error>(Arc::new(config))
        };
        Ok(Self {
            mqtt: config(Door::Mqtt, required)?,
            mqtt_authorizer: config(Door::MqttAuthorizer, Arc::new(NoClientAuth))?,
            http: config(Door::Http, optional)?,
            names: check_names.then(|| server_names.to_vec()),
        })
    }

    /// The handshake. `default` is the door of clients that offer no protocol.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        default: Door,
    ) -> io::Result<(TlsStream<TcpStream>, Door, Origin)> {
        let mut start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let hello = start.client_hello();
        let server_name = hello.server_name().map(str::to_owned);
        let door = Door::chosen(&hello, default);
        if server_name.as_ref().is_some_and(|name| !self.is_good_for(name)) {
            start.io.write_all(&UNRECOGNIZED_NAME).await?;
            start.io.shutdown().await?;
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a name that the certificate is not good for",
            ));
        }
        let config = match door {
            // Without a name in common, the handshake ends with the alert for that.
            None | Some(Door::Mqtt) => &self.mqtt,
            Some(Door::MqttAuthorizer) => &self.mqtt_authorizer,
            Some(Door::Http) => &self.http,
        };
        let stream = start.into_stream(Arc::clone(config)).await?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certificate = certificate.map(Fingerprint::of);
        let origin = Origin { tls: true, server_name, certificate };
        Ok((stream, door.unwrap_or(default), origin))
    }

    fn is_good_for(&self, name: &str) -> bool {
        self.names.as_ref().is_none_or(|names| names.iter().any(|known| covers(known, name)))
    }
}

/// Whether a name in a certificate covers a host name. A `*` stands for one label.
fn covers(known: &str, name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    match known.strip_prefix("*.") {
        Some(domain) => name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
        None => name.eq_ignore_ascii_case(known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_certificates_are() {
        for (known, name) in
            [("iot.test", "IOT.test"), ("iot.test", "iot.test."), ("*.iot.test", "a.iot.test")]
        {
            assert!(covers(known, name), "{known} {name}");
        }
        for (known, name) in
            [("iot.test", "a.iot.test"), ("*.iot.test", "a.b.iot.test"), ("*.iot.test", "iot.test")]
        {
            assert!(!covers(known, name), "{known} {name}");
        }
    }
}
