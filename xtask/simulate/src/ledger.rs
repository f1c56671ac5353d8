//! What the application asked for, and what it was told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iot_session::{Delivery, OpError};
use mqtt_codec::QoS;

/// What became of a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// QoS 0: sent.
    Sent,
    /// Acknowledged.
    Acked,
    /// It was not sent, says the error.
    NotSent(String),
    /// It could not be written to disk.
    NotStored,
    /// It was given up after it was sent, or nobody knows.
    Unknown(String),
    /// The publisher gave up before the message was handed over.
    Cancelled,
    /// The client is closed: the process ended.
    Closed,
}

impl End {
    /// Of the outcome.
    #[must_use]
    pub fn of(outcome: &Result<Delivery, OpError>) -> Self {
        match outcome {
            Ok(Delivery::Sent) => Self::Sent,
            Ok(_) => Self::Acked,
            Err(OpError::Store(_)) => Self::NotStored,
            Err(OpError::Closed) => Self::Closed,
            Err(
                error @ (OpError::Offline
                | OpError::Busy
                | OpError::Dropped(_)
                | OpError::Invalid(_)
                | OpError::Topic(_)
                | OpError::Unsupported(_)),
            ) => Self::NotSent(error.to_string()),
            Err(error) => Self::Unknown(error.to_string()),
        }
    }
}

/// A publish.
#[derive(Debug, Clone)]
pub struct Published {
    /// Where to; each topic has one quality of service.
    pub topic: String,
    /// Its quality of service.
    pub qos: QoS,
    /// Which run of the process.
    pub run: u64,
    /// The client took it.
    pub taken: bool,
    /// Its publisher was told that it is on disk.
    pub stored: bool,
    /// How often it ended, which is to be once.
    pub ends: Vec<End>,
    /// It may go past what waits.
    pub overtakes: bool,
}

/// A message to the application.
#[derive(Debug, Clone)]
pub struct Received {
    /// The subscription that it came to.
    pub stream: u64,
    /// Its number.
    pub number: u64,
    /// Its quality of service.
    pub qos: QoS,
    /// Which run of the process.
    pub run: u64,
}

/// The state of a subscription of the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The call has not returned.
    Asked,
    /// Messages come.
    Granted(QoS),
    /// It is over: refused, dropped, unsubscribed, given up.
    Over(String),
}

/// One subscription.
#[derive(Debug, Clone)]
pub struct Subscribed {
    /// Its filter.
    pub filter: String,
    /// Which run of the process.
    pub run: u64,
    /// How it stands.
    pub state: Wanted,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Book {
    /// By number, in the order of publishing.
    pub published: BTreeMap<u64, Published>,
    /// In order.
    pub received: Vec<Received>,
    /// By number of the stream.
    pub subscribed: BTreeMap<u64, Subscribed>,
    /// Notices of messages of earlier runs that were given up.
    pub undelivered: u64,
    /// Calls that have not returned: what they are.
    pub open: BTreeMap<u64, String>,
    next: u64,
}

/// Shared by the tasks of a run.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Book>>);

impl Ledger {
    /// The book.
    pub fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins.
    #[must_use]
    pub fn open(&self, what: String) -> u64 {
        let mut book = self.lock();
        book.next += 1;
        let number = book.next;
        book.open.insert(number, what);
        number
    }

    /// It has returned.
    pub fn close(&self, number: u64) {
        self.lock().open.remove(&number);
    }

    /// A publish begins; its number.
    #[must_use]
    pub fn publish(&self, topic: String, qos: QoS, run: u64, overtakes: bool) -> u64 {
        let mut book = self.lock();
        book.next += 1;
        let number = book.next;
        let published =
            Published { topic, qos, run, taken: false, stored: false, ends: Vec::new(), overtakes };
        book.published.insert(number, published);
        number
    }

    /// Changes a publish.
    pub fn note(&self, number: u64, note: impl FnOnce(&mut Published)) {
        if let Some(published) = self.lock().published.get_mut(&number) {
            note(published);
        }
    }

    /// Changes a subscription.
    pub fn subscription(&self, number: u64, state: Wanted) {
        if let Some(subscribed) = self.lock().subscribed.get_mut(&number)
            && !matches!(subscribed.state, Wanted::Over(_))
        {
            subscribed.state = state;
        }
    }
}
