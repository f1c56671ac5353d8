//! Messages to one session: sending, waiting, sending again; and whose turn it is in a shared subscription.

use std::time::Duration;

use mqtt_codec::{Packet, PacketId, QoS, Text, TopicFilter};

use super::message::Message;
use super::{Broker, ConnectionId};

/// The members of a shared subscription, and whose turn is next.
#[derive(Debug, Default)]
pub(super) struct Group {
    members: Vec<Text>,
    next: usize,
}

impl Group {
    /// The next member that suits; the turn goes to the one after it.
    fn pick(&mut self, suits: impl Fn(&Text) -> bool) -> Option<Text> {
        let len = self.members.len();
        let at = (0..len)
            .map(|turn| (self.next + turn) % len)
            .find(|at| self.members.get(*at).is_some_and(&suits))?;
        self.next = at + 1;
        self.members.get(at).cloned()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

impl Broker {
    /// One message to one session: QoS 0 now or never, QoS 1 in its order.
    pub(super) fn deliver(&mut self, now: Duration, client: &Text, message: Message) {
        let Some(session) = self.sessions.get_mut(client) else { return };
        if message.qos == QoS::AtMostOnce {
            let Some(id) = session.connection else { return };
            let Some(version) = self.up(id).map(|up| up.version) else { return };
            return self.send_publish(id, message.to_publish(now, version, None).into());
        }
        if session.enqueue(message, &self.behaviour) {
            self.pump(now, client);
        } else {
            self.stats.queue_full += 1;
        }
    }

    /// Sends again what is due, then what waits, as far as the client's window goes.
    pub(super) fn pump(&mut self, now: Duration, client: &Text) {
        while let Some(session) = self.sessions.get_mut(client) {
            let Some(id) = session.connection else { return };
            let Some((version, window)) = self.up(id).map(|up| (up.version, up.window)) else { return };
            let Some(session) = self.sessions.get_mut(client) else { return };
            let (packet_id, publish) = if let Some((packet_id, message)) = session.next_resend(window) {
                // [MQTT-3.3.1-1]
                (packet_id, message.to_publish(now, version, Some(packet_id)).with_dup(true))
            } else {
                let Some(message) = session.dequeue(window) else { return };
                if message.expired(now) {
                    self.stats.expired += 1; // [MQTT-3.3.2-5]
                    continue;
                }
                let publish = message.clone();
                let Some(packet_id) = session.begin(message) else { return };
                (packet_id, publish.to_publish(now, version, Some(packet_id)))
            };
            if !self.send_publish_checked(id, publish.into()) {
                // [MQTT-3.1.2-25] as if it had been delivered
                if let Some(session) = self.sessions.get_mut(client) {
                    session.acknowledged(packet_id);
                }
            }
        }
    }

    /// Everything unacknowledged again, in its order ([MQTT-4.4.0-1], [MQTT-4.6.0-1]); then what waits.
    pub(super) fn resend(&mut self, now: Duration, client: &Text) {
        if let Some(session) = self.sessions.get_mut(client) {
            session.resumed();
        }
        self.pump(now, client);
    }

    /// A client has acknowledged a message; one that is not known is none of ours.
    pub(super) fn acknowledged(&mut self, now: Duration, id: ConnectionId, packet_id: PacketId) {
        let Some(client) = self.up(id).map(|up| up.client_id.clone()) else { return };
        if let Some(session) = self.sessions.get_mut(&client) {
            session.acknowledged(packet_id);
        }
        self.pump(now, &client);
    }

    fn send_publish(&mut self, id: ConnectionId, packet: Packet) {
        self.send_publish_checked(id, packet);
    }

    fn send_publish_checked(&mut self, id: ConnectionId, packet: Packet) -> bool {
        let fits = self.up(id).is_some_and(|up| up.takes(&packet));
        if fits {
            self.send(id, packet);
        } else {
            self.stats.too_large += 1;
        }
        fits
    }

    pub(super) fn join_group(&mut self, filter: &TopicFilter, client: &Text) {
        let members = &mut self.groups.entry(filter.clone()).or_default().members;
        if !members.contains(client) {
            members.push(client.clone());
        }
    }

    pub(super) fn leave_group(&mut self, filter: &TopicFilter, client: &Text) {
        let Some(group) = self.groups.get_mut(filter) else { return };
        group.members.retain(|member| member != client);
        if group.members.is_empty() {
            self.groups.remove(filter);
        }
    }

    /// One member of each group that wants the message (section 4.8.2): the next one that is connected, else the
    /// next one whose session waits for QoS 1.
    pub(super) fn pick_group_members(&mut self, message: &Message, receivers: &mut Vec<(Text, QoS, bool)>) {
        for (filter, group) in &mut self.groups {
            if !self.behaviour.matches(filter.without_share(), message.topic.as_str()) {
                continue;
            }
            let sessions = &self.sessions;
            let online =
                |member: &Text| sessions.get(member).is_some_and(|session| session.connection.is_some());
            let options = |member: &Text| Some(sessions.get(member)?.subscriptions.get(filter)?.options);
            let waits = |member: &Text| {
                options(member).is_some_and(|options| message.qos.min(options.qos) > QoS::AtMostOnce)
            };
            let picked = group.pick(online).or_else(|| group.pick(waits));
            if let Some((options, member)) = picked.and_then(|member| Some((options(&member)?, member))) {
                receivers.push((member, options.qos, options.retain_as_published));
            }
        }
    }
}
