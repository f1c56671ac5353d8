//! Bytes from a server, operations and time into a live stack.

use std::time::Duration;

use mqtt_codec::{QoS, TopicFilter, packet::SubscriptionOptions};

use super::World;
use crate::message::Message;
use crate::stage::{Op, SubscribeOp, UnsubscribeOp};

/// Interprets `data` as a sequence of operations, link events, passages of time and bytes from the server.
pub fn machine(data: &[u8]) {
    let Some((choice, script)) = data.split_first() else { return };
    let Ok(mut world) = World::new(*choice) else { return };
    let mut script = script.iter().copied();
    while let Some(verb) = script.next() {
        world.step(verb, &mut script);
    }
    world.op(Op::Disconnect);
    // Whatever happened: with the session over and its time run out, nobody waits any more but in the queue.
    world.pass(Duration::from_secs(3600));
    let waiting = world.machine.gauges().queued;
    assert!(world.open.len() <= waiting, "operations without an end: {:?}, {waiting} queued", world.open);
}

impl World {
    fn step(&mut self, verb: u8, script: &mut impl Iterator<Item = u8>) {
        match verb % 12 {
            0 => drop(self.op(Op::CONNECT)),
            1 | 2 | 10 => {
                let qos = match verb % 12 {
                    1 => QoS::AtMostOnce,
                    2 => QoS::AtLeastOnce,
                    _ => QoS::ExactlyOnce,
                };
                if let Ok(message) = Message::new("a/b", "payload") {
                    self.op(Op::Publish(message.qos(qos).into_op()));
                }
            }
            3 => {
                if let Ok(filter) = TopicFilter::try_from("a/#") {
                    let filters = vec![(filter, SubscriptionOptions::at(QoS::ExactlyOnce))];
                    self.op(Op::Subscribe(SubscribeOp { filters }));
                }
            }
            4 => {
                if let Ok(filter) = TopicFilter::try_from("a/#") {
                    self.op(Op::Unsubscribe(UnsubscribeOp { filters: vec![filter] }));
                }
            }
            5 => drop(self.op(Op::Disconnect)),
            6 => self.link_up(),
            7 => self.link_down(verb & 16 != 0),
            8 => self.pass(Duration::from_millis(u64::from(script.next().unwrap_or(0)) * 250)),
            _ => {
                let len = usize::from(script.next().unwrap_or(0));
                let bytes: Vec<u8> = script.take(len).collect();
                self.receive(&bytes);
            }
        }
    }
}
