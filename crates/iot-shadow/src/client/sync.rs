//! What most devices write by hand: a state that follows what is desired, and is reported.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::ShadowClient;
use super::deltas::{Deltas, Event};
use super::error::{ErrorKind, ShadowError, Strikes};
use super::reported::{Reported, difference, merge};
use crate::document::Delta;
use crate::update::Update;

/// How long the first wait is after a report that did not go through, and the longest one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The state of a device, kept in step with its shadow. Clones share it.
///
/// While [`run`](Self::run) runs, each delta is applied by a function of the application's own, and what has changed, by it or by
/// [`modify`](Self::modify), is reported: only the members that differ from what was reported before, with `null` for those that are
/// gone. Several changes in a burst make one report. Without a connection changes gather, and are reported when it is back; what
/// was desired meanwhile is applied first.
///
/// ```
/// use iot_shadow::{ShadowClient, ShadowSync, SyncError};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Lamp {
///     on: bool,
///     level: u8,
/// }
///
/// #[derive(Deserialize)]
/// struct Wish {
///     on: Option<bool>,
///     level: Option<u8>,
/// }
///
/// async fn device(shadow: &ShadowClient) -> Result<(), SyncError> {
///     let lamp = ShadowSync::new(shadow, Lamp { on: false, level: 0 });
///     lamp.run(|lamp, delta| {
///         let Ok(wish) = delta.state_as::<Wish>() else { return };
///         lamp.on = wish.on.unwrap_or(lamp.on);
///         lamp.level = wish.level.unwrap_or(lamp.level);
///     })
///     .await
/// }
/// ```
#[derive(Debug)]
pub struct ShadowSync<T>(Arc<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    shadow: ShadowClient,
    state: Mutex<Versioned<T>>,
    changed: Notify,
    running: tokio::sync::Mutex<Reported>,
}

/// The state, and how often it has changed.
#[derive(Debug)]
struct Versioned<T> {
    state: T,
    changes: u64,
}

/// Why a state is not kept in step any more.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SyncError {
    /// Its deltas could not be subscribed, or a report was refused for good: trying again does not help.
    Shadow(ShadowError),
    /// The state cannot be reported, for this reason.
    State(String),
    /// The subscription has ended: the client is closed, or the server does not let it live.
    Ended,
    /// It runs already.
    Running,
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shadow(error) => write!(f, "the shadow could not be kept in step: {error}"),
            Self::State(why) => write!(f, "the state cannot be reported: {why}"),
            Self::Ended => f.write_str("the subscription of the deltas has ended"),
            Self::Running => f.write_str("the state is being kept in step already"),
        }
    }
}

impl std::error::Error for SyncError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Shadow(error) => Some(error),
            _ => None,
        }
    }
}

impl SyncError {
    /// Whether running again may succeed without a change of the program or the policy.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Shadow(error) if error.is_retryable())
    }
}

impl From<ShadowError> for SyncError {
    fn from(error: ShadowError) -> Self {
        Self::Shadow(error)
    }
}

impl<T> Clone for ShadowSync<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Serialize + Clone> ShadowSync<T> {
    /// The state as it is now. Nothing is sent before [`run`](Self::run).
    #[must_use]
    pub fn new(shadow: &ShadowClient, state: T) -> Self {
        let running = tokio::sync::Mutex::default();
        let state = Mutex::new(Versioned { state, changes: 0 });
        Self(Arc::new(Inner { shadow: shadow.clone(), state, changed: Notify::new(), running }))
    }

    fn lock(&self) -> MutexGuard<'_, Versioned<T>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> T {
        self.lock().state.clone()
    }

    /// Changes the state, such as by a button or a sensor; it is reported while [`run`](Self::run) runs. The state is locked
    /// while `change` runs, which therefore must not use the `ShadowSync` itself.
    pub fn modify<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut present = self.lock();
        present.changes += 1;
        let result = change(&mut present.state);
        drop(present);
        self.0.changed.notify_one();
        result
    }

    /// Keeps the state and the shadow in step, for ever: `apply` makes of a delta what the device can make of it. When
    /// [`modify`](Self::modify) comes in between, it is called once more, with the state as it is then.
    ///
    /// It begins with a document, once there is a connection: what was desired meanwhile is applied, then the state is
    /// reported. When the shadow is deleted, the whole state is reported with the next change.
    ///
    /// # Errors
    /// [`SyncError`]; a network that fails is none, nor is a service that has too much to do.
    ///
    /// # Cancellation
    /// Dropping the future stops it; it can run again, and goes on from the same state.
    pub async fn run(&self, mut apply: impl FnMut(&mut T, &Delta)) -> Result<(), SyncError> {
        self.drive(|delta| {
            self.apply(&delta, &mut apply);
            std::future::ready(())
        })
        .await
    }

    /// On a copy, so that `apply` may do what it likes.
    fn apply(&self, delta: &Delta, apply: &mut impl FnMut(&mut T, &Delta)) {
        loop {
            let (mut state, changes) = {
                let present = self.lock();
                (present.state.clone(), present.changes)
            };
            apply(&mut state, delta);
            let mut present = self.lock();
            if present.changes == changes {
                *present = Versioned { state, changes: changes + 1 };
                return;
            }
        }
    }

    /// As [`run`](Self::run), for what takes time: `apply` gets a copy of the state as it begins, and gives at the end what then
    /// changes the state, so that what [`modify`](Self::modify) does meanwhile stays. Of the deltas that come meanwhile only
    /// the last one is applied, which has all that is desired still; nothing is reported meanwhile.
    ///
    /// ```
    /// use iot_shadow::{ShadowSync, SyncError};
    /// use serde::Serialize;
    ///
    /// #[derive(Clone, Serialize)]
    /// struct Blind {
    ///     height: u64,
    /// }
    ///
    /// async fn turn_the_motor(from: u64, to: u64) -> u64 {
    ///     # let _ = from;
    ///     to
    /// }
    ///
    /// async fn device(blind: ShadowSync<Blind>) -> Result<(), SyncError> {
    ///     blind
    ///         .run_with(|blind, delta| async move {
    ///             let wanted = delta.state["height"].as_u64().unwrap_or(blind.height);
    ///             let reached = turn_the_motor(blind.height, wanted).await;
    ///             move |blind: &mut Blind| blind.height = reached
    ///         })
    ///         .await
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SyncError`], as [`run`](Self::run).
    ///
    /// # Cancellation
    /// As [`run`](Self::run); a delta that was being applied comes again.
    pub async fn run_with<F, Fut, C>(&self, mut apply: F) -> Result<(), SyncError>
    where
        F: FnMut(T, Delta) -> Fut,
        Fut: Future<Output = C>,
        C: FnOnce(&mut T),
    {
        self.drive(|delta| {
            let applied = apply(self.state(), delta);
            async {
                let change = applied.await;
                self.modify(change);
            }
        })
        .await
    }

    async fn drive<F, Fut>(&self, mut apply: F) -> Result<(), SyncError>
    where
        F: FnMut(Delta) -> Fut,
        Fut: Future<Output = ()>,
    {
        let mut reported = self.0.running.try_lock().map_err(|_| SyncError::Running)?;
        let mut deltas = self.subscribe().await?;
        deltas.catch_up();
        let mut wait = FIRST_WAIT;
        // Nothing is reported before what was desired meanwhile is known.
        let mut knows = false;
        let mut is_due = true;
        let mut hold: Option<Hold> = None;
        let mut strikes = Strikes::default();
        loop {
            let delta = tokio::select! {
                biased;
                event = deltas.next_event() => match event.ok_or(SyncError::Ended)? {
                    Event::Refused(error) => return Err(error.into()),
                    Event::Missing => {
                        knows = true;
                        reported.0.clear();
                        None
                    }
                    Event::Deleted => {
                        // A report may have made it anew since.
                        reported.0.clear();
                        deltas.catch_up();
                        None
                    }
                    Event::Document(document, delta) => {
                        knows = true;
                        is_due = true;
                        reported.correct(document, &self.object()?);
                        delta
                    }
                    Event::Delta(delta) => Some(delta),
                },
                () = self.0.changed.notified() => {
                    is_due = true;
                    None
                }
                () = held(&mut hold), if hold.is_some() => {
                    hold = None;
                    None
                }
                () = std::future::ready(()), if is_due && knows && hold.is_none() && deltas.is_caught_up() => {
                    // Looking at the deltas may have found a new connection just now.
                    if !deltas.is_caught_up() {
                        continue;
                    }
                    strikes.begin(self.0.shadow.mqtt());
                    match self.report(&mut reported).await? {
                        Ok(()) => {
                            is_due = false;
                            wait = FIRST_WAIT;
                            strikes.clear();
                        }
                        Err(error) => {
                            if !matches!(error.kind(), ErrorKind::Offline | ErrorKind::Rejected(_)) {
                                // It may have taken effect.
                                knows = false;
                                deltas.catch_up();
                            }
                            if let Some(refusal) = strikes.strike(&error, self.0.shadow.mqtt()) {
                                return Err(refusal.into());
                            }
                            hold = Some(self.hold(error, &mut wait)?);
                        }
                    }
                    None
                }
            };
            if let Some(delta) = delta {
                let (delta, deleted) = deltas.newest(delta);
                if deleted {
                    reported.0.clear();
                    deltas.catch_up();
                }
                is_due = true;
                apply(delta).await;
            }
        }
    }

    /// Subscribes, as soon as there is a connection.
    async fn subscribe(&self) -> Result<Deltas, SyncError> {
        let mut wait = FIRST_WAIT;
        loop {
            match self.0.shadow.deltas().await {
                Ok(deltas) => return Ok(deltas),
                Err(error) => self.hold(error, &mut wait)?.await,
            }
        }
    }

    /// What to wait for until it is worth trying again.
    fn hold(&self, error: ShadowError, wait: &mut Duration) -> Result<Hold, SyncError> {
        let client = self.0.shadow.mqtt();
        let is_offline = matches!(error.kind(), ErrorKind::Offline)
            || error.is_retryable() && !client.status().borrow().is_connected();
        if is_offline {
            let client = client.clone();
            return Ok(Box::pin(async move {
                let _ = client.online().await;
            }));
        }
        if matches!(error.kind(), ErrorKind::Closed) {
            return Err(SyncError::Ended);
        }
        // An update whose answer cannot be read has taken effect; the document will tell.
        if !error.is_retryable() && !matches!(error.kind(), ErrorKind::Unreadable(_)) {
            return Err(error.into());
        }
        let hold = sleep(*wait);
        *wait = wait.saturating_mul(2).min(LONGEST_WAIT);
        Ok(Box::pin(hold))
    }

    /// The state as JSON.
    fn object(&self) -> Result<Map<String, Value>, SyncError> {
        match serde_json::to_value(&self.lock().state) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => {
                Err(SyncError::State("it is not a JSON object: use a struct with named fields".to_owned()))
            }
            Err(error) => Err(SyncError::State(error.to_string())),
        }
    }

    /// Reports what is different from what the service has been told.
    async fn report(&self, reported: &mut Reported) -> Result<Result<(), ShadowError>, SyncError> {
        let state = self.object()?;
        let patch = difference(&reported.0, &state);
        if patch.is_empty() {
            return Ok(Ok(()));
        }
        // Until the answer is there, all of it counts as told: members that go meanwhile have to be deleted.
        let before = reported.0.clone();
        merge(&mut reported.0, &patch);
        let outcome = self.0.shadow.update(Update::new().reported(Value::Object(patch))).await;
        if let Err(error) = outcome {
            if matches!(error.kind(), ErrorKind::Offline | ErrorKind::Rejected(_)) {
                reported.0 = before;
            }
            return Ok(Err(error));
        }
        Ok(Ok(()))
    }
}

type Hold = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn held(hold: &mut Option<Hold>) {
    if let Some(hold) = hold {
        hold.await;
    }
}
