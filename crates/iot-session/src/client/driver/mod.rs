//! The one task of a connection: moves the bytes and keeps the time.

mod commands;
mod disk;
mod ending;
mod outcome;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use iot_transport::Connector;
use mqtt_codec::Codec;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Config;
use super::channels::{Channels, Control};
use super::clock::{self, Clock};
use super::inbox::Signal;
use super::link::{self, Closed, Closing, Dialing, Up};
use super::outcomes::Leftover;
use super::replies::{Replies, Reply};
use super::router::Router;
use super::stats::Status;
use super::trace::Trace;
use crate::error::LinkError;
use crate::machine::{Machine, MachineOutput};
use crate::stage::{ConnectOp, LinkUp, Op, OpId, Stage};
use crate::storage::Disk;
use crate::time::{Nanos, Now};
use ending::Ending;

/// Above this many unwritten bytes nothing is taken that could add to them: a server that does not read is not read
/// from either.
const HIGH_WATER: usize = 256 * 1024;
/// Publishes, requests and signals taken in one round, each.
const BATCH: usize = 64;
/// Links that may be closing at once; a further one cuts the oldest.
const CLOSINGS: usize = 4;
/// Rounds before other tasks get their turn.
const ROUNDS: usize = 16;

/// The task behind a [`Client`](super::Client): spawn [`run`](Self::run).
///
/// Each round looks at everything once, in a fixed order and with a bound: timer, control, dial, read, disk, signals of
/// subscribers, requests, publishes, write, close. So a flooding server cannot starve a timer, nor a busy application
/// the reading, and under a paused clock every run is the same.
pub struct Driver<S, C: Connector> {
    machine: Machine<S>,
    connector: Arc<C>,
    config: Config,
    clock: Clock,
    channels: Channels,
    router: Router,
    replies: Replies,
    attempts: u64,
    dialing: Option<Dialing<C::Io>>,
    up: Option<Up<C::Io>>,
    closing: Vec<Closing<C::Io>>,
    /// Told once the closing links' bytes are written.
    disconnecting: Vec<oneshot::Sender<()>>,
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
    trace: Trace,
    /// The publish whose round trip is being measured, and since when.
    sample: Option<(OpId, Nanos)>,
    /// Where the stack's wishes of a store go; `None`: there is none, or it is gone.
    disk: Option<Disk>,
    ending: Option<Ending>,
    /// Who asked for the end is told once our last bytes are written.
    ended: Vec<(Leftover, oneshot::Sender<Leftover>)>,
    /// All handles are gone, or the client is closed: nothing is taken any more.
    leaving: bool,
}

impl<S: Stage + Send + 'static, C: Connector> Driver<S, C> {
    pub(super) fn new(
        stage: S,
        codec: Codec,
        connector: C,
        config: Config,
        channels: Channels,
        signals: mpsc::UnboundedSender<Signal>,
    ) -> Self {
        let router = Router::new(signals, Arc::clone(&channels.shared), &config);
        Self {
            machine: Machine::new(stage, codec),
            connector: Arc::new(connector),
            clock: Clock::start(config.calendar),
            config,
            channels,
            router,
            replies: Replies::default(),
            attempts: 0,
            dialing: None,
            up: None,
            closing: Vec::new(),
            disconnecting: Vec::new(),
            timer: None,
            trace: Trace::none(),
            sample: None,
            disk: None,
            ending: None,
            ended: Vec::new(),
            leaving: false,
        }
    }

    /// With a store for a stack that wishes one, such as one with an [`Outbox`](crate::layers::Outbox). When the driver has
    /// ended, everything that it asked for is done.
    #[must_use]
    pub fn with_disk(mut self, disk: Disk) -> Self {
        self.channels.shared.has_disk.store(true, Ordering::Relaxed);
        self.disk = Some(disk);
        self
    }

    /// Runs until the last handle is dropped or [`Client::close`](super::Client::close) is done, and disconnects in order.
    ///
    /// # Cancellation
    /// Dropped, the connection is cut: the server publishes the will. All futures of the handle end with "closed".
    pub fn run(mut self) -> impl Future<Output = ()> + Send + use<S, C> {
        // An async function would hold the driver twice: as its argument, and as what it works on.
        poll_fn(move |context| self.poll(context))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.channels.shared.counters.wakeups.add(1);
        let turn = self.turn(context);
        self.channels.shared.counters.store(self.machine.gauges());
        turn
    }

    fn turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
        for _ in 0..ROUNDS {
            let mut progress = self.timer(context);
            progress |= self.control(context);
            progress |= self.dial(context);
            progress |= self.read(context);
            progress |= self.stored(context);
            progress |= self.signals(context);
            progress |= self.requests(context);
            progress |= self.publishes(context);
            progress |= self.end();
            progress |= self.write(context);
            progress |= self.close(context);
            if self.leaving && self.up.is_none() && self.dialing.is_none() && self.closing.is_empty() {
                return self.leave_disk(context);
            }
            if !progress {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Fires the machine's timeout when it is due and arms the timer for the next one.
    fn timer(&mut self, context: &mut Context<'_>) -> bool {
        let ending = self.ending.as_ref().map(|ending| self.clock.nanos(ending.deadline));
        let deadlines = [self.machine.poll_timeout(), self.router.deadline(), ending];
        let Some(deadline) = deadlines.into_iter().flatten().min().map(|at| self.clock.instant(at)) else {
            self.timer = None;
            return false;
        };
        let sleep = match &mut self.timer {
            Some((armed, sleep)) => {
                if *armed != deadline {
                    *armed = deadline;
                    sleep.as_mut().reset(deadline);
                }
                sleep
            }
            None => &mut self.timer.insert((deadline, Box::pin(sleep_until(deadline)))).1,
        };
        if sleep.as_mut().poll(context).is_pending() {
            return false;
        }
        let now = self.clock.now();
        while let Some(token) = self.router.pop_unwanted(now.mono) {
            self.machine.handle_accepted(now, token);
        }
        self.router.look_for_laggards(now.mono);
        self.machine.handle_timeout(now);
        self.pump(now);
        true
    }

    fn control(&mut self, context: &mut Context<'_>) -> bool {
        if self.leaving {
            return false;
        }
        let control = match self.channels.control.poll_recv(context) {
            // A close goes on without handles.
            Poll::Ready(None) if self.ending.is_some() => return false,
            Poll::Ready(control) => control,
            Poll::Pending => return false,
        };
        let now = self.clock.now();
        let (reply, op) = match control {
            Some(Control::Connect(reply)) => (Reply::Connect(reply), Op::CONNECT),
            Some(Control::ConnectLazily(taken)) => {
                let _ = taken.send(());
                (Reply::Nobody, Op::Connect(ConnectOp { retry: true }))
            }
            Some(Control::ReconnectNow) => {
                if !matches!(*self.channels.status.borrow(), Status::Disconnected { retry_in: Some(_), .. }) {
                    return true;
                }
                (Reply::Nobody, Op::CONNECT)
            }
            Some(Control::Disconnect(reply)) => {
                self.flush_commands(now);
                (Reply::Disconnect(reply), Op::Disconnect)
            }
            Some(Control::Close(deadline, reply)) => {
                self.begin_ending(deadline, reply);
                return true;
            }
            None => {
                self.flush_commands(now);
                self.leave(now);
                return true;
            }
        };
        let id = self.replies.insert(reply);
        self.machine.handle_op(now, id, op);
        self.pump(now);
        true
    }

    fn dial(&mut self, context: &mut Context<'_>) -> bool {
        let Some(dialing) = &mut self.dialing else { return false };
        let Poll::Ready(result) = self.trace.within(|| dialing.poll(context)) else { return false };
        let deadline = self.clock.nanos(dialing.deadline);
        self.dialing = None;
        let now = self.clock.now();
        match result {
            Ok(io) => {
                self.up = Some(Up::new(io));
                for token in self.router.new_connection(now.mono) {
                    self.machine.handle_accepted(now, token);
                }
                self.machine.handle_link_up(now, LinkUp::by(deadline));
            }
            Err(error) => self.machine.handle_link_down(now, error),
        }
        self.pump(now);
        true
    }

    fn read(&mut self, context: &mut Context<'_>) -> bool {
        let unwritten = self.machine.transmit().len();
        if unwritten >= HIGH_WATER || self.router.unaccepted() > self.config.unaccepted {
            return false;
        }
        let Some(up) = &mut self.up else { return false };
        let Poll::Ready(result) = up.poll_read(context) else { return false };
        let now = self.clock.now();
        match result {
            Ok(0) => self.down(now, link::ended()),
            Err(error) => self.down(now, link::broken(error, self.config.explain)),
            Ok(n) => {
                self.channels.shared.counters.bytes_in.add(n as u64);
                self.machine.handle_input(now, &mut up.buffer);
                self.pump(now);
            }
        }
        true
    }

    fn signals(&mut self, context: &mut Context<'_>) -> bool {
        let mut progress = false;
        for _ in 0..BATCH {
            let Poll::Ready(Some(signal)) = self.channels.signals.poll_recv(context) else { break };
            progress = true;
            let now = self.clock.now();
            match signal {
                Signal::Accepted(token) => {
                    self.router.accepted(token);
                    self.machine.handle_accepted(now, token);
                }
                Signal::Withheld(message, token) => self.router.withheld(*message, token),
                Signal::Released(route) => self.release(now, route),
            }
            self.pump(now);
        }
        progress
    }

    fn write(&mut self, context: &mut Context<'_>) -> bool {
        let Some(up) = &mut self.up else { return false };
        match up.poll_write(context, self.machine.transmit()) {
            Poll::Pending | Poll::Ready(Ok(0)) => false,
            Poll::Ready(Ok(n)) => {
                self.channels.shared.counters.bytes_out.add(n as u64);
                true
            }
            Poll::Ready(Err(error)) => {
                let now = self.clock.now();
                // The server may have said why before it closed: by a packet, or by an alert that explains itself.
                let error = match up.poll_read(context) {
                    Poll::Ready(Ok(1..)) => {
                        self.machine.handle_input(now, &mut up.buffer);
                        self.pump(now);
                        error
                    }
                    Poll::Ready(Err(read))
                        if self.config.explain.is_some_and(|words| words(&read).is_some()) =>
                    {
                        read
                    }
                    _ => error,
                };
                self.down(now, link::broken(error, self.config.explain));
                true
            }
        }
    }

    fn close(&mut self, context: &mut Context<'_>) -> bool {
        let mut progress = false;
        self.closing.retain_mut(|closing| {
            let Poll::Ready(closed) = closing.poll(context) else { return true };
            progress = true;
            closed != Closed::Entirely
        });
        if progress {
            self.tell_disconnected();
        }
        progress
    }

    /// The link ended, not by our hand.
    fn down(&mut self, now: Now, error: LinkError) {
        if self.up.take().is_some() {
            self.machine.handle_link_down(now, error);
            self.pump(now);
        }
    }

    /// Carries out what the machine wants.
    fn pump(&mut self, now: Now) {
        while let Some(output) = self.machine.poll_output(now) {
            match output {
                MachineOutput::Dial => {
                    self.attempts = self.attempts.saturating_add(1);
                    self.channels.shared.counters.attempts.add(1);
                    self.trace.attempt(self.attempts);
                    let deadline = clock::after(self.clock.instant(now.mono), self.config.connect_timeout);
                    self.dialing = Some(Dialing::new(Arc::clone(&self.connector), self.attempts, deadline));
                    self.channels.status.send_replace(Status::Connecting { attempt: self.attempts });
                }
                MachineOutput::Hangup => {
                    self.dialing = None;
                    if let Some(up) = self.up.take() {
                        let deadline = clock::after(self.clock.instant(now.mono), self.config.close_timeout);
                        if self.closing.len() >= CLOSINGS {
                            self.closing.remove(0);
                        }
                        self.closing.push(up.close(self.machine.transmit().split(), deadline));
                    }
                }
                MachineOutput::Store(op) => self.store(now, op),
                MachineOutput::Event(event) => self.event(now, event),
            }
        }
    }
}

impl<S, C: Connector> fmt::Debug for Driver<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("config", &self.config)
            .field("attempts", &self.attempts)
            .field("up", &self.up.is_some())
            .finish_non_exhaustive()
    }
}
