//! Compare and set.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ShadowClient;
use super::error::ShadowError;
use crate::document::{Accepted, Shadow};
use crate::update::Update;

/// How often a shadow may change under the hands of [`ShadowClient::modify`].
const ATTEMPTS: u32 = 10;

impl ShadowClient {
    /// Reads the shadow, makes an update of it, and sends that for the version that was read: nothing that others did in
    /// between is overwritten. If they did something, all of it is done again, up to 10 times. `change` gets `None` if there
    /// is no shadow, and gives `None` to leave it as it is.
    ///
    /// ```
    /// use iot_shadow::{ShadowClient, ShadowError, Update, Value};
    ///
    /// async fn count(lamp: &ShadowClient) -> Result<(), ShadowError> {
    ///     lamp.modify::<Value, Value>(|shadow| {
    ///         let reported = shadow.and_then(|shadow| shadow.state.reported.as_ref());
    ///         let starts = reported.and_then(|state| state["starts"].as_u64()).unwrap_or(0);
    ///         Some(Update::new().reported(serde_json::json!({ "starts": starts + 1 })))
    ///     })
    ///     .await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// A [token](Update::client_token) of the update is that of the first attempt only.
    ///
    /// A shadow that does not exist has no version to compare: two that make it at the same time are merged.
    ///
    /// # Errors
    /// [`ShadowError`] of the request that failed; [`is_conflict`](ShadowError::is_conflict) if the shadow changed 10 times.
    pub async fn modify<T, U>(
        &self,
        mut change: impl FnMut(Option<&Shadow<T>>) -> Option<Update<U>>,
    ) -> Result<Option<Accepted>, ShadowError>
    where
        T: DeserializeOwned + Send + 'static,
        U: Serialize,
    {
        let mut attempt = 1;
        loop {
            let shadow = match self.get::<T>().await {
                Ok(shadow) => Some(shadow),
                Err(error) if error.is_missing() => None,
                Err(error) => return Err(error),
            };
            let Some(mut update) = change(shadow.as_ref()) else { return Ok(None) };
            if let Some(shadow) = &shadow {
                update = update.if_version(shadow.version);
            }
            if attempt > 1 {
                // An answer to an earlier attempt may come again.
                update.client_token = None;
            }
            let call = self.update(update);
            match call.await {
                Err(error) if error.is_conflict() && attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome.map(Some),
            }
        }
    }
}
