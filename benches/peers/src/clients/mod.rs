//! The clients: a file for each crate and version, and a line for each way to use it.

mod counter;
pub mod gneiss;
mod inbox;
pub mod mqtt5;
pub mod ours;
pub mod rumqttc_next_v4;
pub mod rumqttc_next_v5;
pub mod rumqttc_v4;
pub mod rumqttc_v5;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use counter::Counter;
pub use inbox::Inbox;
pub use mqtt_codec::Version;

use crate::figures::Figures;
use crate::measure;
use crate::workload::{Job, Workload};

/// Where all messages go.
pub const TOPIC: &str = "bench/peers/device-1/telemetry";
/// Unacknowledged messages at once, and how many a client takes ahead.
pub const WINDOW: u16 = 100;
/// How long an application waits whose client does not connect again by itself.
pub const PAUSE: Duration = Duration::from_secs(1);

/// Whatever a client says when it fails.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A client under test. It is used as its documentation shows, and settings are the defaults unless the
/// [`Target`] says otherwise. Tasks of its own are spawned on the runtime of the process.
pub trait Client: Sized + Send + 'static {
    /// Returns once CONNACK is in. All that is received later goes into the inbox.
    fn connect(target: &Target, inbox: &Inbox) -> impl Future<Output = Result<Self, Error>> + Send;
    /// Publishes these numbers at QoS 1, up to [`WINDOW`] of them unacknowledged, and returns once all are acknowledged.
    fn publish(&mut self, numbers: Range<u64>) -> impl Future<Output = Result<(), Error>> + Send;
    /// Publishes one at QoS 0.
    fn send(&mut self, number: u64) -> impl Future<Output = Result<(), Error>> + Send;
    /// Subscribes at QoS 1, and returns once SUBACK is in.
    fn subscribe(&mut self, filter: &str) -> impl Future<Output = Result<(), Error>> + Send;
    /// Returns once DISCONNECT is written.
    fn disconnect(self) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Where a client connects to, and how.
#[derive(Debug, Clone)]
pub struct Target {
    pub port: u16,
    /// With mutual TLS: where `ca.pem`, `device.pem` and `device.key` are.
    pub files: Option<PathBuf>,
    pub version: Version,
    pub client_id: String,
    /// Whether it is told to leave Nagle's algorithm off, if it would not do so by itself.
    pub nodelay: bool,
    pub keep_alive: u16,
    /// Bytes of a payload, its number included.
    pub payload: usize,
}

impl Target {
    pub const HOST: &str = "127.0.0.1";

    /// A payload that begins with its number.
    pub fn payload(&self, number: u64) -> Vec<u8> {
        payload(number, self.payload)
    }

    /// CA, certificate and key, with TLS.
    pub fn tls(&self) -> Result<Option<[Vec<u8>; 3]>, Error> {
        let Some(files) = &self.files else { return Ok(None) };
        let read = |name| std::fs::read(files.join(name));
        Ok(Some([read("ca.pem")?, read("device.pem")?, read("device.key")?]))
    }

    /// Their paths.
    pub fn tls_paths(&self) -> Option<[PathBuf; 3]> {
        let path = |name| self.files.as_deref().map(|files: &Path| files.join(name));
        Some([path("ca.pem")?, path("device.pem")?, path("device.key")?])
    }
}

/// A payload of this size that begins with its number.
pub fn payload(number: u64, size: usize) -> Vec<u8> {
    let mut payload = vec![b'x'; size.max(8)];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    payload
}

/// One way to use a client.
pub struct Entry {
    pub name: &'static str,
    pub version: Version,
    pub ours: bool,
    /// With Nagle's algorithm off where the client leaves it on. Only measured where that matters.
    pub nodelay: bool,
    pub run: fn(&Job, &Target) -> Result<Figures, Error>,
}

/// All of them; those of one version are compared with ours of that version.
pub const ALL: &[Entry] = &[
    Entry::new::<ours::Ours>("aws-iot", Version::V3_1_1).ours(),
    Entry::new::<rumqttc_v4::Rumqttc>("rumqttc", Version::V3_1_1),
    Entry::new::<rumqttc_v4::Rumqttc>("rumqttc, nodelay", Version::V3_1_1).nodelay(),
    Entry::new::<rumqttc_next_v4::Rumqttc>("rumqttc-next", Version::V3_1_1),
    Entry::new::<rumqttc_next_v4::Rumqttc>("rumqttc-next, nodelay", Version::V3_1_1).nodelay(),
    Entry::new::<gneiss::Gneiss>("gneiss-mqtt", Version::V3_1_1),
    Entry::new::<mqtt5::Mqtt5>("mqtt5", Version::V3_1_1),
    Entry::new::<ours::Ours>("aws-iot", Version::V5).ours(),
    Entry::new::<rumqttc_v5::Rumqttc>("rumqttc", Version::V5),
    Entry::new::<rumqttc_v5::Rumqttc>("rumqttc, nodelay", Version::V5).nodelay(),
    Entry::new::<rumqttc_next_v5::Rumqttc>("rumqttc-next", Version::V5),
    Entry::new::<rumqttc_next_v5::Rumqttc>("rumqttc-next, nodelay", Version::V5).nodelay(),
    Entry::new::<gneiss::Gneiss>("gneiss-mqtt", Version::V5),
    Entry::new::<mqtt5::Mqtt5>("mqtt5", Version::V5),
];

impl Entry {
    const fn new<C: Client>(name: &'static str, version: Version) -> Self {
        Self { name, version, nodelay: false, ours: false, run: measure::run::<C> }
    }

    const fn ours(mut self) -> Self {
        self.ours = true;
        self
    }

    const fn nodelay(mut self) -> Self {
        self.nodelay = true;
        self
    }

    /// Whether it takes part.
    pub fn runs(&self, workload: Workload) -> bool {
        !self.nodelay || workload.is_about_nagle()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_has_ours_and_four_peers() {
        for version in [Version::V3_1_1, Version::V5] {
            let of = |ours| ALL.iter().filter(move |entry| entry.version == version && entry.ours == ours);
            assert_eq!((of(true).count(), of(false).filter(|entry| !entry.nodelay).count()), (1, 4));
        }
    }

    #[test]
    fn a_payload_begins_with_its_number_and_has_its_size() {
        assert_eq!(payload(258, 64)[..9], [0, 0, 0, 0, 0, 0, 1, 2, b'x']);
        assert_eq!((payload(0, 64).len(), payload(0, 1).len()), (64, 8));
    }
}
