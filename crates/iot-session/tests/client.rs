//! The end of a client, what its messages wait for, and what it says about itself.
#![cfg(feature = "tokio")]
#![allow(clippy::disallowed_methods, reason = "tests read the paused clock")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::time::Duration;

use iot_session::layers::{DrainRate, DropPolicy, OfflineQueue, Reconnect, Retry};
use iot_session::proto::Engine;
use iot_session::stage::Notice;
use iot_session::{
    Client, Config, ConnectionError, Delivery, Dropped, Message, OpError, QoS, Status, Version, client, stack,
};
use mqtt_codec::{Packet, ReasonCode};
use support::link::{Links, connected, start, start_with, subscribed, until};
use support::{options, puback, publish, secs};
use tokio::time::{Instant, advance, sleep};

fn message(payload: &'static str) -> Message {
    Message::new("a", payload).unwrap()
}

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// What every application has that keeps messages for later.
fn queueing() -> (OfflineQueue, (Retry, Reconnect)) {
    (
        OfflineQueue::bounded(20).drain_rate(DrainRate::every(Duration::from_millis(500))),
        (Retry::default(), Reconnect::default()),
    )
}

fn closing(client: &Client, within: Duration) -> tokio::task::JoinHandle<iot_session::Leftover> {
    let client = client.clone();
    tokio::spawn(async move { client.close(within).await.unwrap() })
}

#[tokio::test(start_paused = true)]
async fn close_waits_for_what_is_in_flight_and_ends_the_driver() {
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let (client, task) = start(options(Version::V5), Reconnect::default(), &links, Config::default());
    server.accept_from(&client, false).await;
    let start = Instant::now();
    let acks = [client.publish(message("1")).await.unwrap(), client.publish(message("2")).await.unwrap()];
    let close = closing(&client, secs(5));
    for _ in 0..2 {
        assert!(matches!(server.recv().await, Some(Packet::Publish(_))));
    }
    sleep(secs(1)).await;
    assert!(client.publish(message("late")).await.is_err(), "nothing new is taken");
    server.send(puback(1)).await;
    server.send(puback(2)).await;
    assert!(matches!(server.recv().await, Some(Packet::Disconnect(_))));
    assert_eq!(server.recv().await, None);
    assert!(close.await.unwrap().is_empty());
    assert_eq!(start.elapsed(), secs(1));
    drop(server);
    task.await.unwrap();
    for ack in acks {
        assert_eq!(ack.await.unwrap(), Delivery::Acked(ReasonCode::Success));
    }
    assert!(matches!(client.connect().await, Err(OpError::Closed)));
    assert!(client.close(secs(1)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn close_says_at_its_deadline_what_did_not_make_it() {
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let options = options(Version::V5).window(1).operation_timeout(secs(600));
    let (client, _task) = start(options, Reconnect::default(), &links, Config::default());
    server.accept_from(&client, false).await;
    let sent = client.publish(message("1")).await.unwrap();
    let waiting = [client.publish(message("2")).await.unwrap(), client.publish(message("3")).await.unwrap()];
    let start = Instant::now();
    let leftover = client.close(secs(5)).await.unwrap();
    assert_eq!(start.elapsed(), secs(5));
    assert_eq!((leftover.queued, leftover.unacknowledged), (2, 1));
    assert!(matches!(server.recv().await, Some(Packet::Publish(_))));
    assert!(matches!(server.recv().await, Some(Packet::Disconnect(_))));
    drop(server);
    assert!(matches!(sent.await, Err(OpError::Interrupted)));
    for ack in waiting {
        assert!(matches!(ack.await, Err(OpError::Closed)));
    }
}

#[tokio::test(start_paused = true)]
async fn close_does_not_wait_for_a_connection_that_nobody_makes() {
    let links = Links::default();
    let (client, task) = start_with(options(Version::V5), queueing(), &links, Config::default());
    let start = Instant::now();
    let ack = client.publish(message("1")).await.unwrap();
    let leftover = client.close(secs(60)).await.unwrap();
    assert_eq!((leftover.queued, leftover.unacknowledged), (1, 0));
    task.await.unwrap();
    assert!(matches!(ack.await, Err(OpError::Closed)));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn close_outlasts_an_outage_and_the_last_handle() {
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let (client, task) = start_with(options(Version::V5), queueing(), &links, Config::default());
    server.accept_from(&client, false).await;
    drop(server);
    until(&client, |status| matches!(status, Status::Disconnected { .. })).await;
    let ack = client.publish(message("made offline")).await.unwrap();
    let close = closing(&client, secs(60));
    tokio::task::yield_now().await;
    close.abort();
    drop(client);
    let mut server = links.add(1 << 16);
    server.accept(false).await;
    assert!(matches!(server.recv().await, Some(Packet::Publish(_))));
    server.send(puback(1)).await;
    assert!(matches!(server.recv().await, Some(Packet::Disconnect(_))));
    drop(server);
    assert!(ack.await.is_ok());
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_is_too_old_counted_from_when_it_was_handed_over() {
    let engine = Engine::new(options(Version::V5));
    let codec = engine.codec();
    let (client, driver) =
        client(stack(engine).layer(queueing()).into_stage(), codec, Links::default(), Config::default());
    let expired = client.publish(message("1").time_to_live(millis(300))).await.unwrap();
    let kept = client.publish(message("2").time_to_live(millis(1000))).await.unwrap();
    advance(millis(400)).await;
    let start = Instant::now();
    tokio::spawn(driver.run());
    assert!(matches!(expired.await, Err(OpError::Dropped(Dropped::Expired))));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(matches!(kept.await, Err(OpError::Dropped(Dropped::Expired))));
    assert_eq!(start.elapsed(), millis(600));
}

#[tokio::test(start_paused = true)]
async fn the_stats_tell_what_is_under_way_and_how_long_a_round_trip_takes() {
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let (client, _task) = start_with(options(Version::V5), queueing(), &links, Config::default());
    let waiting = client.publish(message("12345")).await.unwrap();
    tokio::task::yield_now().await;
    let stats = client.stats();
    assert_eq!((stats.queued, stats.in_flight, stats.round_trip), (1, 0, None));
    assert!(stats.queued_bytes >= 6);
    server.accept_from(&client, false).await;
    assert!(matches!(server.recv().await, Some(Packet::Publish(_))));
    assert_eq!((client.stats().queued, client.stats().in_flight), (0, 1));
    server.send(puback(1)).await;
    waiting.await.unwrap();
    assert_eq!(client.stats().round_trip, None, "the time in the queue is no round trip");

    for (delay, smoothed) in [(80, 80), (160, 90)] {
        let ack = client.publish(message("x")).await.unwrap();
        let Some(Packet::Publish(publish)) = server.recv().await else { panic!() };
        sleep(millis(delay)).await;
        server.send(puback(publish.packet_id().unwrap().value())).await;
        ack.await.unwrap();
        let stats = client.stats();
        assert_eq!(stats.round_trip, Some(millis(delay)));
        assert_eq!(stats.round_trip_smoothed, Some(millis(smoothed)));
        assert_eq!(stats.in_flight, 0);
    }
    drop(server);
    until(&client, |status| matches!(status, Status::Disconnected { .. })).await;
    let mut server = links.add(1 << 16);
    server.accept(false).await;
    client.online().await.unwrap();
    assert_eq!(client.stats().reconnects(), 1);
}

#[tokio::test(start_paused = true)]
async fn notices_tell_what_the_layers_do_and_which_handler_panicked() {
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let (client, task) = start_with(options(Version::V5), queueing(), &links, Config::default());
    let mut notices = client.notices();
    drop(client.publish(message("1").qos(QoS::AtMostOnce)).await.unwrap());
    server.accept_from(&client, false).await;
    assert!(
        matches!(notices.next().await, Some(Notice::Online(connected)) if connected.version == Version::V5)
    );
    assert_eq!(notices.next().await, Some(Notice::Draining { queued: 1 }));
    assert!(matches!(server.recv().await, Some(Packet::Publish(_))));
    assert_eq!(notices.next().await, Some(Notice::Drained));

    let messages = subscribed(&client, &mut server, "in").await;
    let filter = messages.filter().clone();
    let panicking = client.on("in", QoS::AtLeastOnce, |_| async { panic!("as asked") });
    let answer = async {
        let Some(Packet::Subscribe(s)) = server.recv().await else { panic!() };
        let granted = mqtt_codec::packet::SubAck::new(s.packet_id, [ReasonCode::GrantedQoS1]);
        server.send(Packet::SubAck(granted)).await;
    };
    let (_panicking, ()) = tokio::join!(panicking, answer);
    server.send(publish("in", "x")).await;
    assert_eq!(notices.next().await, Some(Notice::HandlerPanicked { filter }));
    assert_eq!(client.stats().handler_panics, 1);

    client.close(secs(1)).await.unwrap();
    drop(server);
    task.await.unwrap();
    let requested = Notice::Offline { error: ConnectionError::Requested, retry_in: None };
    assert_eq!(notices.next().await, Some(requested));
    assert_eq!(notices.next().await, None);
    assert_eq!(client.notices().next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_handler_of_notices_hears_why_the_client_is_offline_what_is_dropped_and_outlives_its_panics() {
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let queue = OfflineQueue::bounded(1).when_full(DropPolicy::DropOldest);
    let layers = (queue, (Retry::default(), Reconnect::default()));
    let (client, _task) = start_with(options(Version::V5), layers, &links, Config::default());
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let handler = client
        .on_notice(move |notice| {
            tell.send(notice.clone()).unwrap();
            assert!(!matches!(notice, Notice::Online(_)), "as asked");
            std::future::ready(())
        })
        .unwrap();
    server.accept_from(&client, false).await;
    assert!(matches!(told.recv().await, Some(Notice::Online(_))));
    drop(server);
    let offline = told.recv().await.unwrap();
    let Notice::Offline { error, retry_in } = offline else { panic!("{offline:?}") };
    assert!(error.is_by_peer() && retry_in == Some(secs(1)), "{error}, {retry_in:?}");
    let first = client.publish(message("1")).await.unwrap();
    let _second = client.publish(message("2")).await.unwrap();
    assert!(matches!(first.await, Err(OpError::Dropped(Dropped::Oldest))));
    assert_eq!(told.recv().await, Some(Notice::Dropped { why: Dropped::Oldest }));
    assert_eq!(client.stats().handler_panics, 1);
    drop(handler);
    assert_eq!(told.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn reconnect_now_ends_the_wait_and_online_waits_for_the_session() {
    let (client, server, links) = connected(Version::V5, Config::default()).await;
    assert!(client.online().await.is_ok());
    client.reconnect_now().await.unwrap();
    sleep(secs(20)).await;
    assert_eq!(client.stats().attempts, 1, "nothing to end while connected");
    drop(server);
    until(&client, |status| matches!(status, Status::Disconnected { retry_in: Some(_), .. })).await;
    let start = Instant::now();
    client.reconnect_now().await.unwrap();
    let mut server = links.add(1 << 16);
    let (online, ()) = tokio::join!(client.online(), server.accept(false));
    online.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);

    client.disconnect().await.unwrap();
    client.reconnect_now().await.unwrap();
    sleep(secs(60)).await;
    assert_eq!(client.stats().attempts, 2, "nobody wants a connection");
}

#[tokio::test(start_paused = true)]
async fn connect_lazily_returns_at_once_and_repeats_the_first_attempt() {
    let links = Links::default();
    links.refuse(2);
    let (client, _task) = start(options(Version::V5), Reconnect::default(), &links, Config::default());
    let mut server = links.add(1 << 16);
    let start = Instant::now();
    client.connect_lazily().await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    let status = until(&client, |status| matches!(status, Status::Disconnected { .. })).await;
    let Status::Disconnected { error, retry_in } = status else { panic!() };
    assert!(error.is_retryable());
    assert_eq!(retry_in, Some(secs(1)));
    let (online, ()) = tokio::join!(client.online(), server.accept(false));
    online.unwrap();
    assert_eq!(start.elapsed(), secs(1 + 2));
    client.connect_lazily().await.unwrap();
    assert_eq!(client.stats().attempts, 3, "connected already");
}

#[tokio::test(start_paused = true)]
async fn connect_gives_up_after_the_first_attempt_unless_it_is_asked_lazily() {
    let links = Links::default();
    links.refuse(1);
    let (client, _task) = start(options(Version::V5), Reconnect::default(), &links, Config::default());
    assert!(matches!(client.connect().await, Err(OpError::Connect(ConnectionError::Link(_)))));
    let status = client.status().borrow().clone();
    assert!(matches!(status, Status::Disconnected { retry_in: None, .. }), "{status:?}");
    let mut server = links.add(1 << 16);
    client.connect_lazily().await.unwrap();
    server.accept(false).await;
    client.online().await.unwrap();
}
