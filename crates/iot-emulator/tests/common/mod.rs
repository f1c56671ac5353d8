//! A client that does nothing by itself: packets go out and come in when a test says so.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

pub(crate) mod http;

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use iot_emulator::{Credentials, Emulator};
use mqtt_codec::packet::{ConnectBuilder, Publish, Subscribe, SubscriptionOptions};
use mqtt_codec::{Codec, Packet, PacketId, QoS, ReasonCode, Text, TopicFilter, TopicName, Version};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

pub(crate) const BOTH: [Version; 2] = [Version::V3_1_1, Version::V5];

/// What a TLS client trusts, shows and speaks.
pub(crate) struct Tls<'a> {
    pub(crate) ca_pem: &'a str,
    pub(crate) identity: Option<&'a Credentials>,
    pub(crate) version: &'static SupportedProtocolVersion,
    pub(crate) alpn: &'a [&'a str],
    pub(crate) server_name: &'a str,
    pub(crate) sni: bool,
    /// Instead of the emulator's first.
    pub(crate) port: Option<u16>,
}

impl<'a> Tls<'a> {
    /// What a device with these credentials does.
    pub(crate) fn with(credentials: &'a Credentials) -> Self {
        Self {
            ca_pem: &credentials.ca_pem,
            identity: Some(credentials),
            version: &rustls::version::TLS13,
            alpn: &[],
            server_name: "localhost",
            sni: true,
            port: None,
        }
    }

    pub(crate) async fn connect(&self, emulator: &Emulator) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[self.version])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let certificate =
                    CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.enable_sni = self.sni;
        let tcp = TcpStream::connect(("127.0.0.1", self.port.unwrap_or(emulator.port()))).await?;
        let name = ServerName::try_from(self.server_name.to_owned()).unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await
    }
}

pub(crate) struct Client<S> {
    pub(crate) stream: S,
    codec: Codec,
    buffer: BytesMut,
}

/// With a port without TLS.
pub(crate) async fn emulator() -> Emulator {
    Emulator::builder().plain(true).start().await.unwrap()
}

/// Without TLS.
pub(crate) async fn plain(emulator: &Emulator, version: Version) -> Client<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", emulator.plain_port().unwrap())).await.unwrap();
    Client::new(stream, version)
}

/// Without TLS, and with a connection of that name.
pub(crate) async fn connected(emulator: &Emulator, version: Version, name: &str) -> Client<TcpStream> {
    let mut client = plain(emulator, version).await;
    assert_eq!(client.connect(name).await, ReasonCode::Success);
    client
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) fn new(stream: S, version: Version) -> Self {
        Self { stream, codec: Codec::client(version), buffer: BytesMut::new() }
    }

    pub(crate) async fn send(&mut self, packet: impl Into<Packet>) {
        let mut bytes = BytesMut::new();
        self.codec.encode(&packet.into(), &mut bytes).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next packet, or `None` at the end, however it came.
    pub(crate) async fn next(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = self.codec.decode(&mut self.buffer).unwrap() {
                return Some(packet);
            }
            if !self.stream.read_buf(&mut self.buffer).await.is_ok_and(|len| len > 0) {
                return None;
            }
        }
    }

    /// Whether a packet is there already.
    pub(crate) async fn has_next(&mut self) -> bool {
        tokio::time::timeout(std::time::Duration::ZERO, self.stream.read_buf(&mut self.buffer)).await.is_ok()
    }

    pub(crate) async fn connect(&mut self, name: &str) -> ReasonCode {
        self.connect_with(name, |_| {}).await
    }

    pub(crate) async fn connect_with(
        &mut self,
        name: &str,
        more: impl FnOnce(&mut ConnectBuilder),
    ) -> ReasonCode {
        let version = self.codec.version().unwrap();
        let mut connect = ConnectBuilder::new(version, Text::try_from(name).unwrap());
        connect.keep_alive = 0;
        more(&mut connect);
        self.send(connect.build().unwrap()).await;
        match self.next().await {
            Some(Packet::ConnAck(ack)) => ack.reason,
            other => panic!("no CONNACK but {other:?}"),
        }
    }

    pub(crate) async fn subscribe(&mut self, filter: &str) {
        let filter = TopicFilter::try_from(filter).unwrap();
        self.send(Subscribe::new(id(1), [(&filter, SubscriptionOptions::at(QoS::AtLeastOnce))])).await;
        assert!(matches!(self.next().await, Some(Packet::SubAck(_))));
    }

    pub(crate) async fn ping(&mut self) {
        self.send(Packet::PingReq).await;
        assert_eq!(self.next().await, Some(Packet::PingResp));
    }

    pub(crate) async fn publish(&mut self, topic: &str, payload: &str) {
        self.send(message(topic, payload).at_least_once(id(1))).await;
    }

    pub(crate) async fn expect_message(&mut self, payload: &str) {
        match self.next().await {
            Some(Packet::Publish(publish)) => assert_eq!(publish.payload(), payload.as_bytes()),
            other => panic!("no message but {other:?}"),
        }
    }
}

pub(crate) fn message(topic: &str, payload: &str) -> Publish {
    Publish::new(TopicName::try_from(topic).unwrap(), payload.to_owned())
}

pub(crate) fn id(id: u16) -> PacketId {
    PacketId::new(id).unwrap()
}
