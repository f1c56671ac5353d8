//! Shadows from the side of the service: to look at, and to change as an application would.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Builder, Emulator};
use crate::shadow::{Rejection, Rules, ShadowId};

/// # Device shadows
impl Builder {
    /// What the Device Shadow service does where it could do something else, and its limits. Default: [`Rules::default`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use iot_emulator::{Emulator, shadow::Rules};
    ///
    /// let mut rules = Rules::default();
    /// rules.requests_per_second = u32::MAX;
    /// let emulator = Emulator::builder().shadows(rules).start().await?;
    /// # emulator.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn shadows(mut self, rules: Rules) -> Self {
        self.shadow_rules = rules;
        self
    }

    /// A file that the shadows are read from at the start, and written to after every change; it is made if it does not
    /// exist. What changes within the time of one write is written together, at the latest by
    /// [`shutdown`](Emulator::shutdown). Default: they are kept in memory only.
    ///
    /// [`start`](Self::start) fails if it cannot be read, written, or holds something else.
    pub fn shadow_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.shadow_file = Some(path.into());
        self
    }
}

/// # Device shadows
///
/// As an application does it by HTTP: devices hear of it by MQTT. Requests count for the
/// [rate](Rules::requests_per_second) of a shadow.
impl Emulator {
    /// A shadow with its `state`, the `delta` included, its `metadata` and its `version`; `None`: there is none. It does
    /// not count as a request.
    pub async fn shadow(&self, id: &ShadowId) -> Option<Value> {
        let id = id.clone();
        self.call(move |hub| hub.shadows.document(&id)).await
    }

    /// All shadows that there are, in order.
    pub async fn shadows(&self) -> Vec<ShadowId> {
        self.call(|hub| hub.shadows.ids().cloned().collect()).await
    }

    /// Merges a request document into a shadow: `{"state": {"desired": …}}`. Gives what the service answers.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use iot_emulator::{Emulator, shadow::ShadowId};
    ///
    /// let emulator = Emulator::start().await?;
    /// let lamp = ShadowId::new("lamp", None).ok_or("not a name")?;
    /// let wish = serde_json::json!({"state": {"desired": {"color": "red"}}});
    /// assert_eq!(emulator.update_shadow(&lamp, &wish).await?["version"], 1);
    /// # emulator.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What the service would say to it.
    pub async fn update_shadow(&self, id: &ShadowId, request: &Value) -> Result<Value, Rejection> {
        let (id, request) = (id.clone(), request.to_string());
        let answer = self
            .call(move |hub| Some(hub.shadows.update(hub.time(), &id, request.as_bytes())))
            .await
            .unwrap_or_else(|| Err(Rejection::internal(None)))?;
        Ok(serde_json::from_str(&answer).unwrap_or_default())
    }

    /// Merges what is desired into a shadow: [`update_shadow`](Self::update_shadow) with less to write.
    ///
    /// # Errors
    /// What the service would say to it.
    pub async fn desire(&self, id: &ShadowId, desired: Value) -> Result<Value, Rejection> {
        self.update_shadow(id, &json!({ "state": { "desired": desired } })).await
    }

    /// Deletes a shadow. Gives the version that it had.
    ///
    /// # Errors
    /// There is none, or there were too many requests.
    pub async fn delete_shadow(&self, id: &ShadowId) -> Result<u64, Rejection> {
        let id = id.clone();
        let answer = self
            .call(move |hub| Some(hub.shadows.delete(hub.time(), &id)))
            .await
            .unwrap_or_else(|| Err(Rejection::internal(None)))?;
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        Ok(answer.get("version").and_then(Value::as_u64).unwrap_or_default())
    }

    /// Changes the rules of the service from now on.
    pub async fn change_shadow_rules(&self, change: impl FnOnce(&mut Rules) + Send + 'static) {
        self.call(move |hub| change(hub.shadows.rules_mut())).await;
    }
}
