//! What the session says, passed on to those whom it concerns.

use std::sync::Arc;

use iot_transport::Connector;
use mqtt_codec::ReasonCode;

use super::super::outcomes::Delivery;
use super::super::replies::Reply;
use super::super::stats::Status;
use super::Driver;
use crate::error::{ConnectionError, OpError};
use crate::stage::{Disconnected, Event, Notice, OpId, Receipt, Stage};
use crate::time::Now;

impl<S: Stage + Send + 'static, C: Connector> Driver<S, C> {
    pub(super) fn event(&mut self, now: Now, event: Event) {
        match event {
            Event::Connected(connected) => {
                self.channels.shared.counters.connections.add(1);
                for token in self.router.connected(now.mono, connected.session_present) {
                    self.machine.handle_accepted(now, token);
                }
                self.trace.connected(&connected);
                let notice = Notice::Online(Arc::new(connected.clone()));
                self.channels.status.send_replace(Status::Connected(connected));
                self.post(&notice);
            }
            Event::Disconnected(Disconnected { error, retry_at }) => {
                self.sample = None;
                self.router.disconnected();
                let retry_in = retry_at.map(|at| at.since(now.mono));
                self.trace.disconnected(&error, retry_in);
                let notice = Notice::Offline { error: error.clone(), retry_in };
                self.channels.status.send_replace(match error {
                    ConnectionError::Requested => Status::Idle,
                    error => Status::Disconnected { error, retry_in },
                });
                self.post(&notice);
            }
            Event::Message(publish, token) => {
                if let Some(token) = self.router.deliver(now.mono, publish, token) {
                    self.machine.handle_accepted(now, token);
                }
            }
            Event::Done(id, result) => self.done(now, id, result),
            Event::Notice(notice) => {
                match &notice {
                    Notice::Quarantined { filter, why } => self.router.quarantined(filter, *why),
                    Notice::Undelivered { .. } => self.channels.shared.counters.undelivered.add(1),
                    _ => {}
                }
                self.post(&notice);
            }
            Event::Stored(id) => self.replies.stored(id),
            // The machine has ended it.
            Event::Returned(..) => {}
        }
    }

    fn post(&self, notice: &Notice) {
        self.trace.within(|| self.channels.shared.board.post(notice));
    }

    /// Tells the one who asked. That they are gone by now is their right.
    fn done(&mut self, now: Now, id: OpId, result: Result<Receipt, OpError>) {
        if let Some((_, since)) = self.sample.take_if(|(sampled, _)| *sampled == id)
            && let Ok(Receipt::Acked(_)) = result
        {
            self.channels.shared.counters.measured(now.mono.since(since));
        }
        if let Err(OpError::Dropped(why)) = &result {
            self.post(&Notice::Dropped { why: *why });
        }
        match self.replies.remove(id) {
            Some(Reply::Connect(reply)) => {
                let _ = reply.send(match result {
                    Ok(Receipt::Connected(connected)) => Ok(connected),
                    Ok(_) => Err(OpError::Closed),
                    Err(error) => Err(error),
                });
            }
            Some(Reply::Publish(reply)) => {
                let _ = reply.send(result.map(|receipt| delivery(&receipt)));
            }
            Some(Reply::Durable { stored, reply }) => {
                // What is acknowledged need not be on disk any more.
                if let Some(stored) = stored {
                    let _ = stored.send(result.as_ref().map(|_| ()).map_err(OpError::clone));
                }
                let _ = reply.send(result.map(|receipt| delivery(&receipt)));
            }
            Some(Reply::Subscribe { reply, filters, taken }) => {
                let answer = granted(result, filters.len());
                let several = filters.len() > 1;
                for (ticket, filter) in filters {
                    match &answer {
                        Ok(_) => self.granted(now, ticket, filter),
                        // The server may have subscribed it all the same, or a layer may still want it; with several, it
                        // may be another one that met the error.
                        Err(OpError::TimedOut | OpError::Interrupted) => self.release(now, ticket),
                        Err(_) if several => self.release(now, ticket),
                        Err(_) => {
                            self.router.remove(ticket);
                        }
                    }
                }
                let subscribed = answer.is_ok();
                // Whoever gave up meanwhile has released the route.
                if reply.send(answer).is_err() || !subscribed {
                    self.channels.shared.counters.dropped.add(taken.len() as u64);
                }
                for token in taken {
                    self.machine.handle_accepted(now, token);
                }
            }
            Some(Reply::Unsubscribe { reply, filter, before }) => {
                let answer = granted(result, 1);
                if answer.is_ok() {
                    self.router.unsubscribed(&filter, before);
                }
                let _ = reply.send(answer.map(|codes| codes.first().copied().unwrap_or_default()));
            }
            Some(Reply::Disconnect(reply)) => {
                self.disconnecting.push(reply);
                self.tell_disconnected();
            }
            Some(Reply::Nobody) | None => {}
        }
    }
}

fn delivery(receipt: &Receipt) -> Delivery {
    match receipt {
        Receipt::Acked(reason) => Delivery::Acked(*reason),
        _ => Delivery::Sent,
    }
}

/// A code for each filter that was asked for, unless one of them was refused.
fn granted(result: Result<Receipt, OpError>, filters: usize) -> Result<Vec<ReasonCode>, OpError> {
    let (mut reasons, message) = match result? {
        Receipt::Subscribed(granted) | Receipt::Unsubscribed(granted) => (granted.reasons, granted.message),
        _ => (Vec::new(), None),
    };
    if let Some(reason) = reasons.iter().copied().find(|reason| reason.is_error()) {
        return Err(OpError::Refused { reason, message });
    }
    reasons.resize(filters, ReasonCode::Success);
    Ok(reasons)
}
