//! Which subscriber gets which message.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use mqtt_codec::packet::Publish;
use mqtt_codec::{QoS, TopicFilter, TopicTree, matches};
use tokio::sync::mpsc;

use super::Config;
use super::inbox::{Inbox, Signal, Unaccepted};
use super::stats::Shared;
use super::subscription::Ended;
use crate::message::Message;
use crate::stage::{AckToken, Notice, Quarantine};
use crate::time::Nanos;

/// A subscriber of a filter.
#[derive(Debug)]
struct Route {
    /// What the subscriber knows it by.
    ticket: u64,
    /// Counts routes.
    number: u64,
    qos: QoS,
    /// The subscription is in force.
    granted: bool,
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
    /// The subscribers of each filter; no list is empty.
    routes: TopicTree<Vec<Route>>,
    /// What each ticket subscribed.
    tickets: HashMap<u64, TopicFilter>,
    next_number: u64,
    signals: mpsc::UnboundedSender<Signal>,
    shared: Arc<Shared>,
    /// The connection of the messages counted below; `None` before its first.
    epoch: Option<NonZeroU32>,
    /// QoS 1 messages of the present connection that wait beyond some inbox's capacity.
    unaccepted: usize,
    /// How long after a resumed session's CONNACK messages without a subscriber are held, and how many.
    hold: Duration,
    hold_limit: usize,
    hold_until: Option<Nanos>,
    held: VecDeque<Held>,
    /// How long messages may wait beyond an inbox's capacity, and when that is to be looked at.
    patience: Duration,
    look_at: Option<Nanos>,
}

impl Router {
    pub(super) fn new(signals: mpsc::UnboundedSender<Signal>, shared: Arc<Shared>, config: &Config) -> Self {
        Self {
            routes: TopicTree::new(),
            tickets: HashMap::new(),
            next_number: 0,
            signals,
            shared,
            epoch: None,
            unaccepted: 0,
            hold: config.hold,
            hold_limit: config.unaccepted,
            hold_until: None,
            held: VecDeque::new(),
            patience: config.inbox_timeout,
            look_at: None,
        }
    }

    // --- routes ---

    /// Adds a subscriber and hands it what was held. Gives the QoS that all subscribers of this very filter need, and the
    /// tokens of messages that are taken now.
    pub(super) fn add(
        &mut self,
        now: Nanos,
        ticket: u64,
        filter: &TopicFilter,
        qos: QoS,
        inbox: Arc<Inbox>,
    ) -> (QoS, Vec<AckToken>) {
        let number = self.next_number;
        self.next_number = self.next_number.saturating_add(1);
        let route = Route { ticket, number, qos, granted: false, inbox };
        self.tickets.insert(ticket, filter.clone());
        let needed = if let Some(routes) = self.routes.get_mut(filter) {
            routes.push(route);
            routes.iter().map(|route| route.qos).max().unwrap_or(qos)
        } else {
            self.routes.insert(filter, vec![route]);
            qos
        };
        let (matching, rest) =
            std::mem::take(&mut self.held).into_iter().partition::<VecDeque<_>, _>(|held| {
                matches(filter.text().as_bytes(), held.publish.topic_bytes())
            });
        self.held = rest;
        let taken = matching
            .into_iter()
            .filter_map(|held| self.route(now, &Message::from(held.publish), Some(held.token)).token);
        (needed, taken.collect())
    }

    /// The server agreed.
    pub(super) fn granted(&mut self, ticket: u64) {
        let routes = self.tickets.get(&ticket).and_then(|filter| self.routes.get_mut(filter));
        if let Some(route) = routes.into_iter().flatten().find(|route| route.ticket == ticket) {
            route.granted = true;
        }
    }

    /// Ends a route. Gives its filter when nobody else holds it, so that it can be unsubscribed.
    pub(super) fn remove(&mut self, ticket: u64) -> Option<TopicFilter> {
        let filter = self.tickets.get(&ticket)?.clone();
        self.end(Ended::Unsubscribed, &filter, |route| route.ticket == ticket);
        self.routes.get(&filter).is_none().then_some(filter)
    }

    /// The number of the next route: routes added from now on are not below it.
    pub(super) fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Ends all routes of a filter that were there before the route with this number.
    pub(super) fn unsubscribed(&mut self, filter: &TopicFilter, before: u64) {
        self.end(Ended::Unsubscribed, filter, |route| route.number < before);
    }

    /// The filter is in force no more and will not be again. Those who are just asking for it get an answer of their own.
    pub(super) fn quarantined(&mut self, filter: &TopicFilter, why: Quarantine) {
        self.end(Ended::Quarantined(why), filter, |route| route.granted);
    }

    fn end(&mut self, why: Ended, filter: &TopicFilter, which: impl Fn(&Route) -> bool) {
        let Some(routes) = self.routes.get_mut(filter) else { return };
        for route in routes.extract_if(.., |route| which(route)) {
            self.tickets.remove(&route.ticket);
            route.inbox.close(why);
        }
        if routes.is_empty() {
            self.routes.remove(filter);
        }
    }

    // --- connections ---

    /// A link came up: what still waits of the connection before holds back nothing on this one. Messages may come before
    /// the layers say that the session is up.
    pub(super) fn new_connection(&mut self, now: Nanos) {
        (self.epoch, self.unaccepted) = (None, 0);
        self.hold_until = Some(now.after(self.hold));
    }

    /// The connection ended: what was held of it comes again, or never.
    pub(super) fn disconnected(&mut self) {
        (self.hold_until, self.look_at) = (None, None);
        self.held.clear();
    }

    /// The session is up.
    pub(super) fn connected(&mut self, now: Nanos, session_present: bool) {
        self.hold_until = Some(if session_present { now.after(self.hold) } else { now });
        for route in self.routes.values().flatten() {
            if session_present {
                // The server sends again what was not acknowledged: what still waits would come twice.
                route.inbox.forget_waiting(self.epoch);
            } else {
                self.shared.counters.dropped.add(route.inbox.keep_waiting() as u64);
            }
        }
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
        self.shared.counters.received.add(1);
        if let Some(token) = token
            && self.hold_until.is_some_and(|until| now < until)
            && self.held.len() < self.hold_limit
            && self.routes.matches(publish.topic_bytes()).next().is_none()
        {
            self.held.push_back(Held { publish, token });
            return None;
        }
        let routed = self.route(now, &Message::from(publish), token);
        if !routed.anywhere {
            self.shared.counters.unrouted.add(1);
        }
        routed.token
    }

    /// When held messages are let go, or subscribers looked at.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        let hold = self.hold_until.filter(|_| !self.held.is_empty());
        [hold, self.look_at].into_iter().flatten().min()
    }

    /// Looks for subscribers that let messages wait for too long.
    pub(super) fn look_for_laggards(&mut self, now: Nanos) {
        if self.look_at.is_none_or(|at| now < at) {
            return;
        }
        self.look_at = None;
        for route in self.routes.values().flatten() {
            let Some(due) = route.inbox.waits_since().map(|since| since.after(self.patience)) else {
                continue;
            };
            if due <= now {
                self.shared.counters.overdue.add(route.inbox.lag() as u64);
                if let Some(filter) = self.tickets.get(&route.ticket) {
                    self.shared.board.post(&Notice::Lagging { filter: filter.clone() });
                }
            } else {
                self.look_at = Some(self.look_at.map_or(due, |at| at.min(due)));
            }
        }
    }

    /// A held message whose time is up: nobody wanted it.
    pub(super) fn pop_unwanted(&mut self, now: Nanos) -> Option<AckToken> {
        let token = self.hold_until.filter(|until| *until <= now).and_then(|_| self.held.pop_front())?.token;
        self.shared.counters.unrouted.add(1);
        Some(token)
    }

    fn route(&mut self, now: Nanos, message: &Message, token: Option<AckToken>) -> Routed {
        let mut shared: Option<Arc<Unaccepted>> = None;
        let mut anywhere = false;
        for route in self.routes.matches(message.topic().as_bytes()).flatten() {
            anywhere = true;
            let wait = token.map(|token| {
                let (shared, signals) = (&mut shared, &self.signals);
                move || {
                    let make = || Arc::new(Unaccepted::new(token, now, signals.clone()));
                    Arc::clone(shared.get_or_insert_with(make))
                }
            });
            if !route.inbox.push(message.clone(), wait) {
                self.shared.counters.dropped.add(1);
            }
        }
        if let (Some(_), Some(token)) = (&shared, token) {
            self.epoch = Some(token.epoch);
            self.unaccepted = self.unaccepted.saturating_add(1);
            self.look_at.get_or_insert(now.after(self.patience));
            return Routed { anywhere, token: None };
        }
        Routed { anywhere, token }
    }
}

impl Drop for Router {
    /// The driver ends, whichever way: all subscribers are told.
    fn drop(&mut self) {
        for route in self.routes.values().flatten() {
            route.inbox.close(Ended::Closed);
        }
        self.shared.board.close();
    }
}

/// What became of a message.
struct Routed {
    /// Whether anybody wanted it.
    anywhere: bool,
    /// The token, unless somebody still has to take the message.
    token: Option<AckToken>,
}
