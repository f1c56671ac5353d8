//! What the facade's layers do about outages, on real sockets against the local AWS IoT Core.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_iot::crates::iot_session::stage::{Event, Gauges, Input, Layer, Output, Stage};
use aws_iot::crates::iot_session::{Nanos, Now};
use aws_iot::{
    Backoff, Builder, Delivery, DrainRate, DropPolicy, Dropped, Limit, Material, Message, OfflineQueue,
    OpError, QoS, Status, TryPublishError, Version,
};
use iot_emulator::Emulator;

const BOTH: [Version; 2] = [Version::V3_1_1, Version::V5];

fn builder(emulator: &Emulator, version: Version) -> Builder {
    let credentials = emulator.credentials();
    let certificate = Material::bytes(credentials.certificate_pem.clone());
    aws_iot::mutual_tls(emulator.endpoint(), certificate, Material::bytes(credentials.key_pem.clone()))
        .root_ca(Material::bytes(credentials.ca_pem.clone()))
        .port(emulator.port())
        .client_id("device")
        .version(version)
        .backoff(Backoff::new(Duration::from_millis(50), Duration::from_millis(500), Duration::from_secs(20)))
}

fn message(payload: impl std::fmt::Display) -> Message {
    Message::new("a", payload.to_string()).unwrap()
}

#[tokio::test]
async fn a_device_that_boots_offline_publishes_and_subscribes_and_is_served_later() {
    for version in BOTH {
        let emulator = Emulator::start().await.unwrap();
        emulator.stop_accepting().await;
        let client = builder(&emulator, version).connect_lazily().await.unwrap();
        let subscriber = client.clone();
        let subscribed = tokio::spawn(async move { subscriber.subscribe("a", QoS::AtLeastOnce).await });
        let ack = client.publish(message("made offline")).await.unwrap();
        let mut status = client.status();
        status.wait_for(|status| matches!(status, Status::Disconnected { .. })).await.unwrap();
        emulator.resume_accepting().await.unwrap();
        client.online().await.unwrap();
        let mut messages = subscribed.await.unwrap().unwrap();
        assert!(matches!(ack.await, Ok(Delivery::Acked(_))), "{version}");
        assert_eq!(
            messages.next().await.unwrap().payload(),
            b"made offline",
            "subscribed before it was sent"
        );
        client.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_published_in_an_outage_arrives_in_order_after_it() {
    for version in BOTH {
        let emulator = Emulator::start().await.unwrap();
        let queue = OfflineQueue::bounded(5).when_full(DropPolicy::DropOldest);
        let client = builder(&emulator, version)
            .offline_queue(queue.drain_rate(DrainRate::unlimited()))
            .connect()
            .await
            .unwrap();
        let mut messages = client.subscribe("a", QoS::AtLeastOnce).await.unwrap();
        let mut status = client.status();
        emulator.stop_accepting().await;
        assert!(emulator.kick("device").await);
        status.wait_for(|status| matches!(status, Status::Disconnected { .. })).await.unwrap();
        let mut acks = Vec::new();
        for n in 1..=7 {
            acks.push(client.publish(message(n)).await.unwrap());
        }
        emulator.resume_accepting().await.unwrap();
        client.reconnect_now().await.unwrap();
        for n in 3..=7 {
            assert_eq!(messages.next().await.unwrap().payload(), n.to_string().as_bytes(), "{version}");
        }
        for (n, ack) in (1..).zip(acks) {
            match ack.await {
                Ok(Delivery::Acked(_)) => assert!(n > 2),
                Err(OpError::Dropped(Dropped::Oldest)) => assert!(n <= 2),
                end => panic!("{n}: {end:?}"),
            }
        }
        assert_eq!(client.stats().connections, 2);
        client.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn a_forbidden_topic_is_given_up_and_its_error_says_what_to_look_at() {
    let emulator = Emulator::start().await.unwrap();
    emulator.deny_publish("secret/#").await.unwrap();
    let client = builder(&emulator, Version::V3_1_1).connect().await.unwrap();
    let bad = client.publish(Message::new("secret/x", "x").unwrap()).await.unwrap();
    let good = client.publish(message("y")).await.unwrap();
    let error = bad.await.unwrap_err();
    assert!(matches!(error, OpError::Poisoned { .. }), "{error}");
    assert!(error.to_string().contains("secret/x") && error.to_string().contains("policy"), "{error}");
    assert!(good.await.is_ok());
    client.online().await.unwrap();
    assert!(client.publish(message("z")).await.unwrap().await.is_ok());
    client.disconnect().await.unwrap();
}

#[tokio::test]
async fn try_publish_refuses_what_passes_a_limit() {
    let emulator = Emulator::start().await.unwrap();
    let client = builder(&emulator, Version::V5).connect().await.unwrap();
    let too_long = Message::new("t".repeat(257).as_str(), "").unwrap();
    let Err(TryPublishError::Limit(exceeded)) = client.try_publish(too_long) else { panic!() };
    assert_eq!((exceeded.limit, exceeded.value), (Limit::TopicLength, 257));
    assert!(client.try_publish(message("x")).unwrap().await.is_ok());
    client.disconnect().await.unwrap();
}

/// Counts the messages that come in.
struct Counting(Arc<AtomicUsize>);

struct CountingStage<S>(S, Arc<AtomicUsize>);

impl<S: Stage> Layer<S> for Counting {
    type Stage = CountingStage<S>;

    fn layer(self, inner: S) -> Self::Stage {
        CountingStage(inner, self.0)
    }
}

impl<S: Stage> Stage for CountingStage<S> {
    fn handle(&mut self, now: Now, input: Input) {
        self.0.handle(now, input);
    }

    fn poll(&mut self, now: Now) -> Option<Output> {
        let output = self.0.poll(now)?;
        if let Output::Event(Event::Message(..)) = &output {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
        Some(output)
    }

    fn deadline(&self) -> Option<Nanos> {
        self.0.deadline()
    }

    fn ready(&self) -> bool {
        self.0.ready()
    }

    fn gauges(&self, gauges: &mut Gauges) {
        self.0.gauges(gauges);
    }
}

#[tokio::test]
async fn layers_of_ones_own_go_around_the_clients() {
    let emulator = Emulator::start().await.unwrap();
    let (inner, outer) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let client = builder(&emulator, Version::V5)
        .layer(Counting(Arc::clone(&inner)))
        .layer(Counting(Arc::clone(&outer)))
        .connect()
        .await
        .unwrap();
    let mut messages = client.subscribe("a", QoS::AtLeastOnce).await.unwrap();
    client.publish(message("x")).await.unwrap().await.unwrap();
    messages.next().await.unwrap();
    assert_eq!((inner.load(Ordering::Relaxed), outer.load(Ordering::Relaxed)), (1, 1));
    client.disconnect().await.unwrap();
}
