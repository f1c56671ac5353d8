//! Decoding and encoding of the packets that carry traffic, both versions. Every decode includes the copy into the
//! receive buffer. `cargo bench -p benches --bench codec`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros make public items; a bench may panic"
)]

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mqtt_codec::packet::{Ack, Publish, Subscribe, SubscriptionOptions};
use mqtt_codec::{Codec, Packet, PacketId, Properties, Property, QoS, TopicFilter, TopicName, Version};

fn packets(version: Version) -> Vec<(&'static str, Packet)> {
    let id = PacketId::new(7).unwrap();
    let publish = |size: usize| {
        let topic = TopicName::try_from("device/thermostat-4711/telemetry").unwrap();
        Publish::new(topic, Bytes::from(vec![0x5A; size]))
    };
    let filters: Vec<TopicFilter> =
        (0..8).map(|n| TopicFilter::try_from(format!("device/thermostat-4711/cmd/{n}/+")).unwrap()).collect();
    let filters = filters.iter().map(|filter| (filter, SubscriptionOptions::at(QoS::AtLeastOnce)));
    let mut packets = vec![
        ("publish_qos0_64B", publish(64).into()),
        ("publish_qos1_1KiB", publish(1024).at_least_once(id).into()),
        ("publish_qos1_128KiB", publish(128 * 1024 - 64).at_least_once(id).into()),
        ("puback", Packet::PubAck(Ack::new(id))),
        ("subscribe_x8", Subscribe::new(id, filters).into()),
    ];
    if version.is_v5() {
        let mut properties = Properties::new()
            .with(Property::ResponseTopic("device/thermostat-4711/reply"))
            .unwrap()
            .with(Property::CorrelationData(b"0123456789abcdef"))
            .unwrap();
        for (name, value) in [("unit", "C"), ("site", "berlin"), ("firmware", "1.2.3"), ("seq", "4711")] {
            properties = properties.with(Property::UserProperty(name, value)).unwrap();
        }
        packets.push((
            "publish_6_properties",
            publish(64).at_least_once(id).with_properties(&properties).unwrap().into(),
        ));
    }
    packets
}

fn codec(criterion: &mut Criterion) {
    for version in [Version::V3_1_1, Version::V5] {
        let codec = Codec::observer(version);
        let name = if version.is_v5() { "v5" } else { "v3.1.1" };
        let mut decode = criterion.benchmark_group(format!("decode/{name}"));
        for (packet_name, packet) in packets(version) {
            let mut wire = BytesMut::new();
            codec.encode(&packet, &mut wire).unwrap();
            let mut buffer = BytesMut::with_capacity(256 * 1024);
            let mut codec = codec.clone();
            decode.throughput(Throughput::Bytes(wire.len() as u64));
            decode.bench_function(BenchmarkId::from_parameter(packet_name), |bencher| {
                bencher.iter(|| {
                    buffer.extend_from_slice(&wire);
                    codec.decode(&mut buffer).unwrap().unwrap()
                });
            });
        }
        decode.finish();
        let mut encode = criterion.benchmark_group(format!("encode/{name}"));
        for (packet_name, packet) in packets(version) {
            let len = codec.encoded_len(&packet).unwrap();
            encode.throughput(Throughput::Bytes(len as u64));
            encode.bench_function(BenchmarkId::from_parameter(packet_name), |bencher| {
                bencher.iter_batched_ref(
                    || BytesMut::with_capacity(len),
                    |buffer| codec.encode(&packet, buffer).unwrap(),
                    BatchSize::SmallInput,
                );
            });
        }
        encode.finish();
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
