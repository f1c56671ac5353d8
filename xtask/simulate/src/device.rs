//! A process with a client: boots, does what the application does, is killed.

use std::collections::BTreeMap;
use std::time::Duration;

use iot_session::layers::{
    Backoff, DrainRate, DropPolicy, Found, GiveUp, Jitter, OfflineQueue, Outbox, Pacing, Random, Reconnect,
    Standard,
};
use iot_session::proto::{ConnectOptions, Engine, SavedSession};
use iot_session::stage::Notice;
use iot_session::storage::{
    Disk, Durability, MemoryDisk, MemoryStorage, WriteOptions, channel, read_all, serve,
};
use iot_session::{Client, Config, Message, Notices, QoS, Stats, Version, client, stack};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::clock;
use crate::ledger::{End, Ledger, Received, Subscribed, Wanted};
use crate::net::Dialer;
use crate::plan::Settings;

/// The operation timeout.
pub const OPERATION: Duration = Duration::from_secs(5);
/// The least time between two dials, in milliseconds.
pub const CONNECT_INTERVAL: u64 = 250;
/// The connect timeout.
pub const CONNECT: Duration = Duration::from_secs(8);

/// A publish that the application makes.
#[derive(Debug)]
struct Order {
    number: u64,
    message: Message,
    patience: Option<Duration>,
    durably: bool,
}

/// The number of a stream, and what its reader is told: whether it is dropped, whether it pauses.
type Switch = (u64, watch::Sender<(bool, bool)>);

/// A process.
#[derive(Debug)]
pub struct Device {
    client: Client,
    run: u64,
    ledger: Ledger,
    orders: mpsc::UnboundedSender<Order>,
    /// The readers of the streams that the application holds, by filter.
    readers: BTreeMap<u64, Vec<Switch>>,
    tasks: Vec<JoinHandle<()>>,
    driver: JoinHandle<()>,
}

/// A filter of the application, which is a topic, too.
#[must_use]
pub fn filter(number: u64) -> String {
    format!("in/{number}")
}

impl Device {
    /// A process starts.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn boot(
        settings: &Settings,
        run: u64,
        dialer: Dialer,
        disk: &MemoryDisk,
        ledger: &Ledger,
    ) -> Result<Self, String> {
        let mut tasks = Vec::new();
        let layers = layers(settings, run);
        let mut layers = layers;
        let mut engine = Engine::new(options(settings)?);
        let mut ours = None;
        if settings.outbox {
            let (layer, disk, saved) = outbox(settings, disk, &mut tasks)?;
            layers.outbox = Some(layer);
            engine = engine.keeping(saved);
            ours = Some(disk);
        }
        let codec = engine.codec();
        let stage = stack(engine).layer(layers).into_stage();
        let config = Config {
            connect_timeout: CONNECT,
            inbox: settings.inbox,
            calendar: clock::calendar,
            ..Config::default()
        };
        let (client, driver) = client(stage, codec, dialer, config);
        // Before there is anything to tell.
        let notices = client.notices();
        let driver = match ours {
            Some(disk) => tokio::spawn(driver.with_disk(disk).run()),
            None => tokio::spawn(driver.run()),
        };
        let (orders, inbox) = mpsc::unbounded_channel();
        tasks.push(tokio::spawn(publisher(client.clone(), inbox, ledger.clone())));
        tasks.push(tokio::spawn(watcher(notices, ledger.clone())));
        Ok(Self { client, run, ledger: ledger.clone(), orders, readers: BTreeMap::new(), tasks, driver })
    }

    /// The client says.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.client.stats()
    }

    /// Whether it is online.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.status().borrow().is_connected()
    }

    /// Whether nobody asked it to connect.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(*self.client.status().borrow(), iot_session::Status::Idle)
    }

    // --- what the application does ---

    /// Publishes: to `topic`, whose name says its quality of service.
    pub fn publish(&self, topic: u64, qos: QoS, ttl: u64, queue: bool, patience: Option<u64>, durably: bool) {
        let overtakes = !queue;
        let name = format!("out/{topic}/{}/{}", qos as u8, if overtakes { "now" } else { "then" });
        let number = self.ledger.publish(name.clone(), qos, self.run, overtakes);
        let Ok(message) = Message::new(name, number.to_string().into_bytes()) else { return };
        let mut message = message.qos(qos).queue(queue);
        if ttl > 0 {
            message = message.time_to_live(Duration::from_millis(ttl));
        }
        let patience = patience.map(Duration::from_millis);
        let _ = self.orders.send(Order { number, message, patience, durably });
    }

    /// Subscribes, and reads what comes.
    pub fn subscribe(&mut self, number: u64, qos: QoS, patience: Option<u64>) {
        let filter = filter(number);
        let stream = self.ledger.open(format!("subscribe {filter}"));
        self.ledger
            .lock()
            .subscribed
            .insert(stream, Subscribed { filter: filter.clone(), run: self.run, state: Wanted::Asked });
        let (switch, switched) = watch::channel((false, false));
        self.readers.entry(number).or_default().push((stream, switch));
        let reader = Reader {
            client: self.client.clone(),
            ledger: self.ledger.clone(),
            stream,
            run: self.run,
            switched,
            patience: patience.map(Duration::from_millis),
        };
        self.tasks.push(tokio::spawn(reader.run(filter, qos)));
    }

    /// Drops a stream, the oldest one of the filter.
    pub fn drop_stream(&mut self, number: u64) {
        if let Some(readers) = self.readers.get_mut(&number)
            && !readers.is_empty()
        {
            let (stream, switch) = readers.remove(0);
            self.ledger.subscription(stream, Wanted::Over("dropped".to_owned()));
            switch.send_modify(|state| state.0 = true);
        }
    }

    /// Has the readers of a filter pause, or go on.
    pub fn pause(&self, number: u64, paused: bool) {
        for (_, switch) in self.readers.get(&number).into_iter().flatten() {
            switch.send_modify(|state| state.1 = paused);
        }
    }

    /// All of them go on.
    pub fn resume_all(&self) {
        self.readers.keys().for_each(|number| self.pause(*number, false));
    }

    /// Unsubscribes.
    pub fn unsubscribe(&mut self, number: u64) {
        let call = self.ledger.open(format!("unsubscribe {}", filter(number)));
        let (client, ledger) = (self.client.clone(), self.ledger.clone());
        self.tasks.push(tokio::spawn(async move {
            let _ = client.unsubscribe(filter(number)).await;
            ledger.close(call);
        }));
    }

    fn call<F>(&mut self, what: &str, future: impl FnOnce(Client) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let call = self.ledger.open(what.to_owned());
        let (future, ledger) = (future(self.client.clone()), self.ledger.clone());
        self.tasks.push(tokio::spawn(async move {
            future.await;
            ledger.close(call);
        }));
    }

    /// Connects, whatever the first attempts bring.
    pub fn connect(&mut self) {
        self.call("connect_lazily", |client| async move {
            let _ = client.connect_lazily().await;
        });
    }

    /// Ends the wait for the next attempt.
    pub fn reconnect_now(&mut self) {
        self.call("reconnect_now", |client| async move {
            let _ = client.reconnect_now().await;
        });
    }

    /// Leaves.
    pub fn disconnect(&mut self) {
        self.call("disconnect", |client| async move {
            let _ = client.disconnect().await;
        });
    }

    /// Closes in order; what did not make it.
    ///
    /// # Errors
    /// The client does not end.
    pub async fn close(mut self) -> Result<usize, String> {
        let client = self.client.clone();
        let leftover = client.close(Duration::from_secs(20)).await.map_err(|error| error.to_string())?;
        drop(client);
        let ended = timeout(Duration::from_secs(20), &mut self.driver).await;
        ended
            .map_err(|_| "the driver does not end after `close`".to_owned())?
            .map_err(|error| error.to_string())?;
        self.kill();
        Ok(leftover.queued + leftover.unacknowledged)
    }

    /// The process is killed.
    pub fn kill(self) {
        self.driver.abort();
        self.tasks.iter().for_each(JoinHandle::abort);
        let mut book = self.ledger.lock();
        book.open.clear();
        for subscribed in book.subscribed.values_mut().filter(|subscribed| subscribed.run == self.run) {
            subscribed.state = Wanted::Over("killed".to_owned());
        }
    }
}

fn options(settings: &Settings) -> Result<ConnectOptions, String> {
    let options = ConnectOptions::new(settings.version, "device").map_err(|error| error.to_string())?;
    let options = match (settings.lasting, settings.version) {
        (false, _) => options,
        (true, Version::V3_1_1) => options.clean_start(false),
        (true, Version::V5) => options.clean_start(false).session_expiry(Duration::from_secs(3600)),
    };
    Ok(options
        .keep_alive(Duration::from_secs(settings.keep_alive.into()))
        .window(settings.window)
        .connect_timeout(CONNECT)
        .operation_timeout(OPERATION))
}

fn layers(settings: &Settings, run: u64) -> Standard {
    let backoff = Backoff::new(Duration::from_millis(250), settings.max_delay(), Duration::from_secs(10));
    let reconnect = Reconnect::new(backoff)
        .give_up(GiveUp::Never)
        .connect_interval(Duration::from_millis(CONNECT_INTERVAL))
        .jitter(Jitter::Full, Random::seeded(settings.seed ^ run));
    let pacing = match settings.pacing {
        0 => Pacing::off(),
        rate => Pacing::off().publishes_per_second(rate),
    };
    let queue = OfflineQueue::bounded(settings.queue).when_full(policy(settings)).drain_rate(rate(settings));
    Standard { pacing, reconnect, queue, ..Standard::default() }
}

fn policy(settings: &Settings) -> DropPolicy {
    if settings.drop_oldest { DropPolicy::DropOldest } else { DropPolicy::DropNewest }
}

fn rate(settings: &Settings) -> DrainRate {
    DrainRate::every(Duration::from_millis(settings.drain_interval))
}

/// The outbox's layer, and its disk, which takes its time.
fn outbox(
    settings: &Settings,
    disk: &MemoryDisk,
    tasks: &mut Vec<JoinHandle<()>>,
) -> Result<(Outbox, Disk, SavedSession), String> {
    let mut storage = MemoryStorage::new(disk);
    let mut found = Found::default();
    read_all(&mut storage, |id, record| found.add(id, record)).map_err(|error| error.to_string())?;
    let durability = match settings.sync_interval {
        0 => Durability::EachPublish,
        millis => Durability::Interval(Duration::from_millis(millis)),
    };
    let (ours, mut theirs) = channel();
    let (mut inner, server) = channel();
    tasks.push(tokio::spawn(serve(storage, server, WriteOptions::default().durability(durability))));
    let latency = Duration::from_millis(settings.disk_latency);
    tasks.push(tokio::spawn(async move {
        loop {
            tokio::select! {
                biased;
                answer = std::future::poll_fn(|context| inner.poll_answer(context)) => {
                    let Some(answer) = answer else { return };
                    sleep(latency).await;
                    theirs.answer(answer);
                }
                wish = theirs.next(), if !inner.is_closed() => match wish {
                    Some(wish) => inner.send(wish),
                    None => inner.close(),
                },
            }
        }
    }));
    let saved = found.session();
    let layer = Outbox::new(found)
        .exactly_once(true)
        .max_messages(settings.queue)
        .when_full(policy(settings))
        .drain_rate(rate(settings));
    Ok((layer, ours, saved))
}

/// Publishes one message after the other, so that their order is known.
async fn publisher(client: Client, mut orders: mpsc::UnboundedReceiver<Order>, ledger: Ledger) {
    while let Some(Order { number, message, patience, durably }) = orders.recv().await {
        if durably {
            // It waits for more than room: others go on meanwhile.
            ledger.note(number, |published| published.taken = true);
            let (client, ledger) = (client.clone(), ledger.clone());
            let call = ledger.open(format!("publish {number} durably"));
            let (begun, is_begun) = tokio::sync::oneshot::channel::<()>();
            tokio::spawn(async move {
                let mut publishing = std::pin::pin!(client.publish_durably(message));
                let first =
                    std::future::poll_fn(|context| std::task::Poll::Ready(publishing.as_mut().poll(context)))
                        .await;
                drop(begun);
                let result = match first {
                    std::task::Poll::Ready(result) => result,
                    std::task::Poll::Pending => publishing.await,
                };
                match result {
                    Ok(ack) => {
                        ledger.note(number, |published| published.stored = true);
                        let end = End::of(&ack.await);
                        ledger.note(number, |published| published.ends.push(end));
                    }
                    Err(error) => {
                        let end = End::of(&Err(error));
                        ledger.note(number, |published| published.ends.push(end));
                    }
                }
                ledger.close(call);
            });
            let _ = is_begun.await;
            continue;
        }
        let publishing = client.publish(message);
        let taken = match patience {
            None => Ok(publishing.await),
            Some(patience) => timeout(patience, publishing).await,
        };
        match taken {
            Err(_) => ledger.note(number, |published| published.ends.push(End::Cancelled)),
            Ok(Err(_)) => ledger.note(number, |published| published.ends.push(End::Closed)),
            Ok(Ok(ack)) => {
                ledger.note(number, |published| published.taken = true);
                let ledger = ledger.clone();
                let call = ledger.open(format!("the outcome of publish {number}"));
                tokio::spawn(async move {
                    let end = End::of(&ack.await);
                    ledger.note(number, |published| published.ends.push(end));
                    ledger.close(call);
                });
            }
        }
    }
}

/// Counts what is told of messages of earlier runs.
async fn watcher(mut notices: Notices, ledger: Ledger) {
    while let Some(notice) = notices.next().await {
        if matches!(notice, Notice::Undelivered { .. }) {
            ledger.lock().undelivered += 1;
        }
    }
}

/// Reads one stream.
struct Reader {
    client: Client,
    ledger: Ledger,
    stream: u64,
    run: u64,
    switched: watch::Receiver<(bool, bool)>,
    patience: Option<Duration>,
}

impl Reader {
    async fn run(mut self, filter: String, qos: QoS) {
        let subscribing = self.client.subscribe(filter, qos);
        let result = match self.patience {
            None => Some(subscribing.await),
            Some(patience) => timeout(patience, subscribing).await.ok(),
        };
        self.ledger.close(self.stream);
        let mut messages = match result {
            Some(Ok(messages)) => messages,
            Some(Err(error)) => {
                return self.ledger.subscription(self.stream, Wanted::Over(error.to_string()));
            }
            None => return self.ledger.subscription(self.stream, Wanted::Over("cancelled".to_owned())),
        };
        self.ledger.subscription(self.stream, Wanted::Granted(qos));
        loop {
            let (dropped, paused) = *self.switched.borrow_and_update();
            if dropped {
                return;
            }
            let message = tokio::select! {
                biased;
                changed = self.switched.changed() => {
                    if changed.is_err() { return }
                    continue;
                }
                message = messages.next(), if !paused => message,
            };
            let Some(message) = message else {
                let why = format!("ended: {:?}", messages.ended());
                return self.ledger.subscription(self.stream, Wanted::Over(why));
            };
            let number = std::str::from_utf8(message.payload()).ok().and_then(|text| text.parse().ok());
            if let Some(number) = number {
                let received =
                    Received { stream: self.stream, number, qos: message.quality(), run: self.run };
                self.ledger.lock().received.push(received);
            }
        }
    }
}
