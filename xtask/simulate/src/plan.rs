//! What happens in a run: the settings and the steps, as data out of a seed, so that steps can be left out.

use std::time::Duration;

use mqtt_codec::{QoS, Version};

use crate::random::Random;

/// How many filters the application subscribes, and topics it publishes to at each quality of service.
pub const FILTERS: u64 = 4;
/// See [`FILTERS`].
pub const TOPICS: u64 = 2;

/// A run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How both sides are set.
    pub settings: Settings,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// How client and broker are set.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "they are called as the client's own settings are")]
pub struct Settings {
    pub version: Version,
    pub lasting: bool,
    pub keep_alive: u16,
    /// The client's in-flight window; MQTT 5: the broker's Receive Maximum.
    pub window: u16,
    /// Messages in the queue, or in the outbox.
    pub queue: usize,
    pub drop_oldest: bool,
    /// Milliseconds from one drained message to the next.
    pub drain_interval: u64,
    /// An outbox in the place of the queue.
    pub outbox: bool,
    /// Milliseconds until the disk answers.
    pub disk_latency: u64,
    /// 0: each publish is durable, else milliseconds.
    pub sync_interval: u64,
    /// Milliseconds from one end of the network to the other.
    pub latency: u64,
    /// At most so many bytes at once.
    pub piece: usize,
    /// Messages in an inbox.
    pub inbox: usize,
    /// How many messages per second, 0: any number.
    pub pacing: u32,
    /// For the client's jitter.
    pub seed: u64,
}

/// One thing that happens, after a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Milliseconds since the step before.
    pub after: u64,
    /// What.
    pub what: What,
}

/// Things that happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields say it")]
pub enum What {
    /// The application publishes.
    Publish {
        topic: u64,
        qos: QoS,
        ttl: u64,
        queue: bool,
        patience: Option<u64>,
    },
    /// The same, a number of messages at once.
    Burst {
        topic: u64,
        qos: QoS,
        count: u64,
    },
    /// It publishes and waits until that is on disk.
    PublishDurably {
        topic: u64,
        qos: QoS,
    },
    Subscribe {
        filter: u64,
        qos: QoS,
        patience: Option<u64>,
    },
    Unsubscribe {
        filter: u64,
    },
    /// The stream of messages is dropped.
    DropStream {
        filter: u64,
    },
    /// Its reader does not read, or does again.
    PauseReader {
        filter: u64,
        paused: bool,
    },
    /// Somebody publishes to what is subscribed.
    Message {
        filter: u64,
        qos: QoS,
        count: u64,
    },
    Disconnect,
    Connect,
    ReconnectNow,
    /// The process is killed, and the power goes: of what was not synchronised this many commits stay.
    Crash {
        keeps: usize,
    },
    /// The link ends after this many more bytes, that way, in order or by a reset.
    Cut {
        up: bool,
        bytes: u64,
        reset: bool,
    },
    /// The link swallows everything, that way or both.
    BlackHole {
        up: bool,
        down: bool,
    },
    /// The broker ends the connection, without a word.
    Kick,
    /// The broker refuses so many connections; `dial`: they do not even come about.
    Refuse {
        attempts: u64,
        dial: bool,
    },
    LoseSession,
    /// The broker keeps its acknowledgements to itself, or does no more.
    Withhold(bool),
    RefuseSubscribes(bool),
    WithholdSubacks(bool),
    /// The broker does not read, or does again.
    Stall(bool),
    /// The broker ends and is back after this many milliseconds, with its sessions or without.
    Restart {
        millis: u64,
        keeps: bool,
    },
    /// The broker sends its unacknowledged messages again, which it may do only on another connection: so it ends this one.
    Redeliver,
    /// The disk takes nothing any more, or does again.
    DiskFull(bool),
    /// The calendar jumps by so many seconds.
    CalendarJump(i64),
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn new(seed: u64, steps: usize) -> Self {
        let mut random = Random::new(seed);
        let settings = Settings::new(&mut random);
        let steps = (0..steps).map(|_| Step::new(&mut random, &settings)).collect();
        Self { settings, steps }
    }

    /// Without the steps whose numbers are not among these.
    #[must_use]
    pub fn only(mut self, numbers: &[usize]) -> Self {
        self.steps = numbers.iter().filter_map(|number| self.steps.get(*number).copied()).collect();
        self
    }
}

impl Settings {
    fn new(random: &mut Random) -> Self {
        let outbox = random.one_in(2);
        Self {
            version: if random.one_in(2) { Version::V5 } else { Version::V3_1_1 },
            lasting: !random.one_in(3),
            keep_alive: random.pick(&[5, 10, 30]).unwrap_or(10),
            window: random.pick(&[1, 3, 10, 100]).unwrap_or(10),
            queue: usize::try_from(if outbox { 4 + random.below(40) } else { random.below(12) }).unwrap_or(4),
            drop_oldest: random.one_in(2),
            drain_interval: random.pick(&[0, 0, 50, 500]).unwrap_or(0),
            outbox,
            disk_latency: random.pick(&[0, 0, 1, 20, 400]).unwrap_or(0),
            sync_interval: random.pick(&[0, 0, 0, 700]).unwrap_or(0),
            latency: random.pick(&[0, 1, 30, 300]).unwrap_or(1),
            piece: random.pick(&[1, 7, 1000, 100_000]).unwrap_or(1000),
            inbox: random.pick(&[1, 4, 256]).unwrap_or(4),
            pacing: random.pick(&[0, 0, 20]).unwrap_or(0),
            seed: random.number(),
        }
    }

    /// From an attempt that failed to the next one, at most.
    #[must_use]
    pub fn max_delay(&self) -> Duration {
        Duration::from_secs(4)
    }
}

impl Step {
    fn new(random: &mut Random, settings: &Settings) -> Self {
        let after = match random.below(8) {
            0..=3 => 0,
            4 | 5 => random.below(300),
            6 => random.below(3_000),
            _ => random.below(25_000),
        };
        Self { after, what: What::new(random, settings) }
    }
}

const EACH: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

impl What {
    fn new(random: &mut Random, settings: &Settings) -> Self {
        match random.below(if settings.outbox { 66 } else { 58 }) {
            0..=11 => Self::Publish {
                topic: random.below(TOPICS),
                qos: random.pick(&EACH).unwrap_or(QoS::AtLeastOnce),
                ttl: if random.one_in(6) { 1 + random.below(20_000) } else { 0 },
                queue: !random.one_in(8),
                patience: random.one_in(6).then(|| random.below(3) * 50),
            },
            12..=15 => Self::Burst {
                topic: random.below(TOPICS),
                qos: random.pick(&EACH).unwrap_or(QoS::AtLeastOnce),
                count: 2 + random.below(15),
            },
            16..=20 => Self::Subscribe {
                filter: random.below(FILTERS),
                qos: random.pick(&EACH).unwrap_or(QoS::AtLeastOnce),
                patience: random.one_in(5).then(|| random.below(3) * 50),
            },
            21 | 22 => Self::Unsubscribe { filter: random.below(FILTERS) },
            23 | 24 => Self::DropStream { filter: random.below(FILTERS) },
            25 => Self::PauseReader { filter: random.below(FILTERS), paused: !random.one_in(3) },
            26..=29 => Self::Message {
                filter: random.below(FILTERS),
                qos: random.pick(&EACH).unwrap_or(QoS::AtLeastOnce),
                count: 1 + random.below(6),
            },
            30 => Self::Disconnect,
            31 | 32 => Self::Connect,
            33 => Self::ReconnectNow,
            34..=39 => {
                let up = random.one_in(2);
                let bytes = random.pick(&[0, 1, 2, 5, 20, 100]).unwrap_or(0) + random.below(40);
                Self::Cut { up, bytes, reset: random.one_in(2) }
            }
            40 | 41 => {
                let which = 1 + random.below(3);
                Self::BlackHole { up: which & 1 != 0, down: which & 2 != 0 }
            }
            42 => Self::Kick,
            43 | 44 => Self::Refuse { attempts: 1 + random.below(4), dial: random.one_in(2) },
            45 => Self::LoseSession,
            46 | 47 => Self::Withhold(random.one_in(2)),
            48 => Self::RefuseSubscribes(random.one_in(2)),
            49 => Self::WithholdSubacks(random.one_in(2)),
            50 | 51 => Self::Stall(random.one_in(2)),
            52..=54 => Self::Restart { millis: random.below(8_000), keeps: !random.one_in(3) },
            55 => Self::Redeliver,
            56 | 57 => Self::CalendarJump(random.pick(&[-86_400, -5, 5, 86_400]).unwrap_or(5)),
            58..=60 => Self::PublishDurably {
                topic: random.below(TOPICS),
                qos: if random.one_in(2) { QoS::ExactlyOnce } else { QoS::AtLeastOnce },
            },
            61..=63 => Self::Crash { keeps: usize::try_from(random.below(4)).unwrap_or(0) },
            _ => Self::DiskFull(random.one_in(2)),
        }
    }
}
