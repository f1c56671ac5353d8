//! The bodies of the fuzz targets, and of the tests that replay their corpora. They panic when something does not hold.
#![allow(clippy::panic, clippy::missing_panics_doc, reason = "a fuzz target reports by panicking")]

mod ledger;
mod machine;
mod record;
mod server;
mod stack;

use std::collections::HashSet;
use std::time::Duration;

use bytes::BytesMut;
use mqtt_codec::TopicFilter;

pub use machine::machine;
pub use record::outbox_record;
pub use stack::stack;

use crate::error::LinkError;
use crate::layers::{DropPolicy, OfflineQueue, Pacing, Reconnect, Standard};
use crate::machine::{Machine, MachineOutput};
use crate::proto::{ConnectOptions, Engine};
use crate::stage::{Event, LinkUp, Notice, Op, OpId, Owner, Receipt, Stage, stack as stack_of};
use crate::time::{Nanos, Now};
use crate::{OpError, OptionsError, Version};

/// A stack, its clock and what is known of it.
struct World {
    machine: Machine<Box<dyn Stage>>,
    now: Nanos,
    next_op: u64,
    /// Operations under way.
    open: HashSet<OpId>,
    /// Whether there is a link, as far as the holder knows.
    up: bool,
    dialing: bool,
    /// Bytes from the server that are no whole packet yet.
    buffer: BytesMut,
    /// Bytes for the server.
    written: BytesMut,
    /// What has ended since the last look.
    ended: Vec<(OpId, Result<Receipt, OpError>)>,
    /// Which subscriptions were given up since.
    quarantined: Vec<TopicFilter>,
}

/// Few of everything, so that limits are reached.
const QUEUE: usize = 4;
const WINDOW: u16 = 4;

impl World {
    fn new(choice: u8) -> Result<Self, OptionsError> {
        let engine = Engine::new(options(choice)?);
        let codec = engine.codec();
        let policy = if choice & 8 == 0 { DropPolicy::DropNewest } else { DropPolicy::DropOldest };
        let standard = Standard {
            queue: OfflineQueue::bounded(QUEUE).when_full(policy),
            reconnect: Reconnect::default().retry_first(choice & 4 != 0),
            pacing: if choice & 16 == 0 { Pacing::off() } else { Pacing::off().publishes_per_second(3) },
            ..Standard::default()
        };
        let stage: Box<dyn Stage> = Box::new(stack_of(engine).layer(standard).into_stage());
        Ok(Self {
            machine: Machine::new(stage, codec),
            now: Nanos::ZERO,
            next_op: 0,
            open: HashSet::new(),
            up: false,
            dialing: false,
            buffer: BytesMut::new(),
            written: BytesMut::new(),
            ended: Vec::new(),
            quarantined: Vec::new(),
        })
    }

    fn now(&self) -> Now {
        Now::mono(self.now)
    }

    fn op(&mut self, op: Op) -> OpId {
        self.next_op = self.next_op.saturating_add(1);
        let id = OpId::new(Owner::APPLICATION, self.next_op);
        self.open.insert(id);
        self.machine.handle_op(self.now(), id, op);
        self.drain();
        id
    }

    fn link_up(&mut self) {
        if std::mem::take(&mut self.dialing) {
            self.up = true;
            self.buffer.clear();
            self.written.clear();
            self.machine.handle_link_up(self.now(), LinkUp::default());
            self.drain();
        }
    }

    fn link_down(&mut self, by_peer: bool) {
        if self.dialing || self.up {
            (self.dialing, self.up) = (false, false);
            self.written.clear();
            let error = LinkError::new("cut", true);
            self.machine.handle_link_down(self.now(), if by_peer { error.by_peer() } else { error });
            self.drain();
        }
    }

    /// Bytes from the server.
    fn receive(&mut self, bytes: &[u8]) {
        if self.up {
            self.buffer.extend_from_slice(bytes);
            let mut buffer = std::mem::take(&mut self.buffer);
            self.machine.handle_input(self.now(), &mut buffer);
            if self.up {
                self.buffer = buffer;
            }
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output(self.now()) {
            match output {
                MachineOutput::Dial => {
                    assert!(!self.up && !self.dialing, "a dial while there is a link");
                    self.dialing = true;
                }
                MachineOutput::Hangup => {
                    (self.up, self.dialing) = (false, false);
                    self.buffer.clear();
                    self.machine.transmit().clear();
                }
                MachineOutput::Store(op) => panic!("{op:?}, and no layer here keeps anything on disk"),
                MachineOutput::Event(Event::Done(id, result)) => {
                    assert!(self.open.remove(&id), "{id:?} ended twice, or is nobody's");
                    self.ended.push((id, result));
                }
                MachineOutput::Event(Event::Message(_, Some(token))) => {
                    self.machine.handle_accepted(self.now(), token);
                }
                MachineOutput::Event(Event::Returned(id, _)) => panic!("{id:?} was returned to nobody"),
                MachineOutput::Event(Event::Notice(Notice::Quarantined { filter, .. })) => {
                    self.quarantined.push(filter);
                }
                MachineOutput::Event(_) => {}
            }
        }
        let bytes = self.machine.transmit().split();
        assert!(self.up || bytes.is_empty(), "bytes without a link");
        self.written.extend_from_slice(&bytes);
    }

    fn pass(&mut self, duration: Duration) {
        let end = self.now.after(duration);
        while let Some(deadline) = self.machine.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(deadline);
            self.machine.handle_timeout(self.now());
            self.drain();
            assert!(
                self.machine.poll_timeout().is_none_or(|next| next > self.now),
                "the deadline stands still"
            );
        }
        self.now = end;
    }
}

fn options(choice: u8) -> Result<ConnectOptions, OptionsError> {
    let version = if choice & 1 == 0 { Version::V3_1_1 } else { Version::V5 };
    let options =
        ConnectOptions::new(version, "fuzz")?.window(WINDOW).receive_maximum(4).max_packet_size(4096);
    Ok(match (choice & 2 == 0, version) {
        (true, _) => options,
        (false, Version::V3_1_1) => options.clean_start(false),
        (false, Version::V5) => options.session_expiry(Duration::from_secs(60)),
    })
}
