//! The file that keeps messages until they are acknowledged.

use std::path::{Path, PathBuf};

use iot_session::layers::{DrainRate, DropPolicy, Outbox};
use iot_session::proto::SavedSession;
use iot_session::storage::{self, Disk, Durability, Redb, WriteOptions};

use crate::error::Error;

/// Where messages are kept until AWS IoT Core acknowledges them, and how many: for
/// [`Builder::outbox`](crate::Builder::outbox).
///
/// The file is made if it is not there; its directory must be. Only its owner may read it, and it belongs to one client at a
/// time. It holds topics and payloads as they are: encrypt the disk, or the payloads, where that matters.
///
/// ```
/// use std::time::Duration;
/// use aws_iot::{DropPolicy, Durability, OutboxFile};
///
/// let outbox = OutboxFile::new("/var/lib/my-device/outbox")
///     .max_messages(100_000)
///     .max_bytes(64 * 1024 * 1024)
///     .when_full(DropPolicy::DropOldest)
///     .durability(Durability::Interval(Duration::from_secs(5))); // spares flash memory
/// ```
#[derive(Debug, Clone)]
pub struct OutboxFile {
    path: PathBuf,
    max_messages: usize,
    max_bytes: usize,
    when_full: DropPolicy,
    drain_rate: DrainRate,
    durability: Durability,
    keep_session: bool,
}

impl OutboxFile {
    /// At most 10,000 messages of together 16 MiB; the newest is dropped when it is full; each publish survives a loss of
    /// power before it is sent; two messages per second go out of what piled up.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            max_messages: 10_000,
            max_bytes: 16 * 1024 * 1024,
            when_full: DropPolicy::default(),
            drain_rate: DrainRate::default(),
            durability: Durability::default(),
            keep_session: false,
        }
    }

    /// At most this many messages, at least 1. Default: 10,000.
    #[must_use]
    pub fn max_messages(mut self, messages: usize) -> Self {
        self.max_messages = messages;
        self
    }

    /// At most this many bytes of topics, properties and payloads. The file is some larger. Default: 16 MiB.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Who has to go when it is full and there is no connection. Default: the newest.
    #[must_use]
    pub fn when_full(mut self, policy: DropPolicy) -> Self {
        self.when_full = policy;
        self
    }

    /// How fast goes out what piled up, or was left by an earlier run. Default: two messages per second.
    #[must_use]
    pub fn drain_rate(mut self, rate: DrainRate) -> Self {
        self.drain_rate = rate;
        self
    }

    /// How soon a message survives a loss of power. Default: before it is sent.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Keeps in the file, too, what the next run of the program must know to take up the session at the server: a clean start is
    /// asked for by the first connection of the first run only, and a client id that was generated stays the same.
    /// [`Client::left_subscriptions`](crate::Client::left_subscriptions) tells what the server goes on sending. With brokers that know
    /// QoS 2 (AWS IoT Core does not) its messages are kept like those of QoS 1, and are exactly once across restarts.
    ///
    /// Subscriptions whose streams are still held when the client is closed stay at the server; a stream that is dropped before
    /// unsubscribes.
    ///
    /// For sessions that outlive their connections: [`session_expiry`](crate::Builder::session_expiry), in MQTT 3.1.1
    /// [`clean_start(false)`](crate::Builder::clean_start). Default: no.
    #[must_use]
    pub fn keep_session(mut self, keep: bool) -> Self {
        self.keep_session = keep;
        self
    }

    /// Opens the file and takes up what it holds.
    pub(crate) fn open(&self) -> Result<Opened, Error> {
        let store = Redb::open(&self.path).map_err(Error::Outbox)?;
        let damaged = store.set_aside().map(Path::to_owned);
        let write = WriteOptions::default().durability(self.durability);
        let (found, disk) = storage::open(store, write).map_err(Error::Outbox)?;
        let session = self.keep_session.then(|| found.session());
        let layer = Outbox::new(found)
            .exactly_once(self.keep_session)
            .max_messages(self.max_messages)
            .max_bytes(self.max_bytes)
            .when_full(self.when_full)
            .drain_rate(self.drain_rate);
        Ok(Opened { layer, disk, session, damaged })
    }
}

impl<P: Into<PathBuf>> From<P> for OutboxFile {
    fn from(path: P) -> Self {
        Self::new(path)
    }
}

/// An outbox file in use.
pub(crate) struct Opened {
    pub(crate) layer: Outbox,
    pub(crate) disk: Disk,
    /// What an earlier run noted of its session, if that is to be kept.
    pub(crate) session: Option<SavedSession>,
    /// Where the file is now that was found damaged.
    pub(crate) damaged: Option<PathBuf>,
}
