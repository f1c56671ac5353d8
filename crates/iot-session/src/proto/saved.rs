//! What is kept of a session, so that the next run of the program can take it up.
//!
//! ```text
//!   form 1 │ flags │ client id │ n × (id, entry, answered?, reason) │ n × id   │ n × filter
//!          │       │           │ messages to the server             │ messages │ subscriptions
//!          │       │           │                                    │ from it  │
//! ```
//! Numbers are big-endian; a text has its length in two bytes before it, a list its count, of the filters in four bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use mqtt_codec::{PacketId, ReasonCode, Text, TopicFilter};

use crate::stage::{EntryId, StoreError, StoreErrorKind};

/// The form that is written.
const FORM: u8 = 1;
/// Flag: a CONNECT was sent whose answer never came.
const DOUBTFUL: u8 = 1;
/// Bytes of a message to the server.
const SENT: usize = 12;

/// What a program has to know of its session when it was restarted: which packet identifiers the server may know, and what for.
/// [`Engine::keeping`](super::Engine::keeping) takes it up.
///
/// ```
/// use iot_session::proto::SavedSession;
///
/// let saved = SavedSession::default();
/// assert!(saved.client_id().is_none());
/// assert_eq!(SavedSession::decode(&saved.encode())?, saved);
/// # Ok::<(), iot_session::stage::StoreError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SavedSession {
    /// `None`: there is no session.
    pub(super) client_id: Option<Text>,
    pub(super) doubtful: bool,
    /// In the order in which they are to be sent again.
    pub(super) outgoing: Vec<Sent>,
    /// QoS 2 messages that were taken and answered by PUBREC.
    pub(super) incoming: Vec<PacketId>,
    pub(super) filters: Vec<TopicFilter>,
}

/// A QoS 2 message that the server knows, or knew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    /// `None`: it is settled, completed if PUBREC had come, else lost with its session.
    pub(super) id: Option<PacketId>,
    /// Where its content is; `None`: nowhere, it is given up.
    pub(super) entry: Option<EntryId>,
    /// What PUBREC said.
    pub(super) released: Option<ReasonCode>,
}

impl SavedSession {
    /// Whose session it is; `None`: there is none.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_ref().map(Text::as_str)
    }

    /// What the server had granted when this was written, in alphabetical order. The server goes on sending what they match.
    #[must_use]
    pub fn filters(&self) -> &[TopicFilter] {
        &self.filters
    }

    /// How many QoS 2 messages were under way to the server, and how many from it.
    #[must_use]
    pub fn in_flight(&self) -> (usize, usize) {
        (self.outgoing.len(), self.incoming.len())
    }

    /// What is left of it for another client: what became of the messages is not known.
    pub(super) fn abandoned(self) -> Self {
        let lost =
            |sent: Sent| Sent { id: None, released: sent.released.filter(|_| sent.id.is_none()), ..sent };
        let outgoing = self.outgoing.into_iter().filter(|sent| sent.entry.is_some()).map(lost).collect();
        Self { outgoing, ..Self::default() }
    }

    /// Without what was settled and has left the store. What has left it and is not settled is given up.
    pub(crate) fn with_entries(mut self, exists: impl Fn(EntryId) -> bool) -> Self {
        for sent in &mut self.outgoing {
            sent.entry = sent.entry.filter(|entry| exists(*entry));
        }
        self.outgoing.retain(|sent| sent.id.is_some() || sent.entry.is_some());
        self
    }

    /// Where the contents of the QoS 2 messages are that were sent.
    pub(crate) fn entries(&self) -> impl Iterator<Item = EntryId> {
        self.outgoing.iter().filter_map(|sent| sent.entry)
    }

    /// As it is written.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut record = BytesMut::new();
        record.put_u8(FORM);
        record.put_u8(if self.doubtful { DOUBTFUL } else { 0 });
        put_text(&mut record, self.client_id().unwrap_or_default());
        record.put_u32(u32::try_from(self.outgoing.len()).unwrap_or(u32::MAX));
        for sent in &self.outgoing {
            record.put_u16(sent.id.map_or(0, PacketId::value));
            record.put_u64(sent.entry.unwrap_or(EntryId::SESSION).0);
            record.put_u8(u8::from(sent.released.is_some()));
            record.put_u8(sent.released.unwrap_or_default().code());
        }
        // There are 65,535 packet identifiers.
        record.put_u16(u16::try_from(self.incoming.len()).unwrap_or(u16::MAX));
        for id in self.incoming.iter().take(u16::MAX.into()) {
            record.put_u16(id.value());
        }
        record.put_u32(u32::try_from(self.filters.len()).unwrap_or(u32::MAX));
        for filter in &self.filters {
            put_text(&mut record, filter.as_str());
        }
        record.freeze()
    }

    /// What was written.
    ///
    /// # Errors
    /// [`Newer`](StoreErrorKind::Newer): a newer version of this crate wrote it. [`Corrupted`](StoreErrorKind::Corrupted): nobody did.
    pub fn decode(record: &Bytes) -> Result<Self, StoreError> {
        let mut rest = record.clone();
        match rest.try_get_u8() {
            Ok(FORM) => {}
            Ok(form) if form > FORM => {
                let message = format!(
                    "what is kept of the session has the form {form}, which a newer version of this program wrote: use that one"
                );
                return Err(StoreError::new(StoreErrorKind::Newer, message));
            }
            _ => return Err(damaged()),
        }
        Self::body(&mut rest).filter(|_| rest.is_empty()).ok_or_else(damaged)
    }

    fn body(rest: &mut Bytes) -> Option<Self> {
        let flags = rest.try_get_u8().ok().filter(|flags| flags & !DOUBTFUL == 0)?;
        let client_id = Some(text(rest)?).filter(|id| !id.is_empty());
        let mut saved = Self { client_id, doubtful: flags & DOUBTFUL != 0, ..Self::default() };
        let mut taken = std::collections::HashSet::new();
        for _ in 0..rest.try_get_u32().ok()? {
            if rest.len() < SENT {
                return None;
            }
            let id = PacketId::new(rest.get_u16());
            if id.is_some_and(|id| !taken.insert(id)) {
                return None;
            }
            let entry = Some(EntryId(rest.get_u64())).filter(|entry| *entry != EntryId::SESSION);
            let is_released = rest.get_u8();
            let reason = ReasonCode::from_u8(rest.get_u8())?;
            let released = match is_released {
                0 if reason == ReasonCode::default() => None,
                1 => Some(reason),
                _ => return None,
            };
            saved.outgoing.push(Sent { id, entry, released });
        }
        taken.clear();
        for _ in 0..rest.try_get_u16().ok()? {
            let id = PacketId::new(rest.try_get_u16().ok()?).filter(|id| taken.insert(*id))?;
            saved.incoming.push(id);
        }
        for _ in 0..rest.try_get_u32().ok()? {
            saved.filters.push(TopicFilter::try_from(text(rest)?.as_str()).ok()?);
        }
        Some(saved)
    }
}

fn damaged() -> StoreError {
    StoreError::new(
        StoreErrorKind::Corrupted,
        "what is kept of the session is damaged: it is taken as if nothing were known of it",
    )
}

fn put_text(record: &mut BytesMut, text: &str) {
    // As long as a text of MQTT may be.
    record.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
    record.put_slice(text.as_bytes().get(..text.len().min(u16::MAX.into())).unwrap_or_default());
}

fn text(rest: &mut Bytes) -> Option<Text> {
    let len = usize::from(rest.try_get_u16().ok()?);
    if rest.len() < len {
        return None;
    }
    Text::new(rest.split_to(len)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> SavedSession {
        let id = |n| PacketId::new(n).unwrap();
        SavedSession {
            client_id: Some(Text::try_from("device").unwrap()),
            doubtful: true,
            outgoing: vec![
                Sent {
                    id: Some(id(9)),
                    entry: Some(EntryId(4)),
                    released: Some(ReasonCode::NoMatchingSubscribers),
                },
                Sent { id: Some(id(1)), entry: Some(EntryId(7)), released: None },
                Sent { id: Some(id(2)), entry: None, released: None },
                Sent { id: None, entry: Some(EntryId(8)), released: None },
                Sent { id: None, entry: Some(EntryId(9)), released: Some(ReasonCode::Success) },
            ],
            incoming: vec![id(1), id(65_535)],
            filters: vec![TopicFilter::try_from("a/+").unwrap(), TopicFilter::try_from("b/#").unwrap()],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for saved in [SavedSession::default(), full()] {
            assert_eq!(SavedSession::decode(&saved.encode()).unwrap(), saved);
        }
    }

    #[test]
    fn a_record_that_is_cut_off_or_goes_on_or_is_newer_is_none() {
        let record = full().encode();
        for len in 0..record.len() {
            let error = SavedSession::decode(&record.slice(..len)).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Corrupted, "of {len} bytes");
        }
        let mut longer = BytesMut::from(record.as_ref());
        longer.put_u8(0);
        assert_eq!(SavedSession::decode(&longer.freeze()).unwrap_err().kind(), StoreErrorKind::Corrupted);
        for (form, kind) in [(FORM + 1, StoreErrorKind::Newer), (FORM - 1, StoreErrorKind::Corrupted)] {
            let mut other = BytesMut::from(record.as_ref());
            other[0] = form;
            assert_eq!(SavedSession::decode(&other.freeze()).unwrap_err().kind(), kind);
        }
    }

    #[test]
    fn an_identifier_that_is_zero_or_comes_twice_is_damage() {
        let id = |n| PacketId::new(n).unwrap();
        let mut twice = full();
        twice.incoming = vec![id(3), id(3)];
        assert!(SavedSession::decode(&twice.encode()).is_err());
        twice = full();
        twice.outgoing[0].id = Some(id(1));
        assert!(SavedSession::decode(&twice.encode()).is_err());
        let mut zero = BytesMut::from(SavedSession::default().encode().as_ref());
        // The count of the messages from the server, and the number of one.
        let at = zero.len() - 6;
        zero.splice_in(at, &[0, 1, 0, 0]);
        assert!(SavedSession::decode(&zero.freeze()).is_err());
    }

    #[test]
    fn what_was_not_released_has_no_reason_code() {
        let mut one = full();
        one.outgoing = vec![Sent {
            id: PacketId::new(1),
            entry: None,
            released: Some(ReasonCode::NoMatchingSubscribers),
        }];
        let record = one.encode();
        let code = record.iter().position(|byte| *byte == ReasonCode::NoMatchingSubscribers.code()).unwrap();
        let mut damaged = BytesMut::from(record.as_ref());
        damaged[code - 1] = 0;
        assert!(SavedSession::decode(&damaged.freeze()).is_err());
    }

    trait SpliceIn {
        fn splice_in(&mut self, at: usize, bytes: &[u8]);
    }

    impl SpliceIn for BytesMut {
        /// Puts `bytes` in the place of the two at `at`.
        fn splice_in(&mut self, at: usize, bytes: &[u8]) {
            let tail = self.split_off(at);
            self.extend_from_slice(bytes);
            self.extend_from_slice(&tail[2..]);
        }
    }
}
