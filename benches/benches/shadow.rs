//! Shadows: an update and its answer, in one process over memory, and over TLS on loopback.
#![allow(missing_docs, reason = "criterion's macros make functions without any")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot run has to say so")]

use std::time::Duration;

use aws_iot::shadow::{Shadow, ShadowClient, ShadowId, Update, Value};
use aws_iot::{Builder, Material, Version};
use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use iot_emulator::Emulator;
use iot_emulator::broker::{Behaviour, Broker, ConnectionId, Output};
use iot_emulator::shadow::{Asker, Rules, Shadows, Time};
use iot_transport::{Attempt, from_fn};
use mqtt_codec::{Codec, TopicName};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Runtime;

const VERSIONS: [(&str, Version); 2] = [("v3", Version::V3_1_1), ("v5", Version::V5)];

/// No limit to how often a shadow may be asked.
fn rules() -> Rules {
    let mut rules = Rules::default();
    rules.requests_per_second = u32::MAX;
    rules
}

/// A broker and shadows for one connection, without a clock.
async fn serve(mut stream: DuplexStream) {
    let (id, at) = (ConnectionId(1), Duration::ZERO);
    let mut broker = Broker::new(Behaviour::aws());
    let mut shadows = Shadows::new(rules());
    let (mut codec, mut read, mut write) = (Codec::server(), BytesMut::new(), BytesMut::new());
    broker.connected(at, id);
    while stream.read_buf(&mut read).await.is_ok_and(|len| len > 0) {
        while let Some(packet) = codec.decode(&mut read).unwrap() {
            broker.handle(at, id, packet);
            loop {
                while let Some(output) = broker.poll() {
                    match output {
                        Output::Send { version, packet, .. } => {
                            Codec::server_after_connect(version).encode(&packet, &mut write).unwrap();
                        }
                        Output::Published { topic, payload, .. } => {
                            shadows.published(
                                Time { uptime: at, unix: 0 },
                                Asker(1),
                                topic.as_str(),
                                &payload,
                            );
                        }
                        _ => return,
                    }
                }
                let Some(outgoing) = shadows.poll() else { break };
                let topic = TopicName::try_from(outgoing.topic).unwrap();
                broker.publish(at, &topic, &outgoing.payload, outgoing.qos, false);
            }
        }
        stream.write_all_buf(&mut write).await.unwrap();
    }
}

fn in_memory() -> Builder {
    let connector = from_fn(|_: Attempt| async {
        let (near, far) = tokio::io::duplex(64 * 1024);
        tokio::spawn(serve(far));
        Ok(near)
    });
    aws_iot::over(connector)
}

fn over_tls(emulator: &Emulator) -> Builder {
    let credentials = emulator.credentials();
    let (certificate, key) = (
        Material::bytes(credentials.certificate_pem.as_str()),
        Material::bytes(credentials.key_pem.as_str()),
    );
    aws_iot::mutual_tls(emulator.endpoint(), certificate, key)
        .root_ca(Material::bytes(credentials.ca_pem.as_str()))
        .port(emulator.port())
}

/// Without pacing: what is measured is not AWS's limit.
async fn shadow(builder: Builder, version: Version) -> ShadowClient {
    let pacing = aws_iot::Pacing::off();
    let client = builder.client_id("bench").version(version).pacing(pacing).connect().await.unwrap();
    let shadow = client.shadow(ShadowId::classic("bench").unwrap());
    update(&shadow).await;
    shadow
}

async fn update(shadow: &ShadowClient) {
    shadow
        .update(Update::new().reported(serde_json::json!({"temperature": 21.5, "on": true})))
        .await
        .unwrap();
}

fn round_trips(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let emulator = runtime.block_on(Emulator::builder().shadows(rules()).start()).unwrap();
    let mut group = criterion.benchmark_group("shadow");
    for (name, version) in VERSIONS {
        for (way, builder) in [("memory", in_memory()), ("tls", over_tls(&emulator))] {
            let shadow = runtime.block_on(shadow(builder, version));
            group.bench_function(BenchmarkId::new(format!("update_{way}"), name), |bencher| {
                bencher.iter(|| runtime.block_on(update(&shadow)));
            });
            group.bench_function(BenchmarkId::new(format!("get_{way}"), name), |bencher| {
                bencher.iter(|| -> Shadow<Value> { runtime.block_on(async { shadow.get().await }).unwrap() });
            });
        }
    }
    group.finish();
    runtime.block_on(emulator.shutdown());
}

criterion_group!(benches, round_trips);
criterion_main!(benches);
