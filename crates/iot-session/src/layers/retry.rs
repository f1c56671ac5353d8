//! Issues again what comes back from below.

use std::collections::VecDeque;

use super::waiting::Waiting;
use crate::error::{Dropped, OpError};
use crate::stage::{Event, Gauges, Input, Layer, Op, Output, Stage};
use crate::time::{Nanos, Now};

/// The layer that issues messages again which came back ([`Event::Returned`]): in their original order, under their own
/// names, as soon as there is a connection and before anything new. It goes around the layer that subscribes anew and
/// inside the offline queue, whose rate and bounds do not concern it.
///
/// # Bounds
/// It holds what the layers inside had and gave back: the in-flight window and what waits for its turn to be sent.
/// While it holds any it is not [`ready`](Stage::ready), so those layers get nothing new that could come back as well.
/// Only a holder that publishes all the same adds to it.
///
/// # Order
/// A message is handed down only when all that is held in front of it was. So what is below was always handed down before
/// all that is held, and whatever comes back goes in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Retry {}

impl Retry {
    /// The layer.
    #[must_use]
    pub const fn new() -> Self {
        Self {}
    }
}

impl<S: Stage> Layer<S> for Retry {
    type Stage = RetryStage<S>;

    fn layer(self, inner: S) -> Self::Stage {
        RetryStage {
            inner,
            connected: false,
            held: VecDeque::new(),
            returned: Vec::new(),
            out: VecDeque::new(),
        }
    }
}

/// The running [`Retry`].
#[derive(Debug)]
pub struct RetryStage<S> {
    inner: S,
    /// Whether the inner stage is.
    connected: bool,
    /// To be issued again, in order.
    held: VecDeque<Waiting>,
    /// What comes back just now, in order: goes in front of it.
    returned: Vec<Waiting>,
    out: VecDeque<Output>,
}

impl<S> RetryStage<S> {
    fn is_idle(&self) -> bool {
        self.held.is_empty() && self.returned.is_empty()
    }

    fn put_back(&mut self) {
        if self.returned.is_empty() {
            return;
        }
        for waiting in self.returned.drain(..).rev() {
            self.held.push_front(waiting);
        }
    }

    /// Ends what has a time to live and waited that long. What was sent before has none any more.
    fn expire(&mut self, now: Now) {
        if self.next_expiry().is_none_or(|at| now.mono < at) {
            return;
        }
        let out = &mut self.out;
        self.held.retain(|waiting| {
            let over = waiting.time_to_live().is_some_and(|at| at <= now.mono);
            if over {
                let error = OpError::Dropped(Dropped::Expired);
                out.push_back(Output::Event(Event::Done(waiting.id(), Err(error))));
            }
            !over
        });
    }

    fn next_expiry(&self) -> Option<Nanos> {
        self.held.iter().filter_map(Waiting::time_to_live).min()
    }
}

impl<S: Stage> Stage for RetryStage<S> {
    fn handle(&mut self, now: Now, input: Input) {
        self.expire(now);
        match input {
            Input::Op(id, Op::Publish(op)) if op.queue && !self.is_idle() => {
                self.put_back();
                self.held.push_back(Waiting::new(now.mono, id, op));
            }
            input => self.inner.handle(now, input),
        }
    }

    fn poll(&mut self, now: Now) -> Option<Output> {
        loop {
            if let Some(output) = self.out.pop_front() {
                return Some(output);
            }
            match self.inner.poll(now) {
                Some(Output::Event(Event::Returned(id, op))) => {
                    self.returned.push(Waiting::new(now.mono, id, *op));
                }
                Some(output) => {
                    if let Output::Event(event @ (Event::Connected(_) | Event::Disconnected(_))) = &output {
                        self.put_back();
                        self.connected = matches!(event, Event::Connected(_));
                    }
                    return Some(output);
                }
                None => {
                    self.put_back();
                    if !self.connected || self.held.is_empty() || !self.inner.ready() {
                        return None;
                    }
                    let (id, op) = self.held.pop_front()?.let_go(now.mono);
                    self.inner.handle(now, Input::Op(id, Op::Publish(op)));
                }
            }
        }
    }

    fn deadline(&self) -> Option<Nanos> {
        [self.next_expiry(), self.inner.deadline()].into_iter().flatten().min()
    }

    fn ready(&self) -> bool {
        self.is_idle() && self.inner.ready()
    }

    fn gauges(&self, gauges: &mut Gauges) {
        for waiting in self.held.iter().chain(&self.returned) {
            gauges.queued = gauges.queued.saturating_add(1);
            gauges.queued_bytes = gauges.queued_bytes.saturating_add(waiting.size());
        }
        self.inner.gauges(gauges);
    }
}
