//! The client whose calls block, against a server on a thread of its own.
#![cfg(feature = "blocking")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

mod support;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use iot_session::blocking::{Client, NextError};
use iot_session::layers::{OfflineQueue, Outbox, Reconnect, Retry};
use iot_session::proto::Engine;
use iot_session::stage::Notice;
use iot_session::storage::{self, MemoryDisk, MemoryStorage, WriteOptions};
use iot_session::{Config, Delivery, Ended, Layer, Message, OpError, QoS, Status, SubscribeOptions, Version};
use mqtt_codec::packet::{Publish, SubAck};
use mqtt_codec::{Packet, ReasonCode, TopicName};
use support::link::{Links, Server};
use support::{options, puback, secs};

const LONG: Duration = Duration::from_secs(60);

/// A client, and the end of the link that it will dial first.
fn start() -> (Client, Server) {
    let links = Links::default();
    let server = links.add(1 << 16);
    let engine = Engine::new(options(Version::V5));
    let codec = engine.codec();
    let stage = (OfflineQueue::bounded(20), (Retry::default(), Reconnect::default())).layer(engine);
    (Client::new(stage, codec, links, Config::default()).unwrap(), server)
}

/// Agrees to everything and sends every message back, on a thread of its own. What came is its result.
fn echo(mut server: Server) -> thread::JoinHandle<Vec<Packet>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    thread::spawn(move || {
        runtime.block_on(async {
            let mut seen = Vec::new();
            server.accept(false).await;
            while let Some(packet) = server.recv_or_pong().await {
                match &packet {
                    Packet::Publish(publish) => {
                        if let Some(id) = publish.packet_id() {
                            server.send(puback(id.value())).await;
                        }
                        let topic = TopicName::try_from(publish.topic()).unwrap();
                        server.send(Publish::new(topic, publish.payload_bytes())).await;
                    }
                    Packet::Subscribe(subscribe) => {
                        let granted = SubAck::new(subscribe.packet_id, [ReasonCode::GrantedQoS1]);
                        server.send(Packet::SubAck(granted)).await;
                    }
                    Packet::Unsubscribe(unsubscribe) => {
                        let granted = SubAck::new(unsubscribe.packet_id, [ReasonCode::Success]);
                        server.send(Packet::UnsubAck(granted)).await;
                    }
                    _ => {}
                }
                seen.push(packet);
            }
            seen
        })
    })
}

fn message(topic: &str, payload: &'static str) -> Message {
    Message::new(topic, payload).unwrap()
}

#[test]
fn messages_go_both_ways_and_dropping_the_last_handle_disconnects_in_order() {
    let (client, server) = start();
    let server = echo(server);
    client.connect().unwrap();
    assert!(client.status().is_connected());
    let mut messages = client.subscribe("a/+", QoS::AtLeastOnce).unwrap();
    assert_eq!(messages.next_timeout(Duration::ZERO), Err(NextError::Timeout));
    let ack = client.publish(message("a/1", "x")).unwrap();
    assert_eq!(ack.wait().unwrap(), Delivery::Acked(ReasonCode::Success));
    assert_eq!(messages.next().unwrap().payload(), b"x");
    let ack = client.try_publish(message("a/2", "y")).unwrap();
    assert!(ack.wait_timeout(LONG).unwrap().is_ok());
    assert_eq!(messages.next_timeout(LONG).unwrap().payload(), b"y");
    assert_eq!(client.stats().published, 2);

    client.unsubscribe("a/+").unwrap();
    assert_eq!(messages.next_timeout(LONG), Err(NextError::Ended));
    assert_eq!(messages.ended(), Some(Ended::Unsubscribed));
    assert!(messages.next().is_none());
    drop((client, messages));
    assert!(matches!(server.join().unwrap().last(), Some(Packet::Disconnect(_))));
}

#[test]
fn a_handler_may_make_calls_that_block_and_its_panic_harms_nobody() {
    let (client, server) = start();
    let _server = echo(server);
    client.connect().unwrap();
    let mut notices = client.notices();
    let (tell, told) = mpsc::channel();
    let inner = client.clone();
    let subscription = client
        .on("in", QoS::AtLeastOnce, move |received| {
            assert!(received.payload() != b"boom", "as asked");
            let again = message("out", "from the handler");
            tell.send(inner.publish(again).unwrap().wait()).unwrap();
        })
        .unwrap();
    client.publish(message("in", "boom")).unwrap().wait().unwrap();
    client.publish(message("in", "fine")).unwrap().wait().unwrap();
    assert!(told.recv_timeout(LONG).unwrap().is_ok());
    assert_eq!(notices.next(), Some(Notice::HandlerPanicked { filter: subscription.filter().clone() }));
    // The handler's own handle goes with its subscription.
    client.unsubscribe("in").unwrap();
    assert!(matches!(told.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected)));
}

#[test]
fn a_device_boots_offline_and_closes_once_all_is_out() {
    let (client, server) = start();
    let queued = client.publish(message("a", "made offline")).unwrap();
    let Err(queued) = queued.wait_timeout(Duration::ZERO) else { panic!("there is no server yet") };
    assert!(client.online(Duration::ZERO).unwrap().is_none());
    client.connect_lazily().unwrap();
    assert!(
        client.wait_for_status(LONG, |status| matches!(status, Status::Connecting { .. })).unwrap().is_some()
    );
    let server = echo(server);
    assert!(client.online(LONG).unwrap().is_some());
    assert!(client.close(LONG).unwrap().is_empty());
    assert!(queued.wait().is_ok());
    assert!(matches!(server.join().unwrap().as_slice(), [Packet::Publish(_), Packet::Disconnect(_)]));
    assert!(matches!(client.connect(), Err(OpError::Closed)));
    assert!(client.close(secs(1)).is_err());
    assert!(client.notices().next().is_none());
}

#[test]
fn what_waits_until_it_is_on_disk_is_there_for_the_next_client() {
    let disk = MemoryDisk::new();
    let start = || {
        let (found, writer) = storage::open(MemoryStorage::new(&disk), WriteOptions::default()).unwrap();
        let links = Links::default();
        let server = links.add(1 << 16);
        let engine = Engine::new(options(Version::V5));
        let codec = engine.codec();
        let stage = (Outbox::new(found), Reconnect::default()).layer(engine);
        (Client::with_disk(stage, codec, links, Config::default(), writer).unwrap(), server)
    };
    let (client, _server) = start();
    assert!(client.publish_durably(message("a", "kept")).unwrap().wait_timeout(Duration::ZERO).is_err());
    drop(client);
    let (client, server) = start();
    client.connect_lazily().unwrap();
    let server = echo(server);
    assert!(client.online(LONG).unwrap().is_some());
    client.publish_durably(message("a", "new")).unwrap().wait().unwrap();
    assert!(client.close(LONG).unwrap().is_empty());
    let seen = server.join().unwrap();
    let payloads = seen.iter().filter_map(|packet| match packet {
        Packet::Publish(publish) => Some(publish.payload()),
        _ => None,
    });
    assert_eq!(payloads.collect::<Vec<_>>(), [&b"kept"[..], b"new"]);
}

#[test]
fn acknowledgements_can_be_given_by_hand_and_a_client_connects_again() {
    let (client, server) = start();
    let server = echo(server);
    client.connect().unwrap();
    let options = SubscribeOptions::new(QoS::AtLeastOnce).manual_ack();
    let mut messages = client.subscribe_with("a", options).unwrap();
    client.publish(message("a", "x")).unwrap().wait().unwrap();
    let (received, acknowledge) = messages.next_with_ack().unwrap();
    assert_eq!(received.payload(), b"x");
    acknowledge.ack();
    client.disconnect().unwrap();
    server.join().unwrap();
    assert!(matches!(client.status(), Status::Idle));
    client.reconnect_now().unwrap();
    client.connect_lazily().unwrap();
    client.disconnect().unwrap();
}
