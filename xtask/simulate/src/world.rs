//! Carries out a plan, heals what it broke, and has everything checked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use iot_session::stage::{EntryId, StoreError, StoreErrorKind};
use iot_session::storage::MemoryDisk;
use mqtt_codec::QoS;
use tokio::time::{sleep, timeout};

use crate::broker::Shared;
use crate::check;
use crate::clock;
use crate::device::{CONNECT, Device, OPERATION, filter};
use crate::ledger::{End, Ledger, Wanted};
use crate::net::{Dialer, Exchange};
use crate::plan::{FILTERS, Plan, Settings, What};

/// So long after a disk is well again, what it had refused is on it: a second until it is tried again, and the disk's own time.
const RETRIED: u64 = 2000;

/// What came of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What the checkers found, a sentence each.
    pub faults: Vec<String>,
    /// How often each kind of step was taken.
    pub steps: BTreeMap<&'static str, u64>,
    /// Messages that were published, and how many of them arrived.
    pub published: u64,
    /// See there.
    pub arrived: u64,
    /// Messages that came to the application.
    pub received: u64,
    /// Connections that came about.
    pub connections: u64,
    /// A mark of all bytes that the broker received, and when.
    pub trace: u64,
}

/// Runs a plan on a virtual clock of its own.
///
/// # Errors
/// The run could not be made: not a finding of a checker.
pub fn run(plan: &Plan) -> Result<Report, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    let report = runtime.block_on(async {
        clock::begin();
        let mut world = World::new(plan.settings);
        for step in &plan.steps {
            sleep(Duration::from_millis(step.after)).await;
            world.step(step.what)?;
            world.look().await;
        }
        world.heal().await?;
        world.judge().await
    });
    drop(runtime);
    report
}

pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) broker: Shared,
    pub(crate) exchange: Arc<Mutex<Exchange>>,
    pub(crate) ledger: Ledger,
    disk: MemoryDisk,
    disk_is_full: bool,
    /// When, in milliseconds, the disk took something again after it had been full.
    disk_heals: Option<u64>,
    /// Whether a process was killed while its disk was full, or before it could have tried again what the disk had refused.
    pub(crate) killed_with_a_full_disk: bool,
    device: Option<Device>,
    runs: u64,
    pub(crate) report: Report,
}

impl World {
    fn new(settings: Settings) -> Self {
        let broker = Shared::new(settings.version, settings.window);
        let exchange = Arc::new(Mutex::new(Exchange::default()));
        tokio::spawn(broker.clone().run(Arc::clone(&exchange)));
        Self {
            settings,
            broker,
            exchange,
            ledger: Ledger::default(),
            disk: MemoryDisk::new(),
            disk_is_full: false,
            disk_heals: None,
            killed_with_a_full_disk: false,
            device: None,
            runs: 0,
            report: Report::default(),
        }
    }

    /// The process, which starts if it does not run.
    fn device(&mut self) -> Result<&mut Device, String> {
        if self.device.is_none() {
            self.runs += 1;
            let dialer = Dialer {
                exchange: Arc::clone(&self.exchange),
                piece: self.settings.piece,
                latency: Duration::from_millis(self.settings.latency),
            };
            // A disk that fails when the process starts is another matter: it is not started then.
            self.fill_disk(false);
            let mut device = Device::boot(&self.settings, self.runs, dialer, &self.disk, &self.ledger)?;
            device.connect();
            self.device = Some(device);
        }
        self.device.as_mut().ok_or_else(|| "no process".to_owned())
    }

    #[allow(clippy::too_many_lines, reason = "a line or two for each thing that happens")]
    fn step(&mut self, what: What) -> Result<(), String> {
        *self.report.steps.entry(name(what)).or_default() += 1;
        match what {
            What::Publish { topic, qos, ttl, queue, patience } => {
                self.device()?.publish(topic, qos, ttl, queue, patience, false);
            }
            What::Burst { topic, qos, count } => {
                for _ in 0..count {
                    self.device()?.publish(topic, qos, 0, true, None, false);
                }
            }
            What::PublishDurably { topic, qos } => {
                let durably = self.settings.outbox;
                self.device()?.publish(topic, qos, 0, true, None, durably);
            }
            What::Subscribe { filter, qos, patience } => self.device()?.subscribe(filter, qos, patience),
            What::Unsubscribe { filter } => {
                self.device()?.unsubscribe(filter);
                for subscribed in self.ledger.lock().subscribed.values_mut() {
                    if subscribed.filter == crate::device::filter(filter) {
                        // Whether it is over shows when the answer comes; it may be refused.
                        subscribed.filter.push('?');
                    }
                }
            }
            What::DropStream { filter } => self.device()?.drop_stream(filter),
            What::PauseReader { filter, paused } => self.device()?.pause(filter, paused),
            What::Message { filter: number, qos, count } => {
                self.broker.with(|broker| broker.publish(&filter(number), qos, count));
            }
            What::Disconnect => self.device()?.disconnect(),
            What::Connect => self.device()?.connect(),
            What::ReconnectNow => self.device()?.reconnect_now(),
            What::Crash { keeps } => {
                if let Some(device) = self.device.take() {
                    device.kill();
                    let just_healed =
                        self.disk_heals.is_some_and(|at| clock::millis().saturating_sub(at) < RETRIED);
                    self.killed_with_a_full_disk |= self.disk_is_full || just_healed;
                    self.disk.crash_keeping(keeps);
                }
            }
            What::Cut { up, bytes, reset } => {
                if let Some(link) = self.broker.lock().link() {
                    link.cut_after(up, bytes, reset);
                }
            }
            What::BlackHole { up, down } => {
                if let Some(link) = self.broker.lock().link() {
                    link.swallow(up, down);
                }
            }
            What::Kick | What::Redeliver => self.broker.with(crate::broker::Broker::hang_up),
            What::Refuse { attempts, dial: true } => Exchange::lock(&self.exchange).refuses = attempts,
            What::Refuse { attempts, dial: false } => {
                self.broker.with(|broker| broker.moods.refuse_connects = attempts);
            }
            What::LoseSession => self.broker.with(crate::broker::Broker::lose_session),
            What::Withhold(withhold) => self.broker.with(|broker| broker.moods.withhold = withhold),
            What::RefuseSubscribes(refuse) => {
                self.broker.with(|broker| broker.moods.refuse_subscribes = refuse);
            }
            What::WithholdSubacks(withhold) => {
                self.broker.with(|broker| broker.moods.withhold_subacks = withhold);
            }
            What::Stall(stall) => self.broker.with(|broker| broker.moods.stall = stall),
            What::Restart { millis, keeps } => {
                Exchange::lock(&self.exchange).closed = true;
                self.broker.with(|broker| if keeps { broker.hang_up() } else { broker.lose_session() });
                let exchange = Arc::clone(&self.exchange);
                tokio::spawn(async move {
                    sleep(Duration::from_millis(millis)).await;
                    Exchange::lock(&exchange).closed = false;
                });
            }
            What::DiskFull(full) => self.fill_disk(full),
            What::CalendarJump(seconds) => clock::jump(seconds),
        }
        Ok(())
    }

    fn fill_disk(&mut self, full: bool) {
        if self.disk_is_full && !full {
            self.disk_heals = Some(clock::millis());
        }
        self.disk_is_full = full;
        self.disk.fail_with(full.then(|| StoreError::new(StoreErrorKind::Full, "the disk is full")));
    }

    /// Bounds hold at any time.
    async fn look(&mut self) {
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        if let Some(device) = &self.device {
            let faults = check::bounds(&self.settings, device.stats());
            self.report.faults.extend(faults);
        }
    }

    /// The network heals, and the broker is well again.
    async fn heal(&mut self) -> Result<(), String> {
        {
            let mut exchange = Exchange::lock(&self.exchange);
            (exchange.closed, exchange.refuses) = (false, 0);
        }
        self.broker.with(crate::broker::Broker::relent);
        if let Some(link) = self.broker.lock().link() {
            link.spare();
        }
        self.fill_disk(false);
        let device = self.device()?;
        device.resume_all();
        device.connect();
        // A dead link is noticed, a subscription that was not answered given up, the longest delay waited for.
        let dead = Duration::from_secs(u64::from(self.settings.keep_alive) * 2) + OPERATION;
        let promise = dead + CONNECT + self.settings.max_delay() + OPERATION * 3 + Duration::from_secs(5);
        sleep(promise).await;
        let device = self.device()?;
        if !device.is_connected() || !self.broker.lock().is_connected() {
            self.report
                .faults
                .push(format!("stuck: not online {} s after the network healed", promise.as_secs()));
        }
        Ok(())
    }

    /// Lets everything come to its end, and looks at all of it.
    async fn judge(mut self) -> Result<Report, String> {
        // The slowest drain, and one more keep-alive.
        let patience = Duration::from_secs(180);
        let drained = timeout(patience, async {
            loop {
                sleep(Duration::from_millis(500)).await;
                let quiet = self.device.as_ref().is_some_and(|device| {
                    let stats = device.stats();
                    stats.queued == 0 && stats.in_flight == 0
                });
                if quiet && self.ledger.lock().open.is_empty() && self.broker.lock().unacknowledged() == 0 {
                    return;
                }
            }
        });
        if drained.await.is_err() {
            let stats = self.device()?.stats();
            let open: Vec<String> = self.ledger.lock().open.values().cloned().collect();
            self.report.faults.push(format!(
                "stuck: {} queued, {} in flight, {} unacknowledged by us, without an end: {open:?}",
                stats.queued,
                stats.in_flight,
                self.broker.lock().unacknowledged()
            ));
        }
        self.check_publishing().await?;
        self.check_subscriptions().await;
        self.check_idleness().await?;
        let unreleased = self.broker.lock().unreleased();
        if let Some(device) = self.device.take() {
            match device.close().await {
                Ok(0) => {}
                Ok(left) => {
                    self.report.faults.push(format!("{left} messages are left over although all was quiet"));
                }
                Err(error) => self.report.faults.push(error),
            }
        }
        let left = self.disk.entries().keys().filter(|id| **id != EntryId::SESSION).count();
        if left > 0 {
            self.report.faults.push(format!("{left} entries are left on disk"));
        }
        check::all(&mut self, unreleased);
        Ok(self.report)
    }

    /// A message of each quality of service goes out and is answered.
    async fn check_publishing(&mut self) -> Result<(), String> {
        let before = self.ledger.lock().published.keys().next_back().copied().unwrap_or(0);
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            self.device()?.publish(0, qos, 0, true, None, false);
        }
        sleep(Duration::from_secs(20)).await;
        let book = self.ledger.lock();
        for (number, published) in book.published.range(before + 1..) {
            if !matches!(published.ends.as_slice(), [End::Sent | End::Acked]) {
                self.report.faults.push(format!(
                    "publish {number} at {:?} over a sound network ended as {:?}",
                    published.qos, published.ends
                ));
            }
        }
        Ok(())
    }

    /// What the application wants is what the broker has, and messages come.
    async fn check_subscriptions(&mut self) {
        let before = self.ledger.lock().received.len();
        let mut expected = Vec::new();
        for number in 0..FILTERS {
            let sent = self.broker.with(|broker| broker.publish(&filter(number), QoS::AtLeastOnce, 1));
            expected.push((filter(number), sent));
        }
        sleep(Duration::from_secs(10)).await;
        let granted: Vec<(String, QoS)> = self.broker.lock().filters();
        let book = self.ledger.lock();
        for (filter, sent) in expected {
            let wanted = book.subscribed.iter().filter(|(_, subscribed)| {
                subscribed.filter == filter && matches!(subscribed.state, Wanted::Granted(_))
            });
            let streams: Vec<u64> = wanted.map(|(stream, _)| *stream).collect();
            let has = granted.iter().any(|(granted, _)| *granted == filter);
            if !streams.is_empty() && !has {
                self.report.faults.push(format!("{filter} is wanted, and the broker does not have it"));
            }
            // A process that was killed could not unsubscribe; a session of its may have the filter still.
            let crashed = self.report.steps.contains_key("crash");
            let known = book.subscribed.values().all(|subscribed| subscribed.filter != format!("{filter}?"));
            if streams.is_empty() && has && known && !crashed {
                self.report.faults.push(format!("nobody wants {filter}, and the broker has it"));
            }
            for stream in streams {
                let got = book
                    .received
                    .iter()
                    .skip(before)
                    .any(|received| received.stream == stream && sent.contains(&received.number));
                if has && !got {
                    self.report.faults.push(format!("a message for {filter} did not come to its stream"));
                }
            }
        }
    }

    /// Idle, it wakes up for its pings only.
    async fn check_idleness(&mut self) -> Result<(), String> {
        sleep(Duration::from_secs(2)).await;
        let before = self.device()?.stats().wakeups;
        let idle = 600;
        sleep(Duration::from_secs(idle)).await;
        let wakeups = self.device()?.stats().wakeups - before;
        let pings = idle / u64::from(self.settings.keep_alive).max(1) + 1;
        // For each a timer, and an answer, which may come in pieces.
        let pieces = if self.settings.piece == 1 { 4 } else { 2 };
        if wakeups > pings * (1 + pieces) + 4 {
            self.report.faults.push(format!("{wakeups} wake-ups in {idle} idle seconds with {pings} pings"));
        }
        Ok(())
    }
}

fn name(what: What) -> &'static str {
    match what {
        What::Publish { .. } => "publish",
        What::Burst { .. } => "burst",
        What::PublishDurably { .. } => "publish durably",
        What::Subscribe { .. } => "subscribe",
        What::Unsubscribe { .. } => "unsubscribe",
        What::DropStream { .. } => "drop a stream",
        What::PauseReader { .. } => "pause a reader",
        What::Message { .. } => "message",
        What::Disconnect => "disconnect",
        What::Connect => "connect",
        What::ReconnectNow => "reconnect now",
        What::Crash { .. } => "crash",
        What::Cut { .. } => "cut",
        What::BlackHole { .. } => "black hole",
        What::Kick => "kick",
        What::Refuse { .. } => "refuse connections",
        What::LoseSession => "lose the session",
        What::Withhold(_) => "withhold acknowledgements",
        What::RefuseSubscribes(_) => "refuse subscriptions",
        What::WithholdSubacks(_) => "withhold SUBACK",
        What::Stall(_) => "stall",
        What::Restart { .. } => "restart the broker",
        What::Redeliver => "redeliver",
        What::DiskFull(_) => "full disk",
        What::CalendarJump(_) => "calendar jump",
    }
}
