//! How connections and sessions end, and what becomes of wills (sections 3.14, 3.1.2.5 and 4.1 of MQTT 5).

use std::time::Duration;

use mqtt_codec::packet::Disconnect;
use mqtt_codec::{ReasonCode, Text};

use super::message::Message;
use super::timers::Timer;
use super::{Broker, Connection, ConnectionId, Output};

impl Broker {
    /// A client leaves in an orderly way.
    pub(super) fn client_disconnects(&mut self, now: Duration, id: ConnectionId, disconnect: &Disconnect) {
        let Some(client) = self.up(id).map(|up| up.client_id.clone()) else { return };
        if let Some(seconds) = disconnect.properties.as_ref().session_expiry_interval() {
            let expiry = Duration::from_secs(seconds.into()).min(self.behaviour.session_expiry);
            let Some(session) = self.sessions.get_mut(&client) else { return };
            if session.expiry.is_zero() && !expiry.is_zero() {
                return self.fail(now, id, ReasonCode::ProtocolError); // [MQTT-3.1.2-23], section 3.14.2.2.2
            }
            session.expiry = expiry;
        }
        self.outputs.push_back(Output::Close(id));
        // [MQTT-3.14.4-3] only a normal disconnection throws the will away
        self.detach(now, id, disconnect.reason != ReasonCode::Success);
    }

    /// Forgets a connection, and its session if that ends with it.
    pub(super) fn detach(&mut self, now: Duration, id: ConnectionId, with_will: bool) {
        self.timers.clear(&Timer::Silence(id));
        let Some(Connection::Up(up)) = self.connections.remove(&id) else { return };
        let Some(session) = self.sessions.get_mut(&up.client_id) else { return };
        session.connection = None;
        let expiry = session.expiry;
        if let Some(will) = up.will.filter(|_| with_will) {
            let delay = will.properties.as_ref().will_delay_interval().unwrap_or(0);
            let delay = Duration::from_secs(delay.into()).min(expiry);
            let message = Message::will(now.saturating_add(delay), &will);
            if delay.is_zero() {
                self.route(now, Some(&up.client_id), &message);
            } else {
                session.will = Some(message);
                self.timers.set(Timer::Will(up.client_id.clone()), now.saturating_add(delay));
            }
        }
        if expiry.is_zero() {
            self.end_session(now, &up.client_id);
        } else {
            self.timers.set(Timer::SessionEnd(up.client_id), now.saturating_add(expiry));
        }
    }

    /// Throws a session without a connection away. A will that still waits is published now.
    pub(super) fn end_session(&mut self, now: Duration, client: &Text) {
        self.publish_delayed_will(now, client);
        self.timers.clear(&Timer::Will(client.clone()));
        self.timers.clear(&Timer::SessionEnd(client.clone()));
        if let Some(session) = self.sessions.remove(client) {
            for (filter, _) in session.subscriptions.iter().filter(|(_, subscription)| subscription.shared) {
                self.leave_group(filter, client);
            }
        }
    }

    pub(super) fn publish_delayed_will(&mut self, now: Duration, client: &Text) {
        if let Some(message) = self.sessions.get_mut(client).and_then(|session| session.will.take()) {
            self.route(now, Some(client), &message);
        }
    }
}
