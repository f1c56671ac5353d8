//! Decoding and encoding, by packet and version: `cargo bench -p benches --bench codec`.
//!
//! Every decode includes the copy of the packet's bytes into the receive buffer, and the drop of the packet. `owned`
//! shares the buffer, `borrowed` looks at it. For the same beside other codecs see `cargo xtask bench codec --peers`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros make public items; a bench may panic"
)]

use std::hint::black_box;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mqtt_codec::packet::{Ack, Publish, Subscribe, SubscriptionOptions};
use mqtt_codec::{
    Codec, Packet, PacketId, Properties, Property, QoS, TopicFilter, TopicName, TopicTree, Version,
};

/// A row: packets that are decoded one behind the other.
struct Row {
    name: &'static str,
    packets: Vec<Packet>,
}

fn rows(version: Version) -> Vec<Row> {
    let id = PacketId::new(7).unwrap();
    let filters: Vec<TopicFilter> =
        (0..8).map(|n| TopicFilter::try_from(format!("device/thermostat-4711/cmd/{n}/+")).unwrap()).collect();
    let filters = filters.iter().map(|filter| (filter, SubscriptionOptions::at(QoS::AtLeastOnce)));
    let one = |name, packet| Row { name, packets: vec![packet] };
    let mut rows = vec![
        one("publish_qos0_64B", publish(64).into()),
        one("publish_qos1_1KiB", publish(1024).at_least_once(id).into()),
        one("publish_qos1_128KiB", publish(128 * 1024 - 64).at_least_once(id).into()),
        one("puback", Packet::PubAck(Ack::new(id))),
        one("subscribe_x8", Subscribe::new(id, filters).into()),
    ];
    if version.is_v5() {
        let properties = properties();
        let packet = publish(64).at_least_once(id).with_properties(&properties).unwrap();
        rows.push(one("publish_7_properties", packet.into()));
    }
    rows.push(Row { name: "mix_10k", packets: mix() });
    rows
}

fn publish(size: usize) -> Publish {
    let topic = TopicName::try_from("device/thermostat-4711/telemetry").unwrap();
    Publish::new(topic, Bytes::from(vec![0x5A; size]))
}

fn properties() -> Properties {
    let list = [
        Property::MessageExpiryInterval(3600),
        Property::ResponseTopic("device/thermostat-4711/reply"),
        Property::CorrelationData(b"0123456789abcdef"),
        Property::UserProperty("unit", "celsius"),
        Property::UserProperty("site", "berlin-3"),
        Property::UserProperty("firmware", "1.2.3"),
        Property::UserProperty("sequence", "4711"),
    ];
    list.into_iter().fold(Properties::new(), |all, property| all.with(property).unwrap())
}

/// Ten thousand packets of a device's connection.
fn mix() -> Vec<Packet> {
    (0..10_000usize)
        .map(|n| {
            let id = PacketId::new((n % 60_000 + 1) as u16).unwrap();
            match n % 20 {
                0..=3 => Packet::PubAck(Ack::new(id)),
                4 => Packet::PingResp,
                5..=11 => publish(32 + n * 37 % 1024).into(),
                _ => publish(32 + n * 53 % 1024).at_least_once(id).into(),
            }
        })
        .collect()
}

fn throughput(group: &mut BenchmarkGroup<'_, WallTime>, packets: usize, bytes: usize) {
    group.throughput(Throughput::ElementsAndBytes { elements: packets as u64, bytes: bytes as u64 });
}

fn decode(criterion: &mut Criterion) {
    for version in [Version::V3_1_1, Version::V5] {
        let mut codec = Codec::observer(version);
        let mut group = criterion.benchmark_group(format!("decode/{}", name(version)));
        for row in rows(version) {
            let mut wire = BytesMut::new();
            row.packets.iter().for_each(|packet| codec.encode(packet, &mut wire).unwrap());
            throughput(&mut group, row.packets.len(), wire.len());
            // All at once, and as TCP brings a stream.
            let pieces: &[(&str, usize)] = if row.packets.len() > 1 {
                &[("", usize::MAX), ("_in_segments", 1460)]
            } else {
                &[("", usize::MAX)]
            };
            for (suffix, piece) in pieces {
                let row = format!("{}{suffix}", row.name);
                let mut buffer = BytesMut::with_capacity(64 * 1024);
                group.bench_function(BenchmarkId::new("owned", &row), |bencher| {
                    bencher.iter(|| {
                        for piece in black_box(&wire).chunks(*piece) {
                            buffer.extend_from_slice(piece);
                            while let Some(packet) = codec.decode(&mut buffer).unwrap() {
                                black_box(&packet);
                            }
                        }
                    });
                });
                let mut buffer: Vec<u8> = Vec::with_capacity(64 * 1024);
                group.bench_function(BenchmarkId::new("borrowed", &row), |bencher| {
                    bencher.iter(|| {
                        for piece in black_box(&wire).chunks(*piece) {
                            buffer.extend_from_slice(piece);
                            let mut at = 0;
                            while let Some((packet, len)) =
                                codec.decode_ref(buffer.get(at..).unwrap()).unwrap()
                            {
                                black_box(&packet);
                                at += len;
                            }
                            buffer.drain(..at);
                        }
                    });
                });
            }
        }
        group.finish();
    }
}

fn encode(criterion: &mut Criterion) {
    for version in [Version::V3_1_1, Version::V5] {
        let codec = Codec::observer(version);
        let mut group = criterion.benchmark_group(format!("encode/{}", name(version)));
        for row in rows(version) {
            let len: usize = row.packets.iter().map(|packet| codec.encoded_len(packet).unwrap()).sum();
            throughput(&mut group, row.packets.len(), len);
            let mut buffer = BytesMut::with_capacity(len);
            group.bench_function(BenchmarkId::new("appended", row.name), |bencher| {
                bencher.iter(|| {
                    buffer.clear();
                    for packet in black_box(&row.packets) {
                        codec.encode(packet, &mut buffer).unwrap();
                    }
                    black_box(&mut buffer);
                });
            });
            group.bench_function(BenchmarkId::new("vectored", row.name), |bencher| {
                bencher.iter(|| {
                    buffer.clear();
                    for packet in black_box(&row.packets) {
                        black_box(codec.encode_vectored(packet, &mut buffer).unwrap());
                    }
                    black_box(&mut buffer);
                });
            });
        }
        group.finish();
    }
}

/// Which of 1,000 filters match: the tree beside matching one by one.
fn topics(criterion: &mut Criterion) {
    let filters: Vec<TopicFilter> = (0..1000)
        .map(|n| match n % 4 {
            0 => format!("device/{n}/telemetry"),
            1 => format!("device/{n}/+"),
            2 => format!("device/+/cmd/{n}"),
            _ => format!("site/{n}/#"),
        })
        .map(|filter| TopicFilter::try_from(filter).unwrap())
        .collect();
    let mut tree = TopicTree::new();
    for (n, filter) in filters.iter().enumerate() {
        tree.insert(filter, n);
    }
    let topic = black_box(b"device/401/telemetry");
    let mut group = criterion.benchmark_group("topics/1000_filters");
    group.bench_function("tree", |bencher| bencher.iter(|| tree.matches(topic).count()));
    group.bench_function("one_by_one", |bencher| {
        bencher
            .iter(|| filters.iter().filter(|filter| mqtt_codec::matches(filter.as_bytes(), topic)).count());
    });
    group.finish();
}

fn name(version: Version) -> &'static str {
    if version.is_v5() { "v5" } else { "v3.1.1" }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = decode, encode, topics
}
criterion_main!(benches);
