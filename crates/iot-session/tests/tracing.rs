//! What is told to `tracing`, and what is not.
#![cfg(feature = "tracing")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

mod support;

use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use iot_session::layers::Reconnect;
use iot_session::{Config, Message, QoS, Status, Version};
use mqtt_codec::Packet;
use support::link::{Links, start, subscribed, until};
use support::{options, puback, publish};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes down everything: `span> event field=value …`.
#[derive(Clone, Default)]
struct Diary {
    lines: Arc<Mutex<Vec<String>>>,
    spans: Arc<AtomicU64>,
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Diary {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("iot_session")
    }
    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut line = Line(format!("new span {}", attributes.metadata().name()));
        attributes.record(&mut line);
        self.lines.lock().unwrap().push(line.0);
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("{:?}>", event.parent().map(Id::into_u64)));
        event.record(&mut line);
        self.lines.lock().unwrap().push(line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_span_for_each_connection_and_neither_payloads_nor_topics_nor_secrets() {
    let diary = Diary::default();
    let _guard = tracing::subscriber::set_default(diary.clone());
    let links = Links::default();
    let mut server = links.add(1 << 16);
    let options = options(Version::V5).login("SECRET-user", Some("SECRET-password".into())).unwrap();
    let (client, _task) = start(options, Reconnect::default(), &links, Config::default());
    server.accept_from(&client, false).await;
    let mut messages = subscribed(&client, &mut server, "in/+").await;
    server.send(publish("in/SECRET", "SECRET")).await;
    messages.next().await.unwrap();
    let ack = client.publish(Message::new("SECRET/topic", "SECRET payload").unwrap()).await.unwrap();
    let Some(Packet::Publish(sent)) = server.recv().await else { panic!() };
    server.send(puback(sent.packet_id().unwrap().value())).await;
    let lost =
        client.publish(Message::new("SECRET/topic", "x").unwrap().qos(QoS::AtLeastOnce)).await.unwrap();
    assert!(matches!(server.recv().await, Some(Packet::Publish(_))));
    ack.await.unwrap();
    drop(server);
    until(&client, |status| matches!(status, Status::Disconnected { .. })).await;
    assert!(lost.await.is_err());
    let mut server = links.add(1 << 16);
    server.accept(false).await;
    client.online().await.unwrap();
    client.disconnect().await.unwrap();

    let lines = diary.lines.lock().unwrap().clone();
    let expected = [
        "new span connection attempt=1",
        "Some(1)> message=connecting",
        "Some(1)> message=connected session_present=false keep_alive=30 window=100",
        "Some(1)> message=disconnected error=the server closed the connection retryable=true",
        "Some(1)> message=will try again retry_in=1s",
        "new span connection attempt=2",
        "Some(2)> message=connecting",
        "Some(2)> message=connected session_present=false keep_alive=30 window=100",
        "Some(2)> message=disconnected on request",
    ];
    assert_eq!(lines, expected, "{lines:#?}");
    assert!(!lines.concat().contains("SECRET"));
}
