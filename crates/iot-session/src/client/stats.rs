//! What the client says about itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::ConnectionError;
use crate::stage::Connected;

/// Where the connection stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Status {
    /// Nothing is under way: before the first connect and after a disconnect.
    Idle,
    /// An attempt is under way.
    Connecting {
        /// Counts attempts since the client was made, from 1.
        attempt: u64,
    },
    /// The session is up.
    Connected(Connected),
    /// The connection or the attempt ended.
    Disconnected {
        /// Why.
        error: ConnectionError,
        /// How long until the next attempt, counted from the disconnect; `None`: there will be none.
        retry_in: Option<std::time::Duration>,
    },
}

impl Status {
    /// Whether the session is up.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self, Self::Connected(_))
    }
}

/// Counters since the client was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Messages handed to the session.
    pub published: u64,
    /// Messages that came in.
    pub received: u64,
    /// Messages dropped because a subscriber was slow, once for each subscriber: QoS 0 messages beyond the inbox's
    /// capacity, QoS 1 messages that still waited when the session was lost, beyond [`Config::unaccepted`](super::Config).
    pub dropped: u64,
    /// Messages that no subscription wanted, once they were given up.
    pub unrouted: u64,
    /// Attempts to connect.
    pub attempts: u64,
    /// Connections that came up.
    pub connections: u64,
    /// Handlers that panicked.
    pub handler_panics: u64,
    /// Bytes read from links.
    pub bytes_in: u64,
    /// Bytes written to links.
    pub bytes_out: u64,
    /// Times that the driver task was woken up.
    pub wakeups: u64,
}

macro_rules! counters {
    ($($name:ident),*) => {
        /// The counters, shared between driver and handle.
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Counter,)*
        }

        impl Counters {
            pub(super) fn snapshot(&self) -> Stats {
                Stats { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }
    };
}
counters!(
    published,
    received,
    dropped,
    unrouted,
    attempts,
    connections,
    handler_panics,
    bytes_in,
    bytes_out,
    wakeups
);

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
}

pub(super) type SharedCounters = Arc<Counters>;
