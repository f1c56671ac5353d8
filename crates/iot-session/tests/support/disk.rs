//! A layer that keeps messages on a disk, and a disk that does what the test says.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use iot_session::layers::{Found, Outbox};
use iot_session::stage::{EntryId, Event, Input, OpId, Receipt, StoreError, StoreErrorKind, StoreOp, Stored};
use mqtt_codec::ReasonCode;

use super::script::Bench;

/// What is on the disk.
pub type Entries = BTreeMap<EntryId, Bytes>;

/// A [`Bench`] with a disk.
pub struct Desk {
    bench: Bench,
    pub disk: Entries,
    /// Whether the disk answers at once.
    pub answers: bool,
    /// All wishes that were carried out, in order.
    pub done: Vec<StoreOp>,
}

impl Deref for Desk {
    type Target = Bench;

    fn deref(&self) -> &Bench {
        &self.bench
    }
}

impl DerefMut for Desk {
    fn deref_mut(&mut self) -> &mut Bench {
        &mut self.bench
    }
}

/// An index of what is there.
pub fn found(disk: &Entries) -> Found {
    let mut found = Found::default();
    for (id, record) in disk {
        found.add(*id, record).unwrap();
    }
    found
}

pub fn broken(kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind, "the disk is full of holes")
}

impl Desk {
    /// With an empty disk.
    pub fn new(configure: impl FnOnce(Outbox) -> Outbox) -> Self {
        Self::on(Entries::new(), configure)
    }

    /// With what an earlier run left.
    pub fn on(disk: Entries, configure: impl FnOnce(Outbox) -> Outbox) -> Self {
        let bench = Bench::new(configure(Outbox::new(found(&disk))));
        Self { bench, disk, answers: true, done: Vec::new() }
    }

    /// The process ends; the disk stays.
    pub fn restart(self, configure: impl FnOnce(Outbox) -> Outbox) -> Self {
        Self::on(self.disk, configure)
    }

    /// Carries out what is wished.
    pub fn work(&mut self) {
        while !self.bench.wishes.is_empty() {
            for wish in std::mem::take(&mut self.bench.wishes) {
                if let Some(stored) = self.carry_out(&wish) {
                    self.bench.input(Input::Stored(stored));
                }
                self.done.push(wish);
            }
        }
    }

    fn carry_out(&mut self, wish: &StoreOp) -> Option<Stored> {
        Some(match wish {
            StoreOp::Append(id, record) => {
                assert!(self.disk.insert(*id, record.clone()).is_none(), "no number comes twice");
                Stored::Appended { through: *id, durable: true }
            }
            StoreOp::Remove(id) => {
                assert!(self.disk.remove(id).is_some(), "{id:?} is not there");
                return None;
            }
            StoreOp::Take(id) => {
                assert!(self.disk.remove(id).is_some(), "{id:?} is not there");
                Stored::Taken(*id)
            }
            StoreOp::Load { from, entries, bytes } => {
                let mut size = 0;
                let page = self.disk.range(*from..).take(*entries).take_while(|(id, record)| {
                    size += record.len();
                    size <= *bytes || *id == from
                });
                Stored::Loaded(page.map(|(id, record)| (*id, record.clone())).collect())
            }
            other => panic!("{other:?}"),
        })
    }

    /// Takes the wishes without carrying them out.
    pub fn take_wishes(&mut self) -> Vec<StoreOp> {
        std::mem::take(&mut self.bench.wishes)
    }

    pub fn say(&mut self, stored: Stored) {
        self.bench.input(Input::Stored(stored));
    }

    /// Publishes a QoS 1 message, and lets the disk write it.
    pub fn publish(&mut self, payload: &str) -> OpId {
        let id = self.bench.publish(payload);
        if self.answers {
            self.work();
        }
        id
    }

    /// The same, and the disk does not get to it.
    pub fn bench_publish(&mut self, payload: &str) -> OpId {
        self.bench.publish(payload)
    }

    pub fn connect(&mut self) {
        self.bench.connect();
        self.work();
    }

    /// The same, and the disk does not get to it.
    pub fn bench_connect(&mut self) {
        self.bench.connect();
    }

    /// Lets time pass, the disk not at work.
    pub fn bench_advance(&mut self, duration: std::time::Duration) {
        self.bench.advance(duration);
    }

    /// Lets time pass, the disk at work.
    pub fn advance(&mut self, duration: std::time::Duration) {
        let end = self.bench.now.after(duration);
        while let Some(at) = self.bench.deadline().filter(|at| *at <= end) {
            let step = at.since(self.bench.now);
            self.bench.advance(step);
            self.work();
        }
        let rest = end.since(self.bench.now);
        self.bench.advance(rest);
    }

    /// The server acknowledges what was handed on under these names.
    pub fn acknowledge(&mut self, ops: impl IntoIterator<Item = OpId>) {
        for op in ops {
            self.bench.inner_event(Event::Done(op, Ok(Receipt::Acked(ReasonCode::Success))));
            self.work();
        }
    }

    /// Takes what the inner stage was given, and acknowledges it; again and again until nothing more comes.
    pub fn drain(&mut self) -> Vec<String> {
        let mut payloads = Vec::new();
        loop {
            let taken = self.bench.taken();
            if taken.is_empty() {
                return payloads;
            }
            for (_, id, op) in taken {
                payloads.push(super::script::text(&op));
                self.acknowledge([id]);
            }
        }
    }

    /// Whether the publisher was told that the message is on disk.
    pub fn is_stored(&self, op: OpId) -> bool {
        self.bench.events.iter().any(|(_, event)| matches!(event, Event::Stored(id) if *id == op))
    }

    /// Whether the publisher was told that the message is acknowledged.
    pub fn is_acked(&self, op: OpId) -> bool {
        let acked = |event: &Event| matches!(event, Event::Done(id, Ok(Receipt::Acked(_))) if *id == op);
        self.bench.events.iter().filter(|(_, event)| acked(event)).count() == 1
    }

    pub fn on_disk(&self) -> usize {
        self.disk.len()
    }
}
