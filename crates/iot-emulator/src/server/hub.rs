//! The task that owns the broker: everything that happens passes through it, one thing after the other.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use mqtt_codec::{DecodeError, Packet, QoS, ReasonCode, TopicName, Version};
use tokio::sync::mpsc;

use super::clock::{Clock, WallClock};
use super::history::History;
use super::link::Link;
use super::shadow_file::ShadowFile;
use crate::broker::{Broker, ConnectionId, Output};
use crate::shadow::{Asker, Shadows, Time};

/// What connections report.
pub(super) enum Event {
    Connected(ConnectionId, Arc<Link>),
    Packet(ConnectionId, Packet),
    Malformed(ConnectionId, DecodeError),
    /// CONNECT came, and may not get further.
    TurnedAway(ConnectionId, Version, Option<ReasonCode>),
    /// It has lasted as long as it may.
    Expired(ConnectionId),
    Closed(ConnectionId, End),
    /// A request by HTTP.
    Asked(Command),
}

/// How a connection ended on the client's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Without a word, as far as the broker is concerned.
    Cut,
    /// With a good-bye of the transport, which counts as the client's own.
    Left,
}

/// What the handle wants done. Runs between two events.
pub(super) type Command = Box<dyn FnOnce(&mut Hub) + Send>;

/// The broker and the services beside it, their clocks, and where packets go.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) broker: Broker,
    pub(super) shadows: Shadows,
    pub(super) history: History,
    pub(super) clock: Clock,
    dates: WallClock,
    links: BTreeMap<ConnectionId, Opened>,
    file: Option<ShadowFile>,
    stopping: bool,
}

/// A connection, and since when it is there.
#[derive(Debug)]
struct Opened {
    link: Arc<Link>,
    at: Duration,
}

impl Hub {
    pub(super) fn new(broker: Broker, shadows: Shadows, file: Option<ShadowFile>, dates: WallClock) -> Self {
        Self {
            broker,
            shadows,
            history: History::default(),
            clock: Clock::start(),
            dates,
            links: BTreeMap::new(),
            file,
            stopping: false,
        }
    }

    /// Now, as the services count it.
    pub(super) fn time(&self) -> Time {
        let unix = self.dates.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Time { uptime: self.clock.now(), unix }
    }

    /// How long a connection has been there.
    pub(super) fn age(&self, id: ConnectionId) -> Duration {
        let opened = self.links.get(&id).map(|opened| opened.at);
        opened.map_or(Duration::ZERO, |at| self.clock.now().saturating_sub(at))
    }

    /// Until told to stop, or until the handle is gone. Timers come first: a flood of packets cannot hold them up.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut events: mpsc::Receiver<Event>,
    ) {
        while !self.stopping {
            let clock = self.clock;
            let deadline = self.broker.deadline().into_iter().chain(self.shadows.deadline()).min();
            tokio::select! {
                biased;
                () = clock.sleep_until(deadline) => {
                    self.broker.handle_timeout(clock.now());
                    self.shadows.handle_timeout(clock.now());
                }
                command = commands.recv() => match command {
                    Some(command) => command(&mut self),
                    None => break,
                },
                event = events.recv() => match event {
                    Some(event) => self.event(event),
                    None => break,
                },
                () = due(&mut self.file) => {}
            }
            self.drain();
            if let Some(file) = &mut self.file {
                file.keep(&self.shadows);
            }
        }
        if let Some(file) = self.file.take() {
            file.finish(&self.shadows).await;
        }
    }

    /// Says good-bye to everyone and ends the task.
    pub(super) fn stop(&mut self) {
        self.broker.shut_down(self.clock.now());
        self.stopping = true;
    }

    /// Stalls or releases a client's connection, if it has one.
    pub(super) fn stall(&mut self, client_id: &str, stalled: bool) -> bool {
        let Some(id) = self.broker.connection_of(client_id) else { return false };
        let Some(opened) = self.links.get(&id) else { return false };
        opened.link.stall(stalled);
        if stalled {
            // Nothing of it is read, so its silence says nothing; the next packet counts again.
            self.broker.forget_silence(id);
        }
        true
    }

    fn event(&mut self, event: Event) {
        let now = self.clock.now();
        match event {
            Event::Connected(id, link) => {
                self.links.insert(id, Opened { link, at: now });
                self.broker.connected(now, id);
            }
            Event::Packet(id, packet) => self.broker.handle(now, id, packet),
            Event::Malformed(id, error) => self.broker.malformed(now, id, error),
            Event::TurnedAway(id, version, reason) => self.broker.turn_away(now, id, version, reason),
            Event::Expired(id) => self.broker.expire(now, id),
            Event::Asked(command) => command(self),
            Event::Closed(id, end) => {
                self.links.remove(&id);
                self.shadows.closed(Asker(id.0));
                match end {
                    End::Cut => self.broker.closed(now, id),
                    End::Left => self.broker.left(now, id),
                }
            }
        }
    }

    /// Does what the broker says, and what the services say to it.
    fn drain(&mut self) {
        loop {
            while let Some(output) = self.broker.poll() {
                self.output(output);
            }
            let Some(outgoing) = self.shadows.poll() else { return };
            // Names of things and shadows are checked, so this is a topic.
            if let Ok(topic) = TopicName::try_from(outgoing.topic) {
                self.publish(&topic, &outgoing.payload, outgoing.qos, false);
            }
        }
    }

    /// Publishes from the side of the service.
    pub(super) fn publish(&mut self, topic: &TopicName, payload: &[u8], qos: QoS, retain: bool) {
        let now = self.clock.now();
        self.history.add(now, None, topic.as_str(), qos, payload);
        self.broker.publish(now, topic, payload, qos, retain);
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Send { connection, version, packet } => {
                let Some(opened) = self.links.get(&connection) else { return };
                if opened.link.send(version, &packet).is_err() {
                    // A reader that is this slow would have its bytes pile up here.
                    self.broker.abort(self.clock.now(), connection);
                    if let Some(opened) = self.links.remove(&connection) {
                        opened.link.abort();
                    }
                }
            }
            Output::Close(connection) => {
                if let Some(opened) = self.links.remove(&connection) {
                    opened.link.close();
                }
            }
            Output::Abort(connection) => {
                if let Some(opened) = self.links.remove(&connection) {
                    opened.link.abort();
                }
            }
            Output::Published { connection, topic, payload, qos } => {
                let client = self.broker.client_of(connection);
                self.history.add(self.clock.now(), client, topic.as_str(), qos, &payload);
                self.shadows.published(self.time(), Asker(connection.0), topic.as_str(), &payload);
            }
        }
    }
}

async fn due(file: &mut Option<ShadowFile>) {
    match file {
        Some(file) => file.is_due().await,
        None => std::future::pending().await,
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Event")
    }
}
