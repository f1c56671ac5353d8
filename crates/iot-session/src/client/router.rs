//! Which subscriber gets which message.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use mqtt_codec::packet::Publish;
use mqtt_codec::{QoS, TopicFilter, matches};
use tokio::sync::mpsc;

use super::inbox::{Inbox, Signal, Taken, Unaccepted};
use super::stats::SharedCounters;
use crate::message::Message;
use crate::stage::AckToken;
use crate::time::Nanos;

/// A subscriber of a filter.
#[derive(Debug)]
struct Route {
    id: u64,
    filter: TopicFilter,
    qos: QoS,
    inbox: Arc<Inbox>,
}

/// A QoS 1 message of a resumed session that came before a subscriber for it.
#[derive(Debug)]
struct Held {
    until: Nanos,
    publish: Publish,
    token: AckToken,
}

/// All subscribers. A message goes to every route that matches it.
///
/// A resumed session delivers what it stored right after CONNACK, perhaps before the application has subscribed again:
/// such QoS 1 messages are held unacknowledged for a while. The server's window bounds how many there are.
#[derive(Debug)]
pub(super) struct Router {
    routes: Vec<Route>,
    next_id: u64,
    signals: mpsc::UnboundedSender<Signal>,
    counters: SharedCounters,
    /// The connection of the messages counted below; `None` before its first.
    epoch: Option<u32>,
    /// QoS 1 messages of the present connection that wait beyond some inbox's capacity.
    unaccepted: usize,
    /// How long messages without a subscriber are held, on a resumed session.
    hold: Duration,
    resumed: bool,
    held: VecDeque<Held>,
    /// Filters that lost their last subscriber while there was no connection to unsubscribe them on.
    released: Vec<TopicFilter>,
}

impl Router {
    pub(super) fn new(
        signals: mpsc::UnboundedSender<Signal>,
        counters: SharedCounters,
        hold: Duration,
    ) -> Self {
        Self {
            routes: Vec::new(),
            next_id: 0,
            signals,
            counters,
            epoch: None,
            unaccepted: 0,
            hold,
            resumed: false,
            held: VecDeque::new(),
            released: Vec::new(),
        }
    }

    // --- routes ---

    /// Adds a subscriber and hands it what was held. Gives its number, the QoS that all subscribers of this very filter
    /// need, and the tokens of messages that are taken now.
    pub(super) fn add(
        &mut self,
        filter: &TopicFilter,
        qos: QoS,
        inbox: Arc<Inbox>,
    ) -> (u64, QoS, Vec<AckToken>) {
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        let others = self.routes.iter().filter(|route| route.filter == *filter).map(|route| route.qos);
        let needed = others.max().map_or(qos, |others| others.max(qos));
        self.released.retain(|released| *released != *filter);
        self.routes.push(Route { id, filter: filter.clone(), qos, inbox });
        let (matching, rest) =
            std::mem::take(&mut self.held).into_iter().partition::<VecDeque<_>, _>(|held| {
                matches(filter.text().as_bytes(), held.publish.topic_bytes())
            });
        self.held = rest;
        let taken = matching
            .into_iter()
            .filter_map(|held| self.route(&Message::from(held.publish), Some(held.token)).token);
        (id, needed, taken.collect())
    }

    /// Ends a route. Gives its filter when nobody else holds it, so that it can be unsubscribed.
    pub(super) fn remove(&mut self, id: u64) -> Option<TopicFilter> {
        let at = self.routes.iter().position(|route| route.id == id)?;
        let route = self.routes.swap_remove(at);
        route.inbox.close();
        (!self.routes.iter().any(|other| other.filter == route.filter)).then_some(route.filter)
    }

    /// Ends all routes of a filter.
    pub(super) fn remove_filter(&mut self, filter: &TopicFilter) {
        self.routes.retain(|route| {
            let keep = route.filter != *filter;
            if !keep {
                route.inbox.close();
            }
            keep
        });
    }

    /// A filter without subscribers that can be unsubscribed only once there is a connection again.
    pub(super) fn release_later(&mut self, filter: TopicFilter) {
        self.released.push(filter);
    }

    // --- connections ---

    /// A link came up: what still waits of the connection before holds back nothing on this one, and what was held of
    /// it comes again.
    pub(super) fn new_connection(&mut self) {
        (self.epoch, self.unaccepted, self.resumed) = (None, 0, false);
        self.held.clear();
    }

    /// CONNACK came. Gives the filters to unsubscribe now.
    pub(super) fn connected(&mut self, session_present: bool) -> Vec<TopicFilter> {
        self.resumed = session_present;
        for route in &self.routes {
            if session_present {
                // The server sends again what was not acknowledged: what still waits would come twice.
                route.inbox.forget_waiting();
            } else {
                self.counters.dropped.add(route.inbox.keep_waiting() as u64);
            }
        }
        let released = std::mem::take(&mut self.released);
        if session_present { released } else { Vec::new() }
    }

    // --- messages ---

    /// QoS 1 messages of the present connection that wait for a slow subscriber.
    pub(super) fn unaccepted(&self) -> usize {
        self.unaccepted
    }

    /// A token came back from the inboxes.
    pub(super) fn accepted(&mut self, token: AckToken) {
        if self.epoch == Some(token.epoch) {
            self.unaccepted = self.unaccepted.saturating_sub(1);
        }
    }

    /// Hands a message to everyone it is for. Gives the token back when all of them took it.
    pub(super) fn deliver(
        &mut self,
        now: Nanos,
        publish: Publish,
        token: Option<AckToken>,
    ) -> Option<AckToken> {
        self.counters.received.add(1);
        if let Some(token) = token
            && self.resumed
            && !self.routes.iter().any(|route| matches(route.filter.text().as_bytes(), publish.topic_bytes()))
        {
            self.held.push_back(Held { until: now.after(self.hold), publish, token });
            return None;
        }
        let routed = self.route(&Message::from(publish), token);
        if !routed.anywhere {
            self.counters.unrouted.add(1);
        }
        routed.token
    }

    /// When the oldest held message is let go.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        self.held.front().map(|held| held.until)
    }

    /// A held message whose time is up: nobody wanted it.
    pub(super) fn pop_unwanted(&mut self, now: Nanos) -> Option<AckToken> {
        let token = self.held.front().filter(|held| held.until <= now)?.token;
        self.held.pop_front();
        self.counters.unrouted.add(1);
        Some(token)
    }

    fn route(&mut self, message: &Message, token: Option<AckToken>) -> Routed {
        let mut shared: Option<Arc<Unaccepted>> = None;
        let mut anywhere = false;
        for route in &self.routes {
            if !matches(route.filter.text().as_bytes(), message.topic().as_bytes()) {
                continue;
            }
            anywhere = true;
            let wait = token.map(|token| {
                let (shared, signals) = (&mut shared, &self.signals);
                move || {
                    let make = || Arc::new(Unaccepted { token, signals: signals.clone() });
                    Arc::clone(shared.get_or_insert_with(make))
                }
            });
            if route.inbox.push(message.clone(), wait) == Taken::Dropped {
                self.counters.dropped.add(1);
            }
        }
        if let (Some(_), Some(token)) = (&shared, token) {
            self.epoch = Some(token.epoch);
            self.unaccepted = self.unaccepted.saturating_add(1);
            return Routed { anywhere, token: None };
        }
        Routed { anywhere, token }
    }

    /// The driver ends: all subscribers are told.
    pub(super) fn close(&mut self) {
        for route in self.routes.drain(..) {
            route.inbox.close();
        }
    }
}

/// What became of a message.
struct Routed {
    /// Whether anybody wanted it.
    anywhere: bool,
    /// The token, unless somebody still has to take the message.
    token: Option<AckToken>,
}
