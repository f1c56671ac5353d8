//! What is known of one filter.

use mqtt_codec::packet::SubscriptionOptions;

use super::pending::Waiter;

/// What is asked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Sorts first: it makes room where the server counts subscriptions.
    Unsubscribe,
    Subscribe,
}

/// A filter that is wanted, or that the server may have.
#[derive(Debug)]
pub(super) struct Entry {
    /// When it was first asked for, among all.
    pub(super) order: u64,
    /// What the application wants.
    pub(super) wanted: Option<SubscriptionOptions>,
    /// Whether the application was told that it has it.
    pub(super) confirmed: bool,
    /// What the server has.
    pub(super) server: Server,
    pub(super) turn: Turn,
    /// Whether recovery waits for it.
    pub(super) recovering: bool,
    /// Whether it goes in a packet of its own: a packet with it could not be sent.
    pub(super) alone: bool,
    /// How often in a row the server ended the connection instead of answering.
    pub(super) strikes: u8,
    /// How often in a row the server did not answer although the connection lived on.
    pub(super) silences: u8,
    /// Who waits for what is to be sent; who waits for what was sent is with the packet.
    pub(super) waiters: Vec<Waiter>,
}

/// What the server has of a filter, as far as it said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    Nothing,
    Has(SubscriptionOptions),
    /// It did not answer.
    Unknown,
}

/// What the server says of the session at a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    Lost,
    Kept,
    /// It has one, which an attempt whose answer was lost may have begun.
    Doubtful,
}

/// At most one packet about a filter is under way, so that a SUBSCRIBE and an UNSUBSCRIBE cannot change places.
///
/// ```text
///         request          sent            answered
///   Rest ─────────► Due ─────────► Sent ──────────────► Rest
///                    ▲              │ request
///                    └─ answered ─ SentAndDue
/// ```
/// Without a connection all are at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Rest,
    Due,
    Sent,
    SentAndDue,
}

impl Entry {
    pub(super) fn new(order: u64) -> Self {
        Self {
            order,
            wanted: None,
            confirmed: false,
            server: Server::Nothing,
            turn: Turn::Rest,
            recovering: false,
            alone: false,
            strikes: 0,
            silences: 0,
            waiters: Vec::new(),
        }
    }

    /// What the application asked for last.
    pub(super) fn kind(&self) -> Kind {
        if self.wanted.is_some() { Kind::Subscribe } else { Kind::Unsubscribe }
    }

    /// Whether something must be sent on a new connection.
    pub(super) fn differs(&self) -> bool {
        let settled = match self.wanted {
            Some(options) => self.server == Server::Has(options),
            None => self.server == Server::Nothing,
        };
        !settled || !self.waiters.is_empty()
    }

    /// Out of the set. Whether the application had been told that it has it.
    pub(super) fn give_up(&mut self) -> bool {
        self.wanted = None;
        std::mem::take(&mut self.confirmed)
    }

    /// Whether nothing is left to remember.
    pub(super) fn is_over(&self) -> bool {
        self.turn == Turn::Rest && self.wanted.is_none() && !self.differs()
    }
}
