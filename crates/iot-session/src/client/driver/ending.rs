//! Shutting down: what was handed over goes out first.

use iot_transport::Connector;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::link::Closing;
use super::super::outcomes::Leftover;
use super::super::replies::Reply;
use super::super::stats::Status;
use super::Driver;
use crate::stage::{Op, Stage};
use crate::time::Now;

/// A [`Client::close`](super::super::Client::close) under way.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) deadline: Instant,
    replies: Vec<oneshot::Sender<Leftover>>,
}

impl<S: Stage + Send + 'static, C: Connector> Driver<S, C> {
    /// Takes nothing new from now on; the earliest deadline counts.
    pub(super) fn begin_ending(&mut self, deadline: Instant, reply: oneshot::Sender<Leftover>) {
        self.channels.publishes.close();
        self.channels.urgent.close();
        self.channels.requests.close();
        let ending = self.ending.get_or_insert(Ending { deadline, replies: Vec::new() });
        ending.deadline = ending.deadline.min(deadline);
        ending.replies.push(reply);
    }

    /// Leaves once everything is out, nothing more can go out, or the time is over.
    pub(super) fn end(&mut self) -> bool {
        let Some(ending) = &mut self.ending else { return false };
        let now = self.clock.now();
        let handed_over = self.channels.publishes.len().saturating_add(self.channels.urgent.len());
        let gauges = self.machine.gauges();
        let is_out = handed_over == 0
            && self.channels.requests.is_empty()
            && gauges.queued == 0
            && gauges.in_flight == 0;
        let is_hopeless = matches!(
            *self.channels.status.borrow(),
            Status::Idle | Status::Disconnected { retry_in: None, .. }
        );
        if !is_out && !is_hopeless && now.mono < self.clock.nanos(ending.deadline) {
            return false;
        }
        let leftover =
            Leftover { queued: gauges.queued.saturating_add(handed_over), unacknowledged: gauges.in_flight };
        self.ended = ending.replies.drain(..).map(|reply| (leftover, reply)).collect();
        self.ending = None;
        self.leave(now);
        self.tell_disconnected();
        true
    }

    /// The last thing that a driver does: disconnects in order.
    pub(super) fn leave(&mut self, now: Now) {
        self.channels.control.close();
        self.leaving = true;
        let id = self.replies.insert(Reply::Nobody);
        self.machine.handle_op(now, id, Op::Disconnect);
        self.pump(now);
    }

    /// Answers those who wait for the end of a connection, once our last bytes are written.
    pub(super) fn tell_disconnected(&mut self) {
        if self.closing.iter().all(Closing::is_written) {
            for reply in self.disconnecting.drain(..) {
                let _ = reply.send(());
            }
            if self.disk.is_none() {
                self.tell_ended();
            }
        }
    }

    /// Answers those who closed the client: with a disk only once it is let go of, so that it can be opened again.
    pub(super) fn tell_ended(&mut self) {
        for (leftover, reply) in self.ended.drain(..) {
            let _ = reply.send(leftover);
        }
    }
}
