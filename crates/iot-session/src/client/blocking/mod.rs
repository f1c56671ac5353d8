//! The client for programs without async code.
//!
//! A [`Client`] owns a thread that runs the driver on a runtime of its own, and a second one for handlers, so that a
//! handler may call the client. Every call blocks the thread that makes it: from async code use [`crate::Client`].
//!
//! ```no_run
//! # fn connector() -> tests::Nowhere { tests::Nowhere }
//! # mod tests {
//! #     pub struct Nowhere;
//! #     impl iot_transport::Connector for Nowhere {
//! #         type Io = tokio::io::DuplexStream;
//! #         async fn connect(&self, _: &iot_transport::Attempt) -> Result<Self::Io, iot_transport::ConnectError> {
//! #             std::future::pending().await
//! #         }
//! #     }
//! # }
//! use std::time::Duration;
//!
//! use iot_session::layers::Reconnect;
//! use iot_session::proto::{ConnectOptions, Engine};
//! use iot_session::{Config, Message, QoS, Version, blocking, stack};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::new(ConnectOptions::new(Version::V5, "my-device")?);
//! let codec = engine.codec();
//! let stage = stack(engine).layer(Reconnect::default()).into_stage();
//! let client = blocking::Client::new(stage, codec, connector(), Config::default())?;
//! client.connect()?;
//! let commands = client.subscribe("commands/#", QoS::AtLeastOnce)?;
//! client.publish(Message::new("sensor/1", "21.5")?)?.wait()?;
//! for message in commands {
//!     println!("{}: {} bytes", message.topic(), message.payload().len());
//! }
//! client.close(Duration::from_secs(5))?;
//! # Ok(())
//! # }
//! ```

mod messages;
mod wait;

pub use messages::{Messages, NextError};

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use iot_transport::Connector;
use mqtt_codec::{Codec, QoS, ReasonCode, TopicFilter};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::{
    ClosedError, Config, Delivery, Driver, Leftover, NoticeHandler, Notices, Stats, Status, SubscribeOptions,
    Subscription,
};
use super::{TryPublishError, client as async_client};
use crate::error::OpError;
use crate::message::Message;
use crate::stage::{Connected, Notice, Stage};
use crate::storage::Disk;
use wait::{wait, wait_for};

/// A handle to a session whose calls block. Clones share it; dropping the last one disconnects in order and waits for
/// that.
#[derive(Debug, Clone)]
pub struct Client {
    session: super::Client,
    /// Dropped after `session`.
    threads: Arc<Threads>,
}

/// The threads behind the handles.
#[derive(Debug)]
struct Threads {
    driver: Mutex<Option<JoinHandle<()>>>,
    /// The driver's runtime, whose timers go on until `alive` is dropped.
    runtime: Handle,
    alive: Option<oneshot::Sender<()>>,
    handlers: Mutex<Option<Handlers>>,
}

/// The thread of the handlers, made when the first one comes.
#[derive(Debug)]
struct Handlers {
    runtime: Handle,
    /// Dropping it ends the thread, once the handler that runs has returned.
    _alive: oneshot::Sender<()>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        drop(self.alive.take());
        let driver = self.driver.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // A connector that holds a handle would drop it on the driver's thread, which cannot wait for itself.
        if let Some(driver) = driver.filter(|driver| driver.thread().id() != thread::current().id()) {
            // A driver that panicked has closed everything all the same.
            let _ = driver.join();
        }
    }
}

/// The outcome of a publish, still to come. It need not be waited for: the message goes out all the same.
#[derive(Debug)]
#[must_use = "wait for it to learn whether the message arrived, or drop it knowingly"]
pub struct Ack(super::Ack);

impl Ack {
    /// Waits for the outcome.
    ///
    /// # Errors
    /// Why the message did not arrive, or may not have.
    pub fn wait(self) -> Result<Delivery, OpError> {
        wait(self.0)
    }

    /// Waits for the outcome for so long. `Err` gives the outcome to come back.
    ///
    /// # Errors
    /// There is no outcome yet.
    pub fn wait_timeout(mut self, timeout: Duration) -> Result<Result<Delivery, OpError>, Self> {
        wait_for(&mut self.0, timeout).ok_or(self)
    }
}

impl Client {
    /// A client with its driver on a thread of its own. See [`client`](crate::client) for the arguments.
    ///
    /// # Errors
    /// The system has no more threads or the like.
    pub fn new<S, C>(stage: S, codec: Codec, connector: C, config: Config) -> io::Result<Self>
    where
        S: Stage + Send + 'static,
        C: Connector,
    {
        let (session, driver) = async_client(stage, codec, connector, config);
        Self::start(session, driver)
    }

    /// As [`new`](Self::new), with a store for a stack that wishes one; see [`Driver::with_disk`].
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_disk<S, C>(
        stage: S,
        codec: Codec,
        connector: C,
        config: Config,
        disk: Disk,
    ) -> io::Result<Self>
    where
        S: Stage + Send + 'static,
        C: Connector,
    {
        let (session, driver) = async_client(stage, codec, connector, config);
        Self::start(session, driver.with_disk(disk))
    }

    fn start<S, C>(session: crate::Client, driver: Driver<S, C>) -> io::Result<Self>
    where
        S: Stage + Send + 'static,
        C: Connector,
    {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel::<()>();
        let driver = thread::Builder::new().name("iot-session".to_owned()).spawn(move || {
            runtime.block_on(driver.run());
            // Whoever still waits has timers here. Ends by the sender being dropped.
            let _ = runtime.block_on(ended);
            // A name server that does not answer keeps a thread of the runtime, which nobody is to wait for.
            runtime.shutdown_background();
        })?;
        let threads = Threads {
            driver: Mutex::new(Some(driver)),
            runtime: handle,
            alive: Some(alive),
            handlers: Mutex::new(None),
        };
        Ok(Self { session, threads: Arc::new(threads) })
    }

    /// Waits for a future that needs this client's timers, such as one of what was built on
    /// [`session`](Self::session). What it spawns runs on the driver's thread, and must not block there.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _context = self.threads.runtime.enter();
        wait(future)
    }

    /// As [`block_on`](Self::block_on), for so long; `None`: the future was not done yet, and is dropped.
    pub fn block_on_for<F: Future>(&self, future: F, timeout: Duration) -> Option<F::Output> {
        let _context = self.threads.runtime.enter();
        wait_for(future, timeout)
    }

    /// As [`crate::Client::connect`].
    ///
    /// # Errors
    /// [`OpError::Connect`] with the reason of the first attempt; [`OpError::Closed`].
    pub fn connect(&self) -> Result<Connected, OpError> {
        wait(self.session.connect())
    }

    /// As [`crate::Client::connect_lazily`]: returns at once.
    ///
    /// # Errors
    /// The client is closed.
    pub fn connect_lazily(&self) -> Result<(), ClosedError> {
        wait(self.session.connect_lazily())
    }

    /// As [`crate::Client::reconnect_now`].
    ///
    /// # Errors
    /// The client is closed.
    pub fn reconnect_now(&self) -> Result<(), ClosedError> {
        wait(self.session.reconnect_now())
    }

    /// Waits until the session is up, for so long; `None`: it is not up yet.
    ///
    /// # Errors
    /// The client is closed.
    pub fn online(&self, timeout: Duration) -> Result<Option<Connected>, ClosedError> {
        wait_for(self.session.online(), timeout).transpose()
    }

    /// As [`crate::Client::publish`]: waits for room, not for the outcome.
    ///
    /// # Errors
    /// The client is closed.
    pub fn publish(&self, message: Message) -> Result<Ack, ClosedError> {
        wait(self.session.publish(message)).map(Ack)
    }

    /// As [`crate::Client::publish_durably`]: waits until the message is on disk.
    ///
    /// # Errors
    /// As there.
    pub fn publish_durably(&self, message: Message) -> Result<Ack, OpError> {
        wait(self.session.publish_durably(message)).map(Ack)
    }

    /// As [`crate::Client::try_publish`]: does not wait.
    ///
    /// # Errors
    /// Gives the message back when there is no room, or when the client is closed.
    pub fn try_publish(&self, message: Message) -> Result<Ack, TryPublishError> {
        self.session.try_publish(message).map(Ack)
    }

    /// As [`crate::Client::subscribe`], with an iterator of messages.
    ///
    /// # Errors
    /// As there.
    pub fn subscribe<F>(&self, filter: F, qos: QoS) -> Result<Messages, OpError>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
    {
        self.subscribe_with(filter, SubscribeOptions::new(qos))
    }

    /// As [`crate::Client::subscribe_with`], with an iterator of messages.
    ///
    /// # Errors
    /// As there.
    pub fn subscribe_with<F>(&self, filter: F, options: SubscribeOptions) -> Result<Messages, OpError>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
    {
        wait(self.session.subscribe_with(filter, options)).map(Messages::new)
    }

    /// Subscribes and calls `handler` with each message on the thread for handlers, which all handlers share: one that
    /// takes long keeps the others waiting, but not the connection. It may call the client. While it holds a handle of
    /// the client, the client lives; [`unsubscribe`](Self::unsubscribe) or [`close`](Self::close) end that.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe); [`OpError::Unsupported`] when the system has no more threads.
    pub fn on<F, H>(&self, filter: F, qos: QoS, handler: H) -> Result<Subscription, OpError>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
        H: FnMut(Message) + Send + 'static,
    {
        self.on_with(filter, SubscribeOptions::new(qos), handler)
    }

    /// As [`on`](Self::on), with all that can be said; see [`crate::Client::on_with`].
    ///
    /// # Errors
    /// As [`on`](Self::on).
    pub fn on_with<F, H>(
        &self,
        filter: F,
        options: SubscribeOptions,
        mut handler: H,
    ) -> Result<Subscription, OpError>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
        H: FnMut(Message) + Send + 'static,
    {
        let runtime = self.handlers()?;
        let handler = move |message| {
            handler(message);
            std::future::ready(())
        };
        let _context = runtime.enter();
        wait(self.session.on_with(filter, options, handler))
    }

    /// As [`crate::Client::unsubscribe`].
    ///
    /// # Errors
    /// As there.
    pub fn unsubscribe<F>(&self, filter: F) -> Result<ReasonCode, OpError>
    where
        F: TryInto<TopicFilter>,
        OpError: From<F::Error>,
    {
        wait(self.session.unsubscribe(filter))
    }

    /// Where the connection stands at present.
    #[must_use]
    pub fn status(&self) -> Status {
        self.session.status().borrow().clone()
    }

    /// Waits for a status, for so long; `None`: it did not come.
    ///
    /// # Errors
    /// The client is closed.
    pub fn wait_for_status(
        &self,
        timeout: Duration,
        wanted: impl FnMut(&Status) -> bool,
    ) -> Result<Option<Status>, ClosedError> {
        let mut status = self.session.status();
        let status = wait_for(status.wait_for(wanted), timeout);
        status.transpose().map(|status| status.map(|status| status.clone())).map_err(|_| ClosedError)
    }

    /// As [`crate::Client::stats`].
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.session.stats()
    }

    /// An iterator of what happens from now on besides the operations; it blocks, and ends when the client is closed.
    pub fn notices(&self) -> impl Iterator<Item = Notice> + use<> {
        let mut notices: Notices = self.session.notices();
        std::iter::from_fn(move || wait(notices.next()))
    }

    /// Calls `handler` with each notice from now on, on the thread for handlers, as long as what is returned is there. See
    /// [`crate::Client::on_notice`].
    ///
    /// # Errors
    /// [`OpError::Unsupported`] when the system has no more threads; the client is closed.
    pub fn on_notice<H>(&self, mut handler: H) -> Result<NoticeHandler, OpError>
    where
        H: FnMut(Notice) + Send + 'static,
    {
        let _context = self.handlers()?.enter();
        self.session.on_notice(move |notice| {
            handler(notice);
            std::future::ready(())
        })
    }

    /// As [`crate::Client::disconnect`].
    ///
    /// # Errors
    /// The client is closed.
    pub fn disconnect(&self) -> Result<(), ClosedError> {
        wait(self.session.disconnect())
    }

    /// As [`crate::Client::close`].
    ///
    /// # Errors
    /// The client is closed already.
    pub fn close(&self, within: Duration) -> Result<Leftover, ClosedError> {
        wait(self.session.close(within))
    }

    fn handlers(&self) -> Result<Handle, OpError> {
        let runtime = self.threads.handlers();
        runtime.map_err(|_| OpError::Unsupported("there is no thread for handlers to run on"))
    }

    /// The same client for async code.
    #[must_use]
    pub fn session(&self) -> &crate::Client {
        &self.session
    }
}

impl Threads {
    /// The runtime of the handlers' thread.
    fn handlers(&self) -> io::Result<Handle> {
        let mut handlers = self.handlers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handlers) = &*handlers {
            return Ok(handlers.runtime.clone());
        }
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel::<()>();
        thread::Builder::new().name("iot-session-handlers".to_owned()).spawn(move || {
            // Ends by the sender being dropped.
            let _ = runtime.block_on(ended);
        })?;
        *handlers = Some(Handlers { runtime: handle.clone(), _alive: alive });
        Ok(handle)
    }
}
