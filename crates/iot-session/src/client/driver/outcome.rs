//! What the session says, passed on to those whom it concerns.

use iot_transport::Connector;
use mqtt_codec::ReasonCode;

use super::super::handle::Delivery;
use super::super::link::Closing;
use super::super::replies::Reply;
use super::super::stats::Status;
use super::super::subscription::{Guard, Messages};
use super::Driver;
use crate::error::{ConnectionError, OpError};
use crate::stage::{Disconnected, Event, OpId, Receipt, Stage};
use crate::time::Now;

impl<S: Stage + Send + 'static, C: Connector> Driver<S, C> {
    pub(super) fn event(&mut self, now: Now, event: Event) {
        match event {
            Event::Connected(connected) => {
                self.channels.counters.connections.add(1);
                let released = self.router.connected(now.mono, connected.session_present);
                self.channels.status.send_replace(Status::Connected(connected));
                for filter in released {
                    self.unsubscribe(now, filter);
                }
            }
            Event::Disconnected(Disconnected { error, retry_at }) => {
                self.router.disconnected();
                self.channels.status.send_replace(match error {
                    ConnectionError::Requested => Status::Idle,
                    error => Status::Disconnected { error, retry_in: retry_at.map(|at| at.since(now.mono)) },
                });
            }
            Event::Message(publish, token) => {
                if let Some(token) = self.router.deliver(now.mono, publish, token) {
                    self.machine.handle_accepted(now, token);
                }
            }
            Event::Done(id, result) => self.done(now, id, result),
            Event::Returned(..) | Event::Notice(_) => {}
        }
    }

    /// Tells the one who asked. That they are gone by now is their right.
    fn done(&mut self, now: Now, id: OpId, result: Result<Receipt, OpError>) {
        match self.replies.remove(id) {
            Some(Reply::Connect(reply)) => {
                let _ = reply.send(match result {
                    Ok(Receipt::Connected(connected)) => Ok(connected),
                    Ok(_) => Err(OpError::Closed),
                    Err(error) => Err(error),
                });
            }
            Some(Reply::Publish(reply)) => {
                let _ = reply.send(result.map(|receipt| match receipt {
                    Receipt::Acked(reason) => Delivery::Acked(reason),
                    _ => Delivery::Sent,
                }));
            }
            Some(Reply::Subscribe { reply, filter, inbox, route, taken }) => {
                let answer = match granted(result) {
                    Ok(reason) => {
                        let guard = Guard { route, signals: self.signals_in.clone() };
                        Ok(Messages::new(filter, reason, inbox, guard))
                    }
                    Err(error @ (OpError::TimedOut | OpError::Interrupted)) => {
                        // The server may have subscribed it all the same.
                        self.release(now, route);
                        Err(error)
                    }
                    Err(error) => {
                        self.router.remove(route);
                        Err(error)
                    }
                };
                let subscribed = answer.is_ok();
                if reply.send(answer).is_err() || !subscribed {
                    self.channels.counters.dropped.add(taken.len() as u64);
                }
                for token in taken {
                    self.machine.handle_accepted(now, token);
                }
            }
            Some(Reply::Unsubscribe { reply, filter, before }) => {
                let answer = granted(result);
                if answer.is_ok() {
                    self.router.remove_filter(&filter, before);
                }
                let _ = reply.send(answer);
            }
            Some(Reply::Disconnect(reply)) => {
                self.disconnecting.push(reply);
                self.tell_disconnected();
            }
            Some(Reply::Release(filter)) => {
                if result.is_err() {
                    self.router.release_later(filter);
                }
            }
            Some(Reply::Nobody) | None => {}
        }
    }

    pub(super) fn tell_disconnected(&mut self) {
        if self.closing.iter().all(Closing::is_written) {
            for reply in self.disconnecting.drain(..) {
                let _ = reply.send(());
            }
        }
    }
}

/// The code of the one filter that was asked for.
fn granted(result: Result<Receipt, OpError>) -> Result<ReasonCode, OpError> {
    match result? {
        Receipt::Subscribed(granted) | Receipt::Unsubscribed(granted) => {
            let reason = granted.reasons.first().copied().unwrap_or_default();
            if !reason.is_error() {
                return Ok(reason);
            }
            Err(OpError::Refused { reason, message: granted.message.clone() })
        }
        _ => Ok(ReasonCode::Success),
    }
}
