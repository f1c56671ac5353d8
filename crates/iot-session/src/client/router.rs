//! Which subscriber gets which message.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use mqtt_codec::packet::Publish;
use mqtt_codec::{QoS, TopicFilter, matches};
use tokio::sync::mpsc;

use super::Config;
use super::inbox::{Inbox, Signal, Unaccepted};
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
    publish: Publish,
    token: AckToken,
}

/// All subscribers. A message goes to every route that matches it.
///
/// A resumed session delivers what it stored right after CONNACK, perhaps before the application has subscribed again:
/// such QoS 1 messages are held unacknowledged for a while.
#[derive(Debug)]
pub(super) struct Router {
    routes: Vec<Route>,
    next_id: u64,
    signals: mpsc::UnboundedSender<Signal>,
    counters: SharedCounters,
    /// The connection of the messages counted below; `None` before its first.
    epoch: Option<NonZeroU32>,
    /// QoS 1 messages of the present connection that wait beyond some inbox's capacity.
    unaccepted: usize,
    /// How long after a resumed session's CONNACK messages without a subscriber are held, and how many.
    hold: Duration,
    hold_limit: usize,
    hold_until: Option<Nanos>,
    held: VecDeque<Held>,
    /// Filters that lost their last subscriber while there was no connection to unsubscribe them on.
    released: Vec<TopicFilter>,
}

impl Router {
    pub(super) fn new(
        signals: mpsc::UnboundedSender<Signal>,
        counters: SharedCounters,
        config: &Config,
    ) -> Self {
        Self {
            routes: Vec::new(),
            next_id: 0,
            signals,
            counters,
            epoch: None,
            unaccepted: 0,
            hold: config.hold,
            hold_limit: config.unaccepted,
            hold_until: None,
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

    /// The number of the next route: routes added from now on are not below it.
    pub(super) fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Ends all routes of a filter that were there before the route with this number.
    pub(super) fn remove_filter(&mut self, filter: &TopicFilter, before: u64) {
        self.routes.retain(|route| {
            let keep = route.filter != *filter || route.id >= before;
            if !keep {
                route.inbox.close();
            }
            keep
        });
    }

    /// A filter without subscribers that can be unsubscribed only once there is a connection again.
    pub(super) fn release_later(&mut self, filter: TopicFilter) {
        let held = self.routes.iter().any(|route| route.filter == filter);
        if !held && !self.released.contains(&filter) {
            self.released.push(filter);
        }
    }

    // --- connections ---

    /// A link came up: what still waits of the connection before holds back nothing on this one.
    pub(super) fn new_connection(&mut self) {
        (self.epoch, self.unaccepted) = (None, 0);
    }

    /// The connection ended: what was held of it comes again, or never.
    pub(super) fn disconnected(&mut self) {
        self.hold_until = None;
        self.held.clear();
    }

    /// CONNACK came. Gives the filters to unsubscribe now.
    pub(super) fn connected(&mut self, now: Nanos, session_present: bool) -> Vec<TopicFilter> {
        self.hold_until = session_present.then(|| now.after(self.hold));
        for route in &self.routes {
            if session_present {
                // The server sends again what was not acknowledged: what still waits would come twice.
                route.inbox.forget_waiting();
            } else {
                self.counters.dropped.add(route.inbox.keep_waiting() as u64);
            }
        }
        let mut released = std::mem::take(&mut self.released);
        released.retain(|filter| session_present && !self.routes.iter().any(|route| route.filter == *filter));
        released
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
            && self.hold_until.is_some_and(|until| now < until)
            && self.held.len() < self.hold_limit
            && !self.routes.iter().any(|route| matches(route.filter.text().as_bytes(), publish.topic_bytes()))
        {
            self.held.push_back(Held { publish, token });
            return None;
        }
        let routed = self.route(&Message::from(publish), token);
        if !routed.anywhere {
            self.counters.unrouted.add(1);
        }
        routed.token
    }

    /// When held messages are let go.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        self.hold_until.filter(|_| !self.held.is_empty())
    }

    /// A held message whose time is up: nobody wanted it.
    pub(super) fn pop_unwanted(&mut self, now: Nanos) -> Option<AckToken> {
        let token = self.hold_until.filter(|until| *until <= now).and_then(|_| self.held.pop_front())?.token;
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
            if !route.inbox.push(message.clone(), wait) {
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
}

impl Drop for Router {
    /// The driver ends, whichever way: all subscribers are told.
    fn drop(&mut self) {
        for route in &self.routes {
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
