//! What the broker makes of a packet.

use mqtt_codec::packet::{Ack, ConnAck, Connect, Publish, SubAck, Subscribe};
use mqtt_codec::{Packet, Properties, Property, QoS, ReasonCode, Version};

use super::{Broker, Seen};
use crate::broker::session::Session;

impl Broker {
    pub(super) fn packet(&mut self, packet: &Packet) {
        match packet {
            Packet::Connect(connect) if !self.connected => self.connect(connect),
            _ if !self.connected => self.fault(format!("{} before CONNECT was taken", packet.name())),
            Packet::Publish(publish) => self.publish_received(publish),
            Packet::PubRel(ack) => {
                let known = self.session().taken.remove(&ack.packet_id.value());
                // After a lost session, or of what was never taken.
                let reason = match known {
                    false if self.version == Version::V5 => ReasonCode::PacketIdentifierNotFound,
                    _ => ReasonCode::Success,
                };
                self.answer(Packet::PubComp(Ack::with_reason(ack.packet_id, reason)));
            }
            Packet::PubAck(ack) => self.acknowledged(ack.packet_id.value(), QoS::AtLeastOnce),
            Packet::PubRec(ack) => {
                let id = ack.packet_id.value();
                if !self.session().is_released(id) {
                    self.acknowledged(id, QoS::ExactlyOnce);
                }
                self.out.push_back(Packet::PubRel(Ack::new(ack.packet_id)));
            }
            Packet::PubComp(ack) => {
                let completed = self.session().completed(ack.packet_id.value());
                if let Err(fault) = completed {
                    self.fault(fault);
                }
                self.send_more();
            }
            Packet::Subscribe(subscribe) => self.subscribe(subscribe),
            Packet::Unsubscribe(unsubscribe) => {
                let mut codes = Vec::new();
                for filter in unsubscribe.filters() {
                    let known = self.session().filters.remove(filter.as_str()).is_some();
                    codes.push(if known { ReasonCode::Success } else { ReasonCode::NoSubscriptionExisted });
                }
                if !self.moods.withhold_subacks {
                    self.out.push_back(Packet::UnsubAck(SubAck::new(unsubscribe.packet_id, codes)));
                }
            }
            Packet::PingReq => self.out.push_back(Packet::PingResp),
            Packet::Disconnect(_) => self.hang_up(),
            other => self.fault(format!("a client may not send {}", other.name())),
        }
    }

    fn session(&mut self) -> &mut Session {
        self.session.get_or_insert_default()
    }

    fn connect(&mut self, connect: &Connect) {
        if self.moods.refuse_connects > 0 {
            self.moods.refuse_connects -= 1;
            self.out.push_back(Packet::ConnAck(ConnAck::new(false, ReasonCode::ServerUnavailable)));
            // It hangs up once that is said: the client does so by itself.
            return;
        }
        self.lasting = match self.version {
            Version::V3_1_1 => !connect.clean_start(),
            Version::V5 => connect.properties().session_expiry_interval().unwrap_or(0) > 0,
        };
        if connect.clean_start() {
            self.session = None;
        }
        let present = self.session.is_some();
        self.connected = true;
        self.connections += 1;
        let mut connack = ConnAck::new(present, ReasonCode::Success);
        if self.version == Version::V5
            && let Ok(properties) = Properties::new().with(Property::ReceiveMaximum(self.receive_maximum))
        {
            connack.properties = properties;
        }
        self.out.push_back(Packet::ConnAck(connack));
        self.session();
        self.send_more();
    }

    /// Sends what there is for the client.
    fn send_more(&mut self) {
        let window = self.receive_maximum;
        if let Some(session) = &mut self.session {
            self.out.extend(session.send_next(window));
        }
    }

    fn answer(&mut self, packet: Packet) {
        if self.moods.withhold { self.withheld.push(packet) } else { self.out.push_back(packet) }
    }

    fn publish_received(&mut self, publish: &Publish) {
        let number = std::str::from_utf8(publish.payload()).ok().and_then(|text| text.parse().ok());
        let Some(number) = number else { return self.fault("a payload that nobody published".to_owned()) };
        let seen = Seen {
            topic: publish.topic().to_owned(),
            number,
            qos: publish.qos(),
            at: crate::clock::millis(),
        };
        match (publish.qos(), publish.packet_id()) {
            (QoS::AtMostOnce, _) => {
                if publish.dup() {
                    self.fault("QoS 0 with DUP".to_owned());
                }
                self.seen.push(seen);
            }
            (QoS::AtLeastOnce, Some(id)) => {
                self.seen.push(seen);
                self.answer(Packet::PubAck(Ack::new(id)));
            }
            (QoS::ExactlyOnce, Some(id)) => {
                if self.session().taken.insert(id.value()) {
                    self.seen.push(seen);
                } else if !publish.dup() {
                    self.fault(format!("{id:?} is used anew although it was not released"));
                }
                self.answer(Packet::PubRec(Ack::new(id)));
            }
            _ => {}
        }
    }

    fn acknowledged(&mut self, id: u16, qos: QoS) {
        let result = self.session().acknowledged(id, qos);
        if let Err(fault) = result {
            self.fault(fault);
        }
        self.send_more();
    }

    fn subscribe(&mut self, subscribe: &Subscribe) {
        if self.moods.withhold_subacks {
            // As if it had not come: what a broker does without saying so, nobody could know.
            return;
        }
        let refuses = self.moods.refuse_subscribes;
        let mut codes = Vec::new();
        for (filter, options) in subscribe.filters() {
            if refuses {
                // What it does not allow any more, it does not go on with either.
                self.session().filters.remove(filter.as_str());
                codes.push(match self.version {
                    Version::V3_1_1 => ReasonCode::UnspecifiedError,
                    Version::V5 => ReasonCode::NotAuthorized,
                });
                continue;
            }
            self.session().filters.insert(filter.as_str().to_owned(), options.qos);
            codes.push(match options.qos {
                QoS::AtMostOnce => ReasonCode::Success,
                QoS::AtLeastOnce => ReasonCode::GrantedQoS1,
                QoS::ExactlyOnce => ReasonCode::GrantedQoS2,
            });
        }
        self.out.push_back(Packet::SubAck(SubAck::new(subscribe.packet_id, codes)));
    }
}
