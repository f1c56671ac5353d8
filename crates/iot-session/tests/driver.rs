//! The driver and the handle, on links in memory and a paused clock.
#![cfg(feature = "tokio")]
#![allow(clippy::disallowed_methods, reason = "tests read the paused clock")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use iot_session::layers::Reconnect;
use iot_session::proto::Engine;
use iot_session::stage::Connected;
use iot_session::{
    Config, ConnectionError, Delivery, Dropped, Message, OpError, QoS, Status, TryPublishError, Version,
    client, stack,
};
use iot_transport::{Connector, from_fn};
use mqtt_codec::{Packet, ReasonCode};
use support::link::{Links, connected, start, subscribed, until};
use support::{id, options, publish, secs};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::time::Instant;

const BOTH: [Version; 2] = [Version::V3_1_1, Version::V5];

fn message(topic: &str, payload: &'static str) -> Message {
    Message::new(topic, payload).unwrap()
}

#[tokio::test(start_paused = true)]
async fn messages_go_both_ways_in_both_versions() {
    for version in BOTH {
        let (client, mut server, _links) = connected(version, Config::default()).await;
        let mut messages = subscribed(&client, &mut server, "in/#").await;
        assert_eq!(messages.granted(), ReasonCode::GrantedQoS1);

        let ack = client.publish(message("out", "hello")).await.unwrap();
        let Some(Packet::Publish(sent)) = server.recv().await else { panic!() };
        assert_eq!((sent.topic(), sent.payload()), ("out", &b"hello"[..]));
        server.send(support::puback(sent.packet_id().unwrap().value())).await;
        assert_eq!(ack.await.unwrap(), Delivery::Acked(ReasonCode::Success));

        server.send(publish("in/1", "x").at_least_once(id(9))).await;
        let received = messages.next().await.unwrap();
        assert_eq!(
            (received.topic(), received.payload(), received.quality()),
            ("in/1", &b"x"[..], QoS::AtLeastOnce)
        );
        assert_eq!(received.detach(), received);
        assert!(matches!(server.recv().await, Some(Packet::PubAck(ack)) if ack.packet_id == id(9)));
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_9_a_dropped_wait_for_room_sends_nothing() {
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let config = Config { commands: 1, ..Config::default() };
    let (client, _task) = start(options(Version::V5).window(1), Reconnect::default(), &links, config);
    server.accept_from(&client, false).await;
    let first = client.publish(message("a", "1")).await.unwrap();
    assert!(matches!(server.recv().await, Some(Packet::Publish(_))));
    let second = client.publish(message("a", "2")).await.unwrap(); // fills the channel
    assert!(matches!(
        client.try_publish(message("a", "full")),
        Err(TryPublishError::Full(message)) if message.payload() == b"full"
    ));
    let third = tokio::time::timeout(secs(1), client.publish(message("a", "never"))).await;
    assert!(third.is_err(), "no room");
    server.send(support::puback(1)).await;
    assert!(first.await.is_ok());
    let Some(Packet::Publish(sent)) = server.recv().await else { panic!() };
    assert_eq!(sent.payload(), b"2");
    server.send(support::puback(sent.packet_id().unwrap().value())).await;
    assert!(second.await.is_ok());
    let last = client.publish(message("a", "3")).await.unwrap();
    let Some(Packet::Publish(sent)) = server.recv().await else { panic!() };
    assert_eq!(sent.payload(), b"3", "the message whose publish was dropped was never sent");
    drop(last);
}

#[tokio::test(start_paused = true)]
async fn an_idle_hour_takes_at_most_two_turns_for_each_ping_and_one() {
    let (client, mut server, _links) = connected(Version::V5, Config::default()).await;
    let before = client.stats().wakeups;
    let start = Instant::now();
    let mut pings = 0;
    while pings < 120 {
        assert_eq!(server.recv().await, Some(Packet::PingReq));
        server.send(Packet::PingResp).await;
        pings += 1;
    }
    assert_eq!(start.elapsed(), secs(3600));
    let turns = client.stats().wakeups - before;
    assert!(turns <= 2 * pings + 1, "{turns} turns for {pings} pings");
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_hangs_is_left_at_the_connect_timeout() {
    let links = Links::default();
    let config = Config { connect_timeout: secs(7), ..Config::default() };
    let (client, _task) = start(options(Version::V5), Reconnect::default(), &links, config);
    let start = Instant::now();
    let Err(OpError::Connect(ConnectionError::Link(error))) = client.connect().await else { panic!() };
    assert_eq!(start.elapsed(), secs(7));
    assert!(error.to_string().contains("timed out"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_connect_is_left_at_the_same_deadline() {
    let links = Links::default();
    let server = links.add(1024);
    let config = Config { connect_timeout: secs(7), ..Config::default() };
    let (client, _task) = start(options(Version::V5), Reconnect::default(), &links, config);
    let start = Instant::now();
    let result = client.connect().await;
    assert!(matches!(result, Err(OpError::Connect(ConnectionError::ConnAckTimeout))));
    assert_eq!(start.elapsed(), secs(7));
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn disconnect_is_written_before_it_resolves_and_the_client_connects_again() {
    let (client, mut server, links) = connected(Version::V5, Config::default()).await;
    client.publish(message("a", "last")).await.unwrap().await.ok();
    client.publish(message("a", "before").qos(QoS::AtMostOnce)).await.unwrap().await.unwrap();
    let late = client.try_publish(message("a", "handed over").qos(QoS::AtMostOnce)).unwrap();
    client.disconnect().await.unwrap();
    assert_eq!(late.await.unwrap(), Delivery::Sent, "what was handed over before goes out before");
    let mut seen = Vec::new();
    while let Some(packet) = server.recv().await {
        seen.push(packet);
    }
    assert!(matches!(seen.last(), Some(Packet::Disconnect(_))), "{seen:?}");
    assert!(matches!(&seen[seen.len() - 2], Packet::Publish(p) if p.payload() == b"handed over"));
    assert!(matches!(*client.status().borrow(), Status::Idle));

    let mut server = links.add(1024);
    server.accept_from(&client, false).await;
}

#[tokio::test(start_paused = true)]
async fn disconnect_during_backoff_and_while_dialling_returns_at_once() {
    let (client, server, _links) = connected(Version::V5, Config::default()).await;
    drop(server);
    until(&client, |status| matches!(status, Status::Disconnected { retry_in: Some(_), .. })).await;
    let start = Instant::now();
    client.disconnect().await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);

    let connecting = tokio::spawn({
        let client = client.clone();
        async move { client.connect().await }
    });
    until(&client, |status| matches!(status, Status::Connecting { .. })).await;
    client.disconnect().await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(matches!(connecting.await.unwrap(), Err(OpError::Connect(ConnectionError::Requested))));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_is_an_orderly_disconnect() {
    let links = Links::default();
    let mut server = links.add(1024);
    let (client, task) = start(options(Version::V5), Reconnect::default(), &links, Config::default());
    server.accept_from(&client, false).await;
    let mut messages = subscribed(&client, &mut server, "a").await;
    let ack = client.publish(message("a", "x")).await.unwrap();
    drop(client);
    let mut seen = Vec::new();
    while let Some(packet) = server.recv().await {
        seen.push(packet);
    }
    assert!(matches!(seen.last(), Some(Packet::Disconnect(_))), "{seen:?}");
    drop(server);
    task.await.unwrap();
    assert!(matches!(ack.await, Err(OpError::Interrupted)));
    assert!(messages.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_is_gone_closes_every_future() {
    let links = Links::default();
    let mut server = links.add(1024);
    let (client, task) = start(options(Version::V5), Reconnect::default(), &links, Config::default());
    server.accept_from(&client, false).await;
    let mut messages = subscribed(&client, &mut server, "a").await;
    task.abort();
    assert!(task.await.is_err());
    assert!(messages.next().await.is_none());
    assert!(client.publish(message("a", "x")).await.is_err());
    assert!(matches!(client.connect().await, Err(OpError::Closed)));
    assert!(matches!(client.subscribe("a", QoS::AtMostOnce).await, Err(OpError::Closed)));
    assert!(client.disconnect().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_floods_and_does_not_read_is_not_read_from() {
    let links = Links::default();
    let mut server = links.add(1024);
    let (client, _task) = start(
        options(Version::V3_1_1).keep_alive(Duration::ZERO),
        Reconnect::default(),
        &links,
        Config::default(),
    );
    server.accept_from(&client, false).await;
    let flood = async {
        for n in 0..1_000_000u32 {
            server.send(publish("a", "x").at_least_once(id((n % 60_000) as u16 + 1))).await;
        }
    };
    assert!(tokio::time::timeout(secs(60), flood).await.is_err(), "it is held back");
    // 256 KiB of PUBACKs at 4 bytes each, and what was under way.
    assert!(client.stats().received < 80_000, "{:?}", client.stats());
}

#[tokio::test(start_paused = true)]
async fn the_status_tells_why_and_when_it_tries_again() {
    let (client, server, links) = connected(Version::V5, Config::default()).await;
    drop(server);
    let status = until(&client, |status| matches!(status, Status::Disconnected { .. })).await;
    let Status::Disconnected { error, retry_in } = status else { panic!() };
    assert!(matches!(error, ConnectionError::Link(_)));
    assert_eq!(retry_in, Some(secs(1)));
    let mut server = links.add(1024);
    server.accept(false).await;
    let status = until(&client, Status::is_connected).await;
    assert!(matches!(status, Status::Connected(Connected { session_present: false, keep_alive: 30, .. })));
    assert_eq!(client.stats().connections, 2);
}

/// A stream whose writes fail once the far end has fallen silent; then it reads what is left, if that is bytes, or an
/// error.
struct Broken {
    io: DuplexStream,
    fails: Arc<AtomicBool>,
    last: Option<Result<Vec<u8>, &'static str>>,
    failed: bool,
}

impl AsyncRead for Broken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.failed {
            return Pin::new(&mut self.io).poll_read(context, buffer);
        }
        Poll::Ready(match self.last.take() {
            Some(Ok(bytes)) => {
                buffer.put_slice(&bytes);
                Ok(())
            }
            Some(Err(words)) => Err(io::Error::other(words)),
            None => Ok(()),
        })
    }
}

impl AsyncWrite for Broken {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.fails.load(Ordering::Relaxed) {
            self.failed = true;
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// Why the connection ended, as the status tells it, when a write failed and this was left to read.
async fn told_when_a_write_fails(last: Option<Result<Vec<u8>, &'static str>>) -> ConnectionError {
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let fails = Arc::new(AtomicBool::new(false));
    let broken = Arc::clone(&fails);
    let connector = from_fn(move |attempt| {
        let (links, fails, last) = (links.clone(), Arc::clone(&broken), last.clone());
        async move { Ok(Broken { io: links.connect(&attempt).await?, fails, last, failed: false }) }
    });
    let engine = Engine::new(options(Version::V5));
    let codec = engine.codec();
    let stage = stack(engine).layer(Reconnect::default()).into_stage();
    let explain =
        |error: &io::Error| (error.to_string() == "alert").then(|| "the server says why".to_owned());
    let config = Config { explain: Some(explain), ..Config::default() };
    let (client, driver) = client(stage, codec, connector, config);
    tokio::spawn(driver.run());
    server.accept_from(&client, false).await;
    fails.store(true, Ordering::Relaxed);
    let _ack = client.publish(message("a", "x")).await.unwrap();
    let status = until(&client, |status| matches!(status, Status::Disconnected { .. })).await;
    let Status::Disconnected { error, .. } = status else { panic!() };
    error
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_why_and_closes_is_heard_although_a_write_failed_first() {
    // DISCONNECT, session taken over.
    let error = told_when_a_write_fails(Some(Ok(b"\xe0\x01\x8e".to_vec()))).await;
    assert!(matches!(error, ConnectionError::Server { reason: ReasonCode::SessionTakenOver, .. }), "{error}");
    let error = told_when_a_write_fails(Some(Err("alert"))).await;
    assert_eq!(error.to_string(), "the server says why");
    // What explains nothing does not take the place of the first error.
    for nothing in [Some(Err("something else")), None] {
        let error = told_when_a_write_fails(nothing).await;
        assert!(error.to_string().contains("broken pipe"), "{error}");
        assert!(matches!(error, ConnectionError::Link(error) if error.is_by_peer()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_time_is_over_while_it_waits_for_the_driver_is_dropped_and_not_sent() {
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let options = options(Version::V5).window(1).operation_timeout(secs(60)).keep_alive(Duration::ZERO);
    let (client, _task) = start(options, Reconnect::default(), &links, Config::default());
    server.accept_from(&client, false).await;
    let first = client.publish(message("a", "first")).await.unwrap();
    let Some(Packet::Publish(sent)) = server.recv().await else { panic!() };
    // The window is full: these wait in front of the driver.
    let late = client.publish(message("a", "late").time_to_live(secs(5))).await.unwrap();
    let in_time = client.publish(message("a", "in time").time_to_live(secs(50))).await.unwrap();
    tokio::time::advance(secs(6)).await;
    server.send(support::puback(sent.packet_id().unwrap().value())).await;
    first.await.unwrap();
    assert!(matches!(late.await, Err(OpError::Dropped(Dropped::Expired))));
    let Some(Packet::Publish(sent)) = server.recv().await else { panic!() };
    assert_eq!(sent.payload(), b"in time");
    server.send(support::puback(sent.packet_id().unwrap().value())).await;
    in_time.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_a_closed_client_does_not_take_comes_back_in_the_error() {
    let links = Links::default();
    let (client, task) = start(options(Version::V5), Reconnect::default(), &links, Config::default());
    task.abort();
    assert!(task.await.is_err());
    let refused = client.try_publish(message("a", "x")).unwrap_err();
    assert_eq!(refused.to_string(), "the client is closed");
    assert!(matches!(refused, TryPublishError::Closed(back) if back == message("a", "x")));
}

#[tokio::test(start_paused = true)]
async fn of_more_links_than_four_that_are_closing_the_oldest_is_cut() {
    let links = Links::default();
    let (client, _task) = start(options(Version::V5), Reconnect::default(), &links, Config::default());
    let mut servers = Vec::new();
    for _ in 0..5 {
        let mut server = links.add(1 << 16);
        server.accept_from(&client, false).await;
        client.disconnect().await.unwrap();
        assert!(matches!(server.recv().await, Some(Packet::Disconnect(_))));
        servers.push(server);
    }
    let mut open = Vec::new();
    for server in &mut servers {
        open.push(server.io.write_all(b"x").await.is_ok());
    }
    assert_eq!(open, [false, true, true, true, true]);
}
