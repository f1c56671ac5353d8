//! When to send PINGREQ and when to give the link up (section 3.1.2.10 of both standards).

use std::time::Duration;

use crate::time::Nanos;

/// ```text
///            due: PINGREQ sent                PINGRESP
///   Quiet ─────────────────────► Asked(at) ────────────► Quiet
///                                   │ nothing came in for half an interval
///                                   └──────────────────► dead
/// ```
/// Quiet is broken by traffic: a PINGREQ is due once *either* direction has been silent for the whole interval. The
/// standard asks for outgoing packets only, but a link on which nothing comes in may be dead however much goes out.
/// While PINGRESP is awaited any packet is a sign of life: the answer may stand behind a long backlog.
#[derive(Debug, Clone)]
pub(super) struct KeepAlive {
    /// `None`: turned off.
    interval: Option<Duration>,
    sent: Nanos,
    received: Nanos,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Quiet,
    Asked(Nanos),
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ping,
    Dead,
}

impl KeepAlive {
    /// Starts at CONNACK; an interval of 0 s is off.
    pub(super) fn new(seconds: u16, now: Nanos) -> Self {
        let interval = (seconds != 0).then(|| Duration::from_secs(seconds.into()));
        Self { interval, sent: now, received: now, state: State::Quiet }
    }

    /// No link, nothing due.
    pub(super) fn off() -> Self {
        Self::new(0, Nanos::ZERO)
    }

    pub(super) fn sent(&mut self, now: Nanos) {
        self.sent = now;
    }

    pub(super) fn received(&mut self, now: Nanos) {
        self.received = now;
    }

    /// PINGRESP came in, asked for or not.
    pub(super) fn answered(&mut self) {
        self.state = State::Quiet;
    }

    /// How long PINGRESP is waited for: with the interval before it, the server's own factor of 1.5
    /// (`[MQTT-3.1.2-22]`).
    pub(super) fn patience(&self) -> Duration {
        self.interval.unwrap_or_default() / 2
    }

    pub(super) fn deadline(&self) -> Option<Nanos> {
        let interval = self.interval?;
        Some(match self.state {
            State::Quiet => self.sent.min(self.received).after(interval),
            // The server wants to hear something in each interval, also while its answer is awaited.
            State::Asked(_) => self.death()?.min(self.sent.after(interval)),
        })
    }

    /// What is due at `now`. After `Ping` the answer is waited for.
    pub(super) fn poll(&mut self, now: Nanos) -> Due {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Due::Nothing;
        }
        if self.death().is_some_and(|death| now >= death) {
            return Due::Dead;
        }
        if self.state == State::Quiet {
            self.state = State::Asked(now);
        }
        Due::Ping
    }

    /// When the link is given up: the answer was awaited, and nothing at all came in.
    fn death(&self) -> Option<Nanos> {
        match self.state {
            State::Asked(at) => Some(at.max(self.received).after(self.patience())),
            State::Quiet => None,
        }
    }
}
