//! Between the driver and the disk.

use std::task::{Context, Poll};

use tokio::sync::mpsc;

use crate::stage::{StoreOp, Stored};

/// Both ends of the way between a driver and what carries out its wishes. Neither end ever blocks; the stage that wishes
/// bounds what is under way.
#[must_use]
pub fn channel() -> (Disk, DiskServer) {
    let (ops, wishes) = mpsc::unbounded_channel();
    let (answers, told) = mpsc::unbounded_channel();
    (Disk { ops: Some(ops), answers: told }, DiskServer { ops: wishes, answers })
}

/// The driver's end: wishes go in, answers come out.
#[derive(Debug)]
pub struct Disk {
    ops: Option<mpsc::UnboundedSender<StoreOp>>,
    answers: mpsc::UnboundedReceiver<Stored>,
}

impl Disk {
    /// Asks for this. If the other end is gone, or after [`close`](Self::close), nothing comes of it.
    pub fn send(&mut self, op: StoreOp) {
        if let Some(ops) = &self.ops {
            let _ = ops.send(op);
        }
    }

    /// The next answer; `None`: the other end is gone, and there are no more.
    pub fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Option<Stored>> {
        self.answers.poll_recv(context)
    }

    /// Asks for nothing more: the other end finishes what it was asked for, and goes.
    pub fn close(&mut self) {
        self.ops = None;
    }

    /// Whether nothing more is asked for.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.ops.is_none()
    }
}

/// The disk's end: wishes come out, answers go in.
#[derive(Debug)]
pub struct DiskServer {
    ops: mpsc::UnboundedReceiver<StoreOp>,
    answers: mpsc::UnboundedSender<Stored>,
}

impl DiskServer {
    /// The next wish; `None`: the driver is gone or has closed its end, and there are no more. Cancelling loses nothing.
    pub async fn next(&mut self) -> Option<StoreOp> {
        self.ops.recv().await
    }

    /// The next wish, if there is one now.
    pub fn try_next(&mut self) -> Option<StoreOp> {
        self.ops.try_recv().ok()
    }

    /// Answers. If the driver is gone, nobody hears it.
    pub fn answer(&mut self, stored: Stored) {
        let _ = self.answers.send(stored);
    }
}
