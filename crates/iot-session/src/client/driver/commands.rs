//! What the handle and the subscribers ask for, on its way into the session.

use std::sync::Arc;
use std::task::{Context, Poll};

use iot_transport::Connector;
use mqtt_codec::TopicFilter;

use super::super::handle::{Publish, Request};
use super::super::inbox::Inbox;
use super::super::replies::Reply;
use super::{BATCH, Driver, HIGH_WATER};
use crate::stage::{Op, Stage, SubscribeOp, UnsubscribeOp};
use crate::time::Now;

impl<S: Stage + Send + 'static, C: Connector> Driver<S, C> {
    /// A subscriber went away; the last one of a filter unsubscribes it, at once or when there is a connection again.
    pub(super) fn release(&mut self, now: Now, route: u64) {
        if let Some(filter) = self.router.remove(route) {
            if self.is_connected() {
                self.unsubscribe(now, filter);
            } else {
                self.router.release_later(filter);
            }
        }
    }

    pub(super) fn unsubscribe(&mut self, now: Now, filter: TopicFilter) {
        let id = self.replies.insert(Reply::Release(filter.clone()));
        self.machine.handle_op(now, id, Op::Unsubscribe(UnsubscribeOp { filters: vec![filter] }));
    }

    fn is_connected(&self) -> bool {
        self.channels.status.borrow().is_connected()
    }

    pub(super) fn requests(&mut self, context: &mut Context<'_>) -> bool {
        let mut progress = false;
        for _ in 0..BATCH {
            if self.orphaned || self.machine.transmit().len() >= HIGH_WATER {
                break;
            }
            let Poll::Ready(Some(request)) = self.channels.requests.poll_recv(context) else { break };
            progress = true;
            let now = self.clock.now();
            self.request(now, request);
        }
        progress
    }

    fn request(&mut self, now: Now, request: Request) {
        let (id, op) = match request {
            // Given up before it was begun.
            Request::Subscribe(_, _, reply) if reply.is_closed() => return,
            Request::Subscribe(filter, mut options, reply) => {
                let inbox = Arc::new(Inbox::new(self.config.inbox, self.config.unaccepted));
                let (route, qos, taken) = self.router.add(&filter, options.qos, Arc::clone(&inbox));
                // A subscription replaces the one of the same filter: it must do for all who share it.
                options.qos = qos;
                let op = SubscribeOp { filters: vec![(filter.clone(), options)] };
                (
                    self.replies.insert(Reply::Subscribe { reply, filter, inbox, route, taken }),
                    Op::Subscribe(op),
                )
            }
            Request::Unsubscribe(filter, reply) => {
                let op = UnsubscribeOp { filters: vec![filter.clone()] };
                let before = self.router.next_id();
                (self.replies.insert(Reply::Unsubscribe { reply, filter, before }), Op::Unsubscribe(op))
            }
        };
        self.machine.handle_op(now, id, op);
        self.pump(now);
    }

    pub(super) fn publishes(&mut self, context: &mut Context<'_>) -> bool {
        let mut progress = false;
        for _ in 0..BATCH {
            if self.orphaned || !self.machine.ready() || self.machine.transmit().len() >= HIGH_WATER {
                break;
            }
            let Poll::Ready(Some(publish)) = self.channels.publishes.poll_recv(context) else { break };
            progress = true;
            let now = self.clock.now();
            self.publish(now, publish);
        }
        progress
    }

    fn publish(&mut self, now: Now, Publish(message, reply): Publish) {
        self.channels.counters.published.add(1);
        let id = self.replies.insert(Reply::Publish(reply));
        self.machine.handle_op(now, id, Op::Publish(message.into_op()));
        self.pump(now);
    }

    /// What was handed over before a disconnect goes out before it, as far as there is room.
    pub(super) fn flush_commands(&mut self, now: Now) {
        for _ in 0..self.config.commands.max(1) {
            let Ok(request) = self.channels.requests.try_recv() else { break };
            self.request(now, request);
        }
        for _ in 0..self.config.commands.max(1) {
            if !self.machine.ready() {
                return;
            }
            let Ok(publish) = self.channels.publishes.try_recv() else { return };
            self.publish(now, publish);
        }
    }
}
