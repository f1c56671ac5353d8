//! Finding the message for which the server ends the connection.

use std::num::NonZeroU8;
use std::time::Duration;

use mqtt_codec::{QoS, Text};

use super::Fate;
use super::slot::{Ended, Slot, Waiting};
use crate::time::Nanos;

/// A server that does not allow a message may have no words for that but ending the connection: every MQTT 3.1.1 server,
/// and AWS IoT Core in both versions. Sent again on the next connection, the message ends that one, too, for ever.
///
/// Each unacknowledged message gets a strike when the server ends the connection soon after it was sent. Many get one
/// for the fault of another, so the last strike is given to nobody in company:
///
/// ```text
///   strikes:   0 ──► 1 ──► … ──► limit - 1: from now on it goes alone ──► limit: poisoned
/// ```
/// What was sent longer ago is no company: it gets no strike any more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Containment {
    /// How many strikes are too many; `None`: no number is.
    pub(super) limit: Option<NonZeroU8>,
    /// How soon after it was sent the end of the connection may be a message's fault.
    pub(super) soon: Duration,
}

impl Containment {
    /// Whether a message with these strikes may be on the link only when nothing else is.
    pub(super) fn goes_alone(self, strikes: u8) -> bool {
        self.limit.is_some_and(|limit| strikes.saturating_add(1) >= limit.get())
    }

    /// The server ended the connection: a strike for what was sent shortly before. Whether it was one too many.
    pub(super) fn strike(self, now: Nanos, slot: &mut Slot) -> bool {
        match (&mut slot.waiting, slot.sent) {
            (Waiting::Publish(publish), Some(sent)) if now.since(sent) < self.soon => {
                publish.strikes = publish.strikes.saturating_add(1);
                self.limit.is_some_and(|limit| publish.strikes >= limit.get())
            }
            _ => false,
        }
    }
}

/// What becomes of a message with too many strikes.
pub(super) fn poisoned(slot: &mut Slot, session_lives: bool) -> Fate {
    let op = slot.op.take();
    let Waiting::Publish(publish) = &slot.waiting else { return Fate::Ends(None) };
    // A topic is a text.
    let topic = Text::try_from(publish.publish.topic()).unwrap_or_default();
    let told = Some(Ended::Poisoned { op, topic, strikes: publish.strikes });
    if session_lives && publish.qos == QoS::ExactlyOnce {
        slot.waiting = Waiting::Abandoned;
        return Fate::Stays(told);
    }
    Fate::Ends(told)
}
