//! Has written what the next run of the program must know of the session, before the server can know more.
//!
//! Four packets make the server remember or forget a packet identifier: PUBLISH and PUBREC of a QoS 2 message, PUBREL,
//! PUBCOMP. Each is held back until the record that says so is on disk. So is a CONNECT while identifiers are in use, since it may
//! begin another session without anybody being told; but a disk that fails, or is slow, keeps nobody offline. All else passes them by: only packets of one quality of service have an order
//! among themselves (section 4.6).

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use mqtt_codec::{Packet, PacketId, TopicFilter};

use super::super::saved::{SavedSession, Sent};
use super::Engine;
use crate::stage::{Event, Notice, StoreError, StoreOp, Stored};
use crate::time::{Nanos, Now};

/// From a failed attempt to write to the next one.
const AGAIN: Duration = Duration::from_secs(1);
/// So long a CONNECT waits for the disk.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Keeping {
    saved: SavedSession,
    /// Counts changes of it.
    version: u64,
    /// The version that is on disk.
    kept: u64,
    /// The version that the store was asked to write last, if its answer is due.
    asked: Option<u64>,
    again: Option<Nanos>,
    /// Whether the last attempt failed, and that was told.
    fails: bool,
    /// The store is gone.
    closed: bool,
    /// Until when CONNECT is held.
    connect_at: Option<Nanos>,
    /// What waits for which version, in order.
    held: VecDeque<(u64, Packet)>,
    filters: BTreeSet<TopicFilter>,
    /// What was asked for on this connection.
    asked_for: HashMap<PacketId, Vec<TopicFilter>>,
}

impl Engine {
    /// Sends what makes the server remember or forget a packet identifier, once that is on disk if anything is.
    pub(super) fn send_kept(&mut self, now: Now, packet: Packet) {
        self.note();
        let packet = match &mut self.keeping {
            Some(keeping) => keeping.hold(packet),
            None => Some(packet),
        };
        if let Some(packet) = packet {
            self.send(now, packet);
        }
    }

    /// Notes which packet identifiers are in use.
    pub(super) fn note(&mut self) {
        if let Some(keeping) = &mut self.keeping {
            keeping.in_use(self.outgoing.sent_exactly_once(), self.incoming.received());
        }
    }

    /// What the store says of what was to be written.
    pub(super) fn stored(&mut self, now: Now, stored: Stored) {
        let Some(keeping) = &mut self.keeping else { return };
        match stored {
            Stored::Kept { version } => keeping.kept(version),
            Stored::NotKept { version, error } => {
                if let Some(error) = keeping.not_kept(now.mono, version, error) {
                    self.event(Event::Notice(Notice::Storage { error }));
                }
            }
            Stored::Closed(_) => keeping.closed(),
            _ => return,
        }
        self.send_released(now);
    }

    /// Sends what need not be held any longer.
    pub(super) fn send_released(&mut self, now: Now) {
        while let Some(packet) = self.keeping.as_mut().and_then(|keeping| keeping.release(now.mono)) {
            self.send(now, packet);
        }
    }

    /// Sends CONNECT, which may begin another session under the identifiers that are in use.
    pub(super) fn send_connect(&mut self, now: Now, connect: Packet) {
        let connect = match &mut self.keeping {
            Some(keeping) if keeping.is_in_use() => keeping.hold_connect(now.mono, connect),
            _ => Some(connect),
        };
        if let Some(connect) = connect {
            self.send(now, connect);
        }
    }
}

impl Keeping {
    pub(super) fn new(saved: SavedSession) -> Self {
        Self {
            filters: saved.filters.iter().cloned().collect(),
            saved,
            version: 0,
            kept: 0,
            asked: None,
            again: None,
            fails: false,
            closed: false,
            connect_at: None,
            held: VecDeque::new(),
            asked_for: HashMap::new(),
        }
    }

    /// Whether the server may know identifiers.
    fn is_in_use(&self) -> bool {
        self.saved.outgoing.iter().any(|sent| sent.id.is_some()) || !self.saved.incoming.is_empty()
    }

    fn change<T: PartialEq>(&mut self, what: impl FnOnce(&mut SavedSession) -> &mut T, to: T) {
        let what = what(&mut self.saved);
        if *what != to {
            *what = to;
            self.version = self.version.saturating_add(1);
        }
    }

    /// Notes which identifiers are in use.
    fn in_use(&mut self, outgoing: Vec<Sent>, incoming: Vec<PacketId>) {
        self.change(|saved| &mut saved.outgoing, outgoing);
        self.change(|saved| &mut saved.incoming, incoming);
    }

    /// Notes whose session it is.
    pub(super) fn session(&mut self, client_id: Option<mqtt_codec::Text>) {
        self.change(|saved| &mut saved.client_id, client_id);
    }

    /// Notes whether a CONNECT is without an answer.
    pub(super) fn doubtful(&mut self, doubtful: bool) {
        self.change(|saved| &mut saved.doubtful, doubtful);
    }

    // --- subscriptions ---

    /// A request about filters goes out.
    pub(super) fn asks(&mut self, id: PacketId, filters: Vec<TopicFilter>) {
        self.asked_for.insert(id, filters);
    }

    /// It was answered, for each filter like this: whether the server has it, `None`: as before.
    pub(super) fn answered(&mut self, id: PacketId, answers: impl Iterator<Item = Option<bool>>) {
        for (filter, has) in self.asked_for.remove(&id).into_iter().flatten().zip(answers) {
            match has {
                Some(true) => drop(self.filters.insert(filter)),
                Some(false) => drop(self.filters.remove(&filter)),
                None => {}
            }
        }
        self.change(|saved| &mut saved.filters, self.filters.iter().cloned().collect());
    }

    /// The server has no session: it has no filters.
    pub(super) fn session_lost(&mut self) {
        self.filters.clear();
        self.change(|saved| &mut saved.filters, Vec::new());
    }

    // --- packets ---

    /// The connection is gone, and what was held for it.
    pub(super) fn link_lost(&mut self) {
        self.held.clear();
        self.connect_at = None;
        self.asked_for.clear();
    }

    /// Holds a packet until what was noted is on disk. Gives it back if it is, and nothing is held.
    fn hold(&mut self, packet: Packet) -> Option<Packet> {
        if self.closed || (self.kept >= self.version && self.held.is_empty()) {
            return Some(packet);
        }
        self.held.push_back((self.version, packet));
        None
    }

    /// The next packet that need not be held any longer.
    fn release(&mut self, now: Nanos) -> Option<Packet> {
        let (version, _) = self.held.front()?;
        let has_waited = self.connect_at.is_some_and(|at| at <= now);
        if *version > self.kept && !self.closed && !has_waited {
            return None;
        }
        self.connect_at = None;
        Some(self.held.pop_front()?.1)
    }

    /// Holds a CONNECT until it is on disk that the session is in doubt.
    fn hold_connect(&mut self, now: Nanos, connect: Packet) -> Option<Packet> {
        self.doubtful(true);
        let connect = self.hold(connect);
        self.connect_at = connect.is_none().then(|| now.after(PATIENCE));
        connect
    }

    /// Whether CONNECT did not go out yet.
    pub(super) fn holds_connect(&self) -> bool {
        self.connect_at.is_some()
    }

    // --- the store ---

    /// What is to be written now. One record at a time is under way: the next one says everything that came meanwhile.
    pub(super) fn wish(&mut self, now: Nanos) -> Option<StoreOp> {
        let waits = self.asked.is_some() || self.closed || self.again.is_some_and(|at| now < at);
        if waits || self.kept >= self.version {
            return None;
        }
        (self.asked, self.again) = (Some(self.version), None);
        Some(StoreOp::Keep { version: self.version, record: self.saved.encode() })
    }

    /// It is written.
    fn kept(&mut self, version: u64) {
        self.kept = self.kept.max(version);
        self.answer_came(version);
        self.fails = false;
    }

    fn answer_came(&mut self, version: u64) {
        self.asked = self.asked.filter(|asked| *asked != version);
    }

    /// The program may be about to end: what has changed is written whatever is under way.
    pub(super) fn flush(&mut self) {
        self.asked = self.asked.filter(|asked| *asked == self.version);
    }

    /// It could not be written. Gives the error if that is news.
    fn not_kept(&mut self, now: Nanos, version: u64, error: StoreError) -> Option<StoreError> {
        self.answer_came(version);
        self.again = Some(now.after(AGAIN));
        self.connect_at = self.connect_at.map(|_| now);
        if std::mem::replace(&mut self.fails, true) { None } else { Some(error) }
    }

    /// The store is gone. What this run knows it goes on by; the next one will not know of it.
    fn closed(&mut self) {
        (self.closed, self.again) = (true, None);
    }

    pub(super) fn deadline(&self) -> Option<Nanos> {
        // Only where the store would be asked then.
        let asks = self.asked.is_none() && self.kept < self.version;
        self.again.filter(|_| asks).into_iter().chain(self.connect_at).min()
    }
}
