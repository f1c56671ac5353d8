//! The service's broker and its shadows in this process, on links in memory and the paused clock.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]
#![allow(clippy::disallowed_methods, reason = "tests read the paused clock")]

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_iot::crates::iot_transport::{Attempt, from_fn};
use aws_iot::crates::mqtt_codec::{Codec, Packet, TopicName};
use aws_iot::shadow::ShadowClient;
use aws_iot::{Backoff, Builder, Client, QoS, Version};
use bytes::{Bytes, BytesMut};
use iot_emulator::broker::{Behaviour, Broker, ConnectionId, Output, Policy};
use iot_emulator::shadow::{Asker, Rules, ShadowId, Shadows, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout, timeout_at};

pub(crate) const BOTH: [Version; 2] = [Version::V3_1_1, Version::V5];

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// What the topics of the lamp's shadow begin with.
pub(crate) const PREFIX: &str = "$aws/things/lamp/shadow";

/// What a lamp reports, and is wished to be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Lamp {
    pub(crate) on: bool,
    pub(crate) level: u64,
}

/// The lamp's classic shadow, for a client.
pub(crate) fn shadow(client: &Client) -> ShadowClient {
    client.shadow(aws_iot::shadow::ShadowId::classic("lamp").unwrap())
}

/// Clones share it.
#[derive(Clone)]
pub(crate) struct Cloud(Arc<Shared>);

struct Shared {
    world: Mutex<World>,
    changed: Notify,
    start: Instant,
}

struct World {
    broker: Broker,
    shadows: Shadows,
    links: BTreeMap<ConnectionId, mpsc::UnboundedSender<Option<(Version, Packet)>>>,
    next: u64,
    /// Whether somebody answers a dial.
    network: bool,
    /// Whether requests are answered by the shadows.
    serves: bool,
    /// Publishes are lost on their way.
    deaf: bool,
    /// What clients published: the topic and the payload.
    published: Vec<(String, Value)>,
    subscribed: Vec<Vec<String>>,
    unsubscribed: Vec<String>,
    /// What the shadows said.
    said: Vec<(String, Value)>,
    /// All of it, since the beginning.
    journal: Option<Vec<Entry>>,
}

/// What went through the broker, or was said to it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Since the beginning.
    pub(crate) at: Duration,
    pub(crate) by: By,
    /// Or the packet, with filters.
    pub(crate) topic: String,
    /// As it was sent, JSON or not.
    pub(crate) payload: Bytes,
}

impl Entry {
    /// `Null`, if it is none.
    pub(crate) fn document(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Device,
    /// Who asks for the same shadows on a connection of its own.
    Application,
    Service,
    /// The test, or whoever it plays.
    Anyone,
}

/// Seconds since 1970 when the test begins.
const EPOCH: u64 = 1_700_000_000;

impl Cloud {
    pub(crate) fn new() -> Self {
        let mut rules = Rules::default();
        rules.requests_per_second = u32::MAX;
        let world = World {
            broker: Broker::new(Behaviour::aws()),
            shadows: Shadows::new(rules),
            links: BTreeMap::new(),
            next: 1,
            network: true,
            serves: true,
            deaf: false,
            published: Vec::new(),
            subscribed: Vec::new(),
            unsubscribed: Vec::new(),
            said: Vec::new(),
            journal: None,
        };
        let shared = Shared { world: Mutex::new(world), changed: Notify::new(), start: Instant::now() };
        let cloud = Self(Arc::new(shared));
        tokio::spawn(cloud.clone().timers());
        cloud
    }

    /// A device that is connected.
    pub(crate) async fn device(&self, version: Version) -> Client {
        self.builder(version).connect().await.unwrap()
    }

    pub(crate) fn builder(&self, version: Version) -> Builder {
        let cloud = self.clone();
        let connector = from_fn(move |_: Attempt| {
            let cloud = cloud.clone();
            async move { Ok(cloud.dial()) }
        });
        aws_iot::over(connector).client_id("device").version(version).backoff(Backoff::new(
            secs(1),
            secs(1),
            secs(20),
        ))
    }

    /// The other end, where a broker is if there is a network.
    pub(crate) fn dial(&self) -> DuplexStream {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let mut world = self.0.world.lock().unwrap();
        if world.network {
            let id = ConnectionId(world.next);
            world.next += 1;
            let (say, said) = mpsc::unbounded_channel();
            world.links.insert(id, say);
            world.broker.connected(self.now().uptime, id);
            tokio::spawn(self.clone().connection(id, far, said));
        }
        near
    }

    async fn connection(
        self,
        id: ConnectionId,
        stream: DuplexStream,
        mut said: mpsc::UnboundedReceiver<Option<(Version, Packet)>>,
    ) {
        let (mut read, mut write) = tokio::io::split(stream);
        let writer = async {
            while let Some(Some((version, packet))) = said.recv().await {
                let mut bytes = BytesMut::new();
                Codec::server_after_connect(version).encode(&packet, &mut bytes).unwrap();
                if write.write_all(&bytes).await.is_err() {
                    break;
                }
            }
        };
        let reader = async {
            let (mut codec, mut buffer) = (Codec::server(), BytesMut::new());
            while read.read_buf(&mut buffer).await.is_ok_and(|len| len > 0) {
                while let Some(packet) = codec.decode(&mut buffer).unwrap() {
                    self.with(|world, now| {
                        if world.deaf && matches!(packet, Packet::Publish(_)) {
                            return;
                        }
                        world.note(now, &packet);
                        world.broker.handle(now.uptime, id, packet);
                    });
                }
            }
        };
        tokio::select! {
            biased;
            () = writer => {}
            () = reader => {}
        }
        self.with(|world, now| {
            world.links.remove(&id);
            world.shadows.closed(Asker(id.0));
            world.broker.closed(now.uptime, id);
        });
    }

    /// Lets time pass for the broker and the shadows.
    async fn timers(self) {
        loop {
            let deadline = {
                let world = self.0.world.lock().unwrap();
                world.broker.deadline().into_iter().chain(world.shadows.deadline()).min()
            };
            let wait = async {
                match deadline {
                    Some(at) => drop(timeout_at(self.0.start + at, pending::<()>()).await),
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                () = wait => {}
                () = self.0.changed.notified() => {}
            }
            self.with(|world, now| {
                world.broker.handle_timeout(now.uptime);
                world.shadows.handle_timeout(now.uptime);
            });
        }
    }

    fn now(&self) -> Time {
        let uptime = self.0.start.elapsed();
        Time { uptime, unix: EPOCH + uptime.as_secs() }
    }

    fn with<R>(&self, act: impl FnOnce(&mut World, Time) -> R) -> R {
        let now = self.now();
        let mut world = self.0.world.lock().unwrap();
        let deadlines = |world: &World| (world.broker.deadline(), world.shadows.deadline());
        let before = deadlines(&world);
        let result = act(&mut world, now);
        world.drain(now);
        if deadlines(&world) != before {
            self.0.changed.notify_one();
        }
        result
    }

    // --- what tests do ---

    pub(crate) fn rules(&self, change: impl FnOnce(&mut Rules)) {
        self.with(|world, _| change(world.shadows.rules_mut()));
    }

    pub(crate) fn deny_subscribe(&self, filter: &str) {
        self.with(|world, _| world.broker.policy_mut().deny_subscribe.push(filter.try_into().unwrap()));
    }

    pub(crate) fn policy(&self, change: impl FnOnce(&mut Policy)) {
        self.with(|world, _| change(world.broker.policy_mut()));
    }

    /// Says good-bye to the device, as at the end of the longest time that a connection may last.
    pub(crate) fn expire(&self) {
        self.with(|world, now| {
            if let Some(id) = world.broker.connection_of("device") {
                world.broker.expire(now.uptime, id);
            }
        });
    }

    pub(crate) fn deny_publish(&self, topic: &str) {
        self.with(|world, _| world.broker.policy_mut().deny_publish.push(topic.try_into().unwrap()));
    }

    /// Whether what clients publish is lost on its way.
    pub(crate) fn deaf(&self, deaf: bool) {
        self.with(|world, _| world.deaf = deaf);
    }

    /// From now on nobody answers requests but the test.
    pub(crate) fn serve(&self, serves: bool) {
        self.with(|world, _| world.serves = serves);
    }

    /// Publishes what the service might, or anyone.
    pub(crate) fn publish(&self, topic: &str, payload: impl AsRef<[u8]>) {
        let topic = TopicName::try_from(topic).unwrap();
        self.with(|world, now| {
            world.write(now, By::Anyone, topic.as_str(), payload.as_ref());
            world.broker.publish(now.uptime, &topic, payload.as_ref(), QoS::AtLeastOnce, false);
        });
    }

    /// An application asks the service.
    pub(crate) fn ask(&self, topic: &str, request: &Value) {
        let request = request.to_string();
        self.with(|world, now| {
            world.write(now, By::Application, topic, request.as_bytes());
            world.shadows.published(now, Asker(0), topic, request.as_bytes());
        });
    }

    /// An application changes a shadow.
    pub(crate) fn update(&self, id: &ShadowId, request: &Value) -> u64 {
        let answer =
            self.with(|world, now| world.shadows.update(now, id, request.to_string().as_bytes()).unwrap());
        serde_json::from_str::<Value>(&answer).unwrap()["version"].as_u64().unwrap()
    }

    pub(crate) fn desire(&self, id: &ShadowId, desired: &Value) -> u64 {
        self.update(id, &json!({"state": {"desired": desired}}))
    }

    /// The same, whatever the rate is.
    pub(crate) fn desire_anyway(&self, desired: &Value) {
        let rate = self
            .with(|world, _| std::mem::replace(&mut world.shadows.rules_mut().requests_per_second, u32::MAX));
        // Nobody hears of it.
        self.with(|world, now| {
            let request = json!({"state": {"desired": desired}}).to_string();
            world.shadows.update(now, &lamp(), request.as_bytes()).unwrap();
            while world.shadows.poll().is_some() {}
        });
        self.rules(|rules| rules.requests_per_second = rate);
    }

    pub(crate) fn delete(&self, id: &ShadowId) {
        self.with(|world, now| world.shadows.delete(now, id).unwrap());
    }

    pub(crate) fn document(&self, id: &ShadowId) -> Option<Value> {
        self.with(|world, _| world.shadows.document(id))
    }

    /// Cuts the connection; until [`back`](Self::back) there is none.
    pub(crate) fn outage(&self) {
        self.with(|world, now| {
            world.network = false;
            world.broker.kick_all(now.uptime);
        });
    }

    pub(crate) fn back(&self) {
        self.with(|world, _| world.network = true);
    }

    /// Cuts the connection, and the sessions are gone.
    pub(crate) fn forget_sessions(&self) {
        self.with(|world, now| {
            world.broker.kick_all(now.uptime);
            let policy = world.broker.policy().clone();
            world.broker = Broker::new(Behaviour::aws());
            *world.broker.policy_mut() = policy;
            world.links.clear();
        });
    }

    /// Cuts the connection.
    pub(crate) fn cut(&self) {
        self.with(|world, now| world.broker.kick_all(now.uptime));
    }

    // --- what tests look at ---

    /// From now on everything is written down.
    pub(crate) fn keep_journal(&self) {
        self.with(|world, _| world.journal = Some(Vec::new()));
    }

    pub(crate) fn journal<R>(&self, look: impl FnOnce(&[Entry]) -> R) -> R {
        look(self.0.world.lock().unwrap().journal.as_deref().unwrap_or_default())
    }

    /// Connections, messages that wait for one, and whether answers wait for their time.
    pub(crate) fn under_way(&self) -> (usize, usize, bool) {
        let world = self.0.world.lock().unwrap();
        let queued = world.broker.sessions().map(|session| session.queued()).sum();
        (world.links.len(), queued, world.shadows.deadline().is_some())
    }

    /// What was published by clients since the last look to topics with this end.
    pub(crate) fn published(&self, tail: &str) -> Vec<Value> {
        let mut world = self.0.world.lock().unwrap();
        let (taken, left) = world.published.drain(..).partition(|(topic, _)| topic.ends_with(tail));
        world.published = left;
        let taken: Vec<(String, Value)> = taken;
        taken.into_iter().map(|(_, payload)| payload).collect()
    }

    /// What the shadows said since the last look, on topics with this end.
    pub(crate) fn said(&self, tail: &str) -> Vec<Value> {
        let said = std::mem::take(&mut self.0.world.lock().unwrap().said);
        said.into_iter().filter(|(topic, _)| topic.ends_with(tail)).map(|(_, document)| document).collect()
    }

    /// The filters of each SUBSCRIBE since the last look.
    pub(crate) fn subscribed(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut self.0.world.lock().unwrap().subscribed)
    }

    /// What was unsubscribed since the last look, in order of the alphabet.
    pub(crate) fn unsubscribed(&self) -> Vec<String> {
        let mut filters = std::mem::take(&mut self.0.world.lock().unwrap().unsubscribed);
        filters.sort();
        filters
    }

    /// What is subscribed now.
    pub(crate) fn subscriptions(&self) -> Vec<String> {
        let world = self.0.world.lock().unwrap();
        let session = world.broker.sessions().next();
        session.map_or_else(Vec::new, |session| {
            session.subscriptions().map(|(filter, _)| filter.as_str().to_owned()).collect()
        })
    }
}

impl World {
    fn note(&mut self, now: Time, packet: &Packet) {
        match packet {
            Packet::Subscribe(subscribe) => {
                let filters = subscribe.filters().map(|(filter, _)| filter.as_str().to_owned());
                let filters: Vec<String> = filters.collect();
                self.write(now, By::Device, &format!("SUBSCRIBE {}", filters.join(" ")), b"");
                self.subscribed.push(filters);
            }
            Packet::Unsubscribe(unsubscribe) => {
                let filters = unsubscribe.filters().map(|filter| filter.as_str().to_owned());
                let filters: Vec<String> = filters.collect();
                self.write(now, By::Device, &format!("UNSUBSCRIBE {}", filters.join(" ")), b"");
                self.unsubscribed.extend(filters);
            }
            Packet::Connect(_) => self.write(now, By::Device, "CONNECT", b""),
            _ => {}
        }
    }

    fn write(&mut self, now: Time, by: By, topic: &str, payload: &[u8]) {
        if let Some(journal) = &mut self.journal {
            let payload = Bytes::copy_from_slice(payload);
            journal.push(Entry { at: now.uptime, by, topic: topic.to_owned(), payload });
        }
    }

    fn drain(&mut self, now: Time) {
        loop {
            while let Some(output) = self.broker.poll() {
                match output {
                    Output::Send { connection, version, packet } => {
                        if let Some(link) = self.links.get(&connection) {
                            let _ = link.send(Some((version, packet)));
                        }
                    }
                    Output::Close(connection) | Output::Abort(connection) => {
                        if let Some(link) = self.links.remove(&connection) {
                            let _ = link.send(None);
                        }
                    }
                    Output::Published { connection, topic, payload, .. } => {
                        self.write(now, By::Device, topic.as_str(), &payload);
                        let document = serde_json::from_slice(&payload).unwrap_or_default();
                        self.published.push((topic.to_string(), document));
                        if self.serves {
                            self.shadows.published(now, Asker(connection.0), topic.as_str(), &payload);
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
            let Some(outgoing) = self.shadows.poll() else { return };
            self.write(now, By::Service, &outgoing.topic, &outgoing.payload);
            let document = serde_json::from_slice(&outgoing.payload).unwrap();
            self.said.push((outgoing.topic.clone(), document));
            let topic = TopicName::try_from(outgoing.topic).unwrap();
            self.broker.publish(now.uptime, &topic, &outgoing.payload, outgoing.qos, false);
        }
    }
}

/// The shadow that tests use, as the service names it.
pub(crate) fn lamp() -> ShadowId {
    ShadowId::new("lamp", None).unwrap()
}

/// Lets everything happen that happens without the clock.
pub(crate) async fn settle() {
    pass(Duration::from_millis(1)).await;
}

/// Lets so much time pass on the paused clock.
pub(crate) async fn pass(time: Duration) {
    let _ = timeout(time, pending::<()>()).await;
}
