//! A server's side of the protocol: what a client may not do is found here, and answers wait until they are called for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::BytesMut;
use mqtt_codec::packet::{Ack, ConnAck, Publish, SubAck};
use mqtt_codec::{Codec, Packet, PacketId, QoS, ReasonCode, TopicName};

use super::WINDOW;

/// A server for one client. It forgets connections, and keeps the session if it is told to.
pub(super) struct Server {
    codec: Codec,
    v5: bool,
    buffer: BytesMut,
    /// Whether CONNECT came on this link.
    greeted: bool,
    /// Whether it was answered.
    accepted: bool,
    /// Answers that are due.
    answers: VecDeque<Packet>,
    /// Identifiers of publishes on this link that were not answered entirely.
    unanswered: BTreeSet<u16>,
    /// Identifiers of QoS 2 publishes between PUBREC and PUBREL; they belong to the session.
    released: BTreeSet<u16>,
    /// Whether there is a session from before.
    session: bool,
    /// The numbers of QoS 0 messages that came.
    at_most_once: BTreeSet<u64>,
    /// Numbers in the order of their first arrival.
    pub(super) first: Vec<u64>,
    pub(super) seen: BTreeSet<u64>,
    /// The numbers of QoS 2 messages that went on to subscribers.
    delivered: BTreeSet<u64>,
    /// By identifier: the number of the message.
    numbers: BTreeMap<u16, u64>,
    /// The numbers of messages whose last answer was given.
    pub(super) answered: BTreeSet<u64>,
    /// What the filters of a request that was not answered are, in order.
    requests: VecDeque<Vec<String>>,
    /// The filters of the session.
    pub(super) filters: BTreeSet<String>,
    /// How often a session was lost.
    pub(super) lost: usize,
    /// How many links ended between CONNECT and CONNACK: whose session the server has is in doubt then.
    pub(super) unanswered_connects: usize,
    next_id: u16,
}

/// What a publish carries: which it is.
pub(super) fn payload(number: u64) -> String {
    format!("{number}")
}

impl Server {
    pub(super) fn new() -> Self {
        Self {
            codec: Codec::server(),
            v5: false,
            buffer: BytesMut::new(),
            greeted: false,
            accepted: false,
            answers: VecDeque::new(),
            unanswered: BTreeSet::new(),
            released: BTreeSet::new(),
            session: false,
            at_most_once: BTreeSet::new(),
            first: Vec::new(),
            seen: BTreeSet::new(),
            delivered: BTreeSet::new(),
            numbers: BTreeMap::new(),
            answered: BTreeSet::new(),
            requests: VecDeque::new(),
            filters: BTreeSet::new(),
            lost: 0,
            unanswered_connects: 0,
            next_id: 0,
        }
    }

    /// A new link. Without a session everything is forgotten.
    pub(super) fn link(&mut self, keep_session: bool) {
        self.codec = Codec::server();
        self.buffer.clear();
        self.unanswered_connects =
            self.unanswered_connects.saturating_add(usize::from(self.greeted && !self.accepted));
        (self.greeted, self.accepted) = (false, false);
        self.answers.clear();
        self.unanswered.clear();
        self.requests.clear();
        if !keep_session {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.lost = self.lost.saturating_add(usize::from(self.session));
        self.session = false;
        self.released.clear();
        self.numbers.clear();
        self.filters.clear();
    }

    /// What the client has written.
    pub(super) fn absorb(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        loop {
            match self.codec.decode(&mut self.buffer) {
                Ok(Some(packet)) => self.packet(packet),
                Ok(None) => return,
                Err(error) => panic!("the client wrote what is no packet: {error}"),
            }
        }
    }

    fn packet(&mut self, packet: Packet) {
        assert_eq!(self.greeted, !matches!(packet, Packet::Connect(_)), "{packet:?} at the wrong time");
        match packet {
            Packet::Connect(connect) => {
                self.greeted = true;
                self.v5 = connect.version().is_v5();
                let mut connack = ConnAck::default();
                if connect.clean_start() {
                    self.forget();
                }
                connack.session_present = self.session;
                self.session = true;
                self.answers.push_back(connack.into());
            }
            Packet::Publish(publish) => self.publish(&publish),
            Packet::Subscribe(subscribe) => {
                let filters = subscribe.filters().count();
                self.requests.push_back(subscribe.filters().map(|(filter, _)| filter.to_string()).collect());
                assert!((1..=8).contains(&filters), "{filters} filters in one SUBSCRIBE");
                let codes = vec![ReasonCode::GrantedQoS1; filters];
                self.answers.push_back(Packet::SubAck(SubAck::new(subscribe.packet_id, codes)));
            }
            Packet::Unsubscribe(unsubscribe) => {
                let filters = unsubscribe.filters().count();
                self.requests.push_back(unsubscribe.filters().map(|filter| filter.to_string()).collect());
                assert!((1..=8).contains(&filters), "{filters} filters in one UNSUBSCRIBE");
                let codes = vec![ReasonCode::Success; filters];
                self.answers.push_back(Packet::UnsubAck(SubAck::new(unsubscribe.packet_id, codes)));
            }
            Packet::PubRel(ack) => {
                self.released.remove(&ack.packet_id.value());
                self.answers.push_back(Packet::PubComp(Ack::new(ack.packet_id)));
            }
            Packet::PubRec(ack) => self.answers.push_back(Packet::PubRel(Ack::new(ack.packet_id))),
            Packet::PingReq => self.answers.push_back(Packet::PingResp),
            _ => {}
        }
    }

    fn publish(&mut self, publish: &Publish) {
        let number: u64 =
            std::str::from_utf8(publish.payload()).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        let new = self.seen.insert(number);
        if new {
            assert!(
                self.first.last().is_none_or(|last| *last < number),
                "{number} after {:?}",
                self.first.last()
            );
            self.first.push(number);
        }
        let Some(id) = publish.packet_id() else {
            assert!(self.at_most_once.insert(number), "QoS 0 message {number} came twice");
            return;
        };
        assert!(self.unanswered.insert(id.value()), "{id:?} is in use");
        self.numbers.insert(id.value(), number);
        assert!(self.unanswered.len() <= usize::from(WINDOW), "more unanswered messages than the window");
        if publish.dup() {
            assert!(!new || self.session, "a duplicate of what was never sent");
        }
        if publish.qos() == QoS::ExactlyOnce {
            if self.released.insert(id.value()) {
                assert!(self.delivered.insert(number), "QoS 2 message {number} is delivered twice");
            }
            self.answers.push_back(Packet::PubRec(Ack::new(id)));
        } else {
            self.answers.push_back(Packet::PubAck(Ack::new(id)));
        }
    }

    /// The next answer that is due, in bytes; `refuse` makes it a refusal where there is one.
    pub(super) fn answer(&mut self, refuse: bool) -> Option<BytesMut> {
        let packet = match (self.answers.pop_front()?, refuse) {
            (Packet::SubAck(ack), true) => {
                let refused = vec![ReasonCode::UnspecifiedError; ack.reasons().count()];
                Packet::SubAck(SubAck::new(ack.packet_id, refused))
            }
            (Packet::PubAck(ack), true) if self.v5 => {
                let mut refused = Ack::new(ack.packet_id);
                refused.reason = ReasonCode::NotAuthorized;
                Packet::PubAck(refused)
            }
            (packet, _) => packet,
        };
        match &packet {
            Packet::ConnAck(_) => self.accepted = true,
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                self.unanswered.remove(&ack.packet_id.value());
                self.answered.extend(self.numbers.get(&ack.packet_id.value()));
            }
            packet => self.grant(packet),
        }
        Some(self.bytes(&packet))
    }

    /// Throws the next answer away.
    pub(super) fn withhold(&mut self) {
        if !matches!(self.answers.front(), Some(Packet::ConnAck(_)))
            && let Some(packet) = self.answers.pop_front()
        {
            self.grant(&packet);
        }
    }

    /// The request that this answers takes effect.
    fn grant(&mut self, packet: &Packet) {
        let (ack, has) = match packet {
            Packet::SubAck(ack) => (ack, true),
            Packet::UnsubAck(ack) => (ack, false),
            _ => return,
        };
        for (filter, reason) in self.requests.pop_front().into_iter().flatten().zip(ack.reasons()) {
            match has {
                _ if reason.is_error() => {}
                true => drop(self.filters.insert(filter)),
                false => drop(self.filters.remove(&filter)),
            }
        }
    }

    /// A message of the server's own.
    pub(super) fn message(&mut self, qos: u8) -> Option<BytesMut> {
        let topic = TopicName::try_from("to/client").ok().filter(|_| self.accepted)?;
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        let id = PacketId::new(self.next_id)?;
        let publish = Publish::new(topic, "x");
        let publish = if qos == 0 { publish } else { publish.at_least_once(id) };
        Some(self.bytes(&publish.into()))
    }

    fn bytes(&mut self, packet: &Packet) -> BytesMut {
        let mut bytes = BytesMut::new();
        if let Err(error) = self.codec.encode(packet, &mut bytes) {
            panic!("the server's {packet:?}: {error}");
        }
        bytes
    }
}
