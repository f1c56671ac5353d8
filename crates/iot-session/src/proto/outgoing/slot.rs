//! What waits for the server's answer under one packet identifier.

use std::num::NonZeroU32;

use mqtt_codec::{QoS, Text};

use crate::stage::{OpId, PublishOp};
use crate::time::Nanos;

/// What is waited for.
#[derive(Debug)]
pub(in crate::proto) enum Waiting {
    /// For PUBACK. The message is kept to be sent again on the next connection, or handed back.
    Publish(PublishOp),
    /// For a SUBACK with this many codes.
    Subscribe(usize),
    /// For UNSUBACK.
    Unsubscribe,
}

#[derive(Debug)]
pub(in crate::proto) struct Slot {
    /// When it was issued, among all.
    pub(super) seq: u64,
    /// Who waits; `None` once they were told otherwise. The identifier stays taken.
    pub(in crate::proto) op: Option<OpId>,
    pub(in crate::proto) waiting: Waiting,
    /// When it was issued.
    pub(super) issued: Nanos,
    /// When it was handed to the present link.
    pub(super) sent: Option<Nanos>,
    /// Whether it was ever handed to a link.
    pub(super) was_sent: bool,
}

/// How an operation ended, or a message was given up, without the server's answer.
#[derive(Debug)]
pub(in crate::proto) enum Ended {
    /// Nobody knows whether it took effect.
    Interrupted(OpId),
    /// Somebody above may issue it again.
    Returned(OpId, Box<PublishOp>),
    /// The server ended the connection too often right after it was sent.
    Poisoned { op: Option<OpId>, topic: Text, strikes: u8 },
}

impl Slot {
    /// What its waiter is told when it can be answered no more. `None`: nobody waits.
    pub(super) fn ended(self, now: Nanos) -> Option<Ended> {
        let op = self.op?;
        Some(match self.waiting {
            // Sent at QoS 2: issued again under another identifier it might arrive twice.
            Waiting::Publish(publish)
                if publish.resend && !(self.was_sent && publish.qos == QoS::ExactlyOnce) =>
            {
                let ttl = publish.ttl.map(|ttl| left(ttl, self.issued, now));
                Ended::Returned(op, Box::new(PublishOp { ttl, ..publish }))
            }
            _ => Ended::Interrupted(op),
        })
    }
}

/// What is left of a time to live; at least a millisecond, so that whoever gets it back says that it is over.
fn left(ttl: NonZeroU32, issued: Nanos, now: Nanos) -> NonZeroU32 {
    let passed = u32::try_from(now.since(issued).as_millis()).unwrap_or(u32::MAX);
    NonZeroU32::new(ttl.get().saturating_sub(passed)).unwrap_or(NonZeroU32::MIN)
}
