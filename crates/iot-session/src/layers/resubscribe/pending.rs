//! Operations of the application that wait for their filters.

use std::collections::{BTreeMap, VecDeque};

use mqtt_codec::{ReasonCode, Text};

use super::entry::Kind;
use crate::error::OpError;
use crate::stage::{Event, Granted, Notice, OpId, Receipt};

/// One filter of one operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiter {
    op: u64,
    index: usize,
}

/// Puts operations together again whose filters went out in several packets, and tells their ends.
#[derive(Debug, Default)]
pub(super) struct Pending {
    ops: BTreeMap<u64, Operation>,
    next: u64,
    pub(super) events: VecDeque<Event>,
}

#[derive(Debug)]
struct Operation {
    id: OpId,
    kind: Kind,
    /// Filters without an end.
    left: usize,
    granted: Granted,
    /// What the first of the filters that failed met.
    error: Option<OpError>,
}

impl Pending {
    /// An operation begins; a waiter for each of its filters.
    pub(super) fn begin(
        &mut self,
        id: OpId,
        kind: Kind,
        filters: usize,
    ) -> impl Iterator<Item = Waiter> + use<> {
        let op = self.next;
        self.next = self.next.saturating_add(1);
        let granted = Granted { reasons: vec![ReasonCode::Success; filters], message: None };
        self.ops.insert(op, Operation { id, kind, left: filters, granted, error: None });
        (0..filters).map(move |index| Waiter { op, index })
    }

    /// One filter has its answer, with the server's words; the last one ends the operation. Nothing happens to who was
    /// told before.
    pub(super) fn end(
        &mut self,
        waiter: Waiter,
        result: Result<ReasonCode, OpError>,
        message: Option<&Text>,
    ) {
        let Some(operation) = self.ops.get_mut(&waiter.op) else { return };
        match result {
            Ok(reason) => {
                if let Some(slot) = operation.granted.reasons.get_mut(waiter.index) {
                    *slot = reason;
                }
                if operation.granted.message.is_none() {
                    operation.granted.message = message.cloned();
                }
            }
            Err(error) => {
                operation.error.get_or_insert(error);
            }
        }
        operation.left = operation.left.saturating_sub(1);
        if operation.left == 0
            && let Some(Operation { id, kind, granted, error, .. }) = self.ops.remove(&waiter.op)
        {
            let granted = Box::new(granted);
            let receipt = match kind {
                Kind::Subscribe => Receipt::Subscribed(granted),
                Kind::Unsubscribe => Receipt::Unsubscribed(granted),
            };
            self.done(id, error.map_or(Ok(receipt), Err));
        }
    }

    /// Ends those whose request another one overtook before it was sent. An unsubscribe may pass for done just before the
    /// subscribe that came after it; what the server would have said to a subscribe, nobody knows.
    pub(super) fn overtaken(&mut self, kind: Kind, waiters: impl IntoIterator<Item = Waiter>) {
        for waiter in waiters {
            let result = match kind {
                Kind::Subscribe => Err(OpError::Interrupted),
                Kind::Unsubscribe => Ok(ReasonCode::Success),
            };
            self.end(waiter, result, None);
        }
    }

    /// Ends all of them.
    pub(super) fn interrupt_all(&mut self) {
        for operation in std::mem::take(&mut self.ops).into_values() {
            self.done(operation.id, Err(OpError::Interrupted));
        }
    }

    pub(super) fn done(&mut self, id: OpId, result: Result<Receipt, OpError>) {
        self.events.push_back(Event::Done(id, result));
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        self.events.push_back(Event::Notice(notice));
    }
}
