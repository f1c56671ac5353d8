//! iot-session: what a message costs in the machine, and over TCP with the driver.
#![allow(missing_docs, reason = "criterion's macros make functions without any")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot run has to say so")]

mod support;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use iot_session::stage::{Op, SubscribeOp};
use iot_session::{Ack, Client, Config, Message, QoS, TopicFilter, Version, client};
use iot_transport::Tcp;
use mqtt_codec::packet::SubscriptionOptions;
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

/// Messages that pile up without a connection, and how they go out once there is one. Decoding and answering by the
/// server is part of the latter.
fn offline(criterion: &mut Criterion) {
    const MESSAGES: usize = 1000;
    let mut group = criterion.benchmark_group("offline");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    let op = message().into_op();
    let mut rig = Rig::connected(default_stack(Version::V5, 100));
    let mut pile_up = |iterations: u64, timed: fn(Duration, Duration) -> Duration| {
        let mut total = Duration::ZERO;
        for _ in 0..iterations {
            rig.done = 0;
            rig.cut();
            let start = now();
            for _ in 0..MESSAGES {
                rig.op(Op::Publish(op.clone()));
            }
            let enqueued = now();
            rig.reconnect();
            rig.finish(MESSAGES);
            total += timed(enqueued - start, now() - enqueued);
        }
        total
    };
    group.bench_function(BenchmarkId::new("enqueue", MESSAGES), |bencher| {
        bencher.iter_custom(|iterations| pile_up(iterations, |enqueue, _| enqueue));
    });
    group.bench_function(BenchmarkId::new("drain", MESSAGES), |bencher| {
        bencher.iter_custom(|iterations| pile_up(iterations, |_, drain| drain));
    });
    group.finish();
}

/// From the broken link to the session that is up again on a server that kept nothing.
fn reconnect(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reconnect");
    for subscriptions in [0, 50] {
        let mut rig = Rig::connected(default_stack(Version::V5, 100));
        for n in 0..subscriptions {
            rig.op(subscribe(n));
            rig.serve();
        }
        rig.finish(subscriptions);
        group.bench_function(BenchmarkId::new("subscriptions", subscriptions), |bencher| {
            bencher.iter(|| {
                rig.cut();
                rig.reconnect();
            });
        });
    }
    group.finish();
}

fn subscribe(n: usize) -> Op {
    let filter = TopicFilter::try_from(format!("bench/device-1/{n}/#")).unwrap();
    Op::Subscribe(SubscribeOp { filters: vec![(filter, SubscriptionOptions::at(QoS::AtLeastOnce))] })
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
    targets = machine, offline, reconnect, driver
}
criterion_main!(benches);
