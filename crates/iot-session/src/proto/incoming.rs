//! Received messages that wait to be taken, so that acknowledgements leave in arrival order, and the identifiers of those
//! that must not be delivered twice.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;

use mqtt_codec::PacketId;

use crate::stage::AckToken;

/// Acknowledgements leave in the order of arrival: PUBACKs among themselves (`[MQTT-4.6.0-2]`), PUBRECs among themselves
/// (`[MQTT-4.6.0-3]`), and, though nobody asks for that, both together.
///
/// What a QoS 1 message has come to is forgotten with its connection: the server sends it again. A QoS 2 message belongs
/// to the session, and its identifier goes this way, over as many connections as it takes:
///
/// ```text
///            PUBLISH            accepted             its turn: PUBREC          PUBREL: PUBCOMP
///   unknown ────────► Delivered ────────► Accepted ──────────────────► Received ──────────────► unknown
///                        │ PUBLISH           │ PUBLISH                    │ PUBLISH
///                        └ nothing           └ nothing                    └ PUBREC
/// ```
#[derive(Debug)]
pub(super) struct Incoming {
    /// Counts connections.
    epoch: NonZeroU32,
    /// Number of the first entry.
    first: u32,
    /// What is to be acknowledged on this connection, in the order of arrival.
    entries: VecDeque<Entry>,
    /// QoS 2 messages of the session that the server has not released.
    held: BTreeMap<PacketId, Held>,
    /// Counts QoS 2 messages.
    generation: u32,
    /// Received on this connection and not acknowledged to the end: what Receive Maximum bounds.
    unfinished: usize,
}

#[derive(Debug, Clone, Copy)]
enum Entry {
    AtLeastOnce {
        id: PacketId,
        accepted: bool,
    },
    /// The state is with the identifier, unless another message has taken it over.
    ExactlyOnce {
        id: PacketId,
        token: AckToken,
    },
}

#[derive(Debug, Clone, Copy)]
struct Held {
    token: AckToken,
    state: State,
    /// Whether it stands among the entries of this connection.
    queued: bool,
    /// Whether it came on this connection, and counts against Receive Maximum.
    counted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Delivered,
    Accepted,
    Received,
}

/// What to send once a message was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    PubAck(PacketId),
    PubRec(PacketId),
}

/// Marks the token of a QoS 2 message: its number is the count of such messages and the identifier.
const EXACTLY_ONCE: u32 = 1 << 31;

impl AckToken {
    /// Whether it is of a QoS 2 message: then it still counts after a reconnect, as long as the session lives.
    #[must_use]
    pub const fn is_exactly_once(self) -> bool {
        self.seq & EXACTLY_ONCE != 0
    }
}

impl Default for Incoming {
    fn default() -> Self {
        Self {
            epoch: NonZeroU32::MIN,
            first: 0,
            entries: VecDeque::new(),
            held: BTreeMap::new(),
            generation: 0,
            unfinished: 0,
        }
    }
}

impl Incoming {
    /// A new connection: no QoS 1 message of the one before can be acknowledged any more.
    pub(super) fn restart(&mut self) {
        self.epoch = self.epoch.checked_add(1).unwrap_or(NonZeroU32::MIN);
        self.first = 0;
        self.entries.clear();
        self.unfinished = 0;
        for held in self.held.values_mut() {
            (held.queued, held.counted) = (false, false);
        }
    }

    /// The session is over: its identifiers mean nothing any more.
    pub(super) fn session_lost(&mut self) {
        self.held.clear();
    }

    /// Takes up which messages an earlier run of the program had taken.
    pub(super) fn take_up(&mut self, ids: &[PacketId]) {
        for id in ids {
            let token = AckToken { epoch: self.epoch, seq: EXACTLY_ONCE | u32::from(id.value()) };
            let held = Held { token, state: State::Received, queued: false, counted: false };
            self.held.insert(*id, held);
        }
    }

    /// The identifiers of the QoS 2 messages that were taken and answered, and not released.
    pub(super) fn received(&self) -> Vec<PacketId> {
        self.held.iter().filter(|(_, held)| held.state == State::Received).map(|(id, _)| *id).collect()
    }

    /// Messages of this connection that are not acknowledged to the end.
    pub(super) fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// A QoS 1 message.
    pub(super) fn at_least_once(&mut self, id: PacketId) -> AckToken {
        let seq = self.first.wrapping_add(self.entries.len() as u32) & !EXACTLY_ONCE;
        self.entries.push_back(Entry::AtLeastOnce { id, accepted: false });
        self.unfinished = self.unfinished.saturating_add(1);
        AckToken { epoch: self.epoch, seq }
    }

    /// A QoS 2 message; `None`: it was delivered before (`[MQTT-4.3.3-10]`).
    pub(super) fn exactly_once(&mut self, id: PacketId) -> Option<AckToken> {
        let mut fresh = None;
        let held = self.held.entry(id).or_insert_with(|| {
            self.generation = self.generation.wrapping_add(1);
            let seq = EXACTLY_ONCE | (self.generation << 16 & !EXACTLY_ONCE) | u32::from(id.value());
            let token = AckToken { epoch: self.epoch, seq };
            fresh = Some(token);
            Held { token, state: State::Delivered, queued: false, counted: false }
        });
        if !std::mem::replace(&mut held.counted, true) {
            self.unfinished = self.unfinished.saturating_add(1);
        }
        if !std::mem::replace(&mut held.queued, true) {
            self.entries.push_back(Entry::ExactlyOnce { id, token: held.token });
        }
        fresh
    }

    /// Whether a QoS 2 message with this identifier counts against Receive Maximum already.
    pub(super) fn is_counted(&self, id: PacketId) -> bool {
        self.held.get(&id).is_some_and(|held| held.counted)
    }

    /// PUBREL came: the identifier is free for another message. `false`: it was not taken.
    pub(super) fn released(&mut self, id: PacketId) -> bool {
        let Some(held) = self.held.remove(&id) else { return false };
        self.unfinished = self.unfinished.saturating_sub(usize::from(held.counted));
        true
    }

    /// Marks a message as taken. QoS 1 tokens of other connections are ignored.
    pub(super) fn accept(&mut self, token: AckToken) {
        if token.is_exactly_once() {
            let held = PacketId::new(token.seq as u16).and_then(|id| self.held.get_mut(&id));
            if let Some(held) = held.filter(|held| held.token == token && held.state == State::Delivered) {
                held.state = State::Accepted;
            }
        } else if token.epoch == self.epoch {
            let at = token.seq.wrapping_sub(self.first) & !EXACTLY_ONCE;
            if let Some(Entry::AtLeastOnce { accepted, .. }) = self.entries.get_mut(at as usize) {
                *accepted = true;
            }
        }
    }

    /// The next message to acknowledge: the oldest, once it was taken.
    pub(super) fn pop_accepted(&mut self) -> Option<Answer> {
        loop {
            let answer = match *self.entries.front()? {
                Entry::AtLeastOnce { accepted: false, .. } => return None,
                Entry::AtLeastOnce { id, .. } => {
                    self.unfinished = self.unfinished.saturating_sub(1);
                    Some(Answer::PubAck(id))
                }
                Entry::ExactlyOnce { id, token } => {
                    match self.held.get_mut(&id).filter(|held| held.token == token) {
                        Some(Held { state: State::Delivered, .. }) => return None,
                        Some(held) => {
                            (held.state, held.queued) = (State::Received, false);
                            Some(Answer::PubRec(id))
                        }
                        // Released before its turn: there is nothing left to acknowledge.
                        None => None,
                    }
                }
            };
            self.entries.pop_front();
            self.first = self.first.wrapping_add(1);
            if answer.is_some() {
                return answer;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u16) -> PacketId {
        PacketId::new(n).unwrap()
    }

    #[test]
    fn messages_are_released_in_arrival_order_and_never_across_connections() {
        let mut incoming = Incoming::default();
        let (a, b, c) =
            (incoming.at_least_once(id(7)), incoming.at_least_once(id(3)), incoming.at_least_once(id(9)));
        incoming.accept(b);
        assert_eq!(incoming.pop_accepted(), None);
        incoming.accept(a);
        assert_eq!(incoming.pop_accepted(), Some(Answer::PubAck(id(7))));
        assert_eq!(incoming.pop_accepted(), Some(Answer::PubAck(id(3))));
        assert_eq!(incoming.pop_accepted(), None);
        incoming.restart();
        incoming.at_least_once(id(1));
        incoming.accept(c);
        assert_eq!(incoming.pop_accepted(), None);
        assert_eq!(incoming.unfinished(), 1);
    }

    #[test]
    fn both_qualities_of_service_share_one_order() {
        let mut incoming = Incoming::default();
        let two = incoming.exactly_once(id(1)).unwrap();
        let one = incoming.at_least_once(id(1));
        incoming.accept(one);
        assert_eq!(incoming.pop_accepted(), None);
        incoming.accept(two);
        assert_eq!(incoming.pop_accepted(), Some(Answer::PubRec(id(1))));
        assert_eq!(incoming.pop_accepted(), Some(Answer::PubAck(id(1))));
        assert_eq!(incoming.unfinished(), 1, "until PUBREL");
        assert!(incoming.released(id(1)) && !incoming.released(id(1)));
        assert_eq!(incoming.unfinished(), 0);
    }

    #[test]
    fn a_token_acknowledges_the_message_it_was_given_for_and_no_other() {
        let mut incoming = Incoming::default();
        let old = incoming.exactly_once(id(1)).unwrap();
        incoming.released(id(1));
        let new = incoming.exactly_once(id(1)).unwrap();
        incoming.accept(old);
        assert_eq!(
            incoming.pop_accepted(),
            None,
            "the entry of the first is skipped, the second is not taken"
        );
        incoming.accept(new);
        assert_eq!(incoming.pop_accepted(), Some(Answer::PubRec(id(1))));
        incoming.session_lost();
        incoming.exactly_once(id(1));
        incoming.accept(new);
        assert_eq!(incoming.pop_accepted(), None);
    }

    #[test]
    fn a_message_sent_over_and_over_takes_no_more_room() {
        let mut incoming = Incoming::default();
        incoming.at_least_once(id(9));
        let token = incoming.exactly_once(id(1)).unwrap();
        for _ in 0..100 {
            assert_eq!(incoming.exactly_once(id(1)), None);
        }
        incoming.accept(token);
        assert_eq!((incoming.entries.len(), incoming.unfinished()), (2, 2));
    }
}
