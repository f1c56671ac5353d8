//! The client whose calls block, against an emulator on a thread of its own.
#![cfg(all(feature = "blocking", feature = "shadow"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use aws_iot::blocking::{Client, NextError, ShadowSync};
use aws_iot::crates::iot_transport::Tcp;
use aws_iot::doctor::Options;
use aws_iot::shadow::{ErrorKind, Shadow, ShadowId, SyncError, Update, Value};
use aws_iot::{Builder, Error, Limit, Material, Message, Notice, Pacing, QoS, SubscribeOptions};
use iot_emulator::Emulator;
use serde_json::json;

const LONG: Duration = Duration::from_secs(60);

/// An emulator and the runtime that runs it.
struct World {
    runtime: tokio::runtime::Runtime,
    emulator: Emulator,
}

impl World {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let emulator = runtime.block_on(Emulator::start()).unwrap();
        Self { runtime, emulator }
    }

    fn builder(&self, client_id: &str) -> Builder {
        let credentials = self.emulator.credentials();
        let material = |pem: &str| Material::bytes(pem);
        aws_iot::mutual_tls(
            self.emulator.endpoint(),
            material(&credentials.certificate_pem),
            material(&credentials.key_pem),
        )
        .root_ca(material(&credentials.ca_pem))
        .port(self.emulator.port())
        .client_id(client_id)
    }

    fn connect(&self, client_id: &str) -> Client {
        self.builder(client_id).connect_blocking().unwrap()
    }
}

fn message(topic: &str, payload: &'static str) -> Message {
    Message::new(topic, payload).unwrap()
}

fn lamp() -> ShadowId {
    ShadowId::classic("lamp").unwrap()
}

#[test]
fn messages_go_both_ways_without_a_runtime() {
    let world = World::start();
    let client = world.connect("both-ways");
    let mut messages = client.subscribe("a/+", QoS::AtLeastOnce).unwrap();
    assert_eq!(messages.next_timeout(Duration::ZERO), Err(NextError::Timeout));
    client.publish(message("a/1", "x")).unwrap().wait().unwrap();
    assert_eq!(messages.next().unwrap().payload(), b"x");
    client.try_publish(message("a/2", "y")).unwrap().wait().unwrap();
    assert_eq!(messages.next_timeout(LONG).unwrap().topic(), "a/2");
    client.unsubscribe("a/+").unwrap();
    assert_eq!(messages.next(), None);
    assert_eq!(client.stats().connections, 1);
    client.disconnect().unwrap();
    assert!(!client.status().is_connected());
    client.connect().unwrap();
    assert!(client.online(LONG).unwrap().is_some());
    let leftover = client.close(LONG).unwrap();
    assert!(leftover.is_empty(), "{leftover:?}");
    assert!(matches!(client.publish(message("a/1", "z")), Err(Error::Operation(_))));
}

#[test]
fn limits_are_checked_before_anything_is_sent() {
    let world = World::start();
    let client = world.connect("limits");
    let exceeded = |result: Result<(), Error>| match result {
        Err(Error::Limit(exceeded)) => exceeded.limit,
        other => panic!("{other:?}"),
    };
    let deep = "1/2/3/4/5/6/7/8/9";
    assert_eq!(exceeded(client.publish(message(deep, "x")).map(drop)), Limit::TopicSlashes);
    assert_eq!(exceeded(client.subscribe(deep, QoS::AtMostOnce).map(drop)), Limit::TopicSlashes);
    assert_eq!(exceeded(client.on("a", QoS::ExactlyOnce, |_| {}).map(drop)), Limit::QoS);
    assert_eq!(client.stats().published, 0);
}

#[test]
fn a_handler_may_call_the_client_and_its_shadow_and_panic() {
    let world = World::start();
    let client = world.connect("handler");
    let (heard, hears) = mpsc::channel();
    let inner = client.clone();
    let subscription = client
        .on("ask", QoS::AtLeastOnce, move |message| {
            assert_ne!(message.payload(), b"panic");
            let lamp = inner.shadow(lamp());
            let accepted = lamp.update(Update::new().reported(json!({ "on": true }))).wait();
            inner.publish(Message::new("answer", "yes").unwrap()).unwrap().wait().unwrap();
            heard.send(accepted.unwrap().version).unwrap();
        })
        .unwrap();
    let mut answers = client.subscribe("answer", QoS::AtLeastOnce).unwrap();
    client.publish(message("ask", "panic")).unwrap().wait().unwrap();
    client.publish(message("ask", "please")).unwrap().wait().unwrap();
    assert_eq!(hears.recv_timeout(LONG).unwrap(), 1);
    assert_eq!(answers.next_timeout(LONG).unwrap().payload(), b"yes");
    assert_eq!(client.stats().handler_panics, 1);
    // The handler holds the client, which lives until it is closed.
    drop(subscription);
    client.close(LONG).unwrap();
}

#[test]
fn a_handler_and_async_code_may_block_as_often_as_they_like() {
    let world = World::start();
    let client = world.builder("often").pacing(Pacing::off()).connect_blocking().unwrap();
    let (done, dones) = mpsc::channel();
    let inner = client.clone();
    let subscription = client
        .on("go", QoS::AtLeastOnce, move |_| {
            let mut messages = inner.subscribe("often", QoS::AtLeastOnce).unwrap();
            for _ in 0..300 {
                inner.publish(message("often", "x")).unwrap().wait().unwrap();
                messages.next_timeout(LONG).unwrap();
            }
            done.send(()).unwrap();
        })
        .unwrap();
    client.publish(message("go", "")).unwrap().wait().unwrap();
    dones.recv_timeout(LONG).unwrap();
    drop(subscription);
    // It blocks a thread of somebody's runtime, and works all the same.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for _ in 0..300 {
            client.publish(message("a", "x")).unwrap().wait().unwrap();
        }
    });
    client.close(LONG).unwrap();
}

#[test]
fn a_handler_may_acknowledge_when_it_is_done() {
    let world = World::start();
    let client = world.connect("manual");
    let (heard, hears) = mpsc::channel();
    let options = SubscribeOptions::new(QoS::AtLeastOnce).manual_ack();
    let subscription = client.on_with("a", options, move |message| heard.send(message).unwrap()).unwrap();
    client.publish(message("a", "x")).unwrap().wait().unwrap();
    assert_eq!(hears.recv_timeout(LONG).unwrap().payload(), b"x");
    let mut messages = client.subscribe_with("b", options).unwrap();
    client.publish(message("b", "y")).unwrap().wait().unwrap();
    let (message, acknowledge) = messages.next_with_ack_timeout(LONG).unwrap();
    assert_eq!(message.payload(), b"y");
    acknowledge.ack();
    assert!(messages.next_with_ack_timeout(Duration::ZERO).is_err());
    drop(subscription);
}

#[test]
fn notices_come_to_an_iterator_and_to_a_handler() {
    let world = World::start();
    let client = world.builder("notices").connect_lazily_blocking().unwrap();
    let (told, tells) = mpsc::channel();
    let handler = client.on_notice(move |notice| told.send(notice).unwrap()).unwrap();
    client.connect().unwrap();
    client.disconnect().unwrap();
    let mut notices = client.notices();
    client.connect().unwrap();
    assert!(notices.any(|notice| matches!(notice, Notice::Online(_))));
    assert!(tells.iter().any(|notice| matches!(notice, Notice::Online(_))));
    drop(handler);
    client.close(LONG).unwrap();
    assert!(notices.by_ref().all(|notice| !matches!(notice, Notice::Online(_))));
}

#[test]
fn a_shadow_is_read_changed_compared_and_deleted() {
    let world = World::start();
    let client = world.connect("shadow");
    let lamp = client.shadow(lamp());
    assert!(lamp.get::<Value>().wait().unwrap_err().is_missing());
    let accepted =
        lamp.update(Update::new().reported(json!({ "on": false }))).client_token("mine").wait().unwrap();
    assert_eq!(accepted.version, 1);
    let turned = lamp
        .modify::<Value, Value>(|shadow| {
            let on = shadow.unwrap().state.reported.as_ref().unwrap()["on"].as_bool().unwrap();
            Some(Update::new().reported(json!({ "on": !on })))
        })
        .unwrap();
    assert_eq!(turned.unwrap().version, 2);
    let shadow: Shadow = lamp.get().timeout(LONG).wait().unwrap();
    assert_eq!(shadow.state.reported.unwrap(), json!({ "on": true }));
    assert_eq!(lamp.delete().wait().unwrap().version, 2);
    assert_eq!(lamp.id(), &self::lamp());
    lamp.mqtt().publish(message("a", "x")).unwrap().wait().unwrap();
}

#[test]
fn deltas_and_documents_are_iterators() {
    let world = World::start();
    let (device, app) = (world.connect("device"), world.connect("app"));
    let lamp = device.shadow(lamp());
    let (mut deltas, mut documents) = (lamp.deltas().unwrap(), lamp.documents::<Value>().unwrap());
    assert_eq!(deltas.next_timeout(Duration::ZERO).unwrap_err(), NextError::Timeout);
    let desires = app.shadow(self::lamp());
    desires.update(Update::new().desired(json!({ "color": "red" }))).wait().unwrap();
    assert_eq!(deltas.next().unwrap().state, json!({ "color": "red" }));
    assert_eq!(documents.next().unwrap().current.version, 1);
    desires.update(Update::new().desired(json!({ "color": "blue" }))).wait().unwrap();
    assert_eq!(deltas.next_timeout(LONG).unwrap().version, 2);
    assert_eq!(documents.next_timeout(LONG).unwrap().current.version, 2);
    assert_eq!(documents.unreadable(), 0);
    deltas.catch_up();
    assert_eq!(deltas.next_timeout(Duration::from_millis(200)).unwrap_err(), NextError::Timeout);
    assert!(deltas.catch_up_error().is_none());
    device.close(LONG).unwrap();
    assert!(deltas.next().is_none());
    assert_eq!(documents.next_timeout(LONG).unwrap_err(), NextError::Ended);
}

#[test]
fn a_state_is_kept_in_step_on_a_thread() {
    let world = World::start();
    let (device, app) = (world.connect("device"), world.connect("app"));
    let lamp = ShadowSync::new(&device.shadow(lamp()), json!({ "color": "off" }));
    let running = lamp.clone();
    let thread =
        thread::spawn(move || running.run(|state, delta| state["color"] = delta.state["color"].clone()));
    let mut documents = app.shadow(self::lamp()).documents::<Value>().unwrap();
    let desires = app.shadow(self::lamp());
    desires.update(Update::new().desired(json!({ "color": "red" }))).wait().unwrap();
    let is_red = |shadow: &Value| shadow["color"] == "red";
    assert!(documents.any(|change| change.current.state.reported.as_ref().is_some_and(is_red)));
    assert_eq!(lamp.state(), json!({ "color": "red" }));
    lamp.modify(|state| state["color"] = "blue".into());
    let is_blue = |shadow: &Value| shadow["color"] == "blue";
    assert!(documents.any(|change| change.current.state.reported.as_ref().is_some_and(is_blue)));
    assert!(matches!(lamp.run(|_, _| {}), Err(SyncError::Running)));
    device.close(LONG).unwrap();
    assert!(matches!(thread.join().unwrap(), Err(SyncError::Ended)));
}

#[test]
fn a_state_is_kept_in_step_for_a_time() {
    let world = World::start();
    let device = world.connect("device");
    let lamp = ShadowSync::new(&device.shadow(lamp()), json!({ "color": "off" }));
    lamp.run_for(Duration::from_millis(500), |_, _| {}).unwrap();
    let shadow: Shadow = device.shadow(self::lamp()).get().wait().unwrap();
    assert_eq!(shadow.state.reported.unwrap(), json!({ "color": "off" }));
}

#[test]
fn requests_end_by_their_timeout_and_at_once_when_the_client_is_closed() {
    // Nobody listens there.
    let client = aws_iot::mutual_tls("localhost:1", Material::bytes("c"), Material::bytes("k"))
        .connect_lazily_blocking();
    assert!(matches!(client, Err(Error::Tls(_))), "{client:?}");
    let nowhere = Tcp::new("127.0.0.1", 1);
    let client = aws_iot::over(nowhere).connect_lazily_blocking().unwrap();
    let lamp = client.shadow(lamp());
    assert!(matches!(lamp.get::<Value>().wait().unwrap_err().kind(), ErrorKind::Offline));
    let waiting = lamp.get::<Value>().wait_for_connection(true).timeout(Duration::from_millis(100)).wait();
    assert!(matches!(waiting.unwrap_err().kind(), ErrorKind::TimedOut { .. }));
    // A timer that is older than the end of the client.
    let other = client.clone();
    let (begun, begins) = mpsc::channel();
    let waiting = thread::spawn(move || {
        begun.send(()).unwrap();
        other.shadow(self::lamp()).get::<Value>().wait_for_connection(true).timeout(LONG).wait()
    });
    begins.recv().unwrap();
    client.close(Duration::ZERO).unwrap();
    assert!(waiting.join().unwrap().is_err());
    assert!(lamp.get::<Value>().wait_for_connection(true).wait().is_err());
    assert_eq!(client.block_on_for(std::future::pending::<()>(), Duration::from_millis(1)), None);
}

#[test]
fn the_way_is_examined_on_the_thread_that_asks() {
    let world = World::start();
    let mut steps = 0;
    let report = world.builder("doctor").diagnose_blocking(Options::new(), |_| steps += 1).unwrap();
    assert!(report.is_healthy(), "{report}");
    assert_eq!(steps, report.checks().len());
}

#[test]
fn async_code_is_waited_for_with_the_timers_of_the_client() {
    let world = World::start();
    let client = world.connect("async");
    let messages = client.block_on(client.client().subscribe("a", QoS::AtLeastOnce)).unwrap();
    assert_eq!(messages.filter().as_str(), "a");
    let timer = async { tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>()).await };
    assert!(client.block_on(timer).is_err());
}

#[test]
fn dropping_the_last_handle_leaves_in_order() {
    let world = World::start();
    let witness = world.connect("witness");
    let mut wills = witness.subscribe("will", QoS::AtLeastOnce).unwrap();
    let topic = "will".try_into().unwrap();
    let client = world.builder("leaver").will(aws_iot::Will::new(topic, "gone")).connect_blocking().unwrap();
    let lamp = client.shadow(lamp());
    lamp.update(Update::new().reported(json!({}))).wait().unwrap();
    drop(client);
    lamp.get::<Value>().wait().unwrap();
    drop(lamp);
    // The disconnect has reached the emulator before its answer to this one.
    witness.publish(message("will", "none")).unwrap().wait().unwrap();
    assert_eq!(wills.next_timeout(LONG).unwrap().payload(), b"none");
    drop((wills, witness));
    world.runtime.shutdown_timeout(Duration::ZERO);
}
