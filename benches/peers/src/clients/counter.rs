//! A count that somebody waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use super::Error;

/// A count that one task raises and another waits for. Whoever waits is woken once, not for each step.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    reached: AtomicU64,
    awaited: AtomicU64,
    closed: AtomicBool,
    told: Notify,
}

impl Counter {
    /// One more; gives how many there are.
    pub fn add(&self) -> u64 {
        let reached = self.0.reached.fetch_add(1, Ordering::SeqCst) + 1;
        if reached == self.0.awaited.load(Ordering::SeqCst) {
            self.0.told.notify_one();
        }
        reached
    }

    /// There will be no more.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
        self.0.told.notify_one();
    }

    /// Waits until there are this many.
    ///
    /// # Errors
    /// There will not be.
    pub async fn reach(&self, awaited: u64) -> Result<(), Error> {
        self.0.awaited.store(awaited, Ordering::SeqCst);
        while self.0.reached.load(Ordering::SeqCst) < awaited {
            if self.0.closed.load(Ordering::SeqCst) {
                return Err("the connection ended".into());
            }
            self.0.told.notified().await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_is_told_at_that_count_or_that_it_never_comes() {
        let counter = Counter::default();
        counter.add();
        counter.reach(1).await.unwrap();
        let other = counter.clone();
        let waiting = tokio::spawn(async move { other.reach(3).await.map_err(|error| error.to_string()) });
        tokio::task::yield_now().await;
        counter.add();
        counter.add();
        assert_eq!(waiting.await.unwrap(), Ok(()));
        counter.close();
        assert!(counter.reach(4).await.is_err());
    }
}
