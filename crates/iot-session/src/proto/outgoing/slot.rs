//! What waits for the server's answer under one packet identifier.

use std::num::NonZeroU32;

use mqtt_codec::{QoS, ReasonCode, Text};

use crate::stage::{OpId, PublishOp, Resend};
use crate::time::Nanos;

/// What is waited for.
///
/// A publication belongs to the session and goes this way, over as many connections as it takes:
///
/// ```text
///           QoS 1                     PUBACK
///   issued ───────► Publish ──────────────────────────► answered
///      │    QoS 2             PUBREC, refused              ▲
///      └──────────► Publish ───────────────────────────────┤
///                      │      PUBREC: PUBREL      PUBCOMP  │
///                      └───────────────► Release ──────────┘
/// ```
/// On a connection that takes the session up, `Publish` sends PUBLISH with DUP again, `Release` sends PUBREL again
/// (`[MQTT-4.4.0-1]`).
#[derive(Debug)]
pub(in crate::proto) enum Waiting {
    /// For PUBACK or PUBREC. The message is kept to be sent again on the next connection, or handed back; it has its
    /// packet identifier.
    Publish(PublishOp),
    /// For PUBCOMP: the server has the message, and said this.
    Release {
        /// When PUBREC came: PUBRELs keep its order (`[MQTT-4.6.0-4]`).
        order: u64,
        reason: ReasonCode,
        /// Whether its waiter is never told but by PUBCOMP.
        patient: bool,
    },
    /// For the session's end: a QoS 2 message that was given up. The server may remember its identifier, and would take
    /// another message under it for the same.
    Abandoned,
    /// For its content: an earlier run of the program sent it, and the server may have its identifier.
    Left,
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
    /// Whether it counts as in flight while it is on the link.
    pub(super) fn is_publication(&self) -> bool {
        matches!(self.waiting, Waiting::Publish(_) | Waiting::Release { .. })
    }

    /// Whether its waiter is never told but by the server's answer, or by the session's end.
    pub(super) fn is_patient(&self) -> bool {
        match &self.waiting {
            Waiting::Publish(publish) => publish.resend == Resend::UntilAnswered,
            Waiting::Release { patient, .. } => *patient,
            _ => false,
        }
    }

    /// Whether it ends with its connection.
    pub(super) fn is_request(&self) -> bool {
        matches!(self.waiting, Waiting::Subscribe(_) | Waiting::Unsubscribe)
    }

    /// Its place among what is sent again: PUBRELs first, as they need no room in the window.
    pub(super) fn order(&self) -> (bool, u64) {
        match self.waiting {
            Waiting::Release { order, .. } => (false, order),
            _ => (true, self.seq),
        }
    }

    /// What its waiter is told when it can be answered no more. `None`: nobody waits.
    pub(super) fn ended(self, now: Nanos) -> Option<Ended> {
        let op = self.op?;
        Some(match self.waiting {
            // Sent at QoS 2: issued again under another identifier it might arrive twice.
            Waiting::Publish(publish)
                if publish.resend != Resend::Never && !(self.was_sent && publish.qos == QoS::ExactlyOnce) =>
            {
                // What was sent has waited for a connection once; whether it arrived, nobody can say.
                let ttl = publish.ttl.filter(|_| !self.was_sent).map(|ttl| left(ttl, self.issued, now));
                // The identifier is no one's any more.
                let message = publish.publish.at_most_once();
                Ended::Returned(op, Box::new(PublishOp { publish: message, ttl, ..publish }))
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
