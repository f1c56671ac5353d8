//! What a message costs in instructions: `cargo xtask bench instructions` counts them under valgrind, where a busy machine
//! changes nothing, and compares with benches/instructions.txt.
//!
//! As a program it does one workload so many times: `instructions NAME TIMES`; `--list` names them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench that cannot run has to say so"
)]

mod support;

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use iot_session::Version;
use mqtt_codec::packet::{Ack, Publish};
use mqtt_codec::{Codec, Packet, PacketId, Properties, Property, TopicFilter, TopicName, TopicTree, matches};
use support::rig::Rig;
use support::{PAYLOAD, TOPIC, default_stack, message};

/// A workload: sets up, then does it so many times.
type Workload = fn(u64);

const WORKLOADS: &[(&str, Workload)] = &[
    ("codec/decode/publish_qos1/v3.1.1", |times| decode(Version::V3_1_1, &publish(), times)),
    ("codec/decode/publish_qos1/v5", |times| decode(Version::V5, &publish(), times)),
    ("codec/decode/publish_6_properties/v5", |times| decode(Version::V5, &with_properties(), times)),
    ("codec/decode/puback/v5", |times| decode(Version::V5, &Packet::PubAck(Ack::new(id())), times)),
    ("codec/encode/publish_qos1/v3.1.1", |times| encode(Version::V3_1_1, &publish(), times)),
    ("codec/encode/publish_qos1/v5", |times| encode(Version::V5, &publish(), times)),
    ("machine/publish_qos1/v3.1.1", |times| publish_and_acknowledge(Version::V3_1_1, times)),
    ("machine/publish_qos1/v5", |times| publish_and_acknowledge(Version::V5, times)),
    ("machine/receive_qos1/v3.1.1", |times| receive(Version::V3_1_1, times)),
    ("machine/receive_qos1/v5", |times| receive(Version::V5, times)),
    ("topics/one_of_1000_filters", one_of_1000),
    ("topics/one_filter", one_filter),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--list"] => WORKLOADS.iter().for_each(|(name, _)| println!("{name}")),
        [name, times] if !name.starts_with('-') => {
            let Some((_, workload)) = WORKLOADS.iter().find(|(known, _)| *known == name) else {
                panic!("no workload {name:?}: --list names them");
            };
            workload(times.parse().unwrap());
        }
        // As `cargo bench` calls it, which measures nothing here.
        _ => WORKLOADS.iter().for_each(|(_, workload)| workload(1)),
    }
}

fn id() -> PacketId {
    PacketId::new(7).unwrap()
}

fn publish() -> Packet {
    let topic = TopicName::try_from(TOPIC).unwrap();
    Publish::new(topic, Bytes::from_static(PAYLOAD)).at_least_once(id()).into()
}

fn with_properties() -> Packet {
    let list = [
        Property::MessageExpiryInterval(3600),
        Property::ResponseTopic("device/thermostat-4711/reply"),
        Property::CorrelationData(b"0123456789abcdef"),
        Property::UserProperty("unit", "celsius"),
        Property::UserProperty("site", "berlin-3"),
        Property::UserProperty("sequence", "4711"),
    ];
    let properties = list.into_iter().fold(Properties::new(), |all, property| all.with(property).unwrap());
    let topic = TopicName::try_from(TOPIC).unwrap();
    let publish = Publish::new(topic, Bytes::from_static(PAYLOAD)).at_least_once(id());
    publish.with_properties(&properties).unwrap().into()
}

fn decode(version: Version, packet: &Packet, times: u64) {
    let mut wire = BytesMut::new();
    Codec::client(version).encode(packet, &mut wire).unwrap();
    // What a client sends and what it receives differ for neither of these packets.
    let mut codec = Codec::client(version);
    let mut buffer = BytesMut::with_capacity(1 << 16);
    for _ in 0..times {
        buffer.extend_from_slice(&wire);
        black_box(codec.decode(&mut buffer).unwrap().unwrap());
    }
}

fn encode(version: Version, packet: &Packet, times: u64) {
    let codec = Codec::client(version);
    let mut buffer = BytesMut::with_capacity(1 << 16);
    for _ in 0..times {
        buffer.clear();
        codec.encode(black_box(packet), &mut buffer).unwrap();
        black_box(&buffer);
    }
}

fn publish_and_acknowledge(version: Version, times: u64) {
    let mut rig = Rig::connected(default_stack(version, 100));
    let op = message().into_op();
    for _ in 0..times {
        rig.publish_and_acknowledge(op.clone());
    }
}

fn receive(version: Version, times: u64) {
    let mut rig = Rig::connected(default_stack(version, 100));
    let mut wire = BytesMut::new();
    Codec::client(version).encode(&publish(), &mut wire).unwrap();
    for _ in 0..times {
        rig.receive_and_acknowledge(&wire);
    }
}

fn one_of_1000(times: u64) {
    let mut tree = TopicTree::new();
    for n in 0..1000 {
        let filter = match n % 3 {
            0 => format!("fleet/device-{n}/commands/+"),
            1 => format!("fleet/device-{n}/#"),
            _ => format!("fleet/device-{n}/telemetry"),
        };
        tree.insert(&TopicFilter::try_from(filter).unwrap(), n);
    }
    for _ in 0..times {
        let found = tree.matches(black_box(b"fleet/device-501/commands/reboot")).count();
        assert_eq!(black_box(found), 1);
    }
}

fn one_filter(times: u64) {
    let filter = TopicFilter::try_from("fleet/+/commands/#").unwrap();
    for _ in 0..times {
        assert!(matches(
            black_box(filter.as_str().as_bytes()),
            black_box(b"fleet/device-501/commands/reboot")
        ));
    }
}
