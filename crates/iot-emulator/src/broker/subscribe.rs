//! SUBSCRIBE and UNSUBSCRIBE (sections 3.8 to 3.11 of both standards).

use std::time::Duration;

use mqtt_codec::packet::{RetainHandling, SubAck, Subscribe, SubscriptionOptions, Unsubscribe};
use mqtt_codec::{Packet, QoS, ReasonCode, Text, TopicFilter, Version};

use super::message::Message;
use super::session::Subscription;
use super::{Broker, ConnectionId};

impl Broker {
    pub(super) fn subscribe(&mut self, now: Duration, id: ConnectionId, subscribe: &Subscribe) {
        let Some(up) = self.up(id) else { return };
        let (client, version) = (up.client_id.clone(), up.version);
        if subscribe.properties.as_ref().subscription_identifiers().next().is_some() {
            return self.fail(now, id, ReasonCode::SubscriptionIdentifiersNotSupported);
        }
        if subscribe.filters().count() > self.behaviour.max_filters {
            return self.fail(now, id, ReasonCode::QuotaExceeded);
        }
        let mut reasons = Vec::new();
        let mut wants_retained = Vec::new();
        for (filter, options) in subscribe.filters() {
            // A copy that does not keep the read buffer.
            let filter = filter.into_owned();
            let (reason, retained) = self.subscribe_one(&client, &filter, options);
            let denied = reason == ReasonCode::NotAuthorized;
            if denied && version == Version::V3_1_1 && self.behaviour.denied_subscribe_closes {
                return self.close(now, id);
            }
            // MQTT 3.1.1 knows one failure ([MQTT-3.9.3-2]).
            let failed = reason.is_error() && version == Version::V3_1_1;
            reasons.push(if failed { ReasonCode::UnspecifiedError } else { reason });
            if retained {
                wants_retained.push((filter, options));
            }
        }
        self.send(id, Packet::SubAck(SubAck::new(subscribe.packet_id, reasons)));
        for (filter, options) in wants_retained {
            self.send_retained(now, &client, &filter, options);
        }
    }

    pub(super) fn unsubscribe(&mut self, id: ConnectionId, unsubscribe: &Unsubscribe) {
        let Some(client) = self.up(id).map(|up| up.client_id.clone()) else { return };
        let mut reasons = Vec::new();
        for filter in unsubscribe.filters() {
            let filter = filter.into_owned();
            let session = self.sessions.get_mut(&client);
            let existed = session.and_then(|session| session.subscriptions.remove(&filter));
            if existed.is_some_and(|subscription| subscription.shared) {
                self.leave_group(&filter, &client);
            }
            reasons.push(match existed {
                Some(_) => ReasonCode::Success,
                None => ReasonCode::NoSubscriptionExisted,
            });
        }
        self.send(id, Packet::UnsubAck(SubAck::new(unsubscribe.packet_id, reasons)));
    }

    /// Makes or replaces a subscription ([MQTT-3.8.4-3]); also whether retained messages go with it.
    fn subscribe_one(
        &mut self,
        client: &Text,
        filter: &TopicFilter,
        mut options: SubscriptionOptions,
    ) -> (ReasonCode, bool) {
        if self.policy.denies_subscribe(filter) {
            return (ReasonCode::NotAuthorized, false);
        }
        if !self.behaviour.allows_topic(filter.without_share()) {
            return (ReasonCode::TopicFilterInvalid, false);
        }
        let Some(session) = self.sessions.get_mut(client) else {
            return (ReasonCode::UnspecifiedError, false);
        };
        let shared = filter.share_name().is_some();
        options.qos = options.qos.min(QoS::AtLeastOnce);
        let existed = session.subscriptions.contains_key(filter);
        if !existed && session.subscriptions.len() >= self.behaviour.max_subscriptions {
            return (ReasonCode::QuotaExceeded, false);
        }
        session.subscriptions.insert(filter.clone(), Subscription { options, shared });
        if shared {
            self.join_group(filter, client);
        }
        let granted = match options.qos {
            QoS::AtMostOnce => ReasonCode::Success,
            _ => ReasonCode::GrantedQoS1,
        };
        // [MQTT-3.3.1-9] to [MQTT-3.3.1-11]; a group gets none (section 4.8.2)
        let retained = match options.retain_handling {
            RetainHandling::Send => !shared,
            RetainHandling::SendIfNew => !shared && !existed,
            RetainHandling::DoNotSend => false,
        };
        (granted, retained)
    }

    fn send_retained(
        &mut self,
        now: Duration,
        client: &Text,
        filter: &TopicFilter,
        options: SubscriptionOptions,
    ) {
        let wildcard = filter.as_str().contains(['+', '#']);
        if wildcard && !self.behaviour.wildcards_get_retained {
            return;
        }
        let messages: Vec<Message> = self
            .retained
            .iter(now)
            .filter(|message| self.behaviour.matches(filter.as_str(), message.topic.as_str()))
            .cloned()
            .collect();
        for mut message in messages {
            message.qos = message.qos.min(options.qos);
            self.deliver(now, client, message);
        }
    }
}
