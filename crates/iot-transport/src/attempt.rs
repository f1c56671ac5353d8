//! One try at a connection: what bounds it and how far it has come.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// One try at a connection: its number, the deadline that all of its phases share, and the phase it has
/// reached.
///
/// Clones share the phase, so a clone kept by whoever started the attempt tells, from any task, where it
/// hangs:
///
/// ```
/// use std::time::Duration;
/// use iot_transport::{Attempt, Phase};
///
/// let attempt = Attempt::within(1, Duration::from_secs(30));
/// let seen_elsewhere = attempt.clone();
/// attempt.enter(Phase::Tls); // a connector does this
/// assert_eq!(seen_elsewhere.phase(), Phase::Tls);
/// assert_eq!(seen_elsewhere.phase().to_string(), "TLS handshake");
/// ```
#[derive(Clone, Debug)]
pub struct Attempt {
    number: u64,
    deadline: Instant,
    phase: Arc<AtomicU8>,
}

impl Attempt {
    /// The attempt with this number (the first is 1), which has to end by `deadline`. It starts in
    /// [`Phase::Resolve`].
    #[must_use]
    pub fn new(number: u64, deadline: Instant) -> Self {
        Self { number, deadline, phase: Arc::new(AtomicU8::new(Phase::Resolve as u8)) }
    }

    /// The attempt with this number (the first is 1), which has to end within `limit` from now.
    ///
    /// Time is tokio's, so that a paused clock in a test holds here too. A limit too large for the clock to
    /// add means thirty years.
    #[must_use]
    pub fn within(number: u64, limit: Duration) -> Self {
        const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
        let now = now();
        Self::new(number, now.checked_add(limit).unwrap_or_else(|| now + FAR))
    }

    /// Which try this is; the first is 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// When every phase has to be over.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The time left until the deadline; zero once it has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(now())
    }

    /// Notes that a phase begins. Connectors call this; all clones see it.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// The phase that was entered last.
    #[must_use]
    pub fn phase(&self) -> Phase {
        Phase::from_u8(self.phase.load(Ordering::Relaxed))
    }
}

/// What a connection attempt is busy with.
///
/// `Display` gives the words used in errors: "name resolution", "TCP connection", "proxy tunnel", "TLS
/// handshake", "WebSocket upgrade", "credential lookup".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Phase {
    /// Looking up the addresses of a host name.
    Resolve = 0,
    /// Opening a TCP connection.
    Tcp = 1,
    /// Asking a proxy for a tunnel.
    Proxy = 2,
    /// Setting up TLS, from reading the certificates to the end of the handshake.
    Tls = 3,
    /// Turning an HTTP connection into a WebSocket.
    Upgrade = 4,
    /// Looking up the credentials that the next phases present.
    Credentials = 5,
}

impl Phase {
    fn from_u8(value: u8) -> Self {
        match value {
            1 => Self::Tcp,
            2 => Self::Proxy,
            3 => Self::Tls,
            4 => Self::Upgrade,
            5 => Self::Credentials,
            _ => Self::Resolve,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "name resolution",
            Self::Tcp => "TCP connection",
            Self::Proxy => "proxy tunnel",
            Self::Tls => "TLS handshake",
            Self::Upgrade => "WebSocket upgrade",
            Self::Credentials => "credential lookup",
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "the deadline of an attempt is measured here and nowhere else")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_left_runs_down_to_zero_and_stays_there() {
        let attempt = Attempt::within(3, Duration::from_secs(2));
        assert_eq!((attempt.number(), attempt.remaining()), (3, Duration::from_secs(2)));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(attempt.remaining(), Duration::from_millis(1500));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(attempt.remaining(), Duration::ZERO);
    }

    #[test]
    fn a_limit_without_end_is_no_panic() {
        assert!(Attempt::within(1, Duration::MAX).remaining() > Duration::from_secs(1_000_000));
    }

    #[test]
    fn every_phase_survives_the_way_through_the_shared_cell() {
        let attempt = Attempt::within(1, Duration::ZERO);
        assert_eq!(attempt.phase(), Phase::Resolve);
        for phase in
            [Phase::Resolve, Phase::Tcp, Phase::Proxy, Phase::Tls, Phase::Upgrade, Phase::Credentials]
        {
            attempt.enter(phase);
            assert_eq!(attempt.clone().phase(), phase);
        }
    }
}
