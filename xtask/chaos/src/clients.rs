//! Clients of Mosquitto, through a proxy or not.

use std::time::Duration;

use iot_session::layers::{Backoff, DrainRate, OfflineQueue, Outbox, Reconnect, Standard};
use iot_session::proto::{ConnectOptions, Engine};
use iot_session::storage::Disk;
use iot_session::{Client, Config, Version, stack};
use iot_transport::{BoxConnector, Identity, Material, Tcp, Tls, TlsOptions, TrustAnchors};
use mosquitto::{Failure, Mosquitto};
use tokio::task::JoinHandle;

/// The keep-alive of all clients: a dead link is noticed after one and a half of these.
pub const KEEP_ALIVE: Duration = Duration::from_secs(3);
/// How a client takes it that connections end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// As by default: it waits for longer from one to the next, and suspects messages.
    Careful,
    /// It is back at once and suspects nothing: for as many reconnects as can be had.
    Eager,
}

/// The shortest delay between two attempts.
const BASE: Duration = Duration::from_millis(10);
/// The longest delay between two attempts.
pub const MAX_DELAY: Duration = Duration::from_secs(1);

/// Plain TCP to this port of loopback.
#[must_use]
pub fn plain(port: u16) -> BoxConnector {
    BoxConnector::new(Tcp::new("localhost", port))
}

/// Mutual TLS to this port of loopback.
#[must_use]
pub fn mutual_tls(port: u16, broker: &Mosquitto) -> BoxConnector {
    let identity =
        Identity::new(Material::file(broker.file("device.pem")), Material::file(broker.file("device.key")));
    let options = TlsOptions::new(TrustAnchors::ca(Material::file(broker.file("ca.pem")))).identity(identity);
    BoxConnector::new(Tls::new(Tcp::new("localhost", port), options))
}

/// A client with a session that outlives its connections, its driver spawned.
///
/// # Errors
/// The options are refused.
pub fn start(
    connector: BoxConnector,
    version: Version,
    id: &str,
    how: How,
    outbox: Option<(Outbox, Disk)>,
) -> Result<(Client, JoinHandle<()>), Failure> {
    let options = ConnectOptions::new(version, id)?
        .clean_start(false)
        .keep_alive(KEEP_ALIVE)
        .connect_timeout(Duration::from_secs(3))
        .operation_timeout(Duration::from_secs(30))
        .containment(if how == How::Careful { Some(3) } else { None });
    let options = match version {
        Version::V3_1_1 => options,
        Version::V5 => options.session_expiry(Duration::from_secs(3600)),
    };
    let engine = Engine::new(options);
    let codec = engine.codec();
    let backoff = match how {
        How::Careful => Backoff::new(BASE, MAX_DELAY, Duration::from_secs(5)),
        How::Eager => Backoff::new(BASE, BASE * 2, BASE),
    };
    let (outbox, disk) = outbox
        .map_or((None, None), |(layer, disk)| (Some(layer.drain_rate(DrainRate::unlimited())), Some(disk)));
    let queue = OfflineQueue::unbounded().drain_rate(DrainRate::unlimited());
    let layers = Standard { reconnect: Reconnect::new(backoff), queue, outbox, ..Standard::default() };
    let stage = stack(engine).layer(layers).into_stage();
    let config = Config { connect_timeout: Duration::from_secs(3), ..Config::default() };
    let (client, driver) = iot_session::client(stage, codec, connector, config);
    let driver = match disk {
        Some(disk) => tokio::spawn(driver.with_disk(disk).run()),
        None => tokio::spawn(driver.run()),
    };
    Ok((client, driver))
}

/// Waits for something, at most this long; `false`: it did not come about.
pub async fn becomes(within: Duration, mut is: impl FnMut() -> bool) -> bool {
    let ticks = within.as_millis() / 20;
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..=ticks {
        if is() {
            return true;
        }
        tick.tick().await;
    }
    is()
}
