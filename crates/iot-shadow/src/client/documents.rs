//! Every update, with the whole shadow before and after.

use iot_session::{Messages, OpError, QoS, SubscribeOptions};
use serde::de::DeserializeOwned;

use super::error::ShadowError;
use super::versions::Mark;
use super::{ShadowClient, wire};
use crate::document::Change;
use crate::topic::ShadowTopic;

/// The updates of a shadow, whoever makes them, each with the whole document before and after. Dropping it unsubscribes.
///
/// One that comes again, or late, is passed over, and so is what cannot be read as a `T`.
#[derive(Debug)]
pub struct Documents<T> {
    messages: Messages,
    last: Option<Mark>,
    unreadable: u64,
    form: std::marker::PhantomData<fn() -> T>,
}

impl ShadowClient {
    /// Subscribes to the updates of the shadow, and returns when the service has said yes.
    ///
    /// ```
    /// use iot_shadow::{ShadowClient, ShadowError, Value};
    ///
    /// async fn watch(lamp: &ShadowClient) -> Result<(), ShadowError> {
    ///     let mut documents = lamp.documents::<Value>().await?;
    ///     while let Some(change) = documents.next().await {
    ///         println!("version {}: {:?}", change.current.version, change.current.state.reported);
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// Without a connection it waits for one.
    ///
    /// # Errors
    /// The topic is not allowed, or the client is closed.
    ///
    /// # Cancellation
    /// Leaves no subscription.
    pub async fn documents<T: DeserializeOwned>(&self) -> Result<Documents<T>, ShadowError> {
        let inner = &*self.0;
        let subscribed = async {
            let filter = inner.id.topic_filter(ShadowTopic::Documents).map_err(OpError::from)?;
            inner.client.subscribe_with(filter, SubscribeOptions::new(QoS::AtLeastOnce)).await
        };
        let messages = subscribed.await.map_err(ShadowError::of_subscription)?;
        Ok(Documents { messages, last: None, unreadable: 0, form: std::marker::PhantomData })
    }
}

impl<T: DeserializeOwned> Documents<T> {
    /// The next update; `None` at the end: the client is closed, or the subscription is not in force any more.
    ///
    /// # Cancellation
    /// Loses nothing.
    pub async fn next(&mut self) -> Option<Change<T>> {
        loop {
            let message = self.messages.next().await?;
            let Ok(change) = wire::parse::<Change<T>>(message.payload()) else {
                self.unreadable += 1;
                continue;
            };
            let mark = Mark { version: change.current.version, timestamp: change.timestamp };
            // A shadow that was not there before may be numbered anew.
            let is_anew = |last: Mark| {
                let is_dated = mark.timestamp.is_some() && last.timestamp.is_some();
                change.previous.is_none() && (mark.is_renumbered(last) || !is_dated && mark != last)
            };
            if self.last.is_none_or(|last| mark.version > last.version || is_anew(last)) {
                self.last = Some(mark);
                return Some(change);
            }
        }
    }

    /// How many could not be read as a `T` so far.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }
}
