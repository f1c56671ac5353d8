//! A stack of stages and a codec: bytes in, bytes out.

use bytes::BytesMut;
use mqtt_codec::Codec;

use crate::error::{LinkError, OpError};
use crate::stage::{AckToken, Event, Gauges, Input, Link, LinkUp, Op, OpId, Output, Stage, StoreOp, Stored};
use crate::time::{Nanos, Now};

/// Turns a [`Stage`] into something that eats and makes bytes. The driver, a simulator, a fuzzer or another runtime
/// hold one of these.
///
/// # Calling order
/// After every `handle_…` call [`poll_output`](Self::poll_output) until it gives `None`, then write what
/// [`transmit`](Self::transmit) holds, then look at [`poll_timeout`](Self::poll_timeout). On
/// [`MachineOutput::Hangup`] the bytes held at that moment are still written before the link is closed.
#[derive(Debug)]
pub struct Machine<S> {
    stage: S,
    codec: Codec,
    fresh: Codec,
    out: BytesMut,
}

/// What a [`Machine`] wants besides writing.
#[derive(Debug)]
#[non_exhaustive]
pub enum MachineOutput {
    /// Try to connect, once; answer with [`Machine::handle_link_up`] or [`Machine::handle_link_down`].
    Dial,
    /// Write what is in [`Machine::transmit`], then close. Also gives up an attempt that is under way.
    Hangup,
    /// Have the store do this; answer with [`Machine::handle_stored`], in the order of what was asked for.
    Store(StoreOp),
    /// Tell the holder.
    Event(Event),
}

impl<S: Stage> Machine<S> {
    /// A machine around `stage`; `codec` is cloned for each link.
    #[must_use]
    pub fn new(stage: S, codec: Codec) -> Self {
        Self { stage, fresh: codec.clone(), codec, out: BytesMut::new() }
    }

    /// Takes whole packets from the front of `buffer`, to which the caller appends what it reads. After malformed
    /// bytes the buffer is emptied.
    pub fn handle_input(&mut self, now: Now, buffer: &mut BytesMut) {
        loop {
            match self.codec.decode(buffer) {
                Ok(Some(packet)) => self.stage.handle(now, Input::Packet(packet)),
                Ok(None) => return,
                Err(error) => {
                    buffer.clear();
                    return self.stage.handle(now, Input::Malformed(error));
                }
            }
        }
    }

    /// The link came up: the next bytes are those of a new connection.
    pub fn handle_link_up(&mut self, now: Now, link: LinkUp) {
        self.codec = self.fresh.clone();
        self.out.clear();
        self.stage.handle(now, Input::Link(Link::Up(link)));
    }

    /// The dial failed or the link ended. What was not written is dropped.
    pub fn handle_link_down(&mut self, now: Now, error: LinkError) {
        self.out.clear();
        self.stage.handle(now, Input::Link(Link::Down(error)));
    }

    /// An operation; it ends with exactly one [`Event::Done`].
    pub fn handle_op(&mut self, now: Now, id: OpId, op: Op) {
        self.stage.handle(now, Input::Op(id, op));
    }

    /// A received message was taken.
    pub fn handle_accepted(&mut self, now: Now, token: AckToken) {
        self.stage.handle(now, Input::Accepted(token));
    }

    /// The store has an answer.
    pub fn handle_stored(&mut self, now: Now, stored: Stored) {
        self.stage.handle(now, Input::Stored(stored));
    }

    /// The instant of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Now) {
        self.stage.handle(now, Input::Timeout);
    }

    /// What to do next; bytes gather in [`transmit`](Self::transmit) meanwhile.
    pub fn poll_output(&mut self, now: Now) -> Option<MachineOutput> {
        loop {
            return Some(match self.stage.poll(now)? {
                Output::Send(packet) => {
                    if let Err(error) = self.codec.encode(&packet, &mut self.out) {
                        // Stages check what they send, so this is a fault of a layer: the link cannot go on.
                        let message = format!("{} could not be encoded: {error}", packet.name());
                        self.stage.handle(now, Input::Link(Link::Down(LinkError::new(message, true))));
                        return Some(MachineOutput::Hangup);
                    }
                    continue;
                }
                Output::Dial => MachineOutput::Dial,
                Output::Hangup => MachineOutput::Hangup,
                Output::Store(op) => MachineOutput::Store(op),
                // Nobody up here keeps messages.
                Output::Event(Event::Returned(id, _)) => {
                    MachineOutput::Event(Event::Done(id, Err(OpError::Interrupted)))
                }
                Output::Event(event) => MachineOutput::Event(event),
            });
        }
    }

    /// Bytes to write. The caller takes from the front what the link took.
    pub fn transmit(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Nanos> {
        self.stage.deadline()
    }

    /// Whether one more publish would be taken.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.stage.ready()
    }

    /// What the stack holds at present.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        let mut gauges = Gauges::default();
        self.stage.gauges(&mut gauges);
        gauges
    }
}
