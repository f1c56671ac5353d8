//! What the hub and a connection's task share: bytes to be written, and what is to become of the connection.

use std::future::pending;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mqtt_codec::{Codec, Packet, Version};
use tokio::sync::{Notify, watch};

/// How long a connection that is being closed may take to write its last bytes.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// The bytes on their way out of one connection, bounded.
#[derive(Debug)]
pub(super) struct Link {
    outgoing: Mutex<BytesMut>,
    limit: usize,
    wake: Notify,
    phase: watch::Sender<Phase>,
}

/// ```text
/// Running <──> Stalled
///    │            │ close, abort
///    │ close      ▼
///    ├────────> Closing ──> Aborted
///    │ abort                   ▲
///    └─────────────────────────┘
/// ```
/// A stalled connection has no last words: closing it aborts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Stalled,
    Closing,
    Aborted,
}

/// More bytes wait than the limit allows.
#[derive(Debug)]
pub(super) struct Full;

impl Link {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            outgoing: Mutex::new(BytesMut::new()),
            limit,
            wake: Notify::new(),
            phase: watch::Sender::new(Phase::Running),
        }
    }

    /// Appends a packet to what is written next.
    pub(super) fn send(&self, version: Version, packet: &Packet) -> Result<(), Full> {
        let mut outgoing = self.outgoing();
        // What the version cannot carry is not sent. Only a refusal with a code that CONNACK does not know comes
        // here, and it closes the connection anyway.
        let _ = Codec::server_after_connect(version).encode(packet, &mut outgoing);
        let full = outgoing.len() > self.limit;
        drop(outgoing);
        self.wake.notify_one();
        if full { Err(Full) } else { Ok(()) }
    }

    /// Stops reading and writing, or goes on. Without effect once the connection is ending.
    pub(super) fn stall(&self, stalled: bool) {
        self.phase.send_if_modified(|phase| match phase {
            Phase::Running if stalled => {
                *phase = Phase::Stalled;
                true
            }
            Phase::Stalled if !stalled => {
                *phase = Phase::Running;
                true
            }
            _ => false,
        });
    }

    /// Ends the connection once everything is written.
    pub(super) fn close(&self) {
        self.phase.send_modify(|phase| {
            *phase = match *phase {
                Phase::Running | Phase::Closing => Phase::Closing,
                Phase::Stalled | Phase::Aborted => Phase::Aborted,
            };
        });
        self.wake.notify_one();
    }

    /// Ends the connection now.
    pub(super) fn abort(&self) {
        self.phase.send_replace(Phase::Aborted);
        self.wake.notify_one();
    }

    /// Everything to be written, once there is something; `None` when all is written and the connection is to close.
    pub(super) async fn next(&self) -> Option<Bytes> {
        loop {
            self.not_stalled().await;
            let chunk = self.outgoing().split().freeze();
            if !chunk.is_empty() {
                return Some(chunk);
            }
            if *self.phase.borrow() == Phase::Closing {
                return None;
            }
            self.wake.notified().await;
        }
    }

    /// Waits while the connection is stalled.
    pub(super) async fn not_stalled(&self) {
        self.until(|phase| phase != Phase::Stalled).await;
    }

    /// Waits until the connection has to be given up, whatever it is doing.
    pub(super) async fn expired(&self) {
        self.until(|phase| matches!(phase, Phase::Closing | Phase::Aborted)).await;
        if *self.phase.borrow() == Phase::Closing {
            tokio::select! {
                () = self.until(|phase| phase == Phase::Aborted) => {}
                () = tokio::time::sleep(CLOSE_GRACE) => {}
            }
        }
    }

    async fn until(&self, reached: impl Fn(Phase) -> bool) {
        if self.phase.subscribe().wait_for(|phase| reached(*phase)).await.is_err() {
            // The sender is `self`, so this does not happen.
            pending::<()>().await;
        }
    }

    fn outgoing(&self) -> MutexGuard<'_, BytesMut> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_waits_is_bounded_and_leaves_in_one_piece() {
        let link = Link::new(3);
        assert!(link.send(Version::V5, &Packet::PingResp).is_ok());
        assert_eq!(link.next().await.unwrap(), &[0xD0, 0][..]);
        assert!(link.send(Version::V5, &Packet::PingResp).is_ok());
        assert!(link.send(Version::V5, &Packet::PingResp).is_err());
        link.close();
        assert_eq!(link.next().await.unwrap(), &[0xD0, 0, 0xD0, 0][..]);
        assert_eq!(link.next().await, None);
    }

    #[tokio::test]
    async fn a_stalled_link_that_is_closed_is_cut() {
        let link = Link::new(100);
        link.stall(true);
        link.close();
        link.expired().await;
        link.stall(false);
        assert_eq!(*link.phase.borrow(), Phase::Aborted);
    }
}
