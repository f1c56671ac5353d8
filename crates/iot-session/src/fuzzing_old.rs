//! The body of the fuzz target `machine`. Panics when an invariant does not hold.
#![allow(clippy::panic, clippy::missing_panics_doc, reason = "a fuzz target reports by panicking")]

use std::collections::HashSet;
use std::time::Duration;

use bytes::BytesMut;
use mqtt_codec::{QoS, TopicFilter, packet::SubscriptionOptions};

use crate::error::LinkError;
use crate::layers::Reconnect;
use crate::machine::{Machine, MachineOutput};
use crate::message::Message;
use crate::proto::{ConnectOptions, Engine};
use crate::stage::{Event, LinkUp, Op, OpId, Owner, Stage, SubscribeOp, UnsubscribeOp, stack};
use crate::time::{Nanos, Now};
use crate::{OptionsError, Version};

/// A stack, its clock and what is known of it.
struct World<S> {
    machine: Machine<S>,
    now: Nanos,
    next_op: u64,
    /// Operations under way.
    open: HashSet<OpId>,
    /// Whether there is a link, as far as the holder knows.
    up: bool,
    dialing: bool,
    buffer: BytesMut,
}

/// Interprets `data` as a sequence of operations, link events, passages of time and bytes from the server.
pub fn machine(data: &[u8]) {
    let Some((choice, script)) = data.split_first() else { return };
    let Ok(options) = options(*choice) else { return };
    let engine = Engine::new(options);
    let codec = engine.codec();
    let stage = stack(engine).layer(Reconnect::default().retry_first(choice & 4 != 0)).into_stage();
    let mut world = World {
        machine: Machine::new(stage, codec),
        now: Nanos::ZERO,
        next_op: 0,
        open: HashSet::new(),
        up: false,
        dialing: false,
        buffer: BytesMut::new(),
    };
    let mut script = script.iter().copied();
    while let Some(verb) = script.next() {
        world.step(verb, &mut script);
    }
    world.op(Op::Disconnect);
    // Whatever happened: with the session over and its time run out, nobody waits any more.
    world.pass(Duration::from_secs(3600));
    assert!(world.open.is_empty(), "operations without an end: {:?}", world.open);
}

fn options(choice: u8) -> Result<ConnectOptions, OptionsError> {
    let version = if choice & 1 == 0 { Version::V3_1_1 } else { Version::V5 };
    let options = ConnectOptions::new(version, "fuzz")?.window(4).receive_maximum(4).max_packet_size(4096);
    Ok(match (choice & 2 == 0, version) {
        (true, _) => options,
        (false, Version::V3_1_1) => options.clean_start(false),
        (false, Version::V5) => options.session_expiry(Duration::from_secs(60)),
    })
}

impl<S: Stage> World<S> {
    fn now(&self) -> Now {
        Now::mono(self.now)
    }

    fn step(&mut self, verb: u8, script: &mut impl Iterator<Item = u8>) {
        match verb % 10 {
            0 => self.op(Op::CONNECT),
            1 | 2 => {
                let qos = if verb % 10 == 1 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
                if let Ok(message) = Message::new("a/b", "payload") {
                    self.op(Op::Publish(message.qos(qos).into_op()));
                }
            }
            3 => {
                if let Ok(filter) = TopicFilter::try_from("a/#") {
                    let filters = vec![(filter, SubscriptionOptions::at(QoS::AtLeastOnce))];
                    self.op(Op::Subscribe(SubscribeOp { filters }));
                }
            }
            4 => {
                if let Ok(filter) = TopicFilter::try_from("a/#") {
                    self.op(Op::Unsubscribe(UnsubscribeOp { filters: vec![filter] }));
                }
            }
            5 => self.op(Op::Disconnect),
            6 if self.dialing => {
                (self.dialing, self.up) = (false, true);
                self.buffer.clear();
                self.machine.handle_link_up(self.now(), LinkUp::default());
                self.drain();
            }
            7 if self.dialing || self.up => {
                (self.dialing, self.up) = (false, false);
                self.machine.handle_link_down(self.now(), LinkError::new("cut", true));
                self.drain();
            }
            8 => self.pass(Duration::from_millis(u64::from(script.next().unwrap_or(0)) * 250)),
            _ => {
                let len = usize::from(script.next().unwrap_or(0));
                let bytes: Vec<u8> = script.take(len).collect();
                if self.up {
                    self.buffer.extend_from_slice(&bytes);
                    let mut buffer = std::mem::take(&mut self.buffer);
                    self.machine.handle_input(self.now(), &mut buffer);
                    self.buffer = buffer;
                    self.drain();
                }
            }
        }
    }

    fn op(&mut self, op: Op) {
        self.next_op = self.next_op.saturating_add(1);
        let id = OpId::new(Owner::APPLICATION, self.next_op);
        self.open.insert(id);
        self.machine.handle_op(self.now(), id, op);
        self.drain();
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
                MachineOutput::Event(Event::Done(id, _)) => {
                    assert!(self.open.remove(&id), "{id:?} ended twice");
                }
                MachineOutput::Event(Event::Message(_, Some(token))) => {
                    self.machine.handle_accepted(self.now(), token);
                }
                MachineOutput::Event(_) => {}
            }
        }
        assert!(self.up || self.machine.transmit().is_empty(), "bytes without a link");
        self.machine.transmit().clear();
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
