//! What a message costs in allocations once everything has its size.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use allocation_counter::measure;
use bytes::{BufMut, BytesMut};
use iot_session::proto::Engine;
use iot_session::stage::{Event, LinkUp, Op, OpId, Owner};
use iot_session::{Machine, MachineOutput, Message, Nanos, Now, QoS, Version};
use mqtt_codec::packet::ConnAck;
use mqtt_codec::{Codec, Packet, ReasonCode};
use support::{id, options, publish};

/// A connected machine, and the buffer that it reads from.
struct World {
    machine: Machine<Engine>,
    now: u64,
    input: BytesMut,
    done: u64,
}

impl World {
    fn new(version: Version) -> Self {
        let engine = Engine::new(options(version));
        let codec = engine.codec();
        let mut world = Self {
            machine: Machine::new(engine, codec),
            now: 0,
            input: BytesMut::with_capacity(1 << 16),
            done: 0,
        };
        world.machine.handle_op(world.now(), OpId::new(Owner::APPLICATION, 0), Op::CONNECT);
        world.drain();
        world.machine.handle_link_up(world.now(), LinkUp::default());
        let mut welcome = BytesMut::new();
        let connack = ConnAck::new(false, ReasonCode::Success);
        Codec::observer(version).encode(&Packet::from(connack), &mut welcome).unwrap();
        world.receive(&welcome);
        world
    }

    fn now(&self) -> Now {
        Now::mono(Nanos(self.now))
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output(self.now()) {
            match output {
                MachineOutput::Event(Event::Done(_, result)) => {
                    result.unwrap();
                    self.done += 1;
                }
                MachineOutput::Event(Event::Message(_, Some(token))) => {
                    self.machine.handle_accepted(Now::mono(Nanos(self.now)), token);
                    self.done += 1;
                }
                MachineOutput::Hangup => panic!("hangs up"),
                _ => {}
            }
        }
        self.machine.transmit().clear();
    }

    fn receive(&mut self, bytes: &[u8]) {
        if self.input.capacity() < bytes.len() {
            // Nobody holds what was read before.
            assert!(self.input.try_reclaim(1 << 15));
        }
        self.input.put_slice(bytes);
        let mut input = std::mem::take(&mut self.input);
        self.machine.handle_input(self.now(), &mut input);
        self.input = input;
        self.drain();
    }

    /// Publishes `window` messages, then acknowledges them.
    fn publish(&mut self, message: &Message, window: u16) {
        self.now += 1_000_000;
        let mut pubacks = [0; 4 * 100];
        for n in 0..window {
            let op = OpId::new(Owner::APPLICATION, n.into());
            self.machine.handle_op(self.now(), op, Op::Publish(message.clone().into_op()));
            while self.machine.poll_output(self.now()).is_some() {}
            // The identifier stands behind the fixed header and the topic.
            let sent = self.machine.transmit();
            let at = 2 + 2 + message.topic().len();
            let puback = [0x40, 2, sent[at], sent[at + 1]];
            pubacks[4 * usize::from(n)..][..4].copy_from_slice(&puback);
            sent.clear();
        }
        self.receive(&pubacks[..4 * usize::from(window)]);
    }
}

#[test]
fn a_steady_stream_of_qos_1_messages_allocates_nothing() {
    for version in [Version::V3_1_1, Version::V5] {
        for window in [1, 10, 100] {
            let mut world = World::new(version);
            let message = Message::new("sensor/1/temperature", vec![b'x'; 50]).unwrap();
            for _ in 0..300 {
                world.publish(&message, window);
            }
            let before = world.done;
            let rounds = 10_000 / u64::from(window);
            let allocations = measure(|| {
                for _ in 0..rounds {
                    world.publish(&message, window);
                }
            });
            assert_eq!(world.done - before, 10_000);
            assert_eq!(allocations.count_total, 0, "{version}, window {window}");
        }
    }
}

#[test]
fn a_steady_stream_of_received_messages_allocates_nothing() {
    for version in [Version::V3_1_1, Version::V5] {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            let mut world = World::new(version);
            let message = publish("sensor/1/temperature", "payload");
            let message = if qos == QoS::AtMostOnce { message } else { message.at_least_once(id(7)) };
            let mut bytes = BytesMut::new();
            Codec::observer(version).encode(&Packet::from(message), &mut bytes).unwrap();
            for _ in 0..10 {
                world.receive(&bytes);
            }
            let allocations = measure(|| {
                for _ in 0..10_000 {
                    world.receive(&bytes);
                }
            });
            assert_eq!(allocations.count_total, 0, "{version}, {qos:?}");
        }
    }
}
