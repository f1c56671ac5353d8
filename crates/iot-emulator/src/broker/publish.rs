//! PUBLISH from clients, and where it goes (sections 3.3 and 4.7 to 4.9 of MQTT 5).

use std::time::Duration;

use mqtt_codec::packet::Publish;
use mqtt_codec::{QoS, ReasonCode, Text, TopicName};

use super::message::Message;
use super::{Broker, ConnectionId, Output};

impl Broker {
    pub(super) fn publish_received(&mut self, now: Duration, id: ConnectionId, publish: &Publish) {
        let topic = match self.checked_topic(id, publish) {
            Ok(topic) => topic,
            Err(reason) => return self.fail(now, id, reason),
        };
        let Some(up) = self.up(id) else { return };
        let (client, is_v5) = (up.client_id.clone(), up.version.is_v5());
        if self.policy.denies_publish(topic.as_str()) {
            return match publish.packet_id() {
                Some(packet_id) if is_v5 => self.acknowledge(now, id, packet_id, ReasonCode::NotAuthorized),
                _ => self.fail(now, id, ReasonCode::NotAuthorized), // MQTT 3.1.1 [MQTT-3.3.5-2]
            };
        }
        self.route(now, Some(&client), &Message::published(now, &topic, publish));
        if let Some(packet_id) = publish.packet_id() {
            self.acknowledge(now, id, packet_id, ReasonCode::Success); // [MQTT-4.3.2-4]
        }
        let (payload, qos) = (publish.payload_bytes(), publish.qos());
        self.outputs.push_back(Output::Published { connection: id, topic, payload, qos });
    }

    /// The topic with its alias resolved, if the message is one that the broker takes.
    fn checked_topic(&mut self, id: ConnectionId, publish: &Publish) -> Result<TopicName, ReasonCode> {
        let properties = publish.properties();
        if publish.qos() > QoS::AtLeastOnce {
            return Err(ReasonCode::QoSNotSupported); // [MQTT-3.2.2-11]
        }
        if properties.subscription_identifiers().next().is_some() {
            return Err(ReasonCode::ProtocolError); // [MQTT-3.3.4-6]
        }
        if publish.payload().len() > self.behaviour.max_payload {
            return Err(ReasonCode::QuotaExceeded);
        }
        let maximum = self.behaviour.topic_alias_maximum;
        let aliases = self.up_mut(id).map(|up| &mut up.aliases).ok_or(ReasonCode::UnspecifiedError)?;
        let topic = match (publish.topic_name(), properties.topic_alias()) {
            (_, Some(alias)) if alias > maximum => return Err(ReasonCode::TopicAliasInvalid), // [MQTT-3.3.2-9]
            (Some(topic), Some(alias)) => {
                aliases.insert(alias, Message::new(&topic, &[], QoS::AtMostOnce, false).topic);
                topic
            }
            (Some(topic), None) => topic,
            (None, Some(alias)) => aliases.get(&alias).cloned().ok_or(ReasonCode::ProtocolError)?,
            (None, None) => return Err(ReasonCode::ProtocolError),
        };
        if self.behaviour.allows_topic(topic.as_str()) {
            Ok(topic)
        } else {
            Err(ReasonCode::TopicNameInvalid)
        }
    }

    /// Hands a message to everyone who wants it, in the order of client identifiers. `from` published it.
    pub(super) fn route(&mut self, now: Duration, from: Option<&Text>, message: &Message) {
        if message.retain && !self.retained.set(now, message, &self.behaviour) {
            self.stats.retained_full += 1;
        }
        let mut receivers = Vec::new();
        for (client, session) in &self.sessions {
            let mut wanted: Option<(QoS, bool)> = None;
            for (filter, subscription) in &session.subscriptions {
                let options = subscription.options;
                if subscription.shared
                    || options.no_local && from == Some(client) // [MQTT-3.8.3-3]
                    || !self.behaviour.matches(filter.as_str(), message.topic.as_str())
                {
                    continue;
                }
                let (qos, keep_retain) = wanted.unwrap_or_default();
                wanted = Some((qos.max(options.qos), keep_retain | options.retain_as_published));
            }
            receivers.extend(wanted.map(|(qos, keep_retain)| (client.clone(), qos, keep_retain)));
        }
        self.pick_group_members(message, &mut receivers);
        for (client, qos, keep_retain) in receivers {
            let mut message = message.clone();
            message.qos = message.qos.min(qos); // [MQTT-3.8.4-8]
            message.retain &= keep_retain; // [MQTT-3.3.1-12], [MQTT-3.3.1-13]
            self.deliver(now, &client, message);
        }
    }
}
