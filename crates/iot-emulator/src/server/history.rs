//! The last messages, for people to look at.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use mqtt_codec::QoS;

/// How many are kept.
const MESSAGES: usize = 100;

/// How much of each payload.
const PAYLOAD: usize = 1024;

/// The last messages, the newest at the end. Its size is bounded, whatever comes.
#[derive(Debug, Default)]
pub(super) struct History {
    seen: VecDeque<Seen>,
    count: u64,
}

/// A message that went through.
#[derive(Debug)]
pub(super) struct Seen {
    /// Counted from 1.
    pub(super) number: u64,
    pub(super) at: Duration,
    /// `None`: the service itself.
    pub(super) from: Option<String>,
    pub(super) topic: String,
    pub(super) qos: QoS,
    /// Its beginning.
    pub(super) payload: Bytes,
    /// All of it.
    pub(super) len: usize,
}

impl History {
    pub(super) fn add(&mut self, at: Duration, from: Option<&str>, topic: &str, qos: QoS, payload: &[u8]) {
        if self.seen.len() >= MESSAGES {
            self.seen.pop_front();
        }
        self.count += 1;
        let beginning = payload.get(..PAYLOAD).unwrap_or(payload);
        self.seen.push_back(Seen {
            number: self.count,
            at,
            from: from.map(str::to_owned),
            topic: topic.to_owned(),
            qos,
            payload: Bytes::copy_from_slice(beginning),
            len: payload.len(),
        });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Seen> {
        self.seen.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_hundred_are_kept_with_the_beginning_of_their_payloads() {
        let mut history = History::default();
        for _ in 0..150 {
            history.add(Duration::ZERO, None, "t", QoS::AtMostOnce, &[7; 5_000]);
        }
        let numbers: Vec<u64> = history.iter().map(|seen| seen.number).collect();
        assert_eq!((numbers.len(), numbers.first(), numbers.last()), (100, Some(&51), Some(&150)));
        assert!(history.iter().all(|seen| seen.payload.len() == 1024 && seen.len == 5_000));
    }
}
