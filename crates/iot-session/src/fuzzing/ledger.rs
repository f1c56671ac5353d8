//! What operations were told, held against what the server saw.

use std::collections::{BTreeMap, HashMap, HashSet};

use mqtt_codec::{QoS, TopicFilter};

use super::server::Server;
use crate::error::OpError;
use crate::stage::{OpId, Receipt};

/// The operations of one run.
#[derive(Default)]
pub(super) struct Ledger {
    /// Messages by the number of their operation.
    publishes: HashMap<u64, QoS>,
    /// Those that were told that they were not sent.
    unsent: HashSet<u64>,
    /// The filters of the other operations.
    requests: HashMap<u64, Vec<TopicFilter>>,
    /// By filter: the last request, and whether it said that the server has the filter.
    claims: BTreeMap<TopicFilter, (u64, Option<bool>)>,
    /// Whether sessions outlive their connections.
    lasts: bool,
    /// Whether the session was left by an operation.
    pub(super) left: bool,
    /// How often the server was the one who ended the connection.
    pub(super) cuts_by_peer: usize,
}

impl Ledger {
    /// Of a client whose sessions outlive their connections or do not.
    pub(super) fn new(lasts: bool) -> Self {
        Self { lasts, ..Self::default() }
    }

    pub(super) fn publish(&mut self, id: OpId, qos: QoS) {
        self.publishes.insert(id.seq(), qos);
    }

    /// A request about filters that is to be issued as `number`.
    pub(super) fn request(&mut self, number: u64, filters: impl Iterator<Item = TopicFilter>) {
        let filters: Vec<_> = filters.collect();
        for filter in &filters {
            self.claims.insert(filter.clone(), (number, None));
        }
        self.requests.insert(number, filters);
    }

    /// A subscription is given up.
    pub(super) fn quarantined(&mut self, filter: &TopicFilter) {
        self.claims.remove(filter);
    }

    pub(super) fn ended(&mut self, id: OpId, result: &Result<Receipt, OpError>, server: &Server) {
        if let Some(qos) = self.publishes.get(&id.seq()) {
            self.published(id.seq(), *qos, result, server);
            return;
        }
        let Some(filters) = self.requests.remove(&id.seq()) else { return };
        let (granted, subscribed) = match result {
            Ok(Receipt::Subscribed(granted)) => (granted, true),
            Ok(Receipt::Unsubscribed(granted)) => (granted, false),
            Ok(receipt) => panic!("{id:?} is about filters and ended with {receipt:?}"),
            Err(OpError::Interrupted) => {
                let is_last = |filter| self.claims.get(filter).is_some_and(|(last, _)| *last == id.seq());
                let overtaken = !filters.iter().all(is_last);
                return assert!(self.left || overtaken, "{id:?} was interrupted by nobody");
            }
            Err(OpError::TimedOut | OpError::Poisoned { .. } | OpError::Busy) => return,
            Err(error) => panic!("{id:?} is about filters and ended with {error:?}"),
        };
        for (filter, reason) in filters.into_iter().zip(granted.reasons.iter()) {
            if let Some((last, claim)) = self.claims.get_mut(&filter)
                && *last == id.seq()
            {
                *claim = Some(subscribed && !reason.is_error());
            }
        }
    }

    fn published(&mut self, number: u64, qos: QoS, result: &Result<Receipt, OpError>, server: &Server) {
        match (result, qos) {
            (Ok(Receipt::Sent), QoS::AtMostOnce) => {}
            (Ok(Receipt::Acked(_)) | Err(OpError::Refused { .. }), QoS::AtLeastOnce | QoS::ExactlyOnce) => {
                assert!(server.answered.contains(&number), "{number} has an answer that nobody gave");
            }
            // What the documentation of each says.
            (Err(OpError::Offline | OpError::Busy | OpError::Dropped(_)), _) => {
                self.unsent.insert(number);
            }
            (Err(OpError::TimedOut), QoS::AtLeastOnce | QoS::ExactlyOnce) => {}
            (Err(OpError::Poisoned { strikes, .. }), QoS::AtLeastOnce | QoS::ExactlyOnce) => {
                assert!(self.cuts_by_peer >= usize::from(*strikes), "{number} is poisoned without a reason");
            }
            (Err(OpError::Interrupted), QoS::ExactlyOnce) => {
                let forgotten = !self.lasts || server.lost > 0;
                let doubted = server.unanswered_connects > 0;
                assert!(self.left || forgotten || doubted, "{number} was interrupted by nobody");
            }
            (Err(OpError::Interrupted), QoS::AtLeastOnce) => {
                assert!(self.left, "{number} may be sent again and was interrupted");
            }
            (result, qos) => panic!("{number} at {qos:?} ended with {result:?}"),
        }
    }

    /// What was told as not sent never arrives.
    pub(super) fn look(&self, server: &Server) {
        let sent = self.unsent.iter().find(|number| server.seen.contains(number));
        assert!(sent.is_none(), "{sent:?} was sent, although it ended otherwise");
    }

    /// With the network healed the server has the filters that were told so, and lacks the others.
    pub(super) fn close(&self, server: &Server) {
        for (filter, (number, claim)) in &self.claims {
            let has = server.filters.contains(filter.as_str());
            assert!(
                claim.is_none_or(|claim| claim == has),
                "{filter:?} of {number}: the server has it: {has}"
            );
        }
    }
}
