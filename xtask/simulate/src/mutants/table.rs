//! The faults.

/// A fault, as a change of one place in the sources.
#[derive(Debug)]
pub struct Mutant {
    /// What is wrong with it.
    pub name: &'static str,
    /// The file, from the root of the workspace.
    pub file: &'static str,
    /// What is there; at one place only.
    pub find: &'static str,
    /// What is put in its place.
    pub replace: &'static str,
}

const KEEPING: &str = "crates/iot-session/src/proto/engine/keeping.rs";
const LEFT: &str = "crates/iot-session/src/proto/outgoing/left.rs";
const OUTGOING: &str = "crates/iot-session/src/proto/outgoing/mod.rs";
const SLOT: &str = "crates/iot-session/src/proto/outgoing/slot.rs";
const LINK: &str = "crates/iot-session/src/proto/engine/link.rs";
const ENGINE: &str = "crates/iot-session/src/proto/engine/mod.rs";
const RECEIVED: &str = "crates/iot-session/src/proto/engine/received.rs";
const RETRY: &str = "crates/iot-session/src/layers/retry.rs";
const RECONNECT: &str = "crates/iot-session/src/layers/reconnect.rs";
const RESUBSCRIBE: &str = "crates/iot-session/src/layers/resubscribe/mod.rs";
const BOOK: &str = "crates/iot-session/src/layers/resubscribe/book.rs";
const BACKLOG: &str = "crates/iot-session/src/layers/offline_queue/backlog.rs";
const QUEUE: &str = "crates/iot-session/src/layers/offline_queue/stage.rs";
const BOUNDS: &str = "crates/iot-session/src/layers/bounds.rs";
const OUTBOX: &str = "crates/iot-session/src/layers/outbox/stage.rs";
const STEPS: &str = "crates/iot-session/src/layers/outbox/stage/steps.rs";
const COMMANDS: &str = "crates/iot-session/src/client/driver/commands.rs";

/// All of them.
pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "what comes back from a lost session is forgotten",
        file: RETRY,
        find: "self.returned.push(Waiting::new(now.mono, id, *op));",
        replace: "drop((id, op));",
    },
    Mutant {
        name: "what comes back from a lost session is issued in reverse",
        file: RETRY,
        find: "for waiting in self.returned.drain(..).rev() {",
        replace: "for waiting in self.returned.drain(..) {",
    },
    Mutant {
        name: "PUBACK makes no room in the window",
        file: OUTGOING,
        find: "            self.in_flight = self.in_flight.saturating_sub(1);",
        replace: "",
    },
    Mutant {
        name: "an answered publication's waiter is not told",
        file: OUTGOING,
        find: "        self.drop_stale_timeouts();\n        slot.op\n",
        replace: "        self.drop_stale_timeouts();\n        slot.op.filter(|op| op.seq() % 7 != 3)\n",
    },
    Mutant {
        name: "what is sent again is not marked as such",
        file: OUTGOING,
        find: "op.publish.clone().with_dup(was_sent)",
        replace: "op.publish.clone().with_dup(false && was_sent)",
    },
    Mutant {
        name: "a resumed session sends in reverse",
        file: OUTGOING,
        find: "self.queue = self.in_order().into();",
        replace: "self.queue = self.in_order().into_iter().rev().collect();",
    },
    Mutant {
        name: "what PUBREC takes over is not released",
        file: RECEIVED,
        find: "                self.send_kept(now, Packet::PubRel(Ack::new(ack.packet_id))); // [MQTT-4.3.3-4]",
        replace: "",
    },
    Mutant {
        name: "a QoS 2 message is issued again in another session",
        file: SLOT,
        find: "!(self.was_sent && publish.qos == QoS::ExactlyOnce)",
        replace: "!(self.was_sent && publish.qos == QoS::AtMostOnce)",
    },
    Mutant {
        name: "a session that an unanswered CONNECT may have begun is trusted",
        file: LINK,
        find: "let certain = !std::mem::take(&mut self.unanswered);",
        replace: "let certain = !std::mem::take(&mut self.unanswered) || self.had_session;",
    },
    Mutant {
        name: "a silent link is never tested",
        file: LINK,
        find: "self.keep_alive = KeepAlive::new(keep_alive, now.mono);",
        replace: "self.keep_alive = KeepAlive::new(keep_alive.min(0), now.mono);",
    },
    Mutant {
        name: "the interval between dials is not kept",
        file: RECONNECT,
        find: "self.last_dial = Some(now.mono);",
        replace: "self.last_dial = None.or(self.last_dial.filter(|_| now.mono == Nanos::ZERO));",
    },
    Mutant {
        name: "a lost session's subscriptions are taken for kept",
        file: RESUBSCRIBE,
        find: "(false, _) => Session::Lost,",
        replace: "(false, _) => Session::Kept,",
    },
    Mutant {
        name: "the last filter is not subscribed again",
        file: BOOK,
        find: "        due.sort_unstable();\n",
        replace: "        due.sort_unstable();\n        due.pop();\n",
    },
    Mutant {
        name: "the queue keeps one message more than its bound",
        file: BOUNDS,
        find: "self.messages.is_none_or(|max| messages <= max)",
        replace: "self.messages.is_none_or(|max| messages <= max + 1)",
    },
    Mutant {
        name: "the queue drains from its end",
        file: BACKLOG,
        find: "        let place = self.front()?;\n",
        replace: "        let place = self.entries.last_key_value().map(|(place, _)| *place)?;\n",
    },
    Mutant {
        name: "new messages go past those that are drained",
        file: QUEUE,
        find: "let is_empty = self.backlog.is_empty() && self.returned.is_empty();",
        replace: "let is_empty = self.returned.is_empty();",
    },
    Mutant {
        name: "the outbox forgets to remove what is acknowledged",
        file: OUTBOX,
        find: "                if entry.lasts {\n                    self.store(StoreOp::Remove(id));\n                }\n                self.tell(entry.waiter, topic, result);",
        replace: "                self.tell(entry.waiter, topic, result);",
    },
    Mutant {
        name: "the outbox removes what is sent before it is acknowledged",
        file: STEPS,
        find: "        self.book.issue(id, entry, topic);",
        replace: "        self.store(StoreOp::Remove(id));\n        self.book.issue(id, entry, topic);",
    },
    Mutant {
        name: "the outbox sends QoS 0 without removing it first",
        file: STEPS,
        find: "(State::Stored, false, Some(_)) => Turn::Take,",
        replace: "(State::Stored, false, Some(_)) => Turn::HandOn(id),",
    },
    Mutant {
        name: "the outbox gives a new message the number of an old one",
        file: OUTBOX,
        find: ".fold(next.max(EntryId(1)), EntryId::max)",
        replace: ".fold(EntryId(1), EntryId::max)",
    },
    Mutant {
        name: "a dropped stream leaves its subscription at the server",
        file: COMMANDS,
        find: "        if let Some(filter) = self.router.remove(ticket) {",
        replace: "        if let Some(filter) = self.router.remove(ticket).filter(|_| ticket % 2 == 0) {",
    },
    Mutant {
        name: "PUBLISH at QoS 2 goes out before its identifier is on disk",
        file: KEEPING,
        find: "if self.closed || (self.kept >= self.version && self.held.is_empty()) {",
        replace: "if matches!(packet, Packet::Publish(_)) || self.closed || (self.kept >= self.version && self.held.is_empty()) {",
    },
    Mutant {
        name: "PUBREL goes out before it is on disk that PUBREC came",
        file: KEEPING,
        find: "if self.closed || (self.kept >= self.version && self.held.is_empty()) {",
        replace: "if matches!(packet, Packet::PubRel(_)) || self.closed || (self.kept >= self.version && self.held.is_empty()) {",
    },
    Mutant {
        name: "a restarted program forgets what was lost with an earlier session",
        file: LEFT,
        find: "Some(State::Lost) => TakenUp::Lost,",
        replace: "Some(State::Lost) => TakenUp::New(publish),",
    },
    Mutant {
        name: "a restarted program takes another identifier for what was sent",
        file: LEFT,
        find: "            self.free.retain(|free| usize::from(*free) != number);\n",
        replace: "",
    },
    Mutant {
        name: "what is held for a connection goes out on the next one",
        file: KEEPING,
        find: "        self.held.clear();\n",
        replace: "",
    },
    Mutant {
        name: "a restarted program trusts a session that a CONNECT may have begun",
        file: ENGINE,
        find: "self.unanswered = saved.doubtful;",
        replace: "self.unanswered = false;",
    },
    Mutant {
        name: "the record leaves out what is settled and was not issued again",
        file: LEFT,
        find: ".chain(settled)",
        replace: ".chain(settled.into_iter().take(0))",
    },
];
