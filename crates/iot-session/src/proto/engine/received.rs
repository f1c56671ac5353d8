//! What the server sends.

use std::sync::Arc;

use mqtt_codec::packet::{Ack, Publish, SubAck};
use mqtt_codec::{Packet, QoS, ReasonCode};

use super::super::outgoing::{Found, Waiting};
use super::server::text;
use super::{Engine, State};
use crate::error::{ConnectionError, OpError};
use crate::stage::{Event, Granted, Receipt};
use crate::time::Now;

impl Engine {
    pub(super) fn packet(&mut self, now: Now, packet: Packet) {
        self.keep_alive.received(now.mono);
        match (self.state, packet) {
            (State::Down, _) => {}
            (State::Connecting { .. }, Packet::ConnAck(connack)) => self.connack(now, &connack),
            (State::Connecting { .. }, packet) => {
                self.fail(now, ConnectionError::Protocol(before_connack(&packet)));
            }
            (State::Up, Packet::Publish(publish)) => self.publish_received(now, publish),
            (State::Up, Packet::PubAck(ack)) => self.puback(now, &ack),
            (State::Up, Packet::PubRec(ack)) => self.pubrec(now, &ack),
            (State::Up, Packet::PubRel(ack)) => self.pubrel(now, &ack),
            (State::Up, Packet::PubComp(ack)) => self.pubcomp(now, &ack),
            (State::Up, Packet::SubAck(suback)) => self.suback(now, &suback, false),
            (State::Up, Packet::UnsubAck(unsuback)) => self.suback(now, &unsuback, true),
            (State::Up, Packet::PingResp) => {
                self.keep_alive.answered();
            }
            // In MQTT 5: the codec takes none in 3.1.1.
            (State::Up, Packet::Disconnect(disconnect)) => {
                let says = disconnect.properties.as_ref();
                let error = ConnectionError::Server {
                    reason: disconnect.reason,
                    message: text(says.reason_string()),
                    server_reference: says.server_reference().map(Arc::from),
                };
                self.fail(now, error);
            }
            (State::Up, _) => {
                self.protocol_error(now, "a packet that only clients send, or that nobody asked for");
            }
        }
    }

    // --- messages from the server ---

    fn publish_received(&mut self, now: Now, publish: Publish) {
        // Also of a message that was delivered before: later ones may go by its alias.
        let publish = match self.from_server.resolve(publish, self.options.topic_alias_maximum) {
            Ok(publish) => publish,
            Err(what) => {
                self.say_why(ReasonCode::TopicAliasInvalid);
                return self.fail(now, ConnectionError::Protocol(what));
            }
        };
        let token = match (publish.qos(), publish.packet_id()) {
            (QoS::AtMostOnce, _) | (_, None) => None,
            (QoS::AtLeastOnce, Some(id)) => {
                if self.is_too_much(now) {
                    return;
                }
                Some(self.incoming.at_least_once(id))
            }
            (QoS::ExactlyOnce, Some(id)) => {
                if !self.incoming.is_counted(id) && self.is_too_much(now) {
                    return;
                }
                match self.incoming.exactly_once(id) {
                    token @ Some(_) => token,
                    // It was delivered before. If it was taken, too, only the server does not know yet.
                    None => return self.acknowledge(now),
                }
            }
        };
        self.event(Event::Message(publish, token));
    }

    /// Ends the connection if there is no room for one more message of QoS 1 or 2.
    fn is_too_much(&mut self, now: Now) -> bool {
        let full = self.incoming.unfinished() >= usize::from(self.options.receive_maximum);
        if !(full && self.options.version.is_v5()) {
            return false;
        }
        self.say_why(ReasonCode::ReceiveMaximumExceeded); // [MQTT-3.3.4-9]
        self.fail(now, ConnectionError::Protocol("more unacknowledged messages than Receive Maximum"));
        true
    }

    fn pubrel(&mut self, now: Now, ack: &Ack) {
        // Unknown to us, but the server is to be done with it, too [MQTT-4.3.3-11].
        let reason = match self.incoming.released(ack.packet_id) {
            false if self.options.version.is_v5() => ReasonCode::PacketIdentifierNotFound,
            _ => ReasonCode::Success,
        };
        self.send_kept(now, Packet::PubComp(Ack::with_reason(ack.packet_id, reason)));
        // Released before it was taken, it holds nothing back any more.
        self.acknowledge(now);
    }

    // --- answers ---
    // A late answer to what has ended is no fault: only one that answers something else is.

    fn puback(&mut self, now: Now, ack: &Ack) {
        match self.outgoing.get(ack.packet_id) {
            Found::Nothing | Found::Elsewhere => {}
            Found::Here(Waiting::Publish(publish)) if publish.qos == QoS::AtLeastOnce => self.acked(now, ack),
            Found::Here(_) => self.protocol_error(now, "a PUBACK for what is no QoS 1 publication"),
        }
    }

    fn pubrec(&mut self, now: Now, ack: &Ack) {
        match self.outgoing.get(ack.packet_id) {
            Found::Here(Waiting::Publish(publish)) if publish.qos == QoS::ExactlyOnce => {
                if ack.reason.is_error() {
                    return self.acked(now, ack);
                }
                self.outgoing.release(ack.packet_id, ack.reason);
                self.send_kept(now, Packet::PubRel(Ack::new(ack.packet_id))); // [MQTT-4.3.3-4]
                // If it was alone on the link, it need not be any more.
                self.send_publications(now);
            }
            Found::Here(Waiting::Release { .. }) => {
                self.send_kept(now, Packet::PubRel(Ack::new(ack.packet_id)));
            }
            Found::Here(_) => self.protocol_error(now, "a PUBREC for what is no QoS 2 publication"),
            // Its PUBLISH goes out again; the answer to that counts.
            Found::Elsewhere => {}
            // The server remembers what is forgotten here: so that it can forget it, too.
            Found::Nothing if !ack.reason.is_error() => {
                let reason = match self.options.version.is_v5() {
                    true => ReasonCode::PacketIdentifierNotFound,
                    false => ReasonCode::Success,
                };
                self.send(now, Packet::PubRel(Ack::with_reason(ack.packet_id, reason)));
            }
            Found::Nothing => {}
        }
    }

    fn pubcomp(&mut self, now: Now, ack: &Ack) {
        match self.outgoing.get(ack.packet_id) {
            Found::Nothing | Found::Elsewhere => {}
            Found::Here(&Waiting::Release { reason, .. }) => {
                // PUBREC said how it went. That the server does not know the identifier any more is no news.
                if let Some(op) = self.outgoing.answered(ack.packet_id) {
                    self.done(op, Ok(Receipt::Acked(reason)));
                }
                self.note();
                self.send_publications(now);
            }
            Found::Here(_) => self.protocol_error(now, "a PUBCOMP for what was not released"),
        }
    }

    /// Ends a publication as its PUBACK or PUBREC says.
    fn acked(&mut self, now: Now, ack: &Ack) {
        let is_exactly_once = matches!(self.outgoing.get(ack.packet_id), Found::Here(Waiting::Publish(publish)) if publish.qos == QoS::ExactlyOnce);
        if let Some(op) = self.outgoing.answered(ack.packet_id) {
            let result = if ack.reason.is_error() {
                let message = text(ack.properties.as_ref().reason_string());
                Err(OpError::Refused { reason: ack.reason, message })
            } else {
                Ok(Receipt::Acked(ack.reason))
            };
            self.done(op, result);
        }
        if is_exactly_once {
            self.note();
        }
        self.send_publications(now);
    }

    fn suback(&mut self, now: Now, ack: &SubAck, unsubscribed: bool) {
        let Found::Here(waiting) = self.outgoing.get(ack.packet_id) else { return };
        let fits = match waiting {
            Waiting::Subscribe(filters) => !unsubscribed && ack.reasons().len() == *filters,
            Waiting::Unsubscribe => unsubscribed,
            _ => false,
        };
        if !fits {
            return self.protocol_error(now, "a SUBACK or UNSUBACK that does not fit what was asked");
        }
        if let Some(keeping) = &mut self.keeping {
            let has = |reason: ReasonCode| (!reason.is_error()).then_some(!unsubscribed);
            keeping.answered(ack.packet_id, ack.reasons().map(has));
        }
        if let Some(op) = self.outgoing.answered(ack.packet_id) {
            let granted = Box::new(Granted {
                reasons: ack.reasons().collect(),
                message: text(ack.properties.as_ref().reason_string()),
            });
            let receipt =
                if unsubscribed { Receipt::Unsubscribed(granted) } else { Receipt::Subscribed(granted) };
            self.done(op, Ok(receipt));
        }
    }
}

fn before_connack(packet: &Packet) -> &'static str {
    match packet {
        Packet::Auth(_) => "AUTH, although no enhanced authentication was asked for",
        Packet::Disconnect(_) => "DISCONNECT before CONNACK",
        _ => "a packet before CONNACK",
    }
}
