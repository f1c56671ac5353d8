//! The clients: a file for each crate, and a line for each way to use it.

mod ours;
mod rumqttc_v4;
mod rumqttc_v5;

use std::ops::Range;

use mqtt_codec::Version;

use crate::workload::{self, Figures, Job};

/// Bytes of a payload, its number included.
pub const PAYLOAD: usize = 64;
/// Where all messages go.
pub const TOPIC: &str = "bench/peers/device-1/telemetry";
/// Unacknowledged QoS 1 messages at once.
pub const WINDOW: u16 = 100;

/// Whatever a client says when it fails.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A client under test. It is used as its documentation shows, and settings are the defaults unless the
/// [`Target`] says otherwise. Tasks of its own are spawned on the runtime of the process.
pub trait Client: Sized {
    /// Returns once CONNACK is in.
    fn connect(target: &Target) -> impl Future<Output = Result<Self, Error>>;
    /// Publishes these numbers at QoS 1, up to [`WINDOW`] of them unacknowledged, and returns once all are acknowledged.
    fn publish(&mut self, numbers: Range<u64>) -> impl Future<Output = Result<(), Error>>;
    /// Publishes one at QoS 0.
    fn send(&mut self, number: u64) -> impl Future<Output = Result<(), Error>>;
    /// Returns once DISCONNECT is written.
    fn disconnect(self) -> impl Future<Output = Result<(), Error>>;
}

/// Where a client connects to, and how.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub port: u16,
    pub version: Version,
    /// Whether it is told to leave Nagle's algorithm off, if it would not do so by itself.
    pub nodelay: bool,
}

/// A payload that begins with its number.
pub fn payload(number: u64) -> Vec<u8> {
    let mut payload = vec![b'x'; PAYLOAD];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    payload
}

/// One way to use a client.
pub struct Entry {
    pub name: &'static str,
    pub version: Version,
    pub nodelay: bool,
    pub ours: bool,
    pub run: fn(&Job, &Target) -> Result<Figures, Error>,
}

/// All of them; those of one version are compared with ours of that version.
pub const ALL: &[Entry] = &[
    Entry::new::<ours::Ours>("iot-session", Version::V3_1_1).ours(),
    Entry::new::<rumqttc_v4::Rumqttc>("rumqttc", Version::V3_1_1),
    Entry::new::<rumqttc_v4::Rumqttc>("rumqttc, nodelay", Version::V3_1_1).nodelay(),
    Entry::new::<ours::Ours>("iot-session", Version::V5).ours(),
    Entry::new::<rumqttc_v5::Rumqttc>("rumqttc", Version::V5),
    Entry::new::<rumqttc_v5::Rumqttc>("rumqttc, nodelay", Version::V5).nodelay(),
];

impl Entry {
    const fn new<C: Client>(name: &'static str, version: Version) -> Self {
        Self { name, version, nodelay: false, ours: false, run: workload::run::<C> }
    }

    const fn ours(mut self) -> Self {
        self.ours = true;
        self
    }

    const fn nodelay(mut self) -> Self {
        self.nodelay = true;
        self
    }

    pub fn target(&self, port: u16) -> Target {
        Target { port, version: self.version, nodelay: self.nodelay }
    }
}
