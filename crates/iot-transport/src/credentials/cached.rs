//! Temporary credentials, kept until shortly before they expire.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::future;

use super::clock::Clock;
use super::explain::tell;
use super::{Credentials, CredentialsError, ProvideCredentials};

/// Keeps what a source gave until shortly before it expires, and then asks the source again.
///
/// - **Credentials without an expiry are not kept.** They come from sources that are cheap to ask, files and the
///   environment, and that change without notice: each call asks anew.
/// - **One refresh at a time.** Who calls while a refresh is under way waits for it and gets its outcome. When
///   the caller that drives it is dropped, the next one in line starts over; nobody else notices.
/// - **Old credentials bridge a failing refresh** as long as they have not expired. The next call tries again.
/// - A clone shares what is kept; one clone can go to the connector, and another stay for
///   [`invalidate`](Self::invalidate).
///
/// It has no deadline of its own: a caller that has waited long enough drops the future.
///
/// # Errors
///
/// The error of the source, of the same kind and with the same words, when there are no old credentials that are
/// still valid.
///
/// ```
/// use std::time::Duration;
/// use iot_transport::credentials::{Cached, Chain, ProvideCredentials};
///
/// let cached = Cached::new(Chain::new()).refresh_before(Duration::from_secs(10 * 60));
/// let for_the_connector = cached.clone();
/// // After the server has refused a signature:
/// cached.invalidate();
/// # let _: &dyn ProvideCredentials = &for_the_connector;
/// ```
pub struct Cached<P> {
    shared: Arc<Shared<P>>,
    refresh_before: Duration,
    clock: Clock,
}

struct Shared<P> {
    source: P,
    /// Held by the one who asks the source.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: Option<Credentials>,
    /// How often everything was declared void.
    epoch: u64,
    /// How many refreshes came to their end.
    rounds: u64,
    /// How many callers wait for a refresh or drive one.
    callers: usize,
    /// How the last refresh ended, while there are callers who may have waited for it.
    last: Option<Outcome>,
}

struct Outcome {
    round: u64,
    /// The epoch in which the source was asked.
    epoch: u64,
    result: Result<Credentials, Arc<CredentialsError>>,
}

impl<P: ProvideCredentials + 'static> Cached<P> {
    /// Five minutes.
    pub const REFRESH_BEFORE: Duration = Duration::from_secs(5 * 60);

    /// Keeps what this source gives.
    #[must_use]
    pub fn new(source: P) -> Self {
        let shared = Shared { source, turn: tokio::sync::Mutex::new(()), state: Mutex::default() };
        Self { shared: Arc::new(shared), refresh_before: Self::REFRESH_BEFORE, clock: Clock::default() }
    }

    /// Asks for new credentials this long before the old ones expire, or whenever there is less left. Default:
    /// [five minutes](Self::REFRESH_BEFORE). Any value will do; with one longer than the credentials last, each
    /// call asks anew.
    #[must_use]
    pub fn refresh_before(mut self, margin: Duration) -> Self {
        self.refresh_before = margin;
        self
    }

    /// Takes the time from here. Default: the system's clock.
    #[must_use]
    pub fn clock(self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.with_clock(Clock::new(now))
    }

    pub(crate) fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Forgets what is kept, for all clones: the next call asks the source. What a refresh brings that is under
    /// way at this moment goes to those who wait for it, and is not kept.
    pub fn invalidate(&self) {
        let mut state = self.state();
        state.kept = None;
        state.epoch = state.epoch.wrapping_add(1);
    }

    async fn load(&self) -> Result<Credentials, CredentialsError> {
        let (caller, epoch, rounds) = {
            let mut state = self.state();
            if let Some(fresh) = self.fresh(&state) {
                return Ok(fresh);
            }
            state.callers = state.callers.saturating_add(1);
            (Caller(&self.shared.state), state.epoch, state.rounds)
        };
        let turn = self.shared.turn.lock().await;
        let asked_in = {
            let state = self.state();
            if let Some(fresh) = self.fresh(&state) {
                return Ok(fresh);
            }
            match &state.last {
                Some(last) if last.round > rounds && last.epoch >= epoch => return last.told(),
                _ => state.epoch,
            }
        };
        let result = self.shared.source.provide_credentials().await;
        let outcome = self.state().end(asked_in, result, self.clock.now());
        drop((turn, caller));
        outcome
    }

    /// What is kept, unless it is time for something new.
    fn fresh(&self, state: &State) -> Option<Credentials> {
        let kept = state.kept.as_ref()?;
        let left = kept.expiry()?.duration_since(self.clock.now()).ok()?;
        (left > self.refresh_before).then(|| kept.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared.state)
    }
}

impl State {
    /// Notes how a refresh ended that was begun in this epoch.
    fn end(
        &mut self,
        epoch: u64,
        result: Result<Credentials, CredentialsError>,
        now: SystemTime,
    ) -> Result<Credentials, CredentialsError> {
        if let Ok(credentials) = &result
            && epoch == self.epoch
        {
            self.kept = credentials.expiry().is_some().then(|| credentials.clone());
        }
        // What was declared void meanwhile is not here any more.
        let bridge = || self.kept.clone().filter(|kept| kept.expiry().is_some_and(|end| end > now));
        let result = result.or_else(|error| bridge().ok_or_else(|| Arc::new(error)));
        self.rounds = self.rounds.wrapping_add(1);
        let outcome = Outcome { round: self.rounds, epoch, result };
        let told = outcome.told();
        self.last = Some(outcome);
        told
    }
}

impl Outcome {
    fn told(&self) -> Result<Credentials, CredentialsError> {
        self.result.clone().map_err(|error| tell(&error, None))
    }
}

/// A caller that was counted, until it is dropped.
struct Caller<'a>(&'a Mutex<State>);

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        let mut state = lock(self.0);
        state.callers = state.callers.saturating_sub(1);
        if state.callers == 0 {
            // Nobody is left to be told: it may hold credentials that are not to be kept.
            state.last = None;
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<P: ProvideCredentials + 'static> ProvideCredentials for Cached<P> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        let now = self.clock.now();
        self.state().kept.clone().filter(|kept| kept.expiry().is_some_and(|end| end > now))
    }
}

impl<P> Clone for Cached<P> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            refresh_before: self.refresh_before,
            clock: self.clock.clone(),
        }
    }
}

impl<P: fmt::Debug> fmt::Debug for Cached<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("source", &self.shared.source)
            .field("refresh_before", &self.refresh_before)
            .finish_non_exhaustive()
    }
}
