//! The contract that every part of a session keeps.
//!
//! A [`Stage`] is a state machine that takes an input and a time and yields outputs. It owns no clock, socket, task,
//! lock or random source. The innermost stage is the protocol [`Engine`](crate::proto::Engine); a [`Layer`] wraps a
//! stage in another one. A layer matches the inputs it cares about and passes the rest down, and matches the outputs
//! it cares about and passes the rest up.
//!
//! # Calling order
//! After every [`handle`](Stage::handle), call [`poll`](Stage::poll) until it gives `None`, then look at
//! [`deadline`](Stage::deadline). When that instant has come, hand in [`Input::Timeout`]. After a timeout and a drain
//! the next deadline is later than the `now` that was handed in. Instants never go back.
//!
//! # The link
//! [`Output::Dial`] asks for one attempt at a connection; the answer is [`Link::Up`] or [`Link::Down`]. Once up, the
//! link's end is told by [`Link::Down`] — unless the stage said [`Output::Hangup`] before, after which the link is
//! gone for both sides: what was sent before the hang-up is still written, nothing is reported any more.
//!
//! # Writing a stage that wraps another one
//! - [`poll`](Stage::poll) gives its own outputs first, then the inner stage's. Only once the inner stage has none left does
//!   it issue operations of its own: before that, it may not have heard yet that the link is gone.
//! - To drop the link, hand [`Link::Down`] to the inner stage and put out [`Output::Hangup`].
//! - Operations of its own carry an [`Owner`] of its own, and their ends stay inside.
//! - An operation that it keeps is answered by exactly one [`Event::Done`], whatever happens.

mod store;
mod types;

pub use store::{EntryId, StoreError, StoreErrorKind, StoreOp, Stored};
pub use types::{
    AckToken, ConnectOp, Connected, Disconnected, Event, Gauges, Granted, Input, Link, LinkUp, Notice, Op,
    OpId, Output, Owner, PublishOp, Quarantine, Receipt, Resend, ServerInfo, SubscribeOp, UnsubscribeOp,
};

use crate::time::{Nanos, Now};

/// A deterministic part of a session. See the [module](self) for the calling order.
pub trait Stage {
    /// Takes an input. Never blocks, never fails: failures come out as events.
    fn handle(&mut self, now: Now, input: Input);

    /// The next output, own ones first, then the inner stage's; `None` when there is nothing more to do.
    fn poll(&mut self, now: Now) -> Option<Output>;

    /// When [`Input::Timeout`] is due; `None`: not before something else happens.
    fn deadline(&self) -> Option<Nanos>;

    /// Whether one more publish would be taken within bounds.
    fn ready(&self) -> bool;

    /// Adds what this stage holds, and what the inner stage does.
    fn gauges(&self, gauges: &mut Gauges);
}

/// The configuration of a stage that wraps another one.
pub trait Layer<S> {
    /// What comes of it.
    type Stage: Stage;

    /// Wraps `inner`.
    fn layer(self, inner: S) -> Self::Stage;
}

/// No layer at all.
impl<S: Stage> Layer<S> for () {
    type Stage = S;

    fn layer(self, inner: S) -> S {
        inner
    }
}

/// The first around the second.
impl<S, Outer, Inner> Layer<S> for (Outer, Inner)
where
    Inner: Layer<S>,
    Outer: Layer<Inner::Stage>,
{
    type Stage = Outer::Stage;

    fn layer(self, inner: S) -> Self::Stage {
        self.0.layer(self.1.layer(inner))
    }
}

impl<S: Stage + ?Sized> Stage for Box<S> {
    fn handle(&mut self, now: Now, input: Input) {
        (**self).handle(now, input);
    }

    fn poll(&mut self, now: Now) -> Option<Output> {
        (**self).poll(now)
    }

    fn deadline(&self) -> Option<Nanos> {
        (**self).deadline()
    }

    fn ready(&self) -> bool {
        (**self).ready()
    }

    fn gauges(&self, gauges: &mut Gauges) {
        (**self).gauges(gauges);
    }
}

/// Starts a stack of layers around a stage.
///
/// ```
/// use iot_session::{layers::Reconnect, proto::{ConnectOptions, Engine}, stack};
/// use mqtt_codec::Version;
///
/// let options = ConnectOptions::new(Version::V5, "my-device")?;
/// let stage = stack(Engine::new(options)).layer(Reconnect::default()).into_stage();
/// # let _ = stage;
/// # Ok::<(), iot_session::OptionsError>(())
/// ```
pub fn stack<S: Stage>(innermost: S) -> Stack<S> {
    Stack { stage: innermost }
}

/// A stack under construction, see [`stack`].
#[derive(Debug, Clone)]
pub struct Stack<S> {
    stage: S,
}

impl<S: Stage> Stack<S> {
    /// Wraps what is there so far.
    #[must_use]
    pub fn layer<L: Layer<S>>(self, layer: L) -> Stack<L::Stage> {
        Stack { stage: layer.layer(self.stage) }
    }

    /// The stack as one stage.
    #[must_use]
    pub fn into_stage(self) -> S {
        self.stage
    }
}
