//! What the holder of a session asks for.

use mqtt_codec::packet::{Disconnect, Subscribe, Unsubscribe};
use mqtt_codec::{Packet, PacketId, QoS};

use super::super::outgoing::{TakenUp, Waiting};
use super::{Engine, State};
use crate::error::{ConnectionError, OpError};
use crate::stage::{Op, OpId, Output, PublishOp, Receipt, SubscribeOp, UnsubscribeOp};
use crate::time::Now;

impl Engine {
    pub(super) fn op(&mut self, now: Now, id: OpId, op: Op) {
        match op {
            Op::Connect(_) => match self.state {
                State::Down if self.connect.is_none() => {
                    self.connect = Some(id);
                    self.out.push_back(Output::Dial);
                }
                _ => self.done(id, Err(OpError::Unsupported("already connected or connecting"))),
            },
            Op::Disconnect => self.disconnect(now, id),
            _ if self.state != State::Up => self.done(id, Err(OpError::Offline)),
            Op::Publish(publish) => {
                if let Err(error) = self.publish(now, id, publish) {
                    self.done(id, Err(error));
                }
            }
            Op::Subscribe(subscribe) => {
                if let Err(error) = self.subscribe(now, id, &subscribe) {
                    self.done(id, Err(error));
                }
            }
            Op::Unsubscribe(unsubscribe) => {
                if let Err(error) = self.unsubscribe(now, id, &unsubscribe) {
                    self.done(id, Err(error));
                }
            }
        }
    }

    fn disconnect(&mut self, now: Now, id: OpId) {
        match self.state {
            State::Up => {
                self.interrupt_all(now);
                self.send(now, Disconnect::default());
                self.fail(now, ConnectionError::Requested);
            }
            // Before CONNACK nothing may be sent to AWS IoT Core, not even DISCONNECT.
            State::Connecting { .. } => {
                self.interrupt_all(now);
                self.fail(now, ConnectionError::Requested);
            }
            State::Down => {
                self.interrupt_all(now);
                if self.connect.is_some() {
                    self.fail(now, ConnectionError::Requested);
                }
            }
        }
        self.done(id, Ok(Receipt::Disconnected));
        if let Some(keeping) = &mut self.keeping {
            keeping.flush();
        }
    }

    /// Lets go of everyone who waits for an answer.
    fn interrupt_all(&mut self, now: Now) {
        let ended = self.outgoing.detach(now.mono);
        self.tell(ended);
        self.note();
    }

    /// What the server's limits say about a packet.
    fn check(&self, packet: &Packet) -> Result<(), OpError> {
        let size = self.codec.encoded_len(packet)?;
        if size > self.server.max_packet_size {
            let error = mqtt_codec::EncodeError::PacketTooLarge { size, max: self.server.max_packet_size };
            return Err(OpError::Invalid(error));
        }
        Ok(())
    }

    fn publish(&mut self, now: Now, op: OpId, publish: PublishOp) -> Result<(), OpError> {
        self.allows(&publish)?;
        if publish.qos == QoS::AtMostOnce {
            let packet = Packet::Publish(publish.publish.at_most_once());
            self.check(&packet)?;
            if self.outgoing.is_alone() {
                return Err(OpError::Busy);
            }
            self.outgoing.sent_qos_0(now.mono);
            if let Packet::Publish(publish) = packet {
                self.send_publish(now, publish);
            }
            self.done(op, Ok(Receipt::Sent));
            return Ok(());
        }
        if !self.has_room() {
            return Err(OpError::Busy);
        }
        let publish = match self.outgoing.issued(op, publish, now.mono) {
            TakenUp::New(publish) => publish,
            TakenUp::GoesOn => {
                self.send_publications(now);
                return Ok(());
            }
            TakenUp::Completed(reason) => {
                self.done(op, Ok(Receipt::Acked(reason)));
                self.note();
                return Ok(());
            }
            TakenUp::Lost => {
                self.done(op, Err(OpError::Interrupted));
                self.note();
                return Ok(());
            }
        };
        let id = self.outgoing.allocate().ok_or(OpError::Busy)?;
        let packet = Packet::Publish(match publish.qos {
            QoS::ExactlyOnce => publish.publish.exactly_once(id),
            _ => publish.publish.at_least_once(id),
        });
        match (self.check(&packet), packet) {
            (Ok(()), Packet::Publish(message)) => {
                let publish = PublishOp { publish: message, ..publish };
                self.outgoing.insert(id, op, Waiting::Publish(publish), now.mono);
                self.send_publications(now);
                Ok(())
            }
            (refused, _) => {
                self.outgoing.give_back(id);
                refused
            }
        }
    }

    /// Whether the server takes such a message.
    fn allows(&self, PublishOp { publish, qos, .. }: &PublishOp) -> Result<(), OpError> {
        if *qos > self.server.max_qos {
            // [MQTT-3.2.2-11]
            return Err(OpError::Unsupported(match self.server.max_qos {
                QoS::AtMostOnce => "the server takes messages of QoS 0 only",
                _ => "the server takes messages of QoS 0 and 1 only",
            }));
        }
        if publish.properties().topic_alias().is_some()
            || publish.properties().subscription_identifiers().next().is_some()
        {
            // Aliases are given here, and identifiers are the server's to set.
            return Err(OpError::Unsupported(
                "a publish may carry neither Topic Alias nor Subscription Identifier",
            ));
        }
        if publish.retain() && !self.server.retain {
            return Err(OpError::Unsupported("the server keeps no retained messages"));
        }
        Ok(())
    }

    fn subscribe(&mut self, now: Now, op: OpId, subscribe: &SubscribeOp) -> Result<(), OpError> {
        for (filter, _) in &subscribe.filters {
            if !self.server.wildcards && filter.as_str().contains(['+', '#']) {
                return Err(OpError::Unsupported("the server knows no wildcards"));
            }
            if !self.server.shared && filter.share_name().is_some() {
                return Err(OpError::Unsupported("the server knows no shared subscriptions"));
            }
        }
        let filters = subscribe.filters.iter().map(|(filter, options)| (filter, *options));
        let id = self.issue(now, op, |id| {
            (Subscribe::new(id, filters).into(), Waiting::Subscribe(subscribe.filters.len()))
        })?;
        if let Some(keeping) = &mut self.keeping {
            keeping.asks(id, subscribe.filters.iter().map(|(filter, _)| filter.clone()).collect());
        }
        Ok(())
    }

    fn unsubscribe(&mut self, now: Now, op: OpId, unsubscribe: &UnsubscribeOp) -> Result<(), OpError> {
        let request = |id| (Unsubscribe::new(id, &unsubscribe.filters).into(), Waiting::Unsubscribe);
        let id = self.issue(now, op, request)?;
        if let Some(keeping) = &mut self.keeping {
            keeping.asks(id, unsubscribe.filters.clone());
        }
        Ok(())
    }

    /// Sends a request that is answered under an identifier.
    fn issue(
        &mut self,
        now: Now,
        op: OpId,
        packet: impl FnOnce(PacketId) -> (Packet, Waiting),
    ) -> Result<PacketId, OpError> {
        let id = self.outgoing.allocate().ok_or(OpError::Busy)?;
        let (packet, waiting) = packet(id);
        if let Err(error) = self.check(&packet) {
            self.outgoing.give_back(id);
            return Err(error);
        }
        self.outgoing.insert(id, op, waiting, now.mono);
        self.send(now, packet);
        Ok(id)
    }

    pub(super) fn has_room(&self) -> bool {
        self.outgoing.has_room(self.server.window)
    }
}
