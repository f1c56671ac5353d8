//! What the service publishes: documents, deltas and what was accepted.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A shadow as the service stores it, with the state as a `T`: a struct of the application's own, or [`Value`].
///
/// What is absent from a document is absent from the application's struct too: fields are best `Option`s, or have
/// `#[serde(default)]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
#[non_exhaustive]
pub struct Shadow<T = Value> {
    /// Its parts.
    #[serde(default, deserialize_with = "or_default")]
    pub state: State<T>,
    /// When each member was set last.
    #[serde(default)]
    pub metadata: Metadata,
    /// One more with each update that was accepted.
    pub version: u64,
    /// When the service made the answer, in seconds since 1970.
    #[serde(default)]
    pub timestamp: Option<u64>,
    /// The token of the request.
    #[serde(default, rename = "clientToken")]
    pub client_token: Option<String>,
}

/// The parts of a shadow. A part without members is absent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
#[non_exhaustive]
pub struct State<T = Value> {
    /// What applications want.
    pub desired: Option<T>,
    /// What the device has said of itself.
    pub reported: Option<T>,
    /// The members of `desired` that `reported` has not, or has otherwise. Absent if there are none.
    pub delta: Option<Value>,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self { desired: None, reported: None, delta: None }
    }
}

/// When each member was set last, in the shape of the state: every value in it is `{"timestamp": …}`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(transparent)]
pub struct Metadata(pub Value);

impl Metadata {
    /// When a member was set last, in seconds since 1970. It is named by a JSON pointer (RFC 6901), such as
    /// `/desired/color` in a [`Shadow`], or `/color` in a [`Delta`]. `None`: there is no such member, or it is an object
    /// itself.
    ///
    /// ```
    /// use iot_shadow::Metadata;
    ///
    /// let metadata = Metadata(serde_json::json!({"desired": {"color": {"timestamp": 1_700_000_000}}}));
    /// assert_eq!(metadata.set_at("/desired/color"), Some(1_700_000_000));
    /// ```
    #[must_use]
    pub fn set_at(&self, pointer: &str) -> Option<u64> {
        self.0.pointer(pointer)?.get("timestamp")?.as_u64()
    }
}

/// An update that was accepted.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Accepted {
    /// What was sent, not the whole shadow.
    #[serde(default)]
    pub state: Value,
    /// The same in its shape.
    #[serde(default)]
    pub metadata: Metadata,
    /// The shadow's version from now on.
    pub version: u64,
    /// When, in seconds since 1970.
    #[serde(default)]
    pub timestamp: Option<u64>,
    /// The token of the request.
    #[serde(default, rename = "clientToken")]
    pub client_token: Option<String>,
}

/// A shadow that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Deleted {
    /// The version that it had. One that is made anew within 48 hours goes on from there.
    pub version: u64,
    /// When, in seconds since 1970.
    #[serde(default)]
    pub timestamp: Option<u64>,
    /// The token of the request.
    #[serde(default, rename = "clientToken")]
    pub client_token: Option<String>,
}

/// All that is desired and not reported so.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Delta {
    /// The members with the values that are desired, in the shape of the state.
    pub state: Value,
    /// When they were desired.
    #[serde(default)]
    pub metadata: Metadata,
    /// The shadow's version: that of the update that left the difference.
    pub version: u64,
    /// When, in seconds since 1970.
    #[serde(default)]
    pub timestamp: Option<u64>,
    /// The token of the update that left the difference, whoever made it.
    #[serde(default, rename = "clientToken")]
    pub client_token: Option<String>,
}

impl Delta {
    /// The state as a struct of the application's own. Members that do not differ are absent, so its fields are best
    /// `Option`s.
    ///
    /// # Errors
    /// The state does not have that form; [`state`](Self::state) has it as it is.
    pub fn state_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.state)
    }
}

impl From<Shadow<Value>> for Option<Delta> {
    /// The difference that a document has, if it has one.
    fn from(shadow: Shadow<Value>) -> Self {
        let Shadow { state, metadata, version, timestamp, client_token } = shadow;
        let state = state.delta?;
        let mut metadata = metadata.0.pointer("/desired").cloned().unwrap_or_default();
        prune(&mut metadata, &state);
        Some(Delta { state, metadata: Metadata(metadata), version, timestamp, client_token })
    }
}

/// Leaves what `shape` has too. Both come from one document, so the depth is bounded by what the parser takes.
fn prune(metadata: &mut Value, shape: &Value) {
    let (Value::Object(metadata), Value::Object(shape)) = (metadata, shape) else { return };
    metadata.retain(|name, _| shape.contains_key(name));
    for (name, metadata) in metadata {
        if let Some(shape) = shape.get(name) {
            prune(metadata, shape);
        }
    }
}

/// An update as it is told to everyone: the whole shadow before and after.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
#[non_exhaustive]
pub struct Change<T = Value> {
    /// Before; `None`: there was no shadow.
    pub previous: Option<Snapshot<T>>,
    /// After.
    pub current: Snapshot<T>,
    /// When, in seconds since 1970.
    #[serde(default)]
    pub timestamp: Option<u64>,
    /// The token of the update, whoever made it.
    #[serde(default, rename = "clientToken")]
    pub client_token: Option<String>,
}

/// A shadow at a version.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
#[non_exhaustive]
pub struct Snapshot<T = Value> {
    /// Its parts; the delta is never among them.
    #[serde(default, deserialize_with = "or_default")]
    pub state: State<T>,
    /// When each member was set last.
    #[serde(default)]
    pub metadata: Metadata,
    /// Which one.
    pub version: u64,
}

/// `null` is as if it were absent.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Lamp {
        color: Option<String>,
    }

    #[test]
    fn a_document_is_read_into_the_applications_own_struct() {
        let shadow: Shadow<Lamp> = from_value(json!({
            "state": {"desired": {"color": "red"}, "reported": {"other": 1}, "delta": {"color": "red"}},
            "metadata": {"desired": {"color": {"timestamp": 5}}, "reported": {"other": {"timestamp": 4}}},
            "version": 7, "timestamp": 9, "clientToken": "t", "unknown": []
        }))
        .unwrap();
        assert_eq!(shadow.state.desired, Some(Lamp { color: Some("red".into()) }));
        assert_eq!(shadow.state.reported, Some(Lamp { color: None }));
        assert_eq!(
            (shadow.version, shadow.timestamp, shadow.client_token.as_deref()),
            (7, Some(9), Some("t"))
        );
        assert_eq!(shadow.metadata.set_at("/desired/color"), Some(5));
        assert_eq!(shadow.metadata.set_at("/desired/none"), None);
    }

    #[test]
    fn an_empty_shadow_has_no_parts() {
        for state in [json!({}), json!(null), json!({"desired": null})] {
            let shadow: Shadow = from_value(json!({"state": state, "metadata": {}, "version": 1})).unwrap();
            assert_eq!(shadow.state, State::default());
            assert_eq!(Option::<Delta>::from(shadow), None);
        }
    }

    #[test]
    fn the_delta_of_a_document_has_its_own_metadata() {
        let shadow: Shadow = from_value(json!({
            "state": {"desired": {"a": 1, "b": {"c": 2, "d": 3}}, "reported": {"a": 1}, "delta": {"b": {"c": 2}}},
            "metadata": {"desired": {"a": {"timestamp": 1}, "b": {"c": {"timestamp": 2}, "d": {"timestamp": 3}}}},
            "version": 7
        }))
        .unwrap();
        let delta = Option::<Delta>::from(shadow).unwrap();
        assert_eq!(delta.state, json!({"b": {"c": 2}}));
        assert_eq!(delta.metadata.0, json!({"b": {"c": {"timestamp": 2}}}));
    }
}
