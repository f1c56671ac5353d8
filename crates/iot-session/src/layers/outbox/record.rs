//! What an entry of the outbox looks like on disk.
//!
//! ```text
//!   0      1       2            6                 14
//!   ┌──────┬───────┬────────────┬─────────────────┬──────────────────────────────────────┐
//!   │ form │ flags │ ttl, in ms │ written, in ms  │ PUBLISH as MQTT 5 has it on the wire │
//!   │  1   │       │ 0: none    │ of Unix, 0: ?   │                                      │
//!   └──────┴───────┴────────────┴─────────────────┴──────────────────────────────────────┘
//! ```
//! Numbers are big-endian. The packet is of MQTT 5 whatever the connection speaks, since that can carry everything; it
//! is read as strictly as if a server had sent it.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use mqtt_codec::{Codec, Limits, Packet, PacketId, QoS, Version};

use crate::error::OpError;
use crate::stage::{PublishOp, Resend, StoreError, StoreErrorKind};
use crate::time::UnixMillis;

/// The form that is written.
const FORM: u8 = 1;
/// Flag: it may be issued again in another session.
const RESEND: u8 = 1;
/// Bytes in front of the packet.
const HEADER: usize = 14;

/// An entry as it was read.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) op: PublishOp,
    /// When it was written, if the device knew.
    pub(crate) written: Option<UnixMillis>,
}

impl Record {
    /// How long it may wait in all: its time to live or the lifetime that it has for the server.
    pub(super) fn limit(&self) -> Option<Duration> {
        let ttl = self.op.ttl.map(|ttl| Duration::from_millis(ttl.get().into()));
        let lifetime = self.op.publish.properties().message_expiry_interval();
        let lifetime = lifetime.map(|seconds| Duration::from_secs(seconds.into()));
        [ttl, lifetime].into_iter().flatten().min()
    }
}

/// An entry as it is written.
pub(crate) fn encode(op: &PublishOp, written: Option<UnixMillis>) -> Result<Bytes, OpError> {
    let publish = op.publish.clone().with_dup(false);
    // The identifier is not kept: any will do.
    let packet = Packet::Publish(match (op.qos, PacketId::new(1)) {
        (QoS::AtLeastOnce, Some(id)) => publish.at_least_once(id),
        (QoS::ExactlyOnce, Some(id)) => publish.exactly_once(id),
        _ => publish.at_most_once(),
    });
    let codec = codec();
    let mut record = BytesMut::with_capacity(HEADER.saturating_add(codec.encoded_len(&packet)?));
    record.put_u8(FORM);
    record.put_u8(if op.resend == Resend::Never { 0 } else { RESEND });
    record.put_u32(op.ttl.map_or(0, NonZeroU32::get));
    record.put_u64(written.map_or(0, |at| at.0));
    codec.encode(&packet, &mut record)?;
    Ok(record.freeze())
}

/// What was written.
///
/// # Errors
/// It was not written by [`encode`], or not by this version of it.
pub(crate) fn decode(record: &Bytes) -> Result<Record, StoreError> {
    let damaged = |what: &str| {
        StoreError::new(StoreErrorKind::Corrupted, format!("an entry of the outbox is damaged: {what}"))
    };
    let mut rest = record.clone();
    let (Ok(form), Ok(flags), Ok(ttl), Ok(written)) =
        (rest.try_get_u8(), rest.try_get_u8(), rest.try_get_u32(), rest.try_get_u64())
    else {
        return Err(damaged("it ends within its header"));
    };
    if form > FORM {
        let message = format!(
            "an entry of the outbox has the form {form}, which a newer version of this program wrote: use that one"
        );
        return Err(StoreError::new(StoreErrorKind::Newer, message));
    }
    if form != FORM || flags & !RESEND != 0 {
        return Err(damaged("its header says what no version writes"));
    }
    let mut packet = BytesMut::from(rest);
    let publish = match codec().decode(&mut packet) {
        Ok(Some(Packet::Publish(publish))) if packet.is_empty() => publish,
        Ok(Some(_)) => return Err(damaged("it holds more than a PUBLISH, or something else")),
        Ok(None) => return Err(damaged("its PUBLISH is cut off")),
        Err(error) => return Err(damaged(&error.to_string())),
    };
    let qos = publish.qos();
    let op = PublishOp {
        resend: if flags & RESEND == 0 { Resend::Never } else { Resend::OtherSession },
        ttl: NonZeroU32::new(ttl),
        ..PublishOp::new(publish.at_most_once(), qos)
    };
    Ok(Record { op, written: Some(UnixMillis(written)).filter(|at| at.0 > 0) })
}

/// Takes what either side may send, of any size.
fn codec() -> Codec {
    Codec::observer(Version::V5).with_limits(Limits::with_max_packet_size(u32::MAX))
}
