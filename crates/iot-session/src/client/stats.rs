//! What the client says about itself.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::notices::Board;
use crate::error::ConnectionError;
use crate::stage::{Connected, Gauges};

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
        /// Why. [`ConnectionError::is_retryable`] says whether trying again can help.
        error: ConnectionError,
        /// How long until the next attempt, counted from the disconnect; `None`: there will be none.
        retry_in: Option<Duration>,
    },
}

impl Status {
    /// Whether the session is up.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self, Self::Connected(_))
    }
}

/// Counters since the client was made, and what is under way at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Messages handed to the session.
    pub published: u64,
    /// Messages that came in.
    pub received: u64,
    /// Messages dropped because a subscriber was slow, once for each subscriber: QoS 0 messages beyond the inbox's
    /// capacity, others that still waited when the session was lost, beyond [`Config::unaccepted`](super::Config).
    pub dropped: u64,
    /// Messages of QoS 1 and 2 that were acknowledged before their subscriber took them, once for each subscriber, because they
    /// waited for longer than [`Config::inbox_timeout`](super::Config::inbox_timeout).
    pub overdue: u64,
    /// Messages that no subscription wanted, once they were given up.
    pub unrouted: u64,
    /// Attempts to connect.
    pub attempts: u64,
    /// Connections that came up.
    pub connections: u64,
    /// Stored messages of an earlier run that were given up ([`Notice::Undelivered`](crate::stage::Notice)).
    pub undelivered: u64,
    /// Handlers that panicked.
    pub handler_panics: u64,
    /// Bytes read from links.
    pub bytes_in: u64,
    /// Bytes written to links.
    pub bytes_out: u64,
    /// Times that the driver task was woken up.
    pub wakeups: u64,
    /// Now: messages that wait for a connection or for their turn, in all layers.
    pub queued: u64,
    /// Now: their size, in bytes.
    pub queued_bytes: u64,
    /// Now: sent messages whose acknowledgement is awaited.
    pub in_flight: u64,
    /// Now: filters that the server has acknowledged.
    pub subscriptions: u64,
    /// From handing a QoS 1 message to the session to its acknowledgement, the last one that was measured: one at a
    /// time is. `None` before the first.
    pub round_trip: Option<Duration>,
    /// The same, smoothed: each measurement moves it by an eighth of the difference.
    pub round_trip_smoothed: Option<Duration>,
}

impl Stats {
    /// How often a connection came up after the first.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.connections.saturating_sub(1)
    }
}

macro_rules! counters {
    ($($name:ident),*) => {
        /// The counters, shared between driver and handle.
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Counter,)*
            round_trip: Counter,
            round_trip_smoothed: Counter,
        }

        impl Counters {
            pub(super) fn snapshot(&self) -> Stats {
                Stats {
                    $($name: self.$name.value(),)*
                    round_trip: self.round_trip.duration(),
                    round_trip_smoothed: self.round_trip_smoothed.duration(),
                }
            }
        }
    };
}
counters!(
    published,
    received,
    dropped,
    overdue,
    unrouted,
    attempts,
    connections,
    undelivered,
    handler_panics,
    bytes_in,
    bytes_out,
    wakeups,
    queued,
    queued_bytes,
    in_flight,
    subscriptions
);

impl Counters {
    pub(super) fn store(&self, gauges: Gauges) {
        self.queued.set(gauges.queued as u64);
        self.queued_bytes.set(gauges.queued_bytes as u64);
        self.in_flight.set(gauges.in_flight as u64);
        self.subscriptions.set(gauges.subscriptions as u64);
    }

    /// A round trip was measured.
    pub(super) fn measured(&self, round_trip: Duration) {
        // 0 is for none.
        let sample = u64::try_from(round_trip.as_nanos()).unwrap_or(u64::MAX).max(1);
        let smoothed = match self.round_trip_smoothed.value() {
            0 => sample,
            before => before.saturating_sub(before / 8).saturating_add(sample / 8).max(1),
        };
        self.round_trip.set(sample);
        self.round_trip_smoothed.set(smoothed);
    }
}

/// One number. The driver alone sets and measures; anybody may count.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn duration(&self) -> Option<Duration> {
        Some(self.value()).filter(|nanos| *nanos > 0).map(Duration::from_nanos)
    }
}

/// What driver, handles and handlers share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) counters: Counters,
    pub(super) board: Board,
    /// Numbers subscriptions.
    pub(super) tickets: AtomicU64,
    /// Whether there is a store for messages.
    pub(super) has_disk: AtomicBool,
}
