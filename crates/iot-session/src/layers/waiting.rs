//! A message that a layer keeps for a while.

use std::num::NonZeroU32;
use std::time::Duration;

use mqtt_codec::packet::Publish;
use mqtt_codec::{EncodeError, Properties, Property};

use crate::stage::{OpId, PublishOp};
use crate::time::Nanos;

/// A message that waits, and since when.
#[derive(Debug)]
pub(super) struct Waiting {
    id: OpId,
    op: PublishOp,
    since: Nanos,
    /// How long it had waited before.
    age: Duration,
}

impl Waiting {
    pub(super) fn new(now: Nanos, id: OpId, op: PublishOp) -> Self {
        Self { id, op, since: now, age: Duration::ZERO }
    }

    /// With what it has waited before, in an earlier run of the program perhaps.
    pub(super) fn aged(self, age: Duration) -> Self {
        Self { age, ..self }
    }

    pub(super) fn id(&self) -> OpId {
        self.id
    }

    pub(super) fn op(&self) -> &PublishOp {
        &self.op
    }

    /// What it is charged: topic, properties and payload.
    pub(super) fn size(&self) -> usize {
        size(&self.op.publish)
    }

    /// When its time to live is over.
    pub(super) fn time_to_live(&self) -> Option<Nanos> {
        self.op.ttl.map(|ttl| self.in_time(Duration::from_millis(ttl.get().into())))
    }

    /// When it may not wait any longer: its time to live is over, or the lifetime that it has for the server, too
    /// (section 3.3.2.3.3 of MQTT 5).
    pub(super) fn expiry(&self) -> Option<Nanos> {
        let lifetime = self.op.publish.properties().message_expiry_interval();
        let lifetime = lifetime.map(|seconds| self.in_time(Duration::from_secs(seconds.into())));
        [self.time_to_live(), lifetime].into_iter().flatten().min()
    }

    fn in_time(&self, time: Duration) -> Nanos {
        self.since.after(time.saturating_sub(self.age))
    }

    /// On memory of its own if it is small: a payload of a few bytes may be part of a large buffer, which it would keep
    /// alive without being charged for it.
    pub(super) fn detached(mut self) -> Self {
        if self.size() <= DETACHED {
            self.op.publish = self.op.publish.detach();
        }
        self
    }

    /// The message with what is left of its time: at least a millisecond, at least a second.
    pub(super) fn let_go(self, now: Nanos) -> (OpId, PublishOp) {
        let waited = now.since(self.since).saturating_add(self.age);
        let Self { id, mut op, .. } = self;
        op.ttl = op.ttl.map(|ttl| {
            let left = Duration::from_millis(ttl.get().into()).saturating_sub(waited);
            let millis = left.as_nanos().div_ceil(1_000_000);
            u32::try_from(millis).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
        });
        let seconds = u32::try_from(waited.as_secs()).unwrap_or(u32::MAX);
        if seconds > 0
            && let Some(lifetime) = op.publish.properties().message_expiry_interval()
            && let Ok(publish) = with_lifetime(&op.publish, lifetime.saturating_sub(seconds).max(1))
        {
            op.publish = publish;
        }
        (id, op)
    }
}

/// Messages up to this size are copied when they wait: an eighth of what one read from the network may bring, so that what is
/// kept never holds more than eight times the memory that it is charged.
const DETACHED: usize = 8 * 1024;

/// Topic, properties and payload, in bytes.
pub(super) fn size(publish: &Publish) -> usize {
    // Most have no properties, and then nothing is shared to look at them.
    let properties = match publish.properties().is_empty() {
        true => 0,
        false => publish.properties_bytes().as_bytes().len(),
    };
    publish.topic_bytes().len().saturating_add(properties).saturating_add(publish.payload().len())
}

/// The message with another Message Expiry Interval in the place of its own.
fn with_lifetime(publish: &Publish, seconds: u32) -> Result<Publish, EncodeError> {
    let properties = publish.properties().iter().try_fold(Properties::new(), |properties, property| {
        properties.with(match property {
            Property::MessageExpiryInterval(_) => Property::MessageExpiryInterval(seconds),
            property => property,
        })
    })?;
    publish.clone().with_properties(&properties)
}
