//! What a broker keeps for a client.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mqtt_codec::packet::{Ack, Publish};
use mqtt_codec::{Packet, QoS, TopicName};

use super::id;

/// A message on its way to the client.
#[derive(Debug, Clone)]
struct Out {
    id: u16,
    topic: String,
    number: u64,
    qos: QoS,
    /// PUBREC came.
    released: bool,
    /// It was sent before.
    again: bool,
    /// It was sent on the present connection.
    sent: bool,
}

/// One session.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) filters: BTreeMap<String, QoS>,
    /// Identifiers of QoS 2 messages that were taken and not released.
    pub(super) taken: BTreeSet<u16>,
    in_flight: VecDeque<Out>,
    queue: VecDeque<(String, QoS, u64)>,
    next_id: u16,
}

impl Session {
    pub(super) fn disconnected(&mut self) {
        for out in &mut self.in_flight {
            out.again |= out.sent;
            out.sent = false;
        }
        // QoS 0 messages that were not sent are nobody's.
        self.queue.retain(|(_, qos, _)| *qos != QoS::AtMostOnce);
    }

    /// A message for whoever subscribed its topic.
    pub(super) fn enqueue(&mut self, topic: &str, qos: QoS, number: u64, connected: bool) {
        let Some(granted) = self.filters.get(topic) else { return };
        let qos = qos.min(*granted);
        if qos != QoS::AtMostOnce || connected {
            self.queue.push_back((topic.to_owned(), qos, number));
        }
    }

    pub(super) fn unacknowledged(&self) -> usize {
        self.in_flight.len() + self.queue.len()
    }

    /// What goes out now: first what went out before, then what fits into the window.
    pub(super) fn send_next(&mut self, window: u16) -> Vec<Packet> {
        let mut packets = Vec::new();
        for out in self.in_flight.iter_mut().filter(|out| !out.sent) {
            out.sent = true;
            let Some(id) = id(out.id) else { continue };
            packets.extend(match out.released {
                true => Some(Packet::PubRel(Ack::new(id))),
                false => publish(&out.topic, out.number, out.qos, out.id, out.again),
            });
        }
        while let Some((_, qos, _)) = self.queue.front() {
            if *qos != QoS::AtMostOnce && self.in_flight.len() >= usize::from(window) {
                break;
            }
            let Some((topic, qos, number)) = self.queue.pop_front() else { break };
            let id = self.free_id();
            packets.extend(publish(&topic, number, qos, id, false));
            if qos != QoS::AtMostOnce {
                self.in_flight.push_back(Out {
                    id,
                    topic,
                    number,
                    qos,
                    released: false,
                    again: false,
                    sent: true,
                });
            }
        }
        packets
    }

    fn free_id(&mut self) -> u16 {
        loop {
            self.next_id = self.next_id % 60_000 + 1;
            if self.in_flight.iter().all(|out| out.id != self.next_id) {
                return self.next_id;
            }
        }
    }

    /// PUBACK or PUBREC: the first one of its kind that was not answered has to be the one. `Err`: it is not.
    pub(super) fn acknowledged(&mut self, id: u16, qos: QoS) -> Result<(), String> {
        let first = self.in_flight.iter().find(|out| out.qos == qos && !out.released && out.sent);
        if first.is_none_or(|out| out.id != id) {
            let waits: Vec<u16> =
                self.in_flight.iter().filter(|out| out.qos == qos).map(|out| out.id).collect();
            return Err(format!("acknowledged {id} at {qos:?} while {waits:?} waited, in this order"));
        }
        match qos {
            QoS::ExactlyOnce => {
                if let Some(out) = self.in_flight.iter_mut().find(|out| out.id == id) {
                    out.released = true;
                }
            }
            _ => self.in_flight.retain(|out| out.id != id),
        }
        Ok(())
    }

    /// Whether this was released, so that PUBREC again is no fault.
    pub(super) fn is_released(&self, id: u16) -> bool {
        self.in_flight.iter().any(|out| out.id == id && out.released)
    }

    /// PUBCOMP.
    pub(super) fn completed(&mut self, id: u16) -> Result<(), String> {
        if !self.is_released(id) {
            return Err(format!("PUBCOMP {id}, which was not released"));
        }
        self.in_flight.retain(|out| out.id != id);
        Ok(())
    }
}

fn publish(topic: &str, number: u64, qos: QoS, number_id: u16, again: bool) -> Option<Packet> {
    let publish = Publish::new(TopicName::try_from(topic).ok()?, number.to_string().into_bytes());
    Some(Packet::Publish(match (qos, id(number_id)) {
        (QoS::AtLeastOnce, Some(id)) => publish.at_least_once(id).with_dup(again),
        (QoS::ExactlyOnce, Some(id)) => publish.exactly_once(id).with_dup(again),
        _ => publish,
    }))
}
