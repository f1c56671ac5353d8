//! From settings to a connection.

use std::hash::{BuildHasher, Hasher, RandomState};

use bytes::Bytes;
use iot_session::layers::{Random, Reconnect, Standard};
use iot_session::proto::{ConnectOptions, Engine, SavedSession};
use iot_session::{Config, stack};
use iot_transport::{Address, BoxConnector};
use zeroize::Zeroizing;

use crate::builder::Builder;
use crate::client::Client;
use crate::door::Door;
use crate::error::Error;
use crate::layers::Layers;
use crate::limits;
#[cfg(feature = "outbox")]
use crate::outbox::{Opened, OutboxFile};

impl<L> Builder<L> {
    /// Checks the settings, reads certificate, key and CA once, spawns the connection's task and returns at CONNACK.
    /// The files are read again at each attempt, so a rotated certificate is taken up.
    ///
    /// # Errors
    /// What is wrong with a setting or a file, why the first attempt failed, or that there is no tokio runtime.
    ///
    /// # Cancellation
    /// Nothing is left behind.
    pub async fn connect(self) -> Result<Client, Error>
    where
        L: Layers,
    {
        let session = self.start()?;
        session.connect().await?;
        Ok(session)
    }

    /// As [`connect`](Self::connect), but returns at once: for devices that boot offline. Attempts go on until one succeeds,
    /// whatever the first ones bring; [`Client::status`] shows how they fare. Subscriptions and messages can be made at once.
    ///
    /// # Errors
    /// What is wrong with a setting or a file, or that there is no tokio runtime.
    pub async fn connect_lazily(self) -> Result<Client, Error>
    where
        L: Layers,
    {
        let session = self.start()?;
        session.connect_lazily().await?;
        Ok(session)
    }

    /// Everything but the connection.
    fn start(self) -> Result<Client, Error>
    where
        L: Layers,
    {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let connector = self.connector()?;
        #[cfg(feature = "outbox")]
        let opened = self.outbox.as_ref().map(OutboxFile::open).transpose()?;
        #[cfg(feature = "outbox")]
        let (outbox, disk, damaged, session) = match opened {
            Some(Opened { layer, disk, damaged, session }) => (Some(layer), Some(disk), damaged, session),
            None => (None, None, None, None),
        };
        #[cfg(not(feature = "outbox"))]
        let (outbox, session) = (None, None::<SavedSession>);
        let last_client_id = session.as_ref().and_then(SavedSession::client_id);
        let mut engine = Engine::new(self.options(self.client_id.as_deref().or(last_client_id))?);
        #[cfg(feature = "outbox")]
        let left = session.as_ref().map(|session| session.filters().to_vec()).unwrap_or_default();
        if let Some(session) = session {
            engine = engine.keeping(session);
        }
        let codec = engine.codec();
        let reconnect = Reconnect::new(self.backoff)
            .retry_first(self.retry_first)
            .give_up(self.give_up)
            .connect_interval(self.connect_interval)
            .jitter(self.jitter, Random::seeded(random()));
        let standard = Standard {
            queue: self.offline_queue,
            reconnect,
            pacing: self.pacing,
            outbox,
            ..Standard::default()
        };
        let stage = self.layers.around(stack(engine).layer(standard).into_stage());
        let config = Config {
            connect_timeout: self.connect_timeout,
            explain: Some(iot_transport::explain_io),
            ..Config::default()
        };
        let (session, driver) = iot_session::client(stage, codec, connector, config);
        #[cfg(feature = "outbox")]
        let driver = match disk {
            Some(disk) => driver.with_disk(disk),
            None => driver,
        };
        runtime.spawn(driver.run());
        let client = Client::new(session);
        #[cfg(feature = "outbox")]
        let client = client.with_outbox(damaged, left);
        Ok(client)
    }

    fn connector(&self) -> Result<BoxConnector, Error> {
        if let Door::Own(connector) = &self.door {
            return Ok(connector.clone());
        }
        let endpoint: Address = self.endpoint.parse()?;
        let port = self.port.or(endpoint.port()).unwrap_or(self.door.default_port());
        self.door.connector(&self.way, (endpoint.host(), port), self.retry_first)
    }

    /// What CONNECT says, under this client id or a generated one.
    pub(crate) fn options(&self, client_id: Option<&str>) -> Result<ConnectOptions, Error> {
        let client_id = client_id.map_or_else(generated_client_id, str::to_owned);
        limits::check_client_id(&client_id)?;
        let mut options = ConnectOptions::new(self.version, &client_id)?
            .clean_start(self.clean_start)
            .session_expiry(self.session_expiry)
            .keep_alive(self.keep_alive)
            .connect_timeout(self.connect_timeout)
            .operation_timeout(self.operation_timeout)
            .containment(self.containment);
        if let Some(will) = &self.will {
            limits::check_topic(will.topic.as_str())?;
            limits::check_qos(will.qos)?;
            options = options.will(will.clone());
        }
        let username = self.login();
        if !username.is_empty() || self.password.is_some() {
            let password = self.password.as_ref().map(|password| Bytes::copy_from_slice(password));
            options = options.login(&username, password)?;
        }
        options.validate()?;
        Ok(options)
    }

    /// The user name: the user's own, the custom authorizer's parameters, the metrics.
    fn login(&self) -> Zeroizing<String> {
        let own = self.username.as_deref().unwrap_or_default();
        let mut username = match &self.door {
            Door::CustomAuthorizer(parameters) => parameters.username(own),
            _ => Zeroizing::new(own.to_owned()),
        };
        if self.metrics {
            let separator = if username.contains('?') { '&' } else { '?' };
            username.push(separator);
            username.push_str(concat!("SDK=Rust&Version=", env!("CARGO_PKG_VERSION")));
        }
        username
    }
}

fn generated_client_id() -> String {
    format!("rust-{:016x}", random())
}

/// Random enough to be nobody else's: the standard library seeds its hashers from the operating system.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
