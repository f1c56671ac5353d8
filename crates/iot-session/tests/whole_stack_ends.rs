//! Beginning and end of a client on all layers of this crate, over links in memory and a paused clock.
#![cfg(feature = "tokio")]
#![allow(clippy::disallowed_methods, reason = "tests read the paused clock")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

mod support;

use std::time::Duration;

use iot_session::{ConnectionError, Delivery, OpError, Status};
use mqtt_codec::packet::{Ack, ConnAck};
use mqtt_codec::{Packet, ReasonCode};
use support::link::{Links, subscribed, until};
use support::stack::{answer, back, message, millis, offline, online, publishes, start, subscribing, takes};
use support::{publish, secs};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};

#[tokio::test(start_paused = true)]
async fn a_device_that_boots_offline_is_subscribed_first_and_then_its_messages_go_at_2_per_second() {
    let links = Links::default();
    links.refuse(2);
    let (client, _task) = start(&links);
    let subscribed = subscribing(&client, "in");
    let acks = publishes(&client, 0..5).await;
    client.connect_lazily().await.unwrap();
    let start = Instant::now();
    let mut server = back(&links, false).await;
    assert_eq!(start.elapsed(), secs(3), "after 1 and 2 seconds");
    sleep(secs(1)).await;
    assert!(!client.status().borrow().is_connected(), "not before the subscription is in force");
    answer(&mut server, "in", ReasonCode::GrantedQoS1).await;
    for n in 0..5 {
        assert_eq!(takes(&mut server).await, n.to_string());
        assert_eq!(start.elapsed(), secs(4) + millis(500) * n, "{n}");
    }
    for ack in acks {
        assert_eq!(ack.await.unwrap(), Delivery::Acked(ReasonCode::Success));
    }
    assert!(subscribed.await.unwrap().unwrap().ended().is_none());
}

#[tokio::test(start_paused = true)]
async fn invariant_9_a_connect_given_up_goes_on_and_hinders_no_other() {
    let links = Links::default();
    let (client, _task) = start(&links);
    assert!(timeout(secs(1), client.connect()).await.is_err(), "the dial hangs");
    assert!(timeout(millis(1), client.online()).await.is_err());
    // The attempt ends at its timeout; nobody hears of it.
    until(&client, |status| matches!(status, Status::Disconnected { .. })).await;
    let mut server = links.add(1 << 16);
    server.accept_from(&client, false).await;
    assert!(client.publish(message("1")).await.is_ok());
    assert_eq!(takes(&mut server).await, "1");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_leaves_at_once_and_what_waits_ends_as_closed() {
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let (client, task) = start(&links);
    let acks = [client.publish(message("1")).await.unwrap(), client.publish(message("2")).await.unwrap()];
    yield_now().await;
    server.accept_from(&client, false).await;
    let start = Instant::now();
    drop(client);
    let mut seen = Vec::new();
    while let Some(packet) = server.recv().await {
        seen.push(packet);
    }
    assert!(matches!(seen.last(), Some(Packet::Disconnect(_))));
    drop(server);
    task.await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    let [first, second] = acks;
    assert!(matches!(first.await, Err(OpError::Interrupted)), "sent, and nobody knows");
    assert!(matches!(second.await, Err(OpError::Closed)), "its turn would have come half a second later");
}

#[tokio::test(start_paused = true)]
async fn close_waits_for_a_drain_and_says_at_its_deadline_what_is_left() {
    for (within, left) in [(secs(10), 0), (millis(1200), 3)] {
        let links = Links::default();
        let (client, server) = online(&links).await;
        offline(&client, server).await;
        let acks = publishes(&client, 0..6).await;
        let mut server = back(&links, true).await;
        client.online().await.unwrap();
        let start = Instant::now();
        let close = tokio::spawn(async move { client.close(within).await.unwrap() });
        let mut seen = 0;
        while let Some(packet) = server.recv().await {
            if let Packet::Publish(publish) = packet {
                seen += 1;
                server.send(Packet::PubAck(Ack::new(publish.packet_id().unwrap()))).await;
            }
        }
        assert_eq!(start.elapsed(), if left == 0 { millis(2500) } else { within });
        let leftover = close.await.unwrap();
        assert_eq!((leftover.queued, leftover.unacknowledged, seen), (left, 0, 6 - left));
        for (n, ack) in acks.into_iter().enumerate() {
            let outcome = ack.await;
            assert!(if n < seen { outcome.is_ok() } else { matches!(outcome, Err(OpError::Closed)) });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_a_disconnect_goes_out_after_the_next_connect_and_streams_go_on() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let mut messages = subscribed(&client, &mut server, "in").await;
    offline(&client, server).await;
    let ack = client.publish(message("kept")).await.unwrap();
    client.disconnect().await.unwrap();
    assert!(matches!(&*client.status().borrow(), Status::Idle));
    sleep(secs(600)).await;
    assert_eq!(client.stats().queued, 1);
    let mut server = links.add(1 << 16);
    let serve = async {
        server.accept(false).await;
        answer(&mut server, "in", ReasonCode::GrantedQoS1).await;
        assert_eq!(takes(&mut server).await, "kept");
    };
    let (result, ()) = tokio::join!(client.connect(), serve);
    result.unwrap();
    assert!(ack.await.is_ok());
    server.send(publish("in", "x")).await;
    assert_eq!(messages.next().await.unwrap().payload(), b"x");
}

#[tokio::test(start_paused = true)]
async fn connect_lazily_goes_on_at_a_refusal_that_cannot_heal_and_says_so_and_connect_does_not() {
    for lazily in [true, false] {
        let links = Links::default();
        let mut server = links.add(1 << 16);
        let (client, _task) = start(&links);
        let ack = client.publish(message("1")).await.unwrap();
        let connecting = tokio::spawn({
            let client = client.clone();
            async move {
                if lazily { client.connect_lazily().await.is_ok() } else { client.connect().await.is_ok() }
            }
        });
        assert!(matches!(server.recv().await, Some(Packet::Connect(_))));
        server.send(ConnAck::new(false, ReasonCode::ClientIdentifierNotValid)).await;
        let status = until(&client, |status| matches!(status, Status::Disconnected { .. })).await;
        let Status::Disconnected { error, retry_in } = status else { panic!() };
        assert!(!error.is_retryable() && matches!(error, ConnectionError::Refused { .. }), "{error}");
        assert_eq!((retry_in, connecting.await.unwrap()), (lazily.then(|| secs(1)), lazily));
        assert_eq!(client.stats().queued, 1, "the message waits for a connection");
        let mut server = links.add(1 << 16);
        if !lazily {
            client.connect_lazily().await.unwrap();
        }
        server.accept(false).await;
        assert_eq!(takes(&mut server).await, "1");
        assert!(ack.await.is_ok());
    }
}
