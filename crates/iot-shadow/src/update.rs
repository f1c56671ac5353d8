//! What is asked to be changed.

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A change of a shadow: members to merge into what is desired, reported, or both.
///
/// `T` is a struct of the application's own, or [`Value`]. A member that is absent from its JSON is left as it is, one that
/// is `null` is deleted, so partial updates are made of fields that are skipped when empty: see [`Patch`].
///
/// ```
/// use iot_shadow::Update;
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// struct Lamp {
///     color: &'static str,
/// }
///
/// let update = Update::new().reported(Lamp { color: "red" }).if_version(7);
/// # let _ = update;
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "it is nothing until it is sent"]
pub struct Update<T = Value> {
    desired: Section<T>,
    reported: Section<T>,
    pub(crate) version: Option<u64>,
    pub(crate) client_token: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Section<T> {
    Kept,
    Cleared,
    Merged(T),
}

impl<T> Default for Update<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Update<T> {
    /// Nothing yet. Sent like this it only makes the shadow, if there is none, and raises its version.
    pub const fn new() -> Self {
        Self { desired: Section::Kept, reported: Section::Kept, version: None, client_token: None }
    }

    /// Merges this into what applications want.
    pub fn desired(mut self, desired: T) -> Self {
        self.desired = Section::Merged(desired);
        self
    }

    /// Merges this into what the device says of itself.
    pub fn reported(mut self, reported: T) -> Self {
        self.reported = Section::Merged(reported);
        self
    }

    /// Deletes all that is desired.
    pub fn clear_desired(mut self) -> Self {
        self.desired = Section::Cleared;
        self
    }

    /// Deletes all that is reported.
    pub fn clear_reported(mut self) -> Self {
        self.reported = Section::Cleared;
        self
    }

    /// Only if the shadow has this version; otherwise it is refused with [409](crate::Rejection::is_conflict).
    pub fn if_version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// A token of the caller's own, at most 64 bytes, which no other request under way may have. Everyone who subscribes to
    /// the shadow sees it. Default: one that nobody else has.
    pub fn client_token(mut self, token: impl Into<String>) -> Self {
        self.client_token = Some(token.into());
        self
    }
}

impl<T: Serialize> Update<T> {
    /// The value of `state` in the request document.
    pub(crate) fn state(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&StateOf(self))
    }
}

struct StateOf<'a, T>(&'a Update<T>);

impl<T: Serialize> Serialize for StateOf<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, section) in [("desired", &self.0.desired), ("reported", &self.0.reported)] {
            match section {
                Section::Kept => {}
                Section::Cleared => map.serialize_entry(name, &())?,
                Section::Merged(state) => map.serialize_entry(name, state)?,
            }
        }
        map.end()
    }
}

/// A field of a partial update: left as it is, deleted, or set. JSON tells them apart as an absent member, `null` and a
/// value; `Option` alone has just two of the three.
///
/// ```
/// use iot_shadow::Patch;
/// use serde::Serialize;
///
/// #[derive(Serialize, Default)]
/// struct Lamp {
///     #[serde(skip_serializing_if = "Patch::is_keep")]
///     color: Patch<String>,
///     #[serde(skip_serializing_if = "Patch::is_keep")]
///     level: Patch<u8>,
///     #[serde(skip_serializing_if = "Patch::is_keep")]
///     timer: Patch<u32>,
/// }
///
/// let patch = Lamp { level: Patch::Set(3), timer: Patch::Delete, ..Lamp::default() };
/// assert_eq!(serde_json::to_string(&patch)?, r#"{"level":3,"timer":null}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// As it is. The field needs `#[serde(default, skip_serializing_if = "Patch::is_keep")]`; without it, this is written as
    /// `null`, which deletes.
    #[default]
    Keep,
    /// The member is to go.
    Delete,
    /// The member is to have this value.
    Set(T),
}

impl<T> Patch<T> {
    /// Whether it is [`Keep`](Self::Keep).
    #[must_use]
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

impl<T> From<T> for Patch<T> {
    fn from(value: T) -> Self {
        Self::Set(value)
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep | Self::Delete => serializer.serialize_none(),
            Self::Set(value) => serializer.serialize_some(value),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Delete, Self::Set))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_kept_cleared_and_merged_is_told_apart() {
        let state = |update: Update| update.state().unwrap();
        assert_eq!(state(Update::new()), "{}");
        assert_eq!(state(Update::new().desired(json!({"a": null}))), r#"{"desired":{"a":null}}"#);
        assert_eq!(
            state(Update::new().clear_desired().reported(json!({}))),
            r#"{"desired":null,"reported":{}}"#
        );
    }

    #[test]
    fn a_patch_reads_what_it_writes() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Form {
            #[serde(default, skip_serializing_if = "Patch::is_keep")]
            a: Patch<u8>,
            #[serde(default, skip_serializing_if = "Patch::is_keep")]
            b: Patch<u8>,
            #[serde(default, skip_serializing_if = "Patch::is_keep")]
            c: Patch<u8>,
        }
        let form = Form { a: Patch::Keep, b: Patch::Delete, c: 5.into() };
        let text = serde_json::to_string(&form).unwrap();
        assert_eq!(text, r#"{"b":null,"c":5}"#);
        assert_eq!(serde_json::from_str::<Form>(&text).unwrap(), form);
    }
}
