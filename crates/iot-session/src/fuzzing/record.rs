//! Bytes as an entry of an outbox.

use bytes::Bytes;

use crate::layers::record;
use crate::proto::SavedSession;

/// Reads `data` as an entry, and as what is kept of a session. What is taken is written and read again, and is the same.
pub fn outbox_record(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    saved_session(&bytes);
    let Ok(record::Record { op, written }) = record::decode(&bytes) else { return };
    let Ok(again) = record::encode(&op, written) else {
        panic!("an entry that was read cannot be written: {op:?}")
    };
    match record::decode(&again) {
        Ok(record::Record { op: same, written: at }) => {
            assert!(same == op && at == written, "{op:?} became {same:?}");
        }
        Err(error) => panic!("what was written cannot be read: {error}"),
    }
}

fn saved_session(bytes: &Bytes) {
    let Ok(saved) = SavedSession::decode(bytes) else { return };
    // There is one way only to write it.
    assert_eq!(saved.encode(), bytes, "{saved:?} is written otherwise than it was read");
}
