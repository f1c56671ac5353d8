//! The body of the fuzz target `shadow_document`: payloads from anyone, read as everything that they could be.

use iot_session::Message;

use crate::client::wire;
use crate::{Accepted, Change, Deleted, Delta, Rejection, Shadow, ShadowId};

/// Reads the bytes as each document; the first line is the topic.
///
/// # Panics
/// If a rule is broken: what is read of a document does not depend on what else is asked of it.
pub fn shadow_document(data: &[u8]) {
    let (topic, payload) = match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => data.split_at(end),
        None => data.split_at(0),
    };
    let payload = payload.strip_prefix(b"\n").unwrap_or(payload);
    let topic = std::str::from_utf8(topic).unwrap_or_default();
    if let Some((shadow, kind)) = ShadowId::parse(topic) {
        assert_eq!(shadow.topic(kind), topic);
    }
    let token = Message::new(topic, payload.to_vec()).ok().and_then(|message| wire::token_of(&message));
    assert!(token.as_ref().is_none_or(|token| token.len() <= wire::MAX_TOKEN));
    let shadow = wire::parse::<Shadow>(payload);
    if let (Some(token), Ok(shadow)) = (&token, &shadow) {
        assert_eq!(shadow.client_token.as_deref().map(str::as_bytes), Some(&token[..]));
    }
    if let Ok(shadow) = shadow {
        let version = shadow.version;
        let delta = Option::<Delta>::from(shadow);
        assert!(delta.is_none_or(|delta| delta.version == version));
    }
    // Each of them is an object with a version, or none of them is read.
    let versions = [
        wire::parse::<Accepted>(payload).map(|read| read.version),
        wire::parse::<Deleted>(payload).map(|read| read.version),
        wire::parse::<Delta>(payload).map(|read| read.version),
    ];
    let mut read = versions.iter().flatten();
    if let Some(first) = read.next() {
        assert!(read.all(|other| other == first));
    }
    let _ = wire::parse::<Rejection>(payload).map(|rejection| rejection.to_string());
    let _ = wire::parse::<Change>(payload);
}
