//! How an emulator is to be, before it runs.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use super::Emulator;
use super::service::Settings;
use crate::broker::Behaviour;
use crate::shadow::Rules;

/// Settings of an [`Emulator`]; [`start`](Builder::start) makes one of them.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use iot_emulator::{Emulator, broker::Behaviour};
///
/// let emulator = Emulator::builder().behaviour(Behaviour::aws()).plain(true).start().await?;
/// assert!(emulator.plain_port().is_some());
/// emulator.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing runs until `start`"]
pub struct Builder {
    pub(super) bind: IpAddr,
    pub(super) port: u16,
    pub(super) https_port: Option<u16>,
    pub(super) plain_port: Option<u16>,
    pub(super) behaviour: Behaviour,
    pub(super) server_names: Vec<String>,
    pub(super) check_server_name: bool,
    pub(super) service: Settings,
    pub(super) max_connections: u32,
    pub(super) outgoing_limit: usize,
    pub(super) shadow_rules: Rules,
    pub(super) shadow_file: Option<PathBuf>,
    pub(super) status_port: Option<u16>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            bind: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            https_port: None,
            plain_port: None,
            behaviour: Behaviour::default(),
            server_names: Vec::new(),
            check_server_name: true,
            service: Settings::default(),
            max_connections: 1_000,
            outgoing_limit: 32 * 1024 * 1024,
            shadow_rules: Rules::default(),
            shadow_file: None,
            status_port: None,
        }
    }
}

impl Builder {
    /// The address to listen at. Default: 127.0.0.1, which only this machine reaches.
    pub fn bind(mut self, address: IpAddr) -> Self {
        self.bind = address;
        self
    }

    /// The port for TLS, where clients that name no protocol (ALPN) speak MQTT with a client certificate. Default: 0,
    /// which takes any that is free.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Whether to listen on one more TLS port, any that is free, as AWS's 443 is: clients that name no protocol (ALPN)
    /// speak HTTP there, which is where WebSockets come from. Everything else is as on the [other](Self::port).
    /// Default: no.
    pub fn https(mut self, https: bool) -> Self {
        self.https_port = https.then_some(0);
        self
    }

    /// The port that is as AWS's 443; 0 takes any that is free. See [`https`](Self::https).
    pub fn https_port(mut self, port: u16) -> Self {
        self.https_port = Some(port);
        self
    }

    /// Whether to listen on one more port, any that is free, without TLS: for tests of what is not about TLS. It is for
    /// MQTT without authentication, and for HTTP, which the first byte tells apart.
    /// Default: no.
    pub fn plain(mut self, plain: bool) -> Self {
        self.plain_port = plain.then_some(0);
        self
    }

    /// The port without TLS; 0 takes any that is free.
    pub fn plain_port(mut self, port: u16) -> Self {
        self.plain_port = Some(port);
        self
    }

    /// The port of a [page](Emulator::status_url) for people to look at; 0 takes any that is free. Only this machine reaches
    /// it, whatever the [address](Self::bind) of the other ports. Default: there is none.
    pub fn status_port(mut self, port: u16) -> Self {
        self.status_port = Some(port);
        self
    }

    /// What the broker does where services differ. Default: [`Behaviour::default`].
    pub fn behaviour(mut self, behaviour: Behaviour) -> Self {
        self.behaviour = behaviour;
        self
    }

    /// One more host name or address that the server certificate is good for. It always is for `localhost`,
    /// 127.0.0.1, ::1 and the address to listen at.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_names.push(name.into());
        self
    }

    /// Whether clients that ask for another name in their handshake (SNI) are refused with an alert. Clients that ask
    /// for none are not. Default: yes.
    pub fn check_server_name(mut self, check: bool) -> Self {
        self.check_server_name = check;
        self
    }

    /// The most connections at a time, those in their handshake included; more are closed at once. Default: 1,000.
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections;
        self
    }

    /// The most bytes that may wait to be written to one connection; it is cut when there are more. Default: 32 MiB.
    pub fn outgoing_limit(mut self, bytes: usize) -> Self {
        self.outgoing_limit = bytes;
        self
    }

    /// Makes the authority and its certificates, and starts to listen.
    ///
    /// # Errors
    /// A port is taken or may not be used, a server name is not valid, or the [file](Self::shadow_file) for shadows is
    /// none or cannot be written.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time enabled, as everything of tokio does.
    pub async fn start(self) -> io::Result<Emulator> {
        Emulator::launch(self).await
    }
}
