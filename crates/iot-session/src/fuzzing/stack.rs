//! Sequences of operations, cuts, answers and time into the whole stack, with a server that watches.

use std::time::Duration;

use mqtt_codec::{QoS, TopicFilter, packet::SubscriptionOptions};

use super::ledger::Ledger;
use super::server::{Server, payload};
use super::{QUEUE, WINDOW, World};
use crate::message::Message;
use crate::stage::{Op, SubscribeOp, UnsubscribeOp};

/// Interprets `data` as such a sequence. Then the network heals and the server answers everything: by then every operation
/// must have ended, and nothing wait any more.
pub fn stack(data: &[u8]) {
    let Some((choice, script)) = data.split_first() else { return };
    let Ok(world) = World::new(*choice) else { return };
    let mut run = Run { world, server: Server::new(), ledger: Ledger::new(choice & 2 != 0) };
    let mut script = script.iter().copied();
    while let Some(verb) = script.next() {
        run.step(verb, script.next().unwrap_or(0));
    }
    run.heal();
}

struct Run {
    world: World,
    server: Server,
    ledger: Ledger,
}

impl Run {
    fn step(&mut self, verb: u8, how: u8) {
        match verb % 16 {
            0 => drop(self.world.op(Op::CONNECT)),
            1..=3 => self.publish(how),
            4 => self.subscribe(how),
            5 => self.unsubscribe(how),
            6 if how.is_multiple_of(8) => self.leave(),
            6 | 7 => self.link_up(how & 1 == 0),
            8 => self.cut(how & 1 == 0),
            9..=11 => self.answer(how % 16 == 15),
            12 if how.is_multiple_of(4) => self.server.withhold(),
            12 | 13 => self.answer_all(),
            14 => self.message(how),
            _ => self.world.pass(Duration::from_millis(u64::from(how) * 100)),
        }
        self.look();
    }

    /// The server reads what was written; bounds hold.
    fn look(&mut self) {
        let written = self.world.written.split();
        self.server.absorb(&written);
        for filter in self.world.quarantined.drain(..) {
            self.ledger.quarantined(&filter);
        }
        for (id, result) in self.world.ended.drain(..) {
            self.ledger.ended(id, &result, &self.server);
        }
        self.ledger.look(&self.server);
        let gauges = self.world.machine.gauges();
        // The queue, what came back from a lost session, and what waits for its turn at the link.
        assert!(gauges.queued <= QUEUE + 2 * usize::from(WINDOW), "{} wait", gauges.queued);
        assert!(gauges.in_flight <= usize::from(WINDOW), "{} in flight", gauges.in_flight);
    }

    fn publish(&mut self, how: u8) {
        // As a driver does: what there is no room for is not handed over. Other holders may do it all the same.
        if !self.world.machine.ready() && how & 128 == 0 {
            return;
        }
        let number = self.world.next_op.saturating_add(1);
        let Ok(message) = Message::new("a/b", payload(number)) else { return };
        let qos = match how % 3 {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        };
        let message = message.qos(qos);
        let message = if how & 64 == 0 { message } else { message.time_to_live(Duration::from_secs(3)) };
        let id = self.world.op(Op::Publish(message.into_op()));
        self.ledger.publish(id, qos);
    }

    fn subscribe(&mut self, how: u8) {
        let filters =
            self.request(how).into_iter().map(|filter| (filter, SubscriptionOptions::at(QoS::AtLeastOnce)));
        let filters = filters.collect();
        self.world.op(Op::Subscribe(SubscribeOp { filters }));
    }

    fn unsubscribe(&mut self, how: u8) {
        let filters = self.request(how);
        self.world.op(Op::Unsubscribe(UnsubscribeOp { filters }));
    }

    /// Up to ten filters, for the next operation.
    fn request(&mut self, how: u8) -> Vec<TopicFilter> {
        let filters: Vec<_> = (how / 16 % 4..=how % 10)
            .chain([how % 10])
            .filter_map(|n| TopicFilter::try_from(format!("f/{n}")).ok())
            .collect();
        self.ledger.request(self.world.next_op.saturating_add(1), filters.iter().cloned());
        filters
    }

    fn leave(&mut self) {
        self.ledger.left = true;
        self.world.op(Op::Disconnect);
    }

    fn cut(&mut self, by_peer: bool) {
        self.ledger.cuts_by_peer = self.ledger.cuts_by_peer.saturating_add(usize::from(by_peer));
        self.world.link_down(by_peer);
    }

    fn link_up(&mut self, keep_session: bool) {
        if self.world.dialing {
            self.server.link(keep_session);
            self.world.link_up();
        }
    }

    fn answer(&mut self, refuse: bool) {
        if self.world.up
            && let Some(bytes) = self.server.answer(refuse)
        {
            self.world.receive(&bytes);
        }
    }

    fn answer_all(&mut self) {
        while self.world.up
            && let Some(bytes) = self.server.answer(false)
        {
            self.world.receive(&bytes);
            self.look();
        }
    }

    fn message(&mut self, how: u8) {
        if self.world.up
            && let Some(bytes) = self.server.message(how % 2)
        {
            self.world.receive(&bytes);
        }
    }

    fn heal(&mut self) {
        // What the server has withheld it never sends; on another link it is asked again.
        self.world.link_down(false);
        self.world.op(Op::CONNECT);
        self.look();
        for _ in 0..2_000 {
            self.link_up(true);
            self.look();
            self.answer_all();
            if self.world.open.is_empty() && self.world.up {
                break;
            }
            let next = self.world.machine.poll_timeout().map(|at| at.since(self.world.now));
            self.world.pass(next.unwrap_or(Duration::from_secs(1)));
            self.look();
        }
        assert!(self.world.open.is_empty(), "operations without an end: {:?}", self.world.open);
        assert!(self.world.up, "not online although the network has healed");
        // Tokens that the last messages took.
        self.world.pass(Duration::from_secs(2));
        self.answer_all();
        assert!(self.world.machine.ready(), "no room although nothing is under way");
        let gauges = self.world.machine.gauges();
        assert_eq!((gauges.queued, gauges.in_flight), (0, 0), "something waits although all has ended");
        self.ledger.close(&self.server);
    }
}
