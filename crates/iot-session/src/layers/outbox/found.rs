//! What an earlier run of the program left on disk.

use std::time::Duration;

use bytes::Bytes;
use mqtt_codec::QoS;

use super::record;
use crate::layers::waiting::size;
use crate::proto::SavedSession;
use crate::stage::{EntryId, Resend, StoreError, StoreErrorKind};
use crate::time::UnixMillis;

/// An index of what is on disk, without the contents. [`Outbox::new`](super::Outbox::new) takes up where it ends.
///
/// ```
/// use iot_session::layers::Found;
/// use iot_session::stage::EntryId;
///
/// let mut found = Found::default();
/// // For each entry of the store, in order:
/// found.add(EntryId(7), &b"not an entry".as_slice().into())?;
/// assert_eq!((found.messages(), found.damaged()), (0, 1));
/// # Ok::<(), iot_session::stage::StoreError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Found {
    pub(super) entries: Vec<Left>,
    pub(super) damaged: Vec<EntryId>,
    /// The number behind the last one.
    pub(super) next: EntryId,
    pub(super) session: SavedSession,
    /// Why there is none.
    pub(super) session_error: Option<StoreError>,
    bytes: usize,
}

/// One entry.
#[derive(Debug, Clone)]
pub(super) struct Left {
    pub(super) id: EntryId,
    pub(super) size: usize,
    pub(super) qos: QoS,
    pub(super) resend: Resend,
    pub(super) written: Option<UnixMillis>,
    /// How long it may wait in all.
    pub(super) limit: Option<Duration>,
}

impl Found {
    /// Notes an entry of the store. They come in the order of their numbers, [`EntryId::SESSION`] first if it is there. One that is
    /// damaged is noted as such: it will be removed, and told by a notice.
    ///
    /// # Errors
    /// A newer version of this crate wrote it, or its number is not behind those that came before it.
    pub fn add(&mut self, id: EntryId, record: &Bytes) -> Result<(), StoreError> {
        if id == EntryId::SESSION && self.next == EntryId::default() {
            self.next = id.next();
            match SavedSession::decode(record) {
                Ok(session) => self.session = session,
                Err(error) if error.kind() == StoreErrorKind::Newer => return Err(error),
                Err(error) => self.session_error = Some(error),
            }
            return Ok(());
        }
        if id < self.next {
            let message = format!("the store gave entry {} out of order", id.0);
            return Err(StoreError::new(StoreErrorKind::Corrupted, message));
        }
        self.next = id.next();
        match record::decode(record) {
            Ok(record) => {
                let size = size(&record.op.publish);
                self.bytes = self.bytes.saturating_add(size);
                self.entries.push(Left {
                    id,
                    size,
                    qos: record.op.qos,
                    resend: record.op.resend,
                    written: record.written,
                    limit: record.limit(),
                });
            }
            Err(error) if error.kind() == StoreErrorKind::Newer => return Err(error),
            Err(_) => self.damaged.push(id),
        }
        Ok(())
    }

    /// What is kept of the session, for [`Engine::keeping`](crate::proto::Engine::keeping): once all entries were noted.
    #[must_use]
    pub fn session(&self) -> SavedSession {
        let exists = |id: EntryId| self.entries.binary_search_by_key(&id, |left| left.id).is_ok();
        self.session.clone().with_entries(exists)
    }

    /// How many messages there are.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.entries.len()
    }

    /// Their topics, properties and payloads, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many entries cannot be read.
    #[must_use]
    pub fn damaged(&self) -> usize {
        self.damaged.len().saturating_add(usize::from(self.session_error.is_some()))
    }
}
