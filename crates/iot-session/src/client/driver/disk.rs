//! The store that the stack wishes: what it is asked for, what it says.

use std::task::{Context, Poll};

use iot_transport::Connector;

use super::{BATCH, Driver};
use crate::stage::{Stage, StoreError, StoreErrorKind, StoreOp, Stored};
use crate::time::Now;

impl<S: Stage + Send + 'static, C: Connector> Driver<S, C> {
    pub(super) fn store(&mut self, now: Now, op: StoreOp) {
        match &mut self.disk {
            Some(disk) => disk.send(op),
            None => {
                let error = StoreError::new(
                    StoreErrorKind::Io,
                    "there is no disk for the messages that are to be kept",
                );
                self.machine.handle_stored(now, Stored::Closed(error));
            }
        }
    }

    /// Takes what the disk says.
    pub(super) fn stored(&mut self, context: &mut Context<'_>) -> bool {
        let mut progress = false;
        for _ in 0..BATCH {
            let Some(disk) = self.disk.as_mut().filter(|disk| !disk.is_closed()) else { break };
            let Poll::Ready(answer) = disk.poll_answer(context) else { break };
            progress = true;
            let now = self.clock.now();
            let stored = answer.unwrap_or_else(|| {
                self.disk = None;
                let message = "what writes the messages to disk has ended: it panicked, perhaps";
                Stored::Closed(StoreError::new(StoreErrorKind::Io, message))
            });
            self.machine.handle_stored(now, stored);
            self.pump(now);
        }
        progress
    }

    /// At the end: waits until everything that was asked for is done and the disk is let go of.
    pub(super) fn leave_disk(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(disk) = &mut self.disk else { return Poll::Ready(()) };
        disk.close();
        loop {
            match disk.poll_answer(context) {
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) => {
                    self.disk = None;
                    self.tell_ended();
                    return Poll::Ready(());
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
