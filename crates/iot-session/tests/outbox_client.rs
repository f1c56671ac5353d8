//! The client with an outbox, over links in memory and a disk that can lose its power, under a paused clock.
#![cfg(feature = "tokio")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use iot_session::layers::{DrainRate, Found, Outbox, Standard};
use iot_session::proto::ConnectOptions;
use iot_session::stage::{EntryId, StoreError, StoreErrorKind};
use iot_session::storage::{
    Change, Disk, Durability, MemoryDisk, MemoryStorage, Storage, WriteOptions, channel, read_all, serve,
};
use iot_session::{Client, Config, Delivery, OpError, QoS, Version, client, proto::Engine, stack};
use mqtt_codec::{Packet, ReasonCode};
use support::link::{Links, Server, subscribed};
use support::stack::{message, millis, takes};
use support::{lasting, options, puback, publish, secs};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// A client whose process can be killed.
struct Device {
    client: Client,
    driver: JoinHandle<()>,
}

impl Device {
    fn boot(disk: &MemoryDisk, links: &Links, options: ConnectOptions) -> Self {
        Self::boot_with(disk, links, options, WriteOptions::default())
    }

    fn boot_with(disk: &MemoryDisk, links: &Links, options: ConnectOptions, write: WriteOptions) -> Self {
        let mut storage = MemoryStorage::new(disk);
        let mut found = Found::default();
        read_all(&mut storage, |id, record| found.add(id, record)).unwrap();
        let (ours, theirs) = channel();
        tokio::spawn(serve(storage, theirs, write));
        Self::boot_on(Some(ours), found, links, options)
    }

    fn boot_on(disk: Option<Disk>, found: Found, links: &Links, options: ConnectOptions) -> Self {
        let outbox = Outbox::new(found).drain_rate(DrainRate::unlimited());
        let engine = Engine::new(options);
        let codec = engine.codec();
        let layers = Standard { outbox: Some(outbox), ..Standard::default() };
        let stage = stack(engine).layer(layers).into_stage();
        let (client, driver) = client(stage, codec, links.clone(), Config::default());
        let driver = match disk {
            Some(disk) => driver.with_disk(disk),
            None => driver,
        };
        Self { client, driver: tokio::spawn(driver.run()) }
    }

    /// As by kill -9, and a loss of power right after it.
    async fn kill(self, disk: &MemoryDisk) {
        self.driver.abort();
        let _ = self.driver.await;
        disk.crash();
    }

    async fn online(disk: &MemoryDisk, links: &Links, options: ConnectOptions) -> (Self, Server) {
        let device = Self::boot(disk, links, options);
        let mut server = links.add(1 << 16);
        server.accept_from(&device.client, false).await;
        (device, server)
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_told_as_stored_survives_a_kill_and_a_loss_of_power_and_arrives() {
    let (disk, links) = (MemoryDisk::new(), Links::default());
    let device = Device::boot(&disk, &links, options(Version::V5));
    for n in 0..5 {
        // Never connected.
        let _ack = device.client.publish_durably(message(n)).await.unwrap();
    }
    device.kill(&disk).await;
    let (device, mut server) = Device::online(&disk, &links, options(Version::V5)).await;
    for n in 0..5 {
        assert_eq!(takes(&mut server).await, n.to_string());
    }
    let leftover = device.client.close(secs(5)).await.unwrap();
    assert!(leftover.is_empty());
    device.driver.await.unwrap();
    assert!(disk.entries().is_empty());
}

#[tokio::test(start_paused = true)]
async fn with_a_connection_it_is_stored_then_sent_then_acknowledged() {
    let (disk, links) = (MemoryDisk::new(), Links::default());
    let (device, mut server) = Device::online(&disk, &links, options(Version::V5)).await;
    let ack = device.client.publish_durably(message(1)).await.unwrap();
    assert_eq!(disk.entries().len(), 1);
    assert_eq!(takes(&mut server).await, "1");
    assert_eq!(ack.await.unwrap(), Delivery::Acked(ReasonCode::Success));
    sleep(secs(1)).await;
    assert!(disk.entries().is_empty());
    assert_eq!(device.client.stats().queued, 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_and_not_acknowledged_is_sent_again_after_a_crash_and_no_sooner() {
    let (disk, links) = (MemoryDisk::new(), Links::default());
    let (device, mut server) = Device::online(&disk, &links, lasting(Version::V5)).await;
    let ack = device.client.publish(message(1)).await.unwrap();
    let Some(Packet::Publish(first)) = server.recv().await else { panic!() };
    // Far beyond the operation timeout.
    assert!(timeout(secs(25), ack).await.is_err());
    device.kill(&disk).await;
    drop(server);
    let (_device, mut server) = Device::online(&disk, &links, lasting(Version::V5)).await;
    let Some(Packet::Publish(again)) = server.recv().await else { panic!() };
    assert_eq!(
        (again.payload(), again.dup()),
        (first.payload(), false),
        "another process knows no identifiers"
    );
}

#[tokio::test(start_paused = true)]
async fn in_a_session_that_lives_on_it_is_sent_again_under_its_identifier_with_its_publisher_waiting() {
    let (disk, links) = (MemoryDisk::new(), Links::default());
    let (device, mut server) = Device::online(&disk, &links, lasting(Version::V5)).await;
    let ack = device.client.publish(message(1)).await.unwrap();
    let Some(Packet::Publish(first)) = server.recv().await else { panic!() };
    // A disconnect and a connect do not end it either.
    device.client.disconnect().await.unwrap();
    drop(server);
    let mut server = links.add(1 << 16);
    let connecting = tokio::spawn({
        let client = device.client.clone();
        async move { client.connect().await }
    });
    server.accept(true).await;
    connecting.await.unwrap().unwrap();
    let Some(Packet::Publish(again)) = server.recv().await else { panic!() };
    assert_eq!((again.packet_id(), again.dup()), (first.packet_id(), true));
    server.send(puback(again.packet_id().unwrap().value())).await;
    assert_eq!(ack.await.unwrap(), Delivery::Acked(ReasonCode::Success));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_lost_costs_no_message() {
    let (disk, links) = (MemoryDisk::new(), Links::default());
    let (device, mut server) = Device::online(&disk, &links, lasting(Version::V3_1_1)).await;
    let acks = [1, 2, 3].map(|n| device.client.publish(message(n)));
    let mut pending = Vec::new();
    for ack in acks {
        pending.push(ack.await.unwrap());
    }
    for _ in 0..3 {
        assert!(matches!(server.recv().await, Some(Packet::Publish(_))));
    }
    drop(server);
    let mut server = links.add(1 << 16);
    server.accept(false).await;
    for n in 1..=3 {
        assert_eq!(takes(&mut server).await, n.to_string());
    }
    for ack in pending {
        assert_eq!(ack.await.unwrap(), Delivery::Acked(ReasonCode::Success));
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_store_keeps_cannot_be_published_durably() {
    let (disk, links) = (MemoryDisk::new(), Links::default());
    let device = Device::boot(&disk, &links, options(Version::V5));
    for odd in [
        message(1).qos(QoS::AtMostOnce),
        message(1).qos(QoS::ExactlyOnce),
        message(1).queue(false),
        message(1).resend(false),
    ] {
        let refused = device.client.publish_durably(odd).await;
        assert!(matches!(refused, Err(OpError::Unsupported(_))), "{refused:?}");
    }
    let (client, _task) = support::stack::start(&links);
    let refused = client.publish_durably(message(1)).await;
    assert!(matches!(refused, Err(OpError::Unsupported(why)) if why.contains("no messages on disk")));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_is_told_to_the_publisher_and_the_client_lives_on() {
    let (disk, links) = (MemoryDisk::new(), Links::default());
    let (device, mut server) = Device::online(&disk, &links, options(Version::V5)).await;
    disk.fail_with(Some(StoreError::new(StoreErrorKind::Full, "full")));
    let refused = device.client.publish_durably(message(1)).await;
    assert!(
        matches!(&refused, Err(OpError::Store(error)) if error.kind() == StoreErrorKind::Full),
        "{refused:?}"
    );
    assert_eq!(refused.unwrap_err().to_string(), "not stored, so not sent: full");
    let plain = device.client.publish(message(2)).await.unwrap().await;
    assert!(matches!(plain, Err(OpError::Store(_))), "{plain:?}");
    disk.fail_with(None);
    let ack = device.client.publish_durably(message(3)).await.unwrap();
    assert_eq!(takes(&mut server).await, "3");
    ack.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn at_an_interval_it_is_told_as_stored_when_it_is_synchronised_or_acknowledged() {
    let (disk, links) = (MemoryDisk::new(), Links::default());
    let write = WriteOptions::default().durability(Durability::Interval(secs(10)));
    let device = Device::boot_with(&disk, &links, options(Version::V5), write);
    let stored = device.client.publish_durably(message(1));
    assert!(timeout(Duration::from_millis(9_999), stored).await.is_err());
    let stored = device.client.publish_durably(message(2));
    assert!(timeout(millis(5), stored).await.is_ok());
    let mut server = links.add(1 << 16);
    server.accept_from(&device.client, false).await;
    assert_eq!([takes(&mut server).await, takes(&mut server).await], ["1", "2"]);
    let publishing = tokio::spawn({
        let client = device.client.clone();
        async move { client.publish_durably(message(3)).await }
    });
    assert_eq!(takes(&mut server).await, "3");
    let acknowledged = timeout(secs(1), publishing).await.unwrap().unwrap().unwrap();
    assert_eq!(acknowledged.await.unwrap(), Delivery::Acked(ReasonCode::Success));
}

#[tokio::test(start_paused = true)]
async fn closing_in_order_lets_go_of_the_disk_and_keeps_what_was_not_sent() {
    let (disk, links) = (MemoryDisk::new(), Links::default());
    let device = Device::boot(&disk, &links, options(Version::V5));
    let ack = device.client.publish(message("kept")).await.unwrap();
    let leftover = device.client.close(secs(1)).await.unwrap();
    assert_eq!(leftover.queued, 1);
    device.driver.await.unwrap();
    assert!(matches!(ack.await, Err(OpError::Closed)));
    disk.crash();
    let (_device, mut server) = Device::online(&disk, &links, options(Version::V5)).await;
    assert_eq!(takes(&mut server).await, "kept");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_messages_come_through_crashes_in_order_and_at_least_once() {
    let (disk, links) = (MemoryDisk::new(), Links::default());
    let mut next = 0_u32;
    let mut received: Vec<u32> = Vec::new();
    let mut stored = 0;
    for round in 0..20_u32 {
        let device = Device::boot(&disk, &links, options(Version::V5));
        let mut server = links.add(1 << 16);
        server.accept_from(&device.client, false).await;
        let publisher = tokio::spawn({
            let client = device.client.clone();
            async move {
                let mut durable = Vec::new();
                for n in next..next + 500 {
                    if client.publish_durably(message(n)).await.is_err() {
                        break;
                    }
                    durable.push(n);
                }
                durable
            }
        });
        // Some rounds end early.
        let wanted = if round == 19 { usize::MAX } else { (round * 37 % 400) as usize };
        for _ in 0..wanted {
            let Ok(Some(Packet::Publish(publish))) = timeout(secs(2), server.recv()).await else { break };
            received.push(std::str::from_utf8(publish.payload()).unwrap().parse().unwrap());
            server.send(puback(publish.packet_id().unwrap().value())).await;
        }
        sleep(millis(u64::from(round % 3) * 200)).await;
        device.kill(&disk).await;
        let durable = publisher.await.unwrap();
        stored += durable.len();
        next = durable.last().map_or(next, |last| last + 1).max(next);
        next += 1;
    }
    assert!(stored > 2_000, "{stored}");
    let mut seen = std::collections::BTreeSet::new();
    let first: Vec<u32> = received.iter().copied().filter(|n| seen.insert(*n)).collect();
    assert!(first.is_sorted(), "first deliveries are in order");
    assert!(seen.len() >= stored, "{} of {stored} arrived", seen.len());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_is_told_to_every_publisher_and_the_client_goes_on_receiving() {
    struct Panics;
    impl Storage for Panics {
        fn commit(&mut self, _: &[Change], _: bool) -> Result<(), StoreError> {
            panic!("on purpose")
        }
        fn load(&mut self, _: EntryId, _: usize, _: usize) -> Result<Vec<(EntryId, Bytes)>, StoreError> {
            panic!("on purpose")
        }
    }
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let (ours, theirs) = channel();
    let serving = tokio::spawn(serve(Panics, theirs, WriteOptions::default()));
    let device = Device::boot_on(Some(ours), Found::default(), &links, options(Version::V5));
    server.accept_from(&device.client, false).await;
    for attempt in [1, 2] {
        let refused = device.client.publish_durably(message(attempt)).await;
        assert!(
            matches!(&refused, Err(OpError::Store(error)) if error.to_string().contains("it panicked, perhaps")),
            "{refused:?}"
        );
    }
    assert!(serving.await.unwrap_err().is_panic());
    let mut messages = subscribed(&device.client, &mut server, "in").await;
    server.send(publish("in", "still here")).await;
    assert_eq!(messages.next().await.unwrap().payload(), b"still here");
}

#[tokio::test(start_paused = true)]
async fn an_outbox_without_a_disk_says_so_to_the_publisher() {
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let device = Device::boot_on(None, Found::default(), &links, options(Version::V5));
    server.accept_from(&device.client, false).await;
    let refused = device.client.publish_durably(message(1)).await;
    assert!(matches!(refused, Err(OpError::Unsupported(_))), "{refused:?}");
    let refused = device.client.publish(message(2)).await.unwrap().await;
    assert!(
        matches!(&refused, Err(OpError::Store(error)) if error.to_string().contains("there is no disk")),
        "{refused:?}"
    );
}
