//! Device Shadow for programs without async code.

use std::future::IntoFuture;
use std::time::Duration;

use iot_session::blocking::NextError;
use iot_shadow::{Accepted, Change, Deleted, Delta, Shadow, ShadowError, ShadowId, SyncError, Update};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Client;

/// One shadow, over a connection that others may use as well: [`iot_shadow::ShadowClient`] with calls that block. Clones
/// share its subscriptions.
#[derive(Debug, Clone)]
pub struct ShadowClient {
    shadow: iot_shadow::ShadowClient,
    client: Client,
}

impl ShadowClient {
    pub(super) fn new(shadow: iot_shadow::ShadowClient, client: Client) -> Self {
        Self { shadow, client }
    }

    /// Which shadow.
    #[must_use]
    pub fn id(&self) -> &ShadowId {
        self.shadow.id()
    }

    /// The connection, for plain MQTT beside the shadow.
    #[must_use]
    pub fn mqtt(&self) -> &Client {
        &self.client
    }

    /// The whole document. It is an error with the code 404 if there is none.
    pub fn get<T: DeserializeOwned + Send + 'static>(&self) -> Call<Shadow<T>> {
        self.call(self.shadow.get())
    }

    /// Merges an update into the shadow, which is made if there is none.
    pub fn update<T: Serialize>(&self, update: Update<T>) -> Call<Accepted> {
        self.call(self.shadow.update(update))
    }

    /// Deletes the shadow. It is an error with the code 404 if there is none.
    pub fn delete(&self) -> Call<Deleted> {
        self.call(self.shadow.delete())
    }

    /// Reads the shadow, makes an update of it and sends that for the version that was read. See
    /// [`iot_shadow::ShadowClient::modify`].
    ///
    /// # Errors
    /// As there.
    pub fn modify<T, U>(
        &self,
        change: impl FnMut(Option<&Shadow<T>>) -> Option<Update<U>>,
    ) -> Result<Option<Accepted>, ShadowError>
    where
        T: DeserializeOwned + Send + 'static,
        U: Serialize,
    {
        self.client.block_on(self.shadow.modify(change))
    }

    /// What is desired and not reported yet, again and again: an iterator. See [`iot_shadow::ShadowClient::deltas`].
    ///
    /// # Errors
    /// As there.
    pub fn deltas(&self) -> Result<Deltas, ShadowError> {
        let deltas = self.client.block_on(self.shadow.deltas())?;
        Ok(Deltas { deltas, client: self.client.clone() })
    }

    /// Every accepted update with the document before and after it: an iterator. See
    /// [`iot_shadow::ShadowClient::documents`].
    ///
    /// # Errors
    /// As there.
    pub fn documents<T: DeserializeOwned>(&self) -> Result<Documents<T>, ShadowError> {
        let documents = self.client.block_on(self.shadow.documents())?;
        Ok(Documents { documents, client: self.client.clone() })
    }

    fn call<R>(&self, call: iot_shadow::Call<R>) -> Call<R> {
        Call { call, client: self.client.clone() }
    }
}

/// A request to a shadow: [`wait`](Self::wait) sends it and waits for its outcome; nothing happens before.
#[must_use = "it is sent by `wait`"]
#[derive(Debug)]
pub struct Call<R> {
    call: iot_shadow::Call<R>,
    client: Client,
}

impl<R: Send + 'static> Call<R> {
    /// As [`iot_shadow::Call::client_token`].
    pub fn client_token(self, token: impl Into<String>) -> Self {
        Self { call: self.call.client_token(token), ..self }
    }

    /// As [`iot_shadow::Call::timeout`].
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { call: self.call.timeout(timeout), ..self }
    }

    /// As [`iot_shadow::Call::wait_for_connection`].
    pub fn wait_for_connection(self, wait: bool) -> Self {
        Self { call: self.call.wait_for_connection(wait), ..self }
    }

    /// Sends the request and waits for its outcome, as long as its timeout.
    ///
    /// # Errors
    /// Why there is none, or what the service has against it.
    pub fn wait(self) -> Result<R, ShadowError> {
        self.client.block_on(self.call.into_future())
    }
}

/// The deltas of a shadow, as an iterator that blocks until the next one. It ends when the client is closed, or the
/// subscription is not in force any more.
#[derive(Debug)]
pub struct Deltas {
    deltas: iot_shadow::Deltas,
    client: Client,
}

impl Deltas {
    /// The next delta, waited for for so long.
    ///
    /// # Errors
    /// None came in time, or none will come any more.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Delta, NextError> {
        in_time(self.client.block_on_for(self.deltas.next(), timeout))
    }

    /// As [`iot_shadow::Deltas::catch_up`].
    pub fn catch_up(&mut self) {
        self.deltas.catch_up();
    }

    /// As [`iot_shadow::Deltas::catch_up_error`].
    #[must_use]
    pub fn catch_up_error(&self) -> Option<&ShadowError> {
        self.deltas.catch_up_error()
    }
}

impl Iterator for Deltas {
    type Item = Delta;

    fn next(&mut self) -> Option<Delta> {
        self.client.block_on(self.deltas.next())
    }
}

/// The accepted updates of a shadow, as an iterator that blocks until the next one. It ends as [`Deltas`] does.
#[derive(Debug)]
pub struct Documents<T> {
    documents: iot_shadow::Documents<T>,
    client: Client,
}

impl<T: DeserializeOwned> Documents<T> {
    /// The next update, waited for for so long.
    ///
    /// # Errors
    /// None came in time, or none will come any more.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Change<T>, NextError> {
        in_time(self.client.block_on_for(self.documents.next(), timeout))
    }

    /// How many could not be read as a `T` so far.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.documents.unreadable()
    }
}

impl<T: DeserializeOwned> Iterator for Documents<T> {
    type Item = Change<T>;

    fn next(&mut self) -> Option<Change<T>> {
        self.client.block_on(self.documents.next())
    }
}

fn in_time<T>(next: Option<Option<T>>) -> Result<T, NextError> {
    next.ok_or(NextError::Timeout)?.ok_or(NextError::Ended)
}

/// A state that is kept in step with its shadow: [`iot_shadow::ShadowSync`], run on a thread of the program's. Clones share
/// the state.
///
/// ```no_run
/// use aws_iot::blocking::{Client, ShadowSync};
/// use aws_iot::shadow::{ShadowId, SyncError};
///
/// # fn example(client: Client, id: ShadowId) {
/// let lamp = ShadowSync::new(&client.shadow(id), serde_json::json!({ "on": false }));
/// let running = lamp.clone();
/// let thread = std::thread::spawn(move || -> Result<(), SyncError> {
///     running.run(|state, delta| state["on"] = delta.state["on"].clone())
/// });
/// lamp.modify(|state| state["on"] = true.into()); // somebody pressed the button
/// # drop(thread);
/// # }
/// ```
#[derive(Debug)]
pub struct ShadowSync<T> {
    sync: iot_shadow::ShadowSync<T>,
    client: Client,
}

impl<T> Clone for ShadowSync<T> {
    fn clone(&self) -> Self {
        Self { sync: self.sync.clone(), client: self.client.clone() }
    }
}

impl<T: Serialize + Clone> ShadowSync<T> {
    /// The state as it is now. Nothing is sent before [`run`](Self::run).
    #[must_use]
    pub fn new(shadow: &ShadowClient, state: T) -> Self {
        Self { sync: iot_shadow::ShadowSync::new(&shadow.shadow, state), client: shadow.client.clone() }
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> T {
        self.sync.state()
    }

    /// Changes the state; it is reported while [`run`](Self::run) runs. See [`iot_shadow::ShadowSync::modify`].
    pub fn modify<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        self.sync.modify(change)
    }

    /// Keeps the state and the shadow in step until the client is closed. See [`iot_shadow::ShadowSync::run`].
    ///
    /// # Errors
    /// [`SyncError::Ended`] when the client is closed; else as there.
    pub fn run(&self, apply: impl FnMut(&mut T, &Delta)) -> Result<(), SyncError> {
        self.client.block_on(self.sync.run(apply))
    }

    /// As [`run`](Self::run), for so long; it can run again afterwards.
    ///
    /// # Errors
    /// As [`run`](Self::run), within the time.
    pub fn run_for(&self, time: Duration, apply: impl FnMut(&mut T, &Delta)) -> Result<(), SyncError> {
        self.client.block_on_for(self.sync.run(apply), time).unwrap_or(Ok(()))
    }
}
