//! Random sequences of subscribes, unsubscribes, cuts, answers and passages of time: every operation ends once, and once
//! the network heals, the server has what the application wants.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use iot_session::layers::{Reconnect, Resubscribe};
use iot_session::stage::{Event, Notice, Op, OpId, Receipt};
use iot_session::{Nanos, OpError, QoS, Version};
use mqtt_codec::ReasonCode;
use proptest::prelude::*;
use support::subscriptions::{Asked, filters, subscribe_at, unsubscribe};
use support::{Rig, lasting, options};

const FILTERS: usize = 5;
const MAX_FILTERS: usize = 2;
/// The engine's own.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
enum Step {
    Subscribe {
        names: Vec<String>,
        qos: QoS,
    },
    Unsubscribe(Vec<String>),
    Connect,
    Disconnect,
    /// The dial under way succeeds.
    Accept {
        keep_session: bool,
    },
    /// The link or the dial ends; the server has taken in what was sent, or not.
    Cut {
        by_peer: bool,
        taken_in: bool,
    },
    Answer(Answer),
    Pass(u16),
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Grant,
    Refuse,
    /// The server does as it is asked, but the answer is lost.
    Withhold,
}

fn step() -> impl Strategy<Value = Step> {
    let names = || prop::sample::subsequence(filters(FILTERS), 1..=FILTERS);
    let qos = prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce)];
    let answer =
        prop_oneof![6 => Just(Answer::Grant), 1 => Just(Answer::Refuse), 1 => Just(Answer::Withhold)];
    prop_oneof![
        4 => (names(), qos).prop_map(|(names, qos)| Step::Subscribe { names, qos }),
        3 => names().prop_map(Step::Unsubscribe),
        2 => Just(Step::Connect),
        1 => Just(Step::Disconnect),
        5 => any::<bool>().prop_map(|keep_session| Step::Accept { keep_session }),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(by_peer, taken_in)| Step::Cut { by_peer, taken_in }),
        8 => answer.prop_map(Step::Answer),
        4 => (0..6000u16).prop_map(Step::Pass),
    ]
}

/// What is known of a filter after all that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The last operation still runs.
    Open,
    Wanted(QoS),
    Unwanted,
    /// The last operation failed: the layer may have it either way.
    Unclear,
}

/// The filters of an operation; for a subscribe, with their QoS.
type About = (Vec<String>, Option<QoS>);

struct World {
    rig: Rig,
    lasting: bool,
    // The server.
    session: bool,
    has: BTreeMap<String, QoS>,
    inbox: VecDeque<(Nanos, Asked)>,
    /// What it refused on this connection: it keeps what it had, and the next connection clears that up.
    refused: BTreeSet<String>,
    // The link.
    dialing: bool,
    up: bool,
    dials: usize,
    hangups: usize,
    // The application.
    connected: bool,
    open: HashMap<OpId, Option<About>>,
    fates: BTreeMap<String, (Option<OpId>, Fate)>,
    /// Whether an unsubscribe may have been given up for closing the connection: the server may keep its filter then.
    leaky: bool,
}

impl World {
    fn new(version: Version, lasts: bool, containment: Option<u8>) -> Self {
        let options = if lasts { lasting(version) } else { options(version) };
        let resubscribe = Resubscribe::default().max_filters(MAX_FILTERS).containment(containment);
        Self {
            rig: Rig::resubscribing(options.keep_alive(Duration::ZERO), Reconnect::default(), resubscribe),
            lasting: lasts,
            session: false,
            has: BTreeMap::new(),
            inbox: VecDeque::new(),
            refused: BTreeSet::new(),
            dialing: false,
            up: false,
            dials: 0,
            hangups: 0,
            connected: false,
            open: HashMap::new(),
            fates: BTreeMap::new(),
            leaky: containment.is_some(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Subscribe { names, qos } => self.ask(subscribe_at(&names, qos), names, Some(qos)),
            Step::Unsubscribe(names) => self.ask(unsubscribe(&names), names, None),
            Step::Connect => self.op(Op::CONNECT, None),
            Step::Disconnect => self.op(Op::Disconnect, None),
            Step::Accept { keep_session } => self.accept(keep_session),
            Step::Cut { by_peer, taken_in } => self.cut(by_peer, taken_in),
            Step::Answer(answer) => self.answer(answer),
            Step::Pass(millis) => self.pass(Duration::from_millis(millis.into())),
        }
    }

    fn ask(&mut self, op: Op, names: Vec<String>, qos: Option<QoS>) {
        for name in &names {
            self.fates.insert(name.clone(), (None, Fate::Open));
        }
        self.op(op, Some((names, qos)));
    }

    fn op(&mut self, op: Op, about: Option<About>) {
        let id = self.rig.op(op);
        for name in about.iter().flat_map(|(names, _)| names) {
            self.fates.insert(name.clone(), (Some(id), Fate::Open));
        }
        self.open.insert(id, about);
        self.look();
    }

    fn pass(&mut self, duration: Duration) {
        let end = self.rig.now.after(duration);
        while self.rig.now < end {
            let next = self.rig.machine.poll_timeout().map_or(end, |at| at.min(end));
            self.rig.advance(next.since(self.rig.now));
            self.look();
        }
    }

    fn accept(&mut self, keep_session: bool) {
        if !self.dialing {
            return;
        }
        (self.dialing, self.up) = (false, true);
        let present = keep_session && self.session && self.lasting;
        if !present {
            self.has.clear();
        }
        self.session = true;
        self.refused.clear();
        self.rig.accept(present);
        self.look();
    }

    fn cut(&mut self, by_peer: bool, taken_in: bool) {
        if !self.dialing && !self.up {
            return;
        }
        if taken_in {
            while let Some((_, asked)) = self.inbox.pop_front() {
                self.take_in(&asked);
            }
        }
        self.inbox.clear();
        (self.dialing, self.up) = (false, false);
        if by_peer {
            self.rig.server_closes();
        } else {
            self.rig.link_down();
        }
        self.look();
    }

    fn take_in(&mut self, asked: &Asked) {
        for (n, name) in asked.filters.iter().enumerate() {
            match asked.qos.get(n) {
                Some(qos) => _ = self.has.insert(name.clone(), *qos),
                None => _ = self.has.remove(name),
            }
        }
    }

    fn answer(&mut self, answer: Answer) {
        let Some((_, asked)) = self.inbox.pop_front() else { return };
        match answer {
            // An MQTT 3.1.1 UNSUBACK has no codes.
            Answer::Refuse if asked.subscribe || self.rig.version().is_v5() => {
                let v5 = self.rig.version().is_v5();
                let no = if v5 { ReasonCode::NotAuthorized } else { ReasonCode::UnspecifiedError };
                self.refused.extend(asked.filters.iter().cloned());
                self.rig.answer(&asked, &vec![no; asked.filters.len()]);
            }
            Answer::Grant | Answer::Refuse => {
                self.take_in(&asked);
                self.rig.answer_ok(&asked);
            }
            Answer::Withhold => self.take_in(&asked),
        }
        self.look();
    }

    /// Takes in what the stack did.
    fn look(&mut self) {
        let asked = self.rig.asked();
        for event in std::mem::take(&mut self.rig.events) {
            match event {
                Event::Done(id, result) => self.done(id, &result),
                Event::Notice(Notice::Quarantined { filter, .. }) => {
                    self.fates.get_mut(filter.as_str()).unwrap().1 = Fate::Unwanted;
                }
                Event::Connected(_) => {
                    assert!(self.up && !self.connected, "connected without a link, or twice");
                    self.connected = true;
                    self.check_filters();
                }
                Event::Disconnected(_) => self.connected = false,
                _ => {}
            }
        }
        for asked in asked {
            assert!(asked.filters.len() <= MAX_FILTERS);
            for name in &asked.filters {
                let twice = self.inbox.iter().any(|(at, other)| {
                    self.rig.now < at.after(OPERATION_TIMEOUT) && other.filters.contains(name)
                });
                assert!(!twice, "two packets about {name} at once");
            }
            self.inbox.push_back((self.rig.now, asked));
        }
        if self.rig.hangups.len() > self.hangups {
            self.hangups = self.rig.hangups.len();
            (self.up, self.dialing) = (false, false);
            // What was written before is still read.
            while let Some((_, asked)) = self.inbox.pop_front() {
                self.take_in(&asked);
            }
        }
        if self.rig.dials.len() > self.dials {
            self.dials = self.rig.dials.len();
            assert!(!self.up && !self.dialing, "a dial while there is a link");
            self.dialing = true;
        }
        // Without a link a publish has its answer at once; only recovery makes it wait.
        assert_eq!(self.rig.machine.ready(), self.connected || !self.up);
    }

    fn done(&mut self, id: OpId, result: &Result<Receipt, OpError>) {
        let about = self.open.remove(&id).unwrap_or_else(|| panic!("{id:?} ended twice"));
        if let Ok(Receipt::Connected(_)) = result {
            assert!(self.connected, "the connect ends after the recovery");
        }
        let Some((names, qos)) = about else { return };
        for (n, name) in names.iter().enumerate() {
            let (last, fate) = self.fates.get_mut(name).unwrap();
            // An operation may end within the very call that issued it: `last` is not set then.
            if last.is_some_and(|last| last != id) || *fate != Fate::Open {
                continue;
            }
            *fate = match (qos, result) {
                (Some(qos), Ok(Receipt::Subscribed(granted))) => {
                    if granted.reasons[n].is_error() {
                        Fate::Unwanted
                    } else {
                        Fate::Wanted(qos)
                    }
                }
                (None, Ok(Receipt::Unsubscribed(_)) | Err(OpError::TimedOut | OpError::Interrupted)) => {
                    Fate::Unwanted
                }
                (_, Err(_)) => Fate::Unclear,
                (_, Ok(other)) => panic!("{other:?}"),
            };
        }
    }

    /// The network works again, and the server answers.
    fn heal(&mut self, keep_session: bool) {
        self.cut(false, true);
        self.op(Op::CONNECT, None);
        for _ in 0..1000 {
            self.step(Step::Pass(100));
            self.accept(keep_session);
            while !self.inbox.is_empty() {
                self.answer(Answer::Grant);
            }
            if self.up && self.open.is_empty() {
                return;
            }
        }
        panic!("operations without an end: {:?}", self.open);
    }

    /// At the end of a recovery the server has what is wanted, and nothing that is not, but for what is being asked.
    fn check_filters(&self) {
        for (name, (_, fate)) in &self.fates {
            match fate {
                Fate::Wanted(qos) => assert_eq!(self.has.get(name), Some(qos), "{name}"),
                Fate::Unwanted if !self.leaky && !self.refused.contains(name) => {
                    assert_eq!(self.has.get(name), None, "{name}");
                }
                Fate::Open | Fate::Unwanted | Fate::Unclear => {}
            }
        }
    }

    fn check(&self) {
        assert!(self.connected && self.rig.machine.ready());
        assert!(self.fates.values().all(|(_, fate)| *fate != Fate::Open), "{:?}", self.fates);
        self.check_filters();
        if !self.leaky {
            assert_eq!(self.rig.subscribed(), self.has.len(), "{:?}", self.has);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_happens_every_operation_ends_once_and_the_server_gets_what_is_wanted(
        steps in prop::collection::vec(step(), 1..80),
        lasts in any::<bool>(),
        v5 in any::<bool>(),
        containment in prop_oneof![2 => Just(None), 1 => (1..4u8).prop_map(Some)],
        connected in any::<bool>(),
        keep_session in any::<bool>(),
    ) {
        let version = if v5 { Version::V5 } else { Version::V3_1_1 };
        let mut world = World::new(version, lasts, containment);
        if connected {
            world.step(Step::Connect);
            world.step(Step::Accept { keep_session: false });
        }
        for step in steps {
            world.step(step);
        }
        world.heal(keep_session);
        world.check();
        // And nothing is left to do for the next connection of the same session.
        world.heal(true);
        world.check();
    }
}
