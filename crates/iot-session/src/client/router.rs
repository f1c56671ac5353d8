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

/// A QoS 1 or 2 message that is neither delivered nor acknowledged.
#[derive(Debug)]
struct Held {
    message: Message,
    token: AckToken,
}

/// All subscribers. A message goes to every route that matches it.
///
/// A resumed session delivers what it stored right after CONNACK, perhaps before the application has subscribed again:
/// such messages of QoS 1 and 2 are held unacknowledged for a while.
///
/// The server sends a QoS 1 message again until it is acknowledged: what is not taken when the connection ends is
/// forgotten. A QoS 2 message comes once in a session: it waits over as many connections as it takes.
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
    /// QoS 2 messages of the session that wait so, over all its connections.
    lasting: usize,
    /// The last connection that a QoS 2 message waited of, and the same when a session was lost: its messages count no more.
    newest: Option<NonZeroU32>,
    lost_with: Option<NonZeroU32>,
    /// QoS 2 messages that subscribers want to stay unacknowledged, for the next connection.
    withheld: Vec<Held>,
    /// How many messages may wait, and how many may be held.
    limit: usize,
    /// How long after a resumed session's CONNACK messages without a subscriber are held.
    hold: Duration,
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
            lasting: 0,
            newest: None,
            lost_with: None,
            withheld: Vec::new(),
            limit: config.unaccepted,
            hold: config.hold,
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
                matches(filter.text().as_bytes(), held.message.topic().as_bytes())
            });
        self.held = rest;
        let taken = matching
            .into_iter()
            .filter_map(|held| self.route(now, &held.message, Some(held.token), |_| true).token);
        (needed, taken.collect())
    }

    /// The server agreed. Whether the route is there still.
    pub(super) fn granted(&mut self, ticket: u64) -> bool {
        let routes = self.tickets.get(&ticket).and_then(|filter| self.routes.get_mut(filter));
        let route = routes.into_iter().flatten().find(|route| route.ticket == ticket);
        route.map(|route| route.granted = true).is_some()
    }

    /// Whether anybody subscribes this very filter.
    pub(super) fn holds(&self, filter: &TopicFilter) -> bool {
        self.routes.get(filter).is_some()
    }

    /// Ends a route. Gives its filter when nobody else holds it, so that it can be unsubscribed.
    pub(super) fn remove(&mut self, ticket: u64) -> Option<TopicFilter> {
        let filter = self.tickets.get(&ticket)?.clone();
        self.end(Ended::Unsubscribed, &filter, |route| route.ticket == ticket);
        (!self.holds(&filter)).then_some(filter)
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
    ///
    /// QoS 2 messages count on, as they do for the server. If they are too many by themselves, nothing would be read ever
    /// again: they are taken for good. Gives the tokens of those that are in no inbox.
    pub(super) fn new_connection(&mut self, now: Nanos) -> Vec<AckToken> {
        (self.epoch, self.unaccepted) = (None, 0);
        self.hold_until = Some(now.after(self.hold));
        if self.unaccepted() <= self.limit {
            return Vec::new();
        }
        let waiting = self.routes.values().flatten().map(|route| route.inbox.lag());
        self.shared.counters.overdue.add(waiting.fold(0, usize::saturating_add) as u64);
        (self.lasting, self.lost_with) = (0, self.newest);
        self.shared.counters.dropped.add(self.withheld.len() as u64);
        self.withheld.drain(..).map(|held| held.token).collect()
    }

    /// The connection ended: what was held of it comes again, or never, but for QoS 2.
    pub(super) fn disconnected(&mut self) {
        (self.hold_until, self.look_at) = (None, None);
        self.held.retain(|held| held.token.is_exactly_once());
    }

    /// The session is up. Gives the tokens of messages that nobody is to take any more.
    pub(super) fn connected(&mut self, now: Nanos, session_present: bool) -> Vec<AckToken> {
        let withheld = std::mem::take(&mut self.withheld);
        let inboxes = self.routes.values().flatten().map(|route| &route.inbox);
        if session_present {
            // The server sends again what was not acknowledged: what still waits would come twice.
            inboxes.for_each(|inbox| inbox.forget_waiting(self.epoch));
            self.hold_until = Some(now.after(self.hold));
            // QoS 2 messages that wait are looked after again.
            self.look_at = Some(now);
            return withheld.into_iter().filter_map(|held| self.deliver_again(now, held)).collect();
        }
        // Nothing of the session before can be acknowledged any more, nor holds it anything back.
        let dropped = inboxes.map(|inbox| inbox.keep_waiting()).fold(withheld.len(), usize::saturating_add);
        self.shared.counters.dropped.add(dropped as u64);
        self.hold_until = Some(now);
        (self.lasting, self.lost_with) = (0, self.newest);
        Vec::new()
    }

    // --- messages ---

    /// Messages that wait for a slow subscriber: QoS 1 of the present connection, QoS 2 of the session.
    pub(super) fn unaccepted(&self) -> usize {
        self.unaccepted.saturating_add(self.lasting).saturating_add(self.withheld.len())
    }

    /// A token came back from the inboxes.
    pub(super) fn accepted(&mut self, token: AckToken) {
        if token.is_exactly_once() {
            self.lasting = self.lasting.saturating_sub(usize::from(Some(token.epoch) > self.lost_with));
        } else if self.epoch == Some(token.epoch) {
            self.unaccepted = self.unaccepted.saturating_sub(1);
        }
    }

    /// A QoS 2 message came back unacknowledged.
    pub(super) fn withheld(&mut self, message: Message, token: AckToken) {
        if Some(token.epoch) > self.lost_with {
            self.accepted(token);
            self.withheld.push(Held { message, token });
        } else {
            self.shared.counters.dropped.add(1);
        }
    }

    /// Hands a withheld message once more to those who acknowledge by themselves; the others have taken it.
    fn deliver_again(&mut self, now: Nanos, held: Held) -> Option<AckToken> {
        let message = held.message.again();
        let routed = self.route(now, &message, Some(held.token), Inbox::is_manual);
        let token = routed.token?;
        if routed.anywhere || self.held.len() >= self.limit {
            return Some(token);
        }
        self.held.push_back(Held { message, token });
        None
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
            && self.held.len() < self.limit
            && self.routes.matches(publish.topic_bytes()).next().is_none()
        {
            self.held.push_back(Held { message: publish.into(), token });
            return None;
        }
        let routed = self.route(now, &publish.into(), token, |_| true);
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

    fn route(
        &mut self,
        now: Nanos,
        message: &Message,
        token: Option<AckToken>,
        whom: impl Fn(&Inbox) -> bool,
    ) -> Routed {
        let mut shared: Option<Arc<Unaccepted>> = None;
        let mut anywhere = false;
        let routes = self.routes.matches(message.topic().as_bytes()).flatten();
        for route in routes.filter(|route| whom(&route.inbox)) {
            anywhere = true;
            let wait = token.map(|token| {
                let (shared, signals) = (&mut shared, &self.signals);
                move || {
                    let make = || Arc::new(Unaccepted::new(message, token, now, signals.clone()));
                    Arc::clone(shared.get_or_insert_with(make))
                }
            });
            if !route.inbox.push(message.clone(), wait) {
                self.shared.counters.dropped.add(1);
            }
        }
        if let (Some(_), Some(token)) = (&shared, token) {
            if token.is_exactly_once() {
                self.newest = self.newest.max(Some(token.epoch));
                self.lasting = self.lasting.saturating_add(1);
            } else {
                self.epoch = Some(token.epoch);
                self.unaccepted = self.unaccepted.saturating_add(1);
            }
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
