//! One connection of the broker that only acknowledges and counts. It knows no sockets.

use std::collections::HashSet;
use std::io;

use bytes::BytesMut;
use mqtt_codec::packet::{Ack, ConnAck, Publish, SubAck, Subscribe};
use mqtt_codec::{Codec, Packet, PacketId, ReasonCode, TopicName, Version};

use super::{Making, Order};
use crate::ledger::Ledger;

/// One connection.
#[derive(Debug)]
pub struct Connection {
    codec: Codec,
    /// Filters without wildcards: what is published to one of them comes back.
    filters: HashSet<String>,
    packet_id: u16,
    making: Making,
    /// Whether CONNECT was here, and DISCONNECT was not.
    pub is_up: bool,
}

impl Connection {
    pub fn new() -> Self {
        let (filters, making) = (HashSet::new(), Making::default());
        Self { codec: Codec::server(), filters, packet_id: 0, making, is_up: false }
    }

    /// Takes what came, and answers it.
    pub fn take(
        &mut self,
        input: &mut BytesMut,
        output: &mut BytesMut,
        ledger: &mut Ledger,
    ) -> io::Result<()> {
        while let Some(packet) = self.codec.decode(input).map_err(io::Error::other)? {
            match packet {
                Packet::Connect(_) => {
                    self.is_up = true;
                    self.say(&ConnAck::new(false, ReasonCode::Success).into(), output)?;
                }
                Packet::Publish(publish) => {
                    ledger.enter(publish.payload());
                    if let Some(id) = publish.packet_id() {
                        self.say(&Packet::PubAck(Ack::new(id)), output)?;
                    }
                    if !self.filters.is_empty() && self.filters.contains(publish.topic()) {
                        self.echo(&publish, output)?;
                    }
                }
                Packet::Subscribe(subscribe) => self.subscribe(&subscribe, output)?,
                Packet::PingReq => self.say(&Packet::PingResp, output)?,
                Packet::PubAck(_) => self.making.acknowledged(),
                Packet::Disconnect(_) => self.is_up = false,
                other => return Err(io::Error::other(format!("{} is not expected", other.name()))),
            }
        }
        Ok(())
    }

    fn say(&self, packet: &Packet, output: &mut BytesMut) -> io::Result<()> {
        self.codec.encode(packet, output).map_err(io::Error::other)
    }

    fn echo(&mut self, publish: &Publish, output: &mut BytesMut) -> io::Result<()> {
        self.packet_id = self.packet_id.checked_add(1).unwrap_or(1);
        let topic = TopicName::try_from(publish.topic()).map_err(io::Error::other)?;
        let id = PacketId::new(self.packet_id).ok_or_else(|| io::Error::other("no packet identifier"))?;
        let echo = Publish::new(topic, publish.payload_bytes()).at_least_once(id);
        self.say(&echo.into(), output)
    }

    fn subscribe(&mut self, subscribe: &Subscribe, output: &mut BytesMut) -> io::Result<()> {
        let before = self.filters.len();
        self.filters.extend(subscribe.filters().map(|(filter, _)| filter.as_str().to_owned()));
        let granted = (before..self.filters.len()).map(|_| ReasonCode::GrantedQoS1);
        self.say(&Packet::SubAck(SubAck::new(subscribe.packet_id, granted)), output)
    }

    /// Whether it is one for which messages are made.
    pub fn is_subscribed(&self) -> bool {
        !self.filters.is_empty()
    }

    /// Makes messages from now on.
    pub fn make(&mut self, order: Order) -> io::Result<()> {
        let version = self.codec.version().unwrap_or(Version::V5);
        self.making = Making::new(order, version).map_err(io::Error::other)?;
        Ok(())
    }

    /// Some more of the messages that are to be made, if there are any.
    pub fn made(&mut self, output: &mut BytesMut) {
        self.making.write(output);
    }
}

#[cfg(test)]
mod tests {
    use mqtt_codec::packet::{ConnectBuilder, SubscriptionOptions};
    use mqtt_codec::{QoS, Text, TopicFilter};

    use super::*;

    fn said(packets: &[Packet], ledger: &mut Ledger) -> Vec<Packet> {
        let (mut connection, mut output) = (Connection::new(), BytesMut::new());
        let mut client = Codec::client(Version::V5);
        let mut input = BytesMut::new();
        for packet in packets {
            client.encode(packet, &mut input).unwrap();
        }
        connection.take(&mut input, &mut output, ledger).unwrap();
        std::iter::from_fn(|| client.decode(&mut output).unwrap()).collect()
    }

    fn publish(number: u64, id: u16) -> Packet {
        let topic = TopicName::try_from("t").unwrap();
        Publish::new(topic, number.to_be_bytes().to_vec()).at_least_once(PacketId::new(id).unwrap()).into()
    }

    #[test]
    fn what_is_published_is_counted_acknowledged_and_echoed_to_who_subscribed() {
        let connect = ConnectBuilder::new(Version::V5, Text::try_from("c").unwrap()).build().unwrap();
        let filter = TopicFilter::try_from("t").unwrap();
        let options = SubscriptionOptions::at(QoS::AtLeastOnce);
        let subscribe = Subscribe::new(PacketId::new(9).unwrap(), [(&filter, options)]);
        let mut ledger = Ledger::default();
        let packets = [connect.into(), publish(0, 1), subscribe.into(), publish(1, 2), publish(1, 3)];
        let names: Vec<_> = said(&packets, &mut ledger).iter().map(|packet| packet.name()).collect();
        assert_eq!(names, ["CONNACK", "PUBACK", "SUBACK", "PUBACK", "PUBLISH", "PUBACK", "PUBLISH"]);
        let report = ledger.report();
        assert_eq!((report.messages, report.duplicates), (2, 1));
    }
}
