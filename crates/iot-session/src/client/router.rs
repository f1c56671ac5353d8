//! Which subscriber gets which message.

use std::sync::Arc;

use mqtt_codec::packet::Publish;
use mqtt_codec::{QoS, TopicFilter, matches};
use tokio::sync::mpsc;

use super::inbox::{Inbox, Signal, Taken, Unaccepted};
use super::stats::Counters;
use crate::message::Message;
use crate::stage::AckToken;

/// A subscriber of a filter.
#[derive(Debug)]
struct Route {
    id: u64,
    filter: TopicFilter,
    inbox: Arc<Inbox>,
}

/// All subscribers. A message goes to every route that matches it.
#[derive(Debug)]
pub(super) struct Router {
    routes: Vec<Route>,
    next_id: u64,
    signals: mpsc::UnboundedSender<Signal>,
    /// The connection of the messages counted below; `None` before its first.
    epoch: Option<u32>,
    /// QoS 1 messages of the present connection that wait beyond some inbox's capacity.
    unaccepted: usize,
}

impl Router {
    pub(super) fn new(signals: mpsc::UnboundedSender<Signal>) -> Self {
        Self { routes: Vec::new(), next_id: 0, signals, epoch: None, unaccepted: 0 }
    }

    /// QoS 1 messages of the present connection that wait for a slow subscriber.
    pub(super) fn unaccepted(&self) -> usize {
        self.unaccepted
    }

    pub(super) fn add(&mut self, filter: TopicFilter, inbox: Arc<Inbox>) -> u64 {
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        self.routes.push(Route { id, filter, inbox });
        id
    }

    /// Ends a route. Gives its filter when nobody else holds it, so that it can be unsubscribed.
    pub(super) fn remove(&mut self, id: u64) -> Option<TopicFilter> {
        let at = self.routes.iter().position(|route| route.id == id)?;
        let route = self.routes.swap_remove(at);
        route.inbox.close();
        (!self.routes.iter().any(|other| other.filter == route.filter)).then_some(route.filter)
    }

    /// Ends all routes of a filter; how many there were.
    pub(super) fn remove_filter(&mut self, filter: &TopicFilter) -> usize {
        let before = self.routes.len();
        self.routes.retain(|route| {
            let keep = route.filter != *filter;
            if !keep {
                route.inbox.close();
            }
            keep
        });
        before.saturating_sub(self.routes.len())
    }

    /// A token came back from the inboxes.
    pub(super) fn accepted(&mut self, token: AckToken) {
        if self.epoch == Some(token.epoch) {
            self.unaccepted = self.unaccepted.saturating_sub(1);
        }
    }

    /// A link came up: what still waits of the connection before holds back nothing on this one.
    pub(super) fn new_connection(&mut self) {
        (self.epoch, self.unaccepted) = (None, 0);
    }

    /// The server kept the session and sends again what was not acknowledged: what still waits beyond the inboxes'
    /// capacity would come twice.
    pub(super) fn session_resumed(&mut self) {
        for route in &self.routes {
            route.inbox.forget_waiting();
        }
    }

    /// Hands a message to everyone it is for. Gives the token back when all of them took it.
    pub(super) fn deliver(
        &mut self,
        publish: Publish,
        token: Option<AckToken>,
        counters: &Counters,
    ) -> Option<AckToken> {
        counters.received.add(1);
        let message = Message::from(publish);
        let mut shared: Option<Arc<Unaccepted>> = None;
        let mut routed = false;
        for route in &self.routes {
            if !matches(route.filter.text().as_bytes(), message.topic().as_bytes()) {
                continue;
            }
            routed = true;
            let wait = token.filter(|_| message.quality() != QoS::AtMostOnce).map(|token| {
                let (shared, signals) = (&mut shared, &self.signals);
                move || {
                    let make = || Arc::new(Unaccepted { token, signals: signals.clone() });
                    Arc::clone(shared.get_or_insert_with(make))
                }
            });
            if route.inbox.push(message.clone(), wait) == Taken::Dropped {
                counters.dropped.add(1);
            }
        }
        if !routed {
            counters.unrouted.add(1);
        }
        if let (Some(_), Some(token)) = (&shared, token) {
            self.epoch = Some(token.epoch);
            self.unaccepted = self.unaccepted.saturating_add(1);
            return None;
        }
        token
    }

    /// The driver ends: all subscribers are told.
    pub(super) fn close(&mut self) {
        for route in self.routes.drain(..) {
            route.inbox.close();
        }
    }
}
