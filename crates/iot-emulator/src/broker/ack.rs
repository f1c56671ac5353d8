//! PUBACK to clients, at once or held back (section 3.4 of both standards).

use std::time::Duration;

use mqtt_codec::packet::Ack;
use mqtt_codec::{Packet, PacketId, ReasonCode};

use super::{Broker, Connection, ConnectionId};

impl Broker {
    /// Holds PUBACKs back, or lets those held back go. While they are held, messages are delivered all the same,
    /// refusals are sent, and a client that passes the Receive Maximum is disconnected with 0x93.
    pub fn hold_acks(&mut self, hold: bool) {
        self.hold_acks = hold;
        if hold {
            return;
        }
        let mut released = Vec::new();
        for (id, connection) in &mut self.connections {
            if let Connection::Up(up) = connection {
                released.extend(std::mem::take(&mut up.unacknowledged).into_iter().map(|held| (*id, held)));
            }
        }
        for (id, packet_id) in released {
            self.send(id, Packet::PubAck(Ack::new(packet_id)));
        }
    }

    pub(super) fn acknowledge(
        &mut self,
        now: Duration,
        id: ConnectionId,
        packet_id: PacketId,
        reason: ReasonCode,
    ) {
        if !self.hold_acks || reason.is_error() {
            return self.send(id, Packet::PubAck(Ack::with_reason(packet_id, reason)));
        }
        let limit = usize::from(self.behaviour.receive_maximum.max(1));
        let Some(up) = self.up_mut(id) else { return };
        if !up.unacknowledged.contains(&packet_id) {
            up.unacknowledged.push(packet_id); // released in this order ([MQTT-4.6.0-2])
        }
        if up.unacknowledged.len() > limit {
            self.fail(now, id, ReasonCode::ReceiveMaximumExceeded); // [MQTT-3.3.4-7]
        }
    }
}
