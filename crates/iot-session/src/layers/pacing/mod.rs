//! Keeps what is sent below a server's rates.

mod bucket;

use std::collections::VecDeque;

use mqtt_codec::packet::Publish;
use mqtt_codec::{Packet, QoS};

use super::waiting::{Waiting, size};
use crate::error::OpError;
use crate::stage::{Event, Gauges, Input, Layer, Op, OpId, Output, PublishOp, Resend, Stage};
use crate::time::{Nanos, Now};
use bucket::Bucket;

/// The layer that holds messages back before the server does worse with them: AWS IoT Core discards what goes beyond its
/// rate of publishes. It goes right around the [`Engine`](crate::proto::Engine), so that all that is sent is counted,
/// what is sent again, too.
///
/// Each rate is a bucket of tokens that holds one second's worth and fills evenly. New messages wait for their tokens;
/// what the engine sends again does not wait but is paid for, which holds back what comes after it. A message of more
/// bytes than the bucket holds goes when that is full. Messages received are not counted, although AWS IoT Core counts
/// them in the same rate: nobody here can hold them back.
///
/// AWS IoT Core's limits are for each connection, so each connection starts with full buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pacing {
    publishes: Option<u32>,
    bytes: Option<u32>,
}

impl Pacing {
    /// Holds nothing back, and costs nothing.
    #[must_use]
    pub const fn off() -> Self {
        Self { publishes: None, bytes: None }
    }

    /// AWS IoT Core's limits for a connection: 100 publishes and 512 KiB in each second.
    #[must_use]
    pub const fn aws_iot_core() -> Self {
        Self { publishes: Some(100), bytes: Some(512 * 1024) }
    }

    /// At most this many messages in each second, at least 1. Default: any number.
    #[must_use]
    pub fn publishes_per_second(mut self, messages: u32) -> Self {
        self.publishes = Some(messages.max(1));
        self
    }

    /// At most this many bytes in each second, at least 1: topics, properties and payloads, and 8 bytes for the rest of
    /// each packet, which is between 4 and 13. Default: any number.
    #[must_use]
    pub fn bytes_per_second(mut self, bytes: u32) -> Self {
        self.bytes = Some(bytes.max(1));
        self
    }
}

impl<S: Stage> Layer<S> for Pacing {
    type Stage = PacingStage<S>;

    fn layer(self, inner: S) -> Self::Stage {
        let pace = (self != Self::off()).then(|| Pace {
            publishes: self.publishes.map(Bucket::new),
            bytes: self.bytes.map(Bucket::new),
            connected: false,
            waiting: VecDeque::new(),
            out: VecDeque::new(),
        });
        PacingStage { inner, pace }
    }
}

/// The running [`Pacing`].
///
/// It is not [`ready`](Stage::ready) while a message waits or there are no tokens for one, so whoever goes by that has
/// at most one message wait here. Others wait in order, and nothing but their number bounds them.
#[derive(Debug)]
pub struct PacingStage<S> {
    inner: S,
    pace: Option<Pace>,
}

#[derive(Debug)]
struct Pace {
    publishes: Option<Bucket>,
    bytes: Option<Bucket>,
    /// Whether the inner stage is. Otherwise it answers at once, and nothing is held back.
    connected: bool,
    waiting: VecDeque<Waiting>,
    out: VecDeque<Output>,
}

/// What a packet has besides topic, properties and payload: type and length, the lengths of topic and properties, the
/// packet identifier.
const HEADER: usize = 8;

fn price(publish: &Publish) -> usize {
    size(publish).saturating_add(HEADER)
}

impl Pace {
    fn buckets(&mut self) -> impl Iterator<Item = &mut Bucket> {
        self.publishes.iter_mut().chain(&mut self.bytes)
    }

    fn advance(&mut self, now: Now) {
        self.buckets().for_each(|bucket| bucket.advance(now.mono));
    }

    /// Whether a message of this price may go.
    fn affords(&self, price: usize) -> bool {
        self.publishes.as_ref().is_none_or(|bucket| bucket.has(1))
            && self.bytes.as_ref().is_none_or(|bucket| bucket.has(price))
    }

    /// When it may.
    fn when(&self, price: usize) -> Option<Nanos> {
        let publishes = self.publishes.as_ref().map(|bucket| bucket.when(1));
        publishes.max(self.bytes.as_ref().map(|bucket| bucket.when(price)))
    }

    fn pay(&mut self, price: usize) {
        self.publishes.iter_mut().for_each(|bucket| bucket.take(1));
        self.bytes.iter_mut().for_each(|bucket| bucket.take(price));
    }

    /// The least that the next message costs.
    fn next_price(&self) -> usize {
        self.waiting.front().map_or(HEADER, |waiting| price(&waiting.op().publish))
    }

    fn passes(&self, op: &PublishOp) -> bool {
        !self.connected || (self.waiting.is_empty() && self.affords(price(&op.publish)))
    }

    fn take_affordable(&mut self, now: Now) -> Option<(OpId, PublishOp)> {
        if !self.connected || !self.affords(self.next_price()) {
            return None;
        }
        self.waiting.pop_front().map(|waiting| waiting.let_go(now.mono))
    }

    /// Notes what the inner stage does; [`None`]: the output has to stand behind others.
    fn watch(&mut self, now: Now, output: Output) -> Option<Output> {
        match &output {
            Output::Send(Packet::Publish(publish)) => {
                let price = price(publish);
                self.advance(now);
                self.pay(price);
            }
            Output::Event(Event::Connected(_)) => {
                self.connected = true;
                self.advance(now);
                self.buckets().for_each(Bucket::fill);
            }
            Output::Event(Event::Disconnected(_)) => {
                self.connected = false;
                if !self.waiting.is_empty() {
                    self.give_back(now);
                    self.out.push_back(output);
                    return None;
                }
            }
            _ => {}
        }
        Some(output)
    }

    /// This link never saw them: another one may. One that may not wait for it ends; if it may be sent more than once, a
    /// link before this one may have seen it.
    fn give_back(&mut self, now: Now) {
        for waiting in self.waiting.drain(..) {
            let (id, op) = waiting.let_go(now.mono);
            let may_be_sent_again = op.resend != Resend::Never && op.qos == QoS::AtLeastOnce;
            self.out.push_back(Output::Event(match (op.queue, may_be_sent_again) {
                (true, _) => Event::Returned(id, Box::new(op)),
                (false, true) => Event::Done(id, Err(OpError::Interrupted)),
                (false, false) => Event::Done(id, Err(OpError::Offline)),
            }));
        }
    }
}

impl<S: Stage> Stage for PacingStage<S> {
    fn handle(&mut self, now: Now, input: Input) {
        if let Some(pace) = &mut self.pace {
            pace.advance(now);
            match input {
                Input::Op(id, Op::Publish(op)) if !pace.passes(&op) => {
                    pace.waiting.push_back(Waiting::new(now.mono, id, op));
                }
                input => self.inner.handle(now, input),
            }
        } else {
            self.inner.handle(now, input);
        }
    }

    fn poll(&mut self, now: Now) -> Option<Output> {
        let Some(pace) = &mut self.pace else { return self.inner.poll(now) };
        loop {
            if let Some(output) = pace.out.pop_front() {
                return Some(output);
            }
            if let Some(output) = self.inner.poll(now) {
                if let Some(output) = pace.watch(now, output) {
                    return Some(output);
                }
                continue;
            }
            if !self.inner.ready() {
                return None;
            }
            let (id, op) = pace.take_affordable(now)?;
            self.inner.handle(now, Input::Op(id, Op::Publish(op)));
        }
    }

    fn deadline(&self) -> Option<Nanos> {
        let tokens = self.pace.as_ref().and_then(|pace| {
            let price = pace.next_price();
            if pace.connected && !pace.affords(price) { pace.when(price) } else { None }
        });
        [tokens, self.inner.deadline()].into_iter().flatten().min()
    }

    fn ready(&self) -> bool {
        let paced = self
            .pace
            .as_ref()
            .is_some_and(|pace| pace.connected && !(pace.waiting.is_empty() && pace.affords(HEADER)));
        !paced && self.inner.ready()
    }

    fn gauges(&self, gauges: &mut Gauges) {
        for waiting in self.pace.iter().flat_map(|pace| &pace.waiting) {
            gauges.queued = gauges.queued.saturating_add(1);
            gauges.queued_bytes = gauges.queued_bytes.saturating_add(waiting.size());
        }
        self.inner.gauges(gauges);
    }
}
