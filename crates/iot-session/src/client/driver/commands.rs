//! What the handle and the subscribers ask for, on its way into the session.

use std::sync::Arc;
use std::task::{Context, Poll};

use iot_transport::Connector;
use mqtt_codec::packet::SubscriptionOptions;
use mqtt_codec::{QoS, TopicFilter};

use super::super::channels::{Publish, Request};
use super::super::replies::Reply;
use super::{BATCH, Driver, HIGH_WATER};
use crate::error::{Dropped, OpError};
use crate::stage::{Op, Stage, SubscribeOp, UnsubscribeOp};
use crate::time::Now;

impl<S: Stage + Send + 'static, C: Connector> Driver<S, C> {
    /// A subscriber went away; the last one of a filter unsubscribes it.
    pub(super) fn release(&mut self, now: Now, ticket: u64) {
        if let Some(filter) = self.router.remove(ticket) {
            self.unsubscribe(now, filter);
        }
    }

    /// The server agreed. A subscriber that went away meanwhile, when another one held the filter, did not unsubscribe it;
    /// if the other one is gone, too, nobody wants it.
    pub(super) fn granted(&mut self, now: Now, ticket: u64, filter: TopicFilter) {
        if !self.router.granted(ticket) && !self.router.holds(&filter) {
            self.unsubscribe(now, filter);
        }
    }

    fn unsubscribe(&mut self, now: Now, filter: TopicFilter) {
        let id = self.replies.insert(Reply::Nobody);
        self.machine.handle_op(now, id, Op::Unsubscribe(UnsubscribeOp { filters: vec![filter] }));
    }

    pub(super) fn requests(&mut self, context: &mut Context<'_>) -> bool {
        let mut progress = false;
        for _ in 0..BATCH {
            if self.leaving || self.machine.transmit().len() >= HIGH_WATER {
                break;
            }
            let Poll::Ready(Some(request)) = self.channels.requests.poll_recv(context) else { break };
            progress = true;
            let now = self.clock.now();
            self.request(now, *request);
        }
        progress
    }

    fn request(&mut self, now: Now, request: Request) {
        let (reply, op) = match request {
            // Given up before it was begun.
            Request::Subscribe { reply, .. } if reply.is_closed() => return,
            Request::Subscribe { filters, options, inbox, reply } => {
                let mut taken = Vec::new();
                let add = |(ticket, filter): &(u64, TopicFilter)| {
                    let inbox = Arc::clone(&inbox);
                    let (qos, tokens) = self.router.add(now.mono, *ticket, filter, options.qos, inbox);
                    taken.extend(tokens);
                    // A subscription replaces the one of the same filter: it must do for all who share it.
                    (filter.clone(), SubscriptionOptions { qos, ..options })
                };
                let op = SubscribeOp { filters: filters.iter().map(add).collect() };
                (Reply::Subscribe { reply, filters, taken }, Op::Subscribe(op))
            }
            Request::Unsubscribe(filter, reply) => {
                let op = UnsubscribeOp { filters: vec![filter.clone()] };
                let before = self.router.next_number();
                (Reply::Unsubscribe { reply, filter, before }, Op::Unsubscribe(op))
            }
        };
        let id = self.replies.insert(reply);
        self.machine.handle_op(now, id, op);
        self.pump(now);
    }

    pub(super) fn publishes(&mut self, context: &mut Context<'_>) -> bool {
        let mut now = None;
        for _ in 0..BATCH {
            if self.leaving || !self.machine.ready() || self.machine.transmit().len() >= HIGH_WATER {
                break;
            }
            let publish = match self.channels.urgent.poll_recv(context) {
                Poll::Ready(Some(publish)) => *publish,
                _ => match self.channels.publishes.poll_recv(context) {
                    Poll::Ready(Some(publish)) => publish,
                    _ => break,
                },
            };
            let now = *now.get_or_insert_with(|| self.clock.now());
            self.publish(now, publish);
        }
        now.is_some()
    }

    fn publish(&mut self, now: Now, Publish { message, since, reply, stored }: Publish) {
        let waited = since.map(|since| now.mono.since(self.clock.nanos(since))).unwrap_or_default();
        let Some(op) = message.into_op_after(waited) else {
            let _ = reply.send(Err(OpError::Dropped(Dropped::Expired)));
            return;
        };
        self.channels.shared.counters.published.add(1);
        let is_measured = self.sample.is_none() && op.qos == QoS::AtLeastOnce && self.goes_out_at_once();
        let reply = match stored {
            None => Reply::Publish(reply),
            stored => Reply::Durable { stored, reply },
        };
        let id = self.replies.insert(reply);
        if is_measured {
            self.sample = Some((id, now.mono));
        }
        self.machine.handle_op(now, id, Op::Publish(op));
        self.pump(now);
    }

    /// Whether a publish would not wait in a layer.
    fn goes_out_at_once(&self) -> bool {
        self.up.is_some() && self.machine.gauges().queued == 0
    }

    /// What was handed over before a disconnect goes out before it, as far as there is room.
    pub(super) fn flush_commands(&mut self, now: Now) {
        for _ in 0..self.config.commands.max(1) {
            let Ok(request) = self.channels.requests.try_recv() else { break };
            self.request(now, *request);
        }
        for _ in 0..self.config.commands.max(1).saturating_mul(2) {
            if !self.machine.ready() {
                return;
            }
            let urgent = self.channels.urgent.try_recv().map(|publish| *publish);
            let Ok(publish) = urgent.or_else(|_| self.channels.publishes.try_recv()) else { return };
            self.publish(now, publish);
        }
    }
}
