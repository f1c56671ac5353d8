//! From settings to a connection.

use std::hash::{BuildHasher, Hasher, RandomState};
#[cfg(feature = "outbox")]
use std::path::PathBuf;

use bytes::Bytes;
use iot_session::layers::{Random, Reconnect, Standard};
use iot_session::proto::{ConnectOptions, Engine, SavedSession};
use iot_session::stage::Stage;
#[cfg(feature = "outbox")]
use iot_session::storage::Disk;
use iot_session::{Config, stack};
use iot_transport::{Address, BoxConnector};
use mqtt_codec::Codec;
#[cfg(feature = "outbox")]
use mqtt_codec::TopicFilter;
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
        let patient = self.retry_first;
        let session = self.start(patient)?;
        session.connect().await?;
        Ok(session)
    }

    /// As [`connect`](Self::connect), but returns at once: for devices that boot offline, or before their clock is set. Attempts go on
    /// until one succeeds, whatever the first ones bring, a certificate outside its dates included; [`Client::status`] shows how
    /// they fare. Subscriptions and messages can be made at once.
    ///
    /// # Errors
    /// What is wrong with a setting or a file, or that there is no tokio runtime.
    pub async fn connect_lazily(self) -> Result<Client, Error>
    where
        L: Layers,
    {
        let session = self.start(true)?;
        session.connect_lazily().await?;
        Ok(session)
    }

    /// As [`connect`](Self::connect), for programs without async code: every call of the client blocks. No runtime is needed; it has
    /// a thread of its own, and a second one as soon as there is a handler.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); the system has no more threads.
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    pub fn connect_blocking(self) -> Result<crate::blocking::Client, Error>
    where
        L: Layers,
    {
        let patient = self.retry_first;
        let client = self.assemble(patient)?.on_a_thread()?;
        client.connect()?;
        Ok(client)
    }

    /// As [`connect_lazily`](Self::connect_lazily), for programs without async code.
    ///
    /// # Errors
    /// What is wrong with a setting or a file; the system has no more threads.
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    pub fn connect_lazily_blocking(self) -> Result<crate::blocking::Client, Error>
    where
        L: Layers,
    {
        let client = self.assemble(true)?.on_a_thread()?;
        client.connect_lazily()?;
        Ok(client)
    }

    /// As [`diagnose_with`](Self::diagnose_with), for programs without async code: on the thread that calls.
    ///
    /// # Errors
    /// The system has nothing left for a runtime.
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    pub fn diagnose_blocking(
        &self,
        options: crate::doctor::Options,
        on_check: impl FnMut(&crate::doctor::Check) + Send,
    ) -> Result<crate::doctor::Report, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Error::NoThread)?;
        let report = runtime.block_on(self.diagnose_with(options, on_check));
        // A name server that does not answer keeps a thread of it, which nobody is to wait for.
        runtime.shutdown_background();
        Ok(report)
    }

    /// Everything but the connection.
    fn start(self, patient: bool) -> Result<Client, Error>
    where
        L: Layers,
    {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| Error::NoRuntime)?;
        Ok(self.assemble(patient)?.on(&runtime))
    }

    /// Everything but what drives it. What may heal by itself passes if it is `patient`.
    fn assemble(self, patient: bool) -> Result<Assembled<impl Stage + Send + 'static>, Error>
    where
        L: Layers,
    {
        let connector = self.connector(patient)?;
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
        Ok(Assembled {
            stage,
            codec,
            connector,
            config,
            #[cfg(feature = "outbox")]
            disk,
            #[cfg(feature = "outbox")]
            damaged,
            #[cfg(feature = "outbox")]
            left,
        })
    }

    fn connector(&self, patient: bool) -> Result<BoxConnector, Error> {
        if let Door::Own(connector) = &self.door {
            return Ok(connector.clone());
        }
        let endpoint: Address = self.endpoint.parse()?;
        let port = self.port.or(endpoint.port()).unwrap_or(self.door.default_port());
        self.door.connector(&self.way, (endpoint.host(), port), patient)
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
            limits::check_will(will)?;
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

/// A session that nothing drives yet.
struct Assembled<S> {
    stage: S,
    codec: Codec,
    connector: BoxConnector,
    config: Config,
    #[cfg(feature = "outbox")]
    disk: Option<Disk>,
    /// Where the file of the outbox is now that was found damaged.
    #[cfg(feature = "outbox")]
    damaged: Option<PathBuf>,
    /// What an earlier run had subscribed.
    #[cfg(feature = "outbox")]
    left: Vec<TopicFilter>,
}

impl<S: Stage + Send + 'static> Assembled<S> {
    /// Driven by a task of this runtime.
    fn on(self, runtime: &tokio::runtime::Handle) -> Client {
        let (session, driver) = iot_session::client(self.stage, self.codec, self.connector, self.config);
        #[cfg(feature = "outbox")]
        let driver = match self.disk {
            Some(disk) => driver.with_disk(disk),
            None => driver,
        };
        runtime.spawn(driver.run());
        let client = Client::new(session);
        #[cfg(feature = "outbox")]
        let client = client.with_outbox(self.damaged, self.left);
        client
    }

    /// Driven by a thread of its own.
    #[cfg(feature = "blocking")]
    fn on_a_thread(self) -> Result<crate::blocking::Client, Error> {
        use iot_session::blocking;

        let Self { stage, codec, connector, config, .. } = self;
        #[cfg(feature = "outbox")]
        let threads = match self.disk {
            Some(disk) => blocking::Client::with_disk(stage, codec, connector, config, disk),
            None => blocking::Client::new(stage, codec, connector, config),
        };
        #[cfg(not(feature = "outbox"))]
        let threads = blocking::Client::new(stage, codec, connector, config);
        let threads = threads.map_err(Error::NoThread)?;
        let client = Client::new(threads.session().clone());
        #[cfg(feature = "outbox")]
        let client = client.with_outbox(self.damaged, self.left);
        Ok(crate::blocking::Client::new(client, threads))
    }
}

fn generated_client_id() -> String {
    format!("rust-{:016x}", random())
}

/// Random enough to be nobody else's: the standard library seeds its hashers from the operating system.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
