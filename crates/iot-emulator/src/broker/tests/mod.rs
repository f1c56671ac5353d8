//! The broker driven by hand: packets and instants made up, every answer looked at.

mod connecting;
mod delivery;
mod ends;
mod faults;
mod random;
mod routing;
mod sessions;

use mqtt_codec::packet::{
    Ack, ConnAck, ConnectBuilder, Disconnect, Publish, Subscribe, SubscriptionOptions, Unsubscribe, Will,
};
use mqtt_codec::{Properties, Property, QoS};
use std::borrow::Borrow;
use std::collections::BTreeSet;

use super::*;

const BOTH: [Version; 2] = [Version::V3_1_1, Version::V5];

/// A broker with the packets that it has sent, per connection, and those of its connections that are open.
struct World {
    broker: Broker,
    now: Duration,
    sent: BTreeMap<u64, VecDeque<Packet>>,
    open: BTreeSet<u64>,
    aborted: BTreeSet<u64>,
    /// What the side of the service is told of: connection and topic.
    published: Vec<(u64, String)>,
}

impl World {
    fn new() -> Self {
        Self::with(Behaviour::default())
    }

    fn with(behaviour: Behaviour) -> Self {
        let (sent, open, aborted, published) = Default::default();
        Self { broker: Broker::new(behaviour), now: Duration::from_secs(100), sent, open, aborted, published }
    }

    /// Does what the broker says. It may name open connections only, and say nothing that cannot be encoded.
    fn drain(&mut self) {
        while let Some(output) = self.broker.poll() {
            match output {
                Output::Send { connection, version, packet } => {
                    assert!(self.open.contains(&connection.0), "{packet:?} to a connection that is gone");
                    Codec::server_after_connect(version).encoded_len(&packet).unwrap();
                    self.sent.entry(connection.0).or_default().push_back(packet);
                }
                Output::Close(id) => assert!(self.open.remove(&id.0)),
                Output::Abort(id) => {
                    assert!(self.open.remove(&id.0));
                    self.aborted.insert(id.0);
                }
                Output::Published { connection, topic, .. } => {
                    self.published.push((connection.0, topic.as_str().to_owned()));
                }
            }
        }
    }

    fn open(&mut self, id: u64) {
        self.open.insert(id);
        self.broker.connected(self.now, ConnectionId(id));
        self.drain();
    }

    fn send(&mut self, id: u64, packet: impl Into<Packet>) {
        self.broker.handle(self.now, ConnectionId(id), packet.into());
        self.drain();
    }

    /// The transport connection is lost.
    fn lose(&mut self, id: u64) {
        self.open.remove(&id);
        self.broker.closed(self.now, ConnectionId(id));
        self.drain();
    }

    /// Time passes; what is due is done at its instant.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.broker.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.broker.handle_timeout(self.now);
            self.drain();
            assert!(self.broker.deadline().is_none_or(|next| next > self.now));
        }
        self.now = end;
    }

    fn connect(&mut self, id: u64, connect: impl Borrow<ConnectBuilder>) -> ConnAck {
        self.open(id);
        self.send(id, connect.borrow().build().unwrap());
        match self.next(id) {
            Some(Packet::ConnAck(ack)) => ack,
            other => panic!("no CONNACK but {other:?}"),
        }
    }

    /// A clean start without anything special.
    fn client(&mut self, id: u64, version: Version, name: &str) {
        assert_eq!(self.connect(id, hello(version, name)).reason, ReasonCode::Success);
    }

    fn subscribe(&mut self, id: u64, filter: &str, options: SubscriptionOptions) -> ReasonCode {
        let filter = TopicFilter::try_from(filter).unwrap();
        self.send(id, Subscribe::new(packet_id(1), [(&filter, options)]));
        // Behind the SUBACK there may be retained messages, which stay.
        match self.next(id) {
            Some(Packet::SubAck(ack)) => ack.reasons().next().unwrap(),
            other => panic!("no SUBACK but {other:?}"),
        }
    }

    fn next(&mut self, id: u64) -> Option<Packet> {
        self.sent.get_mut(&id)?.pop_front()
    }

    /// The messages received since the last look, as topic and payload. Nothing else may have come.
    fn received(&mut self, id: u64) -> Vec<String> {
        self.publishes(id).iter().map(shown).collect()
    }

    fn publishes(&mut self, id: u64) -> Vec<Publish> {
        let packets = self.sent.remove(&id).unwrap_or_default();
        packets
            .into_iter()
            .map(|packet| match packet {
                Packet::Publish(publish) => publish,
                other => panic!("{other:?} among messages"),
            })
            .collect()
    }

    /// Publishes at QoS 1 and takes the PUBACK away.
    fn publish(&mut self, id: u64, topic: &str, payload: &str) {
        self.send(id, message(topic, payload).at_least_once(packet_id(1)));
        assert_eq!(self.next_ack(id), ReasonCode::Success);
    }

    /// The last packet, which has to be PUBACK.
    fn next_ack(&mut self, id: u64) -> ReasonCode {
        match self.sent.get_mut(&id).and_then(VecDeque::pop_back) {
            Some(Packet::PubAck(ack)) => ack.reason,
            other => panic!("no PUBACK but {other:?}"),
        }
    }

    fn ack(&mut self, id: u64, packet_id: PacketId) {
        self.send(id, Packet::PubAck(Ack::new(packet_id)));
    }

    /// The only packet is DISCONNECT with this reason, in MQTT 3.1.1 there is none; and the connection is closed.
    fn assert_ended(&mut self, id: u64, version: Version, reason: ReasonCode) {
        let expected = version.is_v5().then(|| Packet::Disconnect(Disconnect::new(reason)));
        assert_eq!(self.next(id), expected);
        assert_eq!(self.next(id), None);
        assert!(!self.open.contains(&id));
    }
}

fn hello(version: Version, name: &str) -> ConnectBuilder {
    ConnectBuilder::new(version, Text::try_from(name).unwrap())
}

/// A CONNECT for a session that lives on.
fn resume(version: Version, name: &str) -> ConnectBuilder {
    let mut connect = hello(version, name);
    connect.clean_start = false;
    if version.is_v5() {
        connect.properties = with(Property::SessionExpiryInterval(600));
    }
    connect
}

fn will(topic: &str) -> Will {
    Will::new(TopicName::try_from(topic).unwrap(), "gone")
}

fn message(topic: &str, payload: &str) -> Publish {
    Publish::new(TopicName::try_from(topic).unwrap(), payload.to_owned())
}

fn with(property: Property<'_>) -> Properties {
    Properties::new().with(property).unwrap()
}

fn packet_id(id: u16) -> PacketId {
    PacketId::new(id).unwrap()
}

fn at(qos: QoS) -> SubscriptionOptions {
    SubscriptionOptions::at(qos)
}

fn shown(publish: &Publish) -> String {
    format!("{}={}", publish.topic(), String::from_utf8_lossy(publish.payload()))
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
