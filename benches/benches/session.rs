//! iot-session: what a message costs in the machine, and over TCP with the driver.
#![allow(missing_docs, reason = "criterion's macros make functions without any")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot run has to say so")]

mod support;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use iot_session::{Ack, Client, Config, Message, Version, client};
use iot_transport::Tcp;
use support::rig::Rig;
use support::{VERSIONS, broker, default_stack, message};

/// From the operation to its end, no link and no task. `cargo test -p benches -- --nocapture` counts the allocations.
fn machine(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("machine");
    group.throughput(Throughput::Elements(1));
    for (name, version) in VERSIONS {
        let mut rig = Rig::connected(default_stack(version, 100));
        let op = message().into_op();
        group.bench_function(BenchmarkId::new("publish_ack_cycle", name), |bencher| {
            bencher.iter(|| rig.publish_and_acknowledge(op.clone()));
        });
    }
    group.finish();
}

/// A client on a thread, a broker on another, TCP between. An element is a message with its acknowledgement.
fn driver(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("driver/loopback");
    group.throughput(Throughput::Elements(1));
    let port = broker::start();
    for window in [1u16, 10, 100] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (stage, codec) = default_stack(Version::V5, window);
        let (client, driver) = client(stage, codec, Tcp::new("127.0.0.1", port), Config::default());
        let driver = runtime.spawn(driver.run());
        runtime.block_on(client.connect()).unwrap();
        let message = message();
        group.bench_function(BenchmarkId::new("qos1_window", window), |bencher| {
            bencher.iter_custom(|messages| {
                let start = now();
                runtime.block_on(publish(&client, &message, messages, usize::from(window)));
                now() - start
            });
        });
        drop(client);
        runtime.block_on(driver).unwrap();
    }
    group.finish();
}

/// Returns once all are acknowledged; at most `window` of them are not at any time.
async fn publish(client: &Client, message: &Message, messages: u64, window: usize) {
    let mut acks: VecDeque<Ack> = VecDeque::with_capacity(window);
    for _ in 0..messages {
        if acks.len() >= window
            && let Some(ack) = acks.pop_front()
        {
            ack.await.unwrap();
        }
        acks.push_back(client.publish(message.clone()).await.unwrap());
    }
    for ack in acks {
        ack.await.unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn now() -> Instant {
    Instant::now()
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = machine, driver
}
criterion_main!(benches);
