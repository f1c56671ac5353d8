//! A layer on a virtual clock around a stage that does what the test says.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use iot_session::stage::{Event, Gauges, Input, Link, Op, OpId, Output, Owner, PublishOp, StoreOp};
use iot_session::{
    Layer, LinkError, Message, Nanos, Now, OpError, QoS, Stage, UnixMillis, Version, proto::ConnectOptions,
    proto::Engine,
};
use mqtt_codec::packet::ConnAck;
use mqtt_codec::{Packet, ReasonCode};

/// The inner stage. It takes what it is given and says nothing by itself.
#[derive(Clone, Default)]
pub struct Script(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    out: VecDeque<Output>,
    taken: Vec<(Nanos, OpId, PublishOp)>,
    others: Vec<Op>,
    /// How many more publishes it is ready for; `None`: any number.
    room: Option<usize>,
    deadline: Option<Nanos>,
}

impl Stage for Script {
    fn handle(&mut self, now: Now, input: Input) {
        let mut state = self.0.borrow_mut();
        match input {
            Input::Op(id, Op::Publish(op)) => {
                state.taken.push((now.mono, id, op));
                state.room = state.room.map(|room| room.saturating_sub(1));
            }
            Input::Op(_, op) => state.others.push(op),
            Input::Timeout if state.deadline.is_some_and(|at| at <= now.mono) => state.deadline = None,
            _ => {}
        }
    }

    fn poll(&mut self, _now: Now) -> Option<Output> {
        self.0.borrow_mut().out.pop_front()
    }

    fn deadline(&self) -> Option<Nanos> {
        self.0.borrow().deadline
    }

    fn ready(&self) -> bool {
        self.0.borrow().room != Some(0)
    }

    fn gauges(&self, _gauges: &mut Gauges) {}
}

/// A layer around a [`Script`].
pub struct Bench {
    stage: Box<dyn Stage>,
    script: Script,
    pub now: Nanos,
    pub events: Vec<(Nanos, Event)>,
    /// What was wished of the store since the last look.
    pub wishes: Vec<StoreOp>,
    /// The calendar, if the device knows it: from the clock's zero on.
    pub wall: Option<UnixMillis>,
    seq: u64,
}

impl Bench {
    pub fn new<L: Layer<Script>>(layer: L) -> Self
    where
        L::Stage: 'static,
    {
        let script = Script::default();
        let stage = Box::new(layer.layer(script.clone()));
        Self { stage, script, now: Nanos::ZERO, events: Vec::new(), wishes: Vec::new(), wall: None, seq: 0 }
    }

    fn settle(&mut self) {
        while let Some(output) = self.stage.poll(self.time()) {
            match output {
                Output::Event(event) => self.events.push((self.now, event)),
                Output::Store(op) => self.wishes.push(op),
                Output::Send(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub fn input(&mut self, input: Input) {
        self.stage.handle(self.time(), input);
        self.settle();
    }

    fn time(&self) -> Now {
        let wall = self.wall.map(|start| UnixMillis(start.0 + self.now.0 / 1_000_000));
        Now { mono: self.now, wall }
    }

    pub fn op(&mut self, op: Op) -> OpId {
        self.seq += 1;
        let id = OpId::new(Owner::APPLICATION, self.seq);
        self.input(Input::Op(id, op));
        id
    }

    pub fn publish(&mut self, payload: &str) -> OpId {
        self.op(Op::Publish(one(payload)))
    }

    /// Makes the inner stage say this, all in one go.
    pub fn inner_says(&mut self, outputs: impl IntoIterator<Item = Output>) {
        self.script.0.borrow_mut().out.extend(outputs);
        self.input(Input::Timeout);
    }

    pub fn inner_event(&mut self, event: Event) {
        self.inner_says([Output::Event(event)]);
    }

    pub fn connect(&mut self) {
        self.inner_event(connected());
    }

    pub fn disconnect(&mut self) {
        self.inner_event(disconnected());
    }

    /// The inner stage is ready for this many more publishes.
    pub fn room(&mut self, room: Option<usize>) {
        self.script.0.borrow_mut().room = room;
        // Whatever makes room comes in as some input.
        self.input(Input::Timeout);
    }

    pub fn ready(&self) -> bool {
        self.stage.ready()
    }

    pub fn deadline(&self) -> Option<Nanos> {
        self.stage.deadline()
    }

    pub fn gauges(&self) -> Gauges {
        let mut gauges = Gauges::default();
        self.stage.gauges(&mut gauges);
        gauges
    }

    /// Lets time pass, firing every timeout at its instant.
    pub fn advance(&mut self, duration: Duration) {
        let end = self.now.after(duration);
        while let Some(deadline) = self.stage.deadline().filter(|at| *at <= end) {
            assert!(deadline >= self.now, "a deadline in the past would spin");
            self.now = deadline;
            self.input(Input::Timeout);
            assert!(self.stage.deadline().is_none_or(|next| next > deadline), "the deadline stands still");
        }
        self.now = end;
    }

    /// What the inner stage was given since the last look.
    pub fn taken(&mut self) -> Vec<(Nanos, OpId, PublishOp)> {
        std::mem::take(&mut self.script.0.borrow_mut().taken)
    }

    /// The same, payloads only.
    pub fn payloads(&mut self) -> Vec<String> {
        self.taken().into_iter().map(|(_, _, op)| text(&op)).collect()
    }

    /// The same, with milliseconds.
    pub fn timed(&mut self) -> Vec<(u64, String)> {
        self.taken().into_iter().map(|(at, _, op)| (millis(at), text(&op))).collect()
    }

    pub fn others(&mut self) -> Vec<Op> {
        std::mem::take(&mut self.script.0.borrow_mut().others)
    }

    /// The one end of an operation, with its instant; `None`: it still runs.
    pub fn end(&self, op: OpId) -> Option<(Nanos, OpError)> {
        let mut ends = self.events.iter().filter_map(|(at, event)| match event {
            Event::Done(id, Err(error)) if *id == op => Some((*at, error.clone())),
            _ => None,
        });
        let end = ends.next();
        assert!(ends.next().is_none(), "an operation ends exactly once");
        end
    }

    pub fn notices(&self) -> Vec<(u64, iot_session::stage::Notice)> {
        let notice = |(at, event): &(Nanos, Event)| match event {
            Event::Notice(notice) => Some((millis(*at), notice.clone())),
            _ => None,
        };
        self.events.iter().filter_map(notice).collect()
    }
}

pub fn one(payload: &str) -> PublishOp {
    let message = Message::new("topic", payload.to_owned()).unwrap();
    message.qos(QoS::AtLeastOnce).into_op()
}

pub fn text(op: &PublishOp) -> String {
    String::from_utf8_lossy(op.publish.payload()).into_owned()
}

pub fn millis(at: Nanos) -> u64 {
    assert_eq!(at.0 % 1_000_000, 0, "{at:?} is no whole number of milliseconds");
    at.0 / 1_000_000
}

pub fn returned(id: OpId, payload: &str) -> Event {
    Event::Returned(id, Box::new(one(payload)))
}

/// What a real engine says: events cannot be made by hand.
fn engine_says(inputs: impl IntoIterator<Item = Input>) -> Event {
    let mut engine = Engine::new(ConnectOptions::new(Version::V5, "device").unwrap());
    let mut said = None;
    for input in inputs {
        engine.handle(Now::mono(Nanos::ZERO), input);
        while let Some(output) = engine.poll(Now::mono(Nanos::ZERO)) {
            if let Output::Event(event) = output {
                said = Some(event);
            }
        }
    }
    said.unwrap()
}

pub fn connected() -> Event {
    let connack = Packet::ConnAck(ConnAck::new(false, ReasonCode::Success));
    engine_says([Input::Link(Link::Up(Default::default())), Input::Packet(connack)])
}

pub fn disconnected() -> Event {
    engine_says([Input::Link(Link::Down(LinkError::new("cut", true)))])
}

/// The inner stage sends a message.
pub fn sent(payload: &str) -> Output {
    Output::Send(Packet::Publish(one(payload).publish))
}
