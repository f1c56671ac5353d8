//! What is decoded and encoded: packets described without any codec, their bytes on the wire and the checksum that
//! reading them must give.

use crate::checksum::Checksum;

/// The protocol's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V3,
    V5,
}

impl Version {
    pub const BOTH: [Self; 2] = [Self::V3, Self::V5];

    pub fn name(self) -> &'static str {
        match self {
            Self::V3 => "MQTT 3.1.1",
            Self::V5 => "MQTT 5",
        }
    }
}

/// A control packet.
#[derive(Debug, Clone)]
pub enum Packet {
    /// QoS 0 has the packet identifier 0.
    Publish {
        topic: String,
        id: u16,
        payload: Vec<u8>,
        properties: Vec<Property>,
    },
    PubAck {
        id: u16,
    },
    /// Filters with the QoS asked for.
    Subscribe {
        id: u16,
        filters: Vec<(String, u8)>,
    },
    /// The QoS granted for each filter.
    SubAck {
        id: u16,
        granted: Vec<u8>,
    },
    PingReq,
    PingResp,
}

/// The properties that the MQTT 5 workload carries.
#[derive(Debug, Clone)]
pub enum Property {
    MessageExpiry(u32),
    ResponseTopic(String),
    CorrelationData(Vec<u8>),
    User(String, String),
}

/// How the bytes come to the codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// The bytes of one packet are appended to the receive buffer, one packet is decoded.
    Packet,
    /// The bytes are in the receive buffer before the clock starts: many copies of the packet, one behind the other,
    /// of which each decode takes one. The buffer is refilled with the clock stopped.
    InBuffer,
    /// The stream is appended in pieces of so many bytes; behind each, packets are decoded until bytes lack.
    Pieces(usize),
}

/// A row of the tables.
#[derive(Debug, Clone)]
pub struct Workload {
    pub name: &'static str,
    pub packets: Vec<Packet>,
    pub feed: Feed,
    /// Whether encoding it is measured too: how bytes arrive makes no difference there.
    pub encoded: bool,
}

const TOPIC: &str = "device/thermostat-4711/telemetry";
const MIX: usize = 10_000;
/// What TCP carries in a segment over Ethernet.
const SEGMENT: usize = 1460;

impl Workload {
    pub fn all(version: Version) -> Vec<Self> {
        let one = |name, packet| Self { name, packets: vec![packet], feed: Feed::Packet, encoded: true };
        let large = publish(TOPIC, 7, payload(128 * 1024 - 64));
        let mut all = vec![
            one("PUBLISH QoS 0 64 B", publish(TOPIC, 0, payload(64))),
            one("PUBLISH QoS 1 1 KiB", publish(TOPIC, 7, payload(1024))),
            one("PUBLISH QoS 1 128 KiB", large.clone()),
            Self { feed: Feed::InBuffer, encoded: false, ..one("PUBLISH 128 KiB in buffer", large) },
            one("PUBACK", Packet::PubAck { id: 7 }),
            one("SUBSCRIBE 8 filters", subscribe(7, 8)),
        ];
        if version == Version::V5 {
            let user = |name: &str, value: &str| Property::User(name.into(), value.into());
            let properties = vec![
                Property::MessageExpiry(3600),
                Property::ResponseTopic("device/thermostat-4711/reply".into()),
                Property::CorrelationData(b"0123456789abcdef".to_vec()),
                user("unit", "celsius"),
                user("site", "berlin-3"),
                user("firmware", "1.2.3"),
                user("sequence", "4711"),
            ];
            let packet = Packet::Publish { topic: TOPIC.into(), id: 7, payload: payload(64), properties };
            all.push(one("PUBLISH 7 properties", packet));
        }
        let packets = mix();
        let whole: usize = packets.iter().map(|packet| packet.wire(version).len()).sum();
        let mix = |name, piece, encoded| Self {
            name,
            packets: packets.clone(),
            feed: Feed::Pieces(piece),
            encoded,
        };
        all.push(mix("mix", whole, true));
        all.push(mix("mix in segments", SEGMENT, false));
        all
    }

    /// The bytes of all packets.
    pub fn wire(&self, version: Version) -> Vec<u8> {
        self.packets.iter().flat_map(|packet| packet.wire(version)).collect()
    }

    /// What one pass over the packets adds to the checksum.
    pub fn checksum(&self) -> u64 {
        let mut sum = Checksum::default();
        self.packets.iter().for_each(|packet| packet.add_to(&mut sum));
        sum.0
    }
}

fn publish(topic: &str, id: u16, payload: Vec<u8>) -> Packet {
    Packet::Publish { topic: topic.into(), id, payload, properties: Vec::new() }
}

fn subscribe(id: u16, filters: u8) -> Packet {
    let filters = (0..filters).map(|n| (format!("device/thermostat-4711/cmd/{n}/+"), n % 2));
    Packet::Subscribe { id, filters: filters.collect() }
}

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|at| b' ' + (at % 94) as u8).collect()
}

/// What a device's connection carries: four fifths PUBLISH, short ones more often than long ones.
fn mix() -> Vec<Packet> {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut packets = Vec::with_capacity(MIX);
    while packets.len() < MIX {
        let id = 1 + random.below(65_535) as u16;
        packets.push(match random.below(100) {
            0..82 => {
                let kind = ["telemetry", "state", "log/info", "shadow/update"][random.below(4)];
                let topic = format!("device/thermostat-{:04}/{kind}", random.below(10_000));
                let len = match random.below(4) {
                    0 => 32 + random.below(225),
                    1 => 256 + random.below(257),
                    2 => 512 + random.below(513),
                    _ => 32 + random.below(2017),
                };
                publish(&topic, if random.below(2) == 0 { 0 } else { id }, payload(len))
            }
            82..93 => Packet::PubAck { id },
            93..95 => Packet::PingReq,
            95..97 => Packet::PingResp,
            97..99 => subscribe(id, 1 + random.below(4) as u8),
            _ => Packet::SubAck { id, granted: vec![1; 1 + random.below(4)] },
        });
    }
    packets
}

/// Xorshift: the same packets in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % bound as u64) as usize
    }
}

impl Packet {
    /// The bytes of the packet, written by hand so that they depend on no codec.
    pub fn wire(&self, version: Version) -> Vec<u8> {
        let mut body = Vec::new();
        // No properties are one byte in MQTT 5 and nothing in 3.1.1.
        let no_properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
        let header = match self {
            Self::Publish { topic, id, payload, properties } => {
                string(&mut body, topic.as_bytes());
                if *id != 0 {
                    body.extend(id.to_be_bytes());
                }
                if version == Version::V5 {
                    let mut list = Vec::new();
                    properties.iter().for_each(|property| property.write(&mut list));
                    variable_byte_integer(&mut body, list.len());
                    body.extend(list);
                }
                body.extend(payload);
                if *id == 0 { 0x30 } else { 0x32 }
            }
            Self::PubAck { id } => {
                body.extend(id.to_be_bytes());
                0x40
            }
            Self::Subscribe { id, filters } => {
                body.extend(id.to_be_bytes());
                body.extend(no_properties);
                for (filter, qos) in filters {
                    string(&mut body, filter.as_bytes());
                    body.push(*qos);
                }
                0x82
            }
            Self::SubAck { id, granted } => {
                body.extend(id.to_be_bytes());
                body.extend(no_properties);
                body.extend(granted);
                0x90
            }
            Self::PingReq => 0xC0,
            Self::PingResp => 0xD0,
        };
        let mut wire = vec![header];
        variable_byte_integer(&mut wire, body.len());
        wire.extend(body);
        wire
    }

    fn add_to(&self, sum: &mut Checksum) {
        match self {
            Self::Publish { topic, id, payload, properties } => {
                sum.publish(topic.as_bytes(), *id, payload);
                for property in properties {
                    match property {
                        Property::MessageExpiry(seconds) => sum.message_expiry(*seconds),
                        Property::ResponseTopic(topic) => sum.response_topic(topic.as_bytes()),
                        Property::CorrelationData(data) => sum.correlation_data(data),
                        Property::User(name, value) => sum.user_property(name.as_bytes(), value.as_bytes()),
                    }
                }
            }
            Self::PubAck { id } => sum.puback(*id),
            Self::Subscribe { id, filters } => {
                sum.subscribe(*id);
                filters.iter().for_each(|(filter, qos)| sum.filter(filter.as_bytes(), *qos));
            }
            Self::SubAck { id, granted } => sum.suback(*id, granted.len()),
            Self::PingReq | Self::PingResp => sum.ping(),
        }
    }
}

impl Property {
    fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::MessageExpiry(seconds) => {
                to.push(0x02);
                to.extend(seconds.to_be_bytes());
            }
            Self::ResponseTopic(topic) => {
                to.push(0x08);
                string(to, topic.as_bytes());
            }
            Self::CorrelationData(data) => {
                to.push(0x09);
                string(to, data);
            }
            Self::User(name, value) => {
                to.push(0x26);
                string(to, name.as_bytes());
                string(to, value.as_bytes());
            }
        }
    }
}

fn string(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend((bytes.len() as u16).to_be_bytes());
    to.extend(bytes);
}

fn variable_byte_integer(to: &mut Vec<u8>, mut value: usize) {
    while value > 0x7F {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_about_520_bytes_a_packet() {
        let mix = Workload::all(Version::V3).pop().unwrap();
        let mean = mix.wire(Version::V3).len() / mix.packets.len();
        assert!((500..540).contains(&mean), "{mean}");
    }

    #[test]
    fn bytes_are_those_of_the_standard() {
        assert_eq!(publish("a/b", 0, b"x".to_vec()).wire(Version::V3), b"\x30\x06\x00\x03a/bx");
        assert_eq!(publish("a/b", 1, b"x".to_vec()).wire(Version::V5), b"\x32\x09\x00\x03a/b\x00\x01\x00x");
        assert_eq!(Packet::PubAck { id: 7 }.wire(Version::V5), b"\x40\x02\x00\x07");
    }

    #[test]
    fn the_checksum_of_the_description_is_that_of_the_bytes() {
        for version in Version::BOTH {
            for workload in Workload::all(version) {
                let read = Checksum::of_wire(&workload.wire(version), version);
                assert_eq!(read, Some((workload.packets.len(), Checksum(workload.checksum()))));
            }
        }
    }
}
