//! The task that owns the broker: everything that happens passes through it, one thing after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use mqtt_codec::{DecodeError, Packet, ReasonCode, Version};
use tokio::sync::mpsc;

use super::clock::Clock;
use super::link::Link;
use crate::broker::{Broker, ConnectionId, Output};

/// What connections report.
#[derive(Debug)]
pub(super) enum Event {
    Connected(ConnectionId, Arc<Link>),
    Packet(ConnectionId, Packet),
    Malformed(ConnectionId, DecodeError),
    /// CONNECT came, and may not get further.
    TurnedAway(ConnectionId, Version, Option<ReasonCode>),
    /// It has lasted as long as it may.
    Expired(ConnectionId),
    Closed(ConnectionId, End),
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

/// The broker, its clock, and where its packets go.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) broker: Broker,
    pub(super) clock: Clock,
    links: BTreeMap<ConnectionId, Arc<Link>>,
    stopping: bool,
}

impl Hub {
    pub(super) fn new(broker: Broker, clock: Clock) -> Self {
        Self { broker, clock, links: BTreeMap::new(), stopping: false }
    }

    /// Until told to stop, or until the handle is gone. Timers come first: a flood of packets cannot hold them up.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut events: mpsc::Receiver<Event>,
    ) {
        while !self.stopping {
            let clock = self.clock;
            tokio::select! {
                biased;
                () = clock.sleep_until(self.broker.deadline()) => self.broker.handle_timeout(clock.now()),
                command = commands.recv() => match command {
                    Some(command) => command(&mut self),
                    None => return,
                },
                event = events.recv() => match event {
                    Some(event) => self.event(event),
                    None => return,
                },
            }
            self.drain();
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
        let Some(link) = self.links.get(&id) else { return false };
        link.stall(stalled);
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
                self.links.insert(id, link);
                self.broker.connected(now, id);
            }
            Event::Packet(id, packet) => self.broker.handle(now, id, packet),
            Event::Malformed(id, error) => self.broker.malformed(now, id, error),
            Event::TurnedAway(id, version, reason) => self.broker.turn_away(now, id, version, reason),
            Event::Expired(id) => self.broker.expire(now, id),
            Event::Closed(id, end) => {
                self.links.remove(&id);
                match end {
                    End::Cut => self.broker.closed(now, id),
                    End::Left => self.broker.left(now, id),
                }
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.broker.poll() {
            match output {
                Output::Send { connection, version, packet } => {
                    let Some(link) = self.links.get(&connection) else { continue };
                    if link.send(version, &packet).is_err() {
                        // A reader that is this slow would have its bytes pile up here.
                        self.broker.abort(self.clock.now(), connection);
                        if let Some(link) = self.links.remove(&connection) {
                            link.abort();
                        }
                    }
                }
                Output::Close(connection) => {
                    if let Some(link) = self.links.remove(&connection) {
                        link.close();
                    }
                }
                Output::Abort(connection) => {
                    if let Some(link) = self.links.remove(&connection) {
                        link.abort();
                    }
                }
            }
        }
    }
}
