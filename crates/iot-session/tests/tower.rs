//! tower's own middleware on the client.
#![cfg(feature = "tower")]
#![allow(clippy::disallowed_methods, reason = "tests read the paused clock")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

mod support;

use std::future::poll_fn;
use std::task::Poll;

use iot_session::layers::Reconnect;
use iot_session::{Config, Delivery, Message, OpError, Version};
use mqtt_codec::{Packet, ReasonCode};
use support::link::{Links, connected, start};
use support::{options, puback, secs};
use tokio::time::Instant;
use tower::load_shed::error::Overloaded;
use tower::timeout::error::Elapsed;
use tower::{Service, ServiceBuilder, ServiceExt};

fn message(payload: &'static str) -> Message {
    Message::new("a", payload).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_timeout_a_concurrency_limit_and_load_shedding_come_from_tower() {
    let (client, mut server, _links) = connected(Version::V5, Config::default()).await;
    let mut publish = ServiceBuilder::new()
        .load_shed()
        .concurrency_limit(2)
        .timeout(secs(2))
        .service(client.publish_service());
    let start = Instant::now();
    let first = publish.ready().await.unwrap().call(message("1"));
    let second = publish.ready().await.unwrap().call(message("2"));
    let shed = publish.ready().await.unwrap().call(message("3")).await.unwrap_err();
    assert!(shed.is::<Overloaded>(), "two are under way: {shed}");

    for payload in [b"1", b"2"] {
        let Some(Packet::Publish(sent)) = server.recv().await else { panic!() };
        assert_eq!(sent.payload(), payload);
    }
    server.send(puback(1)).await;
    assert_eq!(first.await.unwrap(), Delivery::Acked(ReasonCode::Success));
    let late = second.await.unwrap_err();
    assert!(late.is::<Elapsed>(), "{late}");
    assert_eq!(start.elapsed(), secs(2));
    let third = publish.ready().await.unwrap().call(message("4"));
    assert!(matches!(server.recv().await, Some(Packet::Publish(_))), "there is room again");
    drop(third);
}

#[tokio::test(start_paused = true)]
async fn a_service_is_ready_when_the_session_has_room() {
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let config = Config { commands: 1, ..Config::default() };
    let options = options(Version::V5).window(1);
    let (client, task) = start(options, Reconnect::default(), &links, config);
    server.accept_from(&client, false).await;
    let mut service = client.publish_service();
    let sent = service.ready().await.unwrap().call(message("in flight"));
    assert!(matches!(server.recv().await, Some(Packet::Publish(_))));
    let waiting = service.ready().await.unwrap().call(message("in the channel"));
    poll_fn(|context| {
        assert!(service.poll_ready(context).is_pending());
        assert!(service.poll_ready(context).is_pending());
        Poll::Ready(())
    })
    .await;
    let mut impatient = service.clone();
    assert!(matches!(impatient.call(message("not ready")).await, Err(OpError::Busy)));
    server.send(puback(1)).await;
    sent.await.unwrap();
    assert!(service.ready().await.is_ok());
    assert!(client.try_publish(message("x")).is_err(), "the service holds the one place");
    drop(service);
    assert!(client.try_publish(message("x")).is_ok());
    task.abort();
    assert!(waiting.await.is_err());
    assert!(matches!(impatient.ready().await, Err(OpError::Closed)));
    assert!(matches!(impatient.call(message("x")).await, Err(OpError::Closed)));
}
