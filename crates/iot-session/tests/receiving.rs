//! Received messages: who acknowledges them, and what becomes of those that nobody takes.
#![cfg(feature = "tokio")]
#![allow(clippy::disallowed_methods, reason = "tests read the paused clock")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use iot_session::layers::Reconnect;
use iot_session::stage::{Event, Gauges, Input, Layer, Notice, Op, Output, Quarantine, Stage};
use iot_session::{Client, Config, Ended, Messages, Nanos, Now, QoS, Status, SubscribeOptions, Version};
use mqtt_codec::packet::{RetainHandling, SubAck};
use mqtt_codec::{Packet, ReasonCode};
use support::link::{Links, Server, connected, start, start_with, subscribed, until};
use support::{id, options, publish, secs};
use tokio::time::{Instant, timeout};

/// Answers a SUBSCRIBE.
async fn grant(server: &mut Server) {
    let Some(Packet::Subscribe(subscribe)) = server.recv_or_pong().await else { panic!() };
    server.send(Packet::SubAck(SubAck::new(subscribe.packet_id, [ReasonCode::GrantedQoS1]))).await;
}

async fn manual(client: &Client, server: &mut Server, filter: &str) -> Messages {
    let options = SubscribeOptions::new(QoS::AtLeastOnce).manual_ack();
    let (messages, ()) = tokio::join!(client.subscribe_with(filter, options), grant(server));
    messages.unwrap()
}

async fn acked(server: &mut Server, n: u16) {
    assert!(matches!(server.recv_or_pong().await, Some(Packet::PubAck(ack)) if ack.packet_id == id(n)));
}

/// Nothing but pings comes for a while.
async fn silent(server: &mut Server) {
    assert!(timeout(secs(120), server.recv_or_pong()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_message_is_acknowledged_when_the_application_says_so_and_in_order() {
    let (client, mut server, _links) = connected(Version::V5, Config::default()).await;
    let mut messages = manual(&client, &mut server, "a").await;
    for n in 1..=3 {
        server.send(publish("a", "x").at_least_once(id(n))).await;
    }
    server.send(publish("a", "x")).await;
    let (_, first) = messages.next_with_ack().await.unwrap();
    let (_, second) = messages.next_with_ack().await.unwrap();
    silent(&mut server).await;
    second.ack();
    silent(&mut server).await;
    first.ack();
    acked(&mut server, 1).await;
    acked(&mut server, 2).await;
    assert!(messages.next().await.is_some(), "taken without a word is acknowledged");
    acked(&mut server, 3).await;
    let (_, nothing) = messages.next_with_ack().await.unwrap();
    assert!(!nothing.is_needed(), "QoS 0");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_acknowledged_comes_again_with_the_next_connection() {
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let options = options(Version::V5).session_expiry(secs(600));
    let (client, _task) = start(options, Reconnect::default(), &links, Config::default());
    server.accept_from(&client, false).await;
    let mut messages = manual(&client, &mut server, "a").await;
    for n in 1..=3 {
        server.send(publish("a", "x").at_least_once(id(n))).await;
    }
    drop(messages.next_with_ack().await.unwrap());
    let (_, late) = messages.next_with_ack().await.unwrap();
    silent(&mut server).await;
    drop(server);
    let mut server = links.add(1 << 16);
    server.accept(true).await;
    until(&client, Status::is_connected).await;
    late.ack(); // of a connection that is gone: means nothing
    for n in 1..=3 {
        server.send(publish("a", "x").at_least_once(id(n)).with_dup(true)).await;
    }
    for n in 1..=3 {
        let (message, acknowledge) = messages.next_with_ack().await.unwrap();
        assert!(message.is_duplicate(), "the third was not read before and comes once");
        acknowledge.ack();
        acked(&mut server, n).await;
    }
    assert!(timeout(secs(1), messages.next()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_message_for_several_is_acknowledged_once_all_have_taken_it() {
    let (client, mut server, _links) = connected(Version::V5, Config::default()).await;
    let mut careful = manual(&client, &mut server, "a/+").await;
    let mut careless = subscribed(&client, &mut server, "a/#").await;
    server.send(publish("a/1", "x").at_least_once(id(1))).await;
    assert!(careless.next().await.is_some());
    let (_, acknowledge) = careful.next_with_ack().await.unwrap();
    silent(&mut server).await;
    acknowledge.ack();
    acked(&mut server, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_manual_acknowledgement_acknowledges_nothing_by_being_dropped() {
    let (client, mut server, _links) = connected(Version::V5, Config::default()).await;
    let messages = manual(&client, &mut server, "a").await;
    server.send(publish("a", "unread").at_least_once(id(1))).await;
    let mut other = subscribed(&client, &mut server, "b").await;
    server.send(publish("b", "x")).await;
    other.next().await.unwrap();
    drop(messages);
    assert!(matches!(server.recv().await, Some(Packet::Unsubscribe(_))));
    silent(&mut server).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_acknowledges_by_returning() {
    let (client, mut server, _links) = connected(Version::V5, Config::default()).await;
    let (go, gate) = tokio::sync::watch::channel(false);
    let handler = move |_| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
        }
    };
    let options = SubscribeOptions::new(QoS::AtLeastOnce).manual_ack();
    let (subscription, ()) = tokio::join!(client.on_with("a", options, handler), grant(&mut server));
    server.send(publish("a", "x").at_least_once(id(1))).await;
    silent(&mut server).await;
    go.send_replace(true);
    acked(&mut server, 1).await;
    drop(subscription);
}

#[tokio::test(start_paused = true)]
async fn options_of_mqtt_5_go_out_with_the_subscription() {
    let (client, mut server, _links) = connected(Version::V5, Config::default()).await;
    let options = SubscribeOptions::new(QoS::AtMostOnce)
        .no_local()
        .retain_as_published()
        .retain_handling(RetainHandling::DoNotSend);
    let answer = async {
        let Some(Packet::Subscribe(subscribe)) = server.recv().await else { panic!() };
        let (_, sent) = subscribe.filters().next().unwrap();
        assert!(sent.no_local && sent.retain_as_published);
        assert_eq!((sent.qos, sent.retain_handling), (QoS::AtMostOnce, RetainHandling::DoNotSend));
        server.send(Packet::SubAck(SubAck::new(subscribe.packet_id, [ReasonCode::Success]))).await;
    };
    let (messages, ()) = tokio::join!(client.subscribe_with("a", options), answer);
    messages.unwrap();
}

#[tokio::test(start_paused = true)]
async fn past_the_inbox_timeout_a_subscriber_is_lagging_and_holds_back_nothing_more() {
    let config = Config { inbox: 2, inbox_timeout: secs(5), ..Config::default() };
    let (client, mut server, _links) = connected(Version::V5, config).await;
    let mut notices = client.notices();
    let mut slow = subscribed(&client, &mut server, "a").await;
    let start = Instant::now();
    for n in 1..=4 {
        server.send(publish("a", "x").at_least_once(id(n))).await;
    }
    acked(&mut server, 1).await;
    acked(&mut server, 2).await;
    assert_eq!(start.elapsed(), secs(0));
    acked(&mut server, 3).await;
    acked(&mut server, 4).await;
    assert_eq!(start.elapsed(), secs(5));
    assert_eq!(notices.next().await, Some(Notice::Lagging { filter: slow.filter().clone() }));
    assert_eq!((client.stats().overdue, client.stats().dropped), (2, 0));

    server.send(publish("a", "x").at_least_once(id(5))).await;
    acked(&mut server, 5).await;
    assert_eq!(client.stats().dropped, 1, "no room, and nobody waits for it any more");
    for _ in 1..=4 {
        slow.next().await.unwrap();
    }
    for n in 6..=8 {
        server.send(publish("a", "y").at_least_once(id(n))).await;
    }
    acked(&mut server, 6).await;
    acked(&mut server, 7).await;
    assert_eq!(slow.next().await.unwrap().payload(), b"y", "it has caught up: messages wait for it again");
    acked(&mut server, 8).await;
    assert_eq!(start.elapsed(), secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_subscribe_given_up_is_released_before_its_answer() {
    let (client, mut server, _links) = connected(Version::V5, Config::default()).await;
    let mut subscribe = Box::pin(client.subscribe("a", QoS::AtLeastOnce));
    tokio::select! {
        _ = &mut subscribe => panic!("not answered yet"),
        packet = server.recv() => assert!(matches!(packet, Some(Packet::Subscribe(_)))),
    }
    drop(subscribe);
    assert!(matches!(server.recv().await, Some(Packet::Unsubscribe(_))), "no SUBACK came");
}

/// Says of every filter in an Unsubscribe that it is quarantined, and swallows it.
#[derive(Clone)]
struct Quarantiner;

struct QuarantinerStage<S>(S, Vec<Output>);

impl<S: Stage> Layer<S> for Quarantiner {
    type Stage = QuarantinerStage<S>;
    fn layer(self, inner: S) -> Self::Stage {
        QuarantinerStage(inner, Vec::new())
    }
}

impl<S: Stage> Stage for QuarantinerStage<S> {
    fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Op(_, Op::Unsubscribe(unsubscribe)) => {
                for filter in unsubscribe.filters {
                    let why = Quarantine::Refused(ReasonCode::NotAuthorized);
                    self.1.push(Output::Event(Event::Notice(Notice::Quarantined { filter, why })));
                }
            }
            input => self.0.handle(now, input),
        }
    }
    fn poll(&mut self, now: Now) -> Option<Output> {
        self.1.pop().or_else(|| self.0.poll(now))
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

#[tokio::test(start_paused = true)]
async fn a_quarantined_filter_ends_its_streams_and_says_why() {
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let (client, task) =
        start_with(options(Version::V5), (Quarantiner, Reconnect::default()), &links, Config::default());
    server.accept_from(&client, false).await;
    let mut notices = client.notices();
    let mut messages = subscribed(&client, &mut server, "a").await;
    let mut other = subscribed(&client, &mut server, "b").await;
    assert_eq!(messages.ended(), None);
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.unsubscribe("a").await }
    });
    assert!(messages.next().await.is_none());
    let why = Quarantine::Refused(ReasonCode::NotAuthorized);
    assert_eq!(messages.ended(), Some(Ended::Quarantined(why)));
    assert_eq!(notices.next().await, Some(Notice::Quarantined { filter: messages.filter().clone(), why }));
    assert_eq!(other.ended(), None);
    waiting.abort();
    task.abort();
    assert!(other.next().await.is_none());
    assert_eq!(other.ended(), Some(Ended::Closed));
}
