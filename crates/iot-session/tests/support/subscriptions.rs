//! A server's side of SUBSCRIBE and UNSUBSCRIBE.

use std::time::Duration;

use iot_session::layers::{Reconnect, Resubscribe};
use iot_session::proto::{ConnectOptions, Engine};
use iot_session::stage::{Event, Notice, Op, Quarantine, Receipt, SubscribeOp, UnsubscribeOp};
use iot_session::{OpError, QoS, TopicFilter, Version, stack};
use mqtt_codec::packet::{SubAck, SubscriptionOptions};
use mqtt_codec::{Packet, PacketId, Properties, Property, ReasonCode};

use super::{Rig, lasting};

pub const GRANTED: ReasonCode = ReasonCode::GrantedQoS1;

/// A SUBSCRIBE or UNSUBSCRIBE that the server got.
#[derive(Debug, Clone)]
pub struct Asked {
    pub subscribe: bool,
    pub id: PacketId,
    pub filters: Vec<String>,
    /// One for each filter; none for UNSUBSCRIBE.
    pub qos: Vec<QoS>,
}

pub fn filter(name: &str) -> TopicFilter {
    TopicFilter::try_from(name).unwrap()
}

/// A stack whose server may keep the session, without pings: instants are those of the layer.
pub fn rig_with(resubscribe: Resubscribe) -> Rig {
    let options = lasting(Version::V5).keep_alive(Duration::ZERO);
    Rig::resubscribing(options, Reconnect::default(), resubscribe)
}

pub fn rig() -> Rig {
    rig_with(Resubscribe::default())
}

/// A connection with this many filters in force.
pub fn with_filters(n: usize) -> Rig {
    let mut rig = rig();
    rig.connect();
    let op = rig.op(subscribe(filters(n)));
    rig.answer_all();
    assert_eq!(reasons(rig.done(op)), vec![GRANTED; n]);
    rig.events.clear();
    rig
}

pub fn reasons(result: Result<Receipt, OpError>) -> Vec<ReasonCode> {
    match result {
        Ok(Receipt::Subscribed(granted) | Receipt::Unsubscribed(granted)) => granted.reasons,
        other => panic!("{other:?}"),
    }
}

pub fn resubscribed(sent: usize, kept: usize) -> Notice {
    Notice::Resubscribed { sent, kept }
}

pub fn quarantined(name: &str, why: Quarantine) -> Notice {
    Notice::Quarantined { filter: filter(name), why }
}

/// `f/0`, `f/1` and so on.
pub fn filters(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("f/{n}")).collect()
}

pub fn subscribe(names: impl IntoIterator<Item = impl AsRef<str>>) -> Op {
    subscribe_at(names, QoS::AtLeastOnce)
}

pub fn subscribe_at(names: impl IntoIterator<Item = impl AsRef<str>>, qos: QoS) -> Op {
    let options = SubscriptionOptions::at(qos);
    let filters = names.into_iter().map(|name| (filter(name.as_ref()), options)).collect();
    Op::Subscribe(SubscribeOp { filters })
}

pub fn unsubscribe(names: impl IntoIterator<Item = impl AsRef<str>>) -> Op {
    let filters = names.into_iter().map(|name| filter(name.as_ref())).collect();
    Op::Unsubscribe(UnsubscribeOp { filters })
}

impl Rig {
    /// Engine, Reconnect and Resubscribe.
    pub fn resubscribing(options: ConnectOptions, reconnect: Reconnect, resubscribe: Resubscribe) -> Self {
        options.validate().unwrap();
        let engine = Engine::new(options);
        let codec = engine.codec();
        Self::around(Box::new(stack(engine).layer(reconnect).layer(resubscribe).into_stage()), codec)
    }

    /// Takes the notices.
    pub fn notices(&mut self) -> Vec<Notice> {
        let mut found = Vec::new();
        self.events.retain(|event| match event {
            Event::Notice(notice) => {
                found.push(notice.clone());
                false
            }
            _ => true,
        });
        found
    }

    /// What the client speaks.
    pub fn version(&self) -> Version {
        self.server.version().unwrap_or(Version::V5)
    }

    /// Filters that the server has acknowledged, as the layer sees it.
    pub fn subscribed(&self) -> usize {
        self.machine.gauges().subscriptions
    }

    /// What the server was asked since the last look.
    pub fn asked(&mut self) -> Vec<Asked> {
        self.sent().iter().filter_map(Asked::from_packet).collect()
    }

    pub fn answer(&mut self, asked: &Asked, reasons: &[ReasonCode]) {
        // An MQTT 3.1.1 UNSUBACK has no codes.
        let has_codes = asked.subscribe || self.version().is_v5();
        let reasons = if has_codes { reasons } else { &[] };
        self.receive(asked.answer(SubAck::new(asked.id, reasons.iter().copied())));
    }

    pub fn answer_with_words(&mut self, asked: &Asked, reasons: &[ReasonCode], words: &str) {
        let mut answer = SubAck::new(asked.id, reasons.iter().copied());
        answer.properties = Properties::new().with(Property::ReasonString(words)).unwrap();
        self.receive(asked.answer(answer));
    }

    /// As a server does that has nothing against it.
    pub fn answer_ok(&mut self, asked: &Asked) {
        let reasons = asked.granted();
        self.answer(asked, &reasons);
    }

    /// Answers until nothing more is asked. What was asked.
    pub fn answer_all(&mut self) -> Vec<Asked> {
        let mut all = Vec::new();
        loop {
            let asked = self.asked();
            if asked.is_empty() {
                return all;
            }
            asked.iter().for_each(|asked| self.answer_ok(asked));
            all.extend(asked);
        }
    }
}

impl Asked {
    pub fn from_packet(packet: &Packet) -> Option<Self> {
        Some(match packet {
            Packet::Subscribe(subscribe) => Self {
                subscribe: true,
                id: subscribe.packet_id,
                filters: subscribe.filters().map(|(filter, _)| filter.as_str().to_owned()).collect(),
                qos: subscribe.filters().map(|(_, options)| options.qos).collect(),
            },
            Packet::Unsubscribe(unsubscribe) => Self {
                subscribe: false,
                id: unsubscribe.packet_id,
                filters: unsubscribe.filters().map(|filter| filter.as_str().to_owned()).collect(),
                qos: Vec::new(),
            },
            _ => return None,
        })
    }

    /// The codes of a server that grants everything.
    pub fn granted(&self) -> Vec<ReasonCode> {
        if !self.subscribe {
            return vec![ReasonCode::Success; self.filters.len()];
        }
        let code = |qos: &QoS| match qos {
            QoS::AtMostOnce => ReasonCode::Success,
            QoS::AtLeastOnce => ReasonCode::GrantedQoS1,
            QoS::ExactlyOnce => ReasonCode::GrantedQoS2,
        };
        self.qos.iter().map(code).collect()
    }

    fn answer(&self, answer: SubAck) -> Packet {
        if self.subscribe { Packet::SubAck(answer) } else { Packet::UnsubAck(answer) }
    }
}
