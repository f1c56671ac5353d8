//! A machine on a clock of its own, with a server at the other end and no link between.

use bytes::BytesMut;
use iot_session::stage::{Event, LinkUp, Op, OpId, Owner, PublishOp, Stage};
use iot_session::{LinkError, Machine, MachineOutput, Nanos, Now};
use mqtt_codec::Codec;

use super::{Server, TOPIC};

pub struct Rig<S> {
    machine: Machine<S>,
    now: Nanos,
    server: Server,
    input: BytesMut,
    next: u64,
    /// Operations that ended well.
    pub done: usize,
    /// Times that the session came up.
    connections: usize,
    dialing: bool,
}

impl<S: Stage> Rig<S> {
    /// Connected.
    pub fn connected((stage, codec): (S, Codec)) -> Self {
        let mut rig = Self {
            machine: Machine::new(stage, codec),
            now: Nanos::ZERO,
            server: Server::new(),
            input: BytesMut::new(),
            next: 0,
            done: 0,
            connections: 0,
            dialing: false,
        };
        rig.op(Op::CONNECT);
        rig.serve();
        assert_eq!(rig.done, 1, "connected");
        rig.done = 0;
        rig
    }

    fn now(&self) -> Now {
        Now::mono(self.now)
    }

    fn poll(&mut self) {
        while let Some(output) = self.machine.poll_output(self.now()) {
            match output {
                MachineOutput::Dial => self.dialing = true,
                MachineOutput::Event(Event::Done(_, result)) => {
                    result.unwrap();
                    self.done += 1;
                }
                MachineOutput::Event(Event::Connected(_)) => self.connections += 1,
                MachineOutput::Event(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub fn op(&mut self, op: Op) {
        self.next += 1;
        self.machine.handle_op(self.now(), OpId::new(Owner::APPLICATION, self.next), op);
        self.poll();
    }

    /// From the operation to its end: PUBLISH is encoded, PUBACK decoded. What the server does is two bytes copied.
    pub fn publish_and_acknowledge(&mut self, op: PublishOp) {
        let before = self.done;
        self.op(Op::Publish(op));
        let out = self.machine.transmit();
        // The fixed header of a short packet, the topic and its length; then the packet identifier.
        let at = 2 + 2 + TOPIC.len();
        let Some(&[high, low]) = out.get(at..at + 2) else { panic!("no PUBLISH: {out:?}") };
        out.clear();
        self.input.extend_from_slice(&[0x40, 2, high, low]);
        self.machine.handle_input(self.now(), &mut self.input);
        self.poll();
        assert_eq!(self.done, before + 1);
    }

    /// From the bytes of a PUBLISH of QoS 1 to its PUBACK.
    pub fn receive_and_acknowledge(&mut self, publish: &[u8]) {
        self.input.extend_from_slice(publish);
        self.machine.handle_input(self.now(), &mut self.input);
        let mut token = None;
        while let Some(output) = self.machine.poll_output(self.now()) {
            let MachineOutput::Event(Event::Message(_, taken)) = output else { panic!("{output:?}") };
            token = taken;
        }
        let Some(token) = token else { panic!("nothing to acknowledge") };
        self.machine.handle_accepted(self.now(), token);
        self.poll();
        let out = self.machine.transmit();
        assert_eq!(out.first(), Some(&0x40), "PUBACK");
        out.clear();
    }

    /// Lets server and client talk until both are silent and nothing is dialled.
    pub fn serve(&mut self) {
        loop {
            if std::mem::take(&mut self.dialing) {
                self.server = Server::new();
                self.machine.handle_link_up(self.now(), LinkUp::default());
                self.poll();
            }
            let out = self.machine.transmit();
            if out.is_empty() {
                return;
            }
            self.server.answer(out, &mut self.input);
            out.clear();
            self.machine.handle_input(self.now(), &mut self.input);
            self.poll();
        }
    }

    /// The link breaks.
    pub fn cut(&mut self) {
        self.machine.handle_link_down(self.now(), LinkError::new("cut", true));
        self.poll();
    }

    /// From the broken link to the session that is up again, with all that the layers do before they say so.
    pub fn reconnect(&mut self) {
        let before = self.connections;
        while self.connections == before {
            self.tick();
            self.serve();
        }
    }

    /// Until this many operations have ended.
    pub fn finish(&mut self, done: usize) {
        while self.done < done {
            self.tick();
            self.serve();
        }
    }

    /// Goes to the next instant at which something is due.
    fn tick(&mut self) {
        let Some(deadline) = self.machine.poll_timeout() else { panic!("nothing is due") };
        self.now = self.now.max(deadline);
        self.machine.handle_timeout(self.now());
        self.poll();
    }
}
