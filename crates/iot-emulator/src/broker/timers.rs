//! Deadlines, one for each thing that can be due.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mqtt_codec::Text;

use super::ConnectionId;

/// What can be due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// CONNECT has not come, or the keep-alive has passed.
    Silence(ConnectionId),
    /// A will's delay has passed. Before the session's end, which would publish it too.
    Will(Text),
    /// A session has been without a connection for its expiry interval.
    SessionEnd(Text),
}

/// Deadlines by what they belong to, and in the order of time.
#[derive(Debug, Default)]
pub(super) struct Timers {
    at: BTreeMap<Timer, Duration>,
    order: BTreeSet<(Duration, Timer)>,
}

impl Timers {
    /// Sets or moves a deadline.
    pub(super) fn set(&mut self, timer: Timer, at: Duration) {
        self.clear(&timer);
        self.order.insert((at, timer.clone()));
        self.at.insert(timer, at);
    }

    pub(super) fn clear(&mut self, timer: &Timer) {
        if let Some((timer, at)) = self.at.remove_entry(timer) {
            self.order.remove(&(at, timer));
        }
    }

    /// The next deadline.
    pub(super) fn next(&self) -> Option<Duration> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the next one that is due.
    pub(super) fn pop(&mut self, now: Duration) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        let (_, timer) = self.order.pop_first()?;
        self.at.remove(&timer);
        Some(timer)
    }
}
