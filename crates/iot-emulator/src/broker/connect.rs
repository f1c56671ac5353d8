//! CONNECT and CONNACK (section 3.1 and 3.2 of both standards).

use std::collections::BTreeMap;
use std::time::Duration;

use mqtt_codec::packet::{ConnAck, Connect, Disconnect};
use mqtt_codec::{EncodeError, Packet, Properties, Property, QoS, ReasonCode, Text, Version};

use super::session::Session;
use super::timers::Timer;
use super::{Broker, Connection, ConnectionId, Output, Up};

impl Broker {
    pub(super) fn connect(&mut self, now: Duration, id: ConnectionId, connect: &Connect) {
        if let Some(reason) = self.refusal(connect) {
            let qos_2_will = reason == ReasonCode::QoSNotSupported;
            // MQTT 3.1.1 has no word for a QoS that is not supported: the connection is just closed.
            return match connect.version() {
                Version::V3_1_1 if qos_2_will => self.close(now, id),
                version => self.refuse(now, id, version, reason),
            };
        }
        let client_id = self.client_id(connect);
        self.take_over(now, &client_id);

        // [MQTT-3.1.2-4], [MQTT-3.1.2-5]; MQTT 3.1.1 [MQTT-3.1.2-6]
        let resumed = !connect.clean_start()
            && self.sessions.get(&client_id).is_some_and(|session| {
                self.behaviour.sessions_cross_versions || session.version == connect.version()
            });
        if !resumed {
            self.end_session(now, &client_id);
            if self.sessions.len() >= self.behaviour.max_sessions {
                return self.refuse(now, id, connect.version(), ReasonCode::QuotaExceeded);
            }
        }
        let up = self.connection(connect, &client_id);
        let expiry = self.session_expiry(connect);
        let ack = self.conn_ack(connect, &client_id, resumed, expiry).unwrap_or_default();
        if !up.takes(&Packet::ConnAck(ack.clone())) {
            return self.refuse(now, id, connect.version(), ReasonCode::PacketTooLarge);
        }

        match up.silence {
            Some(silence) => self.timers.set(Timer::Silence(id), now.saturating_add(silence)),
            None => self.timers.clear(&Timer::Silence(id)),
        }
        self.timers.clear(&Timer::SessionEnd(client_id.clone()));
        self.timers.clear(&Timer::Will(client_id.clone()));
        let session =
            self.sessions.entry(client_id.clone()).or_insert_with(|| Session::new(connect.version()));
        session.version = connect.version();
        session.connection = Some(id);
        session.expiry = expiry;
        session.will = None; // [MQTT-3.1.3-9]
        self.connections.insert(id, Connection::Up(Box::new(up)));
        self.send(id, Packet::ConnAck(ack));
        if resumed {
            self.resend(now, &client_id);
        }
    }

    /// A CONNACK with a reason, then the end. Nothing of a refused connection stays.
    pub(super) fn refuse(&mut self, now: Duration, id: ConnectionId, version: Version, reason: ReasonCode) {
        let packet = Packet::ConnAck(ConnAck::new(false, reason.in_connack(version)));
        self.outputs.push_back(Output::Send { connection: id, version, packet });
        self.close(now, id);
    }

    fn refusal(&self, connect: &Connect) -> Option<ReasonCode> {
        if let Some(reason) = self.policy.refuses_connect() {
            return Some(reason);
        }
        if connect.properties().authentication_method().is_some() {
            return Some(ReasonCode::BadAuthenticationMethod); // [MQTT-4.12.0-1]
        }
        if !self.behaviour.allows_client_id(connect.client_id()) {
            return Some(ReasonCode::ClientIdentifierNotValid);
        }
        let will = connect.will()?;
        if will.qos > QoS::AtLeastOnce {
            Some(ReasonCode::QoSNotSupported) // [MQTT-3.2.2-12]
        } else if self.policy.denies_publish(will.topic.as_str()) {
            Some(ReasonCode::NotAuthorized)
        } else if !self.behaviour.allows_topic(will.topic.as_str()) {
            Some(ReasonCode::TopicNameInvalid)
        } else {
            None
        }
    }

    /// The client's identifier, or one made up ([MQTT-3.1.3-6], [MQTT-3.1.3-7]).
    fn client_id(&mut self, connect: &Connect) -> Text {
        if !connect.client_id().is_empty() {
            return Text::try_from(connect.client_id()).unwrap_or_default();
        }
        loop {
            self.assigned += 1;
            let id = Text::try_from(format!("auto-{}", self.assigned)).unwrap_or_default();
            if !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }

    /// [MQTT-3.1.4-3] one connection for a client identifier: the newer one.
    fn take_over(&mut self, now: Duration, client_id: &Text) {
        let Some(old) = self.sessions.get(client_id).and_then(|session| session.connection) else { return };
        if self.up(old).is_some_and(|up| up.version.is_v5()) {
            self.send(old, Packet::Disconnect(Disconnect::new(ReasonCode::SessionTakenOver)));
        }
        self.close(now, old);
    }

    fn connection(&self, connect: &Connect, client_id: &Text) -> Up {
        let properties = connect.properties();
        let keep_alive = self.behaviour.keep_alive(connect.keep_alive());
        let receive_maximum = properties.receive_maximum().unwrap_or(u16::MAX);
        Up {
            version: connect.version(),
            client_id: client_id.clone(),
            silence: (keep_alive > 0).then(|| Duration::from_millis(u64::from(keep_alive) * 1_500)),
            window: receive_maximum.min(self.behaviour.max_in_flight).into(),
            max_packet_size: properties.maximum_packet_size(),
            aliases: BTreeMap::new(),
            will: connect.will(),
            unacknowledged: Vec::new(),
        }
    }

    fn session_expiry(&self, connect: &Connect) -> Duration {
        match connect.version() {
            Version::V3_1_1 if connect.clean_start() => Duration::ZERO,
            Version::V3_1_1 => self.behaviour.session_expiry,
            Version::V5 => {
                let asked = connect.properties().session_expiry_interval().unwrap_or(0);
                Duration::from_secs(asked.into()).min(self.behaviour.session_expiry)
            }
        }
    }

    fn conn_ack(
        &self,
        connect: &Connect,
        client_id: &Text,
        resumed: bool,
        expiry: Duration,
    ) -> Result<ConnAck, EncodeError> {
        let mut ack = ConnAck::new(resumed, ReasonCode::Success);
        if !connect.version().is_v5() {
            return Ok(ack);
        }
        let mut properties = Properties::new()
            .with(Property::ReceiveMaximum(self.behaviour.receive_maximum.max(1)))?
            .with(Property::MaximumQoS(true))?
            .with(Property::RetainAvailable(true))?
            .with(Property::MaximumPacketSize(self.behaviour.max_packet_size.max(1)))?
            .with(Property::TopicAliasMaximum(self.behaviour.topic_alias_maximum))?
            .with(Property::WildcardSubscriptionAvailable(true))?
            .with(Property::SubscriptionIdentifierAvailable(false))?
            .with(Property::SharedSubscriptionAvailable(true))?;
        let granted = u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX);
        if connect.properties().session_expiry_interval().unwrap_or(0) != granted {
            properties = properties.with(Property::SessionExpiryInterval(granted))?;
        }
        let keep_alive = self.behaviour.keep_alive(connect.keep_alive());
        if keep_alive != connect.keep_alive() {
            properties = properties.with(Property::ServerKeepAlive(keep_alive))?;
        }
        if connect.client_id().is_empty() {
            properties = properties.with(Property::AssignedClientIdentifier(client_id.as_str()))?;
        }
        ack.properties = properties;
        Ok(ack)
    }
}
