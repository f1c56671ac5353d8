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
use super::error::{ErrorKind, ShadowError};
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
    state: Mutex<T>,
    changed: Notify,
    running: tokio::sync::Mutex<Reported>,
}

/// What the service has been told, as far as is known.
#[derive(Debug, Default)]
struct Reported(Map<String, Value>);

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
        Self(Arc::new(Inner {
            shadow: shadow.clone(),
            state: Mutex::new(state),
            changed: Notify::new(),
            running,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> T {
        self.lock().clone()
    }

    /// Changes the state, such as by a button or a sensor; it is reported while [`run`](Self::run) runs.
    pub fn modify<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.0.changed.notify_one();
        result
    }

    /// Keeps the state and the shadow in step, for ever: `apply` makes of a delta what the device can make of it.
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
            apply(&mut self.lock(), &delta);
            std::future::ready(())
        })
        .await
    }

    /// As [`run`](Self::run), for what takes time: `apply` gets a copy of the state, and gives it back when it is done. Deltas
    /// that come meanwhile are left out but for the last one, which has all that is desired still. The state is what `apply`
    /// gives back, whatever [`modify`](Self::modify) does meanwhile.
    ///
    /// # Errors
    /// [`SyncError`], as [`run`](Self::run).
    ///
    /// # Cancellation
    /// As [`run`](Self::run); a delta that was being applied comes again.
    pub async fn run_with<F, Fut>(&self, mut apply: F) -> Result<(), SyncError>
    where
        F: FnMut(T, Delta) -> Fut,
        Fut: Future<Output = T>,
    {
        self.drive(|delta| {
            let applied = apply(self.state(), delta);
            async { *self.lock() = applied.await }
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
        loop {
            let delta = tokio::select! {
                biased;
                event = deltas.next_event() => match event.ok_or(SyncError::Ended)? {
                    Event::Refused(error) => return Err(error.into()),
                    Event::Gone => {
                        knows = true;
                        reported.0.clear();
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
                    match self.report(&mut reported).await? {
                        Ok(()) => {
                            is_due = false;
                            wait = FIRST_WAIT;
                        }
                        Err(error) => {
                            if !matches!(error.kind(), ErrorKind::Offline | ErrorKind::Rejected(_)) {
                                // It may have taken effect.
                                knows = false;
                                deltas.catch_up();
                            }
                            hold = Some(self.hold(error, &mut wait)?);
                        }
                    }
                    None
                }
            };
            if let Some(delta) = delta {
                let (delta, gone) = deltas.newest(delta);
                if gone {
                    reported.0.clear();
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
        if matches!(error.kind(), ErrorKind::Offline) {
            let client = self.0.shadow.mqtt().clone();
            return Ok(Box::pin(async move {
                let _ = client.online().await;
            }));
        }
        if matches!(error.kind(), ErrorKind::Closed) {
            return Err(SyncError::Ended);
        }
        if !error.is_retryable() {
            return Err(error.into());
        }
        let hold = sleep(*wait);
        *wait = wait.saturating_mul(2).min(LONGEST_WAIT);
        Ok(Box::pin(hold))
    }

    /// The state as JSON.
    fn object(&self) -> Result<Map<String, Value>, SyncError> {
        match serde_json::to_value(&*self.lock()) {
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

impl Reported {
    /// The service has this. What neither was told nor is in the state is somebody else's, and left alone.
    fn correct(&mut self, document: Option<Value>, state: &Map<String, Value>) {
        let own = |name: &String| self.0.contains_key(name) || state.contains_key(name);
        self.0 = match document {
            Some(Value::Object(document)) => document.into_iter().filter(|(name, _)| own(name)).collect(),
            _ => Map::new(),
        };
    }
}

/// What has to be merged into `old` so that it becomes `new`.
fn difference(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let mut patch = Map::new();
    for (name, value) in new {
        match (old.get(name), value) {
            (None, Value::Null) => {}
            (Some(Value::Object(old)), Value::Object(new)) => {
                let inner = difference(old, new);
                if !inner.is_empty() {
                    patch.insert(name.clone(), Value::Object(inner));
                }
            }
            (Some(old), value) if old == value => {}
            (_, value) => {
                patch.insert(name.clone(), value.clone());
            }
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    patch
}

/// Merges as the service does.
fn merge(into: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match (into.get_mut(name), value) {
            (_, Value::Null) => {
                into.remove(name);
            }
            (Some(Value::Object(into)), Value::Object(patch)) => merge(into, patch),
            (_, Value::Object(patch)) => {
                let mut new = Map::new();
                merge(&mut new, patch);
                into.insert(name.clone(), Value::Object(new));
            }
            (_, value) => {
                into.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(object) => object,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn only_what_differs_is_sent_and_what_is_gone_is_deleted() {
        let old = object(json!({"a": 1, "b": {"c": 2, "d": 3}, "e": 5, "f": [1, 2]}));
        let new = object(json!({"a": 1, "b": {"c": 4}, "e": null, "f": [1], "g": null}));
        assert_eq!(difference(&old, &new), object(json!({"b": {"c": 4, "d": null}, "e": null, "f": [1]})));
        assert!(difference(&old, &old).is_empty());
    }

    #[test]
    fn what_others_report_is_left_alone() {
        let mut reported = Reported(object(json!({"old": 1})));
        let state = object(json!({"own": 1}));
        reported.correct(Some(json!({"own": 2, "old": 1, "other": 3})), &state);
        assert_eq!(difference(&reported.0, &state), object(json!({"own": 1, "old": null})));
    }

    fn states() -> impl Strategy<Value = Map<String, Value>> {
        let leaf =
            prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), (0..3).prop_map(Value::from)];
        let value = leaf.prop_recursive(3, 16, 4, |inner| {
            proptest::collection::btree_map("[abc]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect()))
        });
        proptest::collection::btree_map("[abc]", value, 0..4).prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_difference_merged_into_the_old_makes_the_new(old in states(), new in states()) {
            let (mut old, clean) = (without_nulls(&old), without_nulls(&new));
            let patch = difference(&old, &new);
            merge(&mut old, &patch);
            prop_assert_eq!(&old, &clean);
            prop_assert!(difference(&old, &new).is_empty());
        }
    }

    fn without_nulls(map: &Map<String, Value>) -> Map<String, Value> {
        let mut clean = Map::new();
        merge(&mut clean, map);
        clean
    }
}
