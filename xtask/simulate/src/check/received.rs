//! Messages for the application.

use std::collections::BTreeMap;

use mqtt_codec::QoS;

use crate::ledger::Book;

/// No stream gets a QoS 0 message twice. (QoS 1 may be redelivered; QoS 2 is exactly once while both sides keep the session,
/// and the model sends no QoS 2 message again after a session is lost: so never twice in one process.)
pub(super) fn once(book: &Book, faults: &mut Vec<String>) {
    let mut times: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    for received in book.received.iter().filter(|received| received.qos != QoS::AtLeastOnce) {
        *times.entry((received.stream, received.number)).or_default() += 1;
    }
    for ((stream, number), times) in times {
        if times > 1 {
            faults.push(format!("message {number} came to stream {stream} {times} times"));
        }
    }
}

/// First deliveries to a stream at one quality of service are in order. What was published before the first message of a stream
/// is another one's: it may come again in the middle if that one did not acknowledge it.
pub(super) fn order(book: &Book, faults: &mut Vec<String>) {
    let mut first: BTreeMap<(u64, u8), u64> = BTreeMap::new();
    let mut last: BTreeMap<(u64, u8), u64> = BTreeMap::new();
    let mut known = std::collections::BTreeSet::new();
    for received in &book.received {
        if !known.insert((received.stream, received.number)) {
            continue;
        }
        let kind = (received.stream, received.qos as u8);
        let first = *first.entry(kind).or_insert(received.number);
        let last = last.entry(kind).or_default();
        if received.number > first && received.number < *last {
            faults.push(format!(
                "message {} came to stream {} after {last} for the first time",
                received.number, received.stream
            ));
        }
        *last = (*last).max(received.number);
    }
}
