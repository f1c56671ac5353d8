//! Where a client under test puts what it receives.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Counter, Error};
use crate::ledger::{Ledger, Report};
use crate::system::Moment;

/// Where a client under test puts what it receives: every number is accounted for.
#[derive(Debug, Clone, Default)]
pub struct Inbox(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    messages: Counter,
    /// Which messages are a moment to remember, and these moments.
    first: AtomicU64,
    last: AtomicU64,
    book: Mutex<Book>,
    /// What an application does whose client hands it all messages at one place: it looks up whose they are.
    routes: HashMap<String, AtomicU64>,
}

#[derive(Debug, Default)]
struct Book {
    ledger: Ledger,
    moments: [Option<Moment>; 2],
}

impl Inbox {
    /// With a table of these topics, for clients that do not dispatch by themselves.
    pub fn routing(topics: impl Iterator<Item = String>) -> Self {
        let routes = topics.map(|topic| (topic, AtomicU64::new(0))).collect();
        Self(Arc::new(Inner { routes, ..Inner::default() }))
    }

    /// Remembers when the message with this count and the one with that count come.
    pub fn remember(&self, first: u64, last: u64) {
        self.0.first.store(first, Ordering::SeqCst);
        self.0.last.store(last, Ordering::SeqCst);
    }

    /// A message, from a client that knew for which subscription it is.
    pub fn take(&self, payload: &[u8]) {
        let mut book = self.0.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.ledger.enter(payload);
        let count = book.ledger.count();
        if count == self.0.first.load(Ordering::Relaxed) {
            book.moments[0] = Some(Moment::now());
        }
        if count == self.0.last.load(Ordering::Relaxed) {
            book.moments[1] = Some(Moment::now());
        }
        drop(book);
        self.0.messages.add();
    }

    /// A message, from a client that hands over all of them at one place.
    pub fn route(&self, topic: &str, payload: &[u8]) {
        if let Some(count) = self.0.routes.get(topic) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.take(payload);
    }

    /// No more will come.
    pub fn close(&self) {
        self.0.messages.close();
    }

    /// Waits until this many messages are here, those that came again included.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn reach(&self, messages: u64) -> Result<(), Error> {
        self.0.messages.reach(messages).await
    }

    /// What came, and the two moments to remember.
    pub fn report(&self) -> (Report, [Option<Moment>; 2]) {
        let book = self.0.book.lock().unwrap_or_else(PoisonError::into_inner);
        (book.ledger.report(), book.moments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_is_accounted_for_and_two_moments_are_remembered() {
        let inbox = Inbox::routing(["a".to_owned()].into_iter());
        inbox.remember(1, 3);
        for number in [0u64, 1, 1] {
            inbox.route("a", &number.to_be_bytes());
        }
        inbox.reach(3).await.unwrap();
        let (report, [first, last]) = inbox.report();
        assert_eq!((report.messages, report.duplicates, report.end), (2, 1, 2));
        assert!(first.is_some() && last.is_some());
        assert_eq!(inbox.0.routes["a"].load(Ordering::Relaxed), 3);
    }
}
