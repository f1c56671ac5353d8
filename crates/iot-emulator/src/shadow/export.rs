//! All shadows as one JSON document, to be kept in a file.

use std::fmt;

use serde_json::{Map, Value, json};

use super::document::{Document, Part};
use super::id::ShadowId;
use super::request::{DESIRED, REPORTED};
use super::{Entry, Shadows};

/// What is said of the format, so that a later one can tell.
const FORMAT: u64 = 1;

/// What is read back is no export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidExport(String);

impl fmt::Display for InvalidExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "these are no shadows as the emulator writes them: {}", self.0)
    }
}

impl std::error::Error for InvalidExport {}

fn invalid(what: impl Into<String>) -> InvalidExport {
    InvalidExport(what.into())
}

impl Shadows {
    /// All shadows, and where the numbering of deleted ones goes on.
    #[must_use]
    pub fn export(&self) -> Value {
        let entries: Vec<Value> = self
            .entries
            .iter()
            .map(|(id, entry)| match entry {
                Entry::Stored(Document { desired, reported, version }) => json!({
                    "thing": id.thing,
                    "name": id.name,
                    "version": version,
                    "state": { DESIRED: desired.state, REPORTED: reported.state },
                    "metadata": { DESIRED: desired.metadata, REPORTED: reported.metadata },
                }),
                Entry::Deleted { version, at } => {
                    json!({ "thing": id.thing, "name": id.name, "version": version, "deleted": at })
                }
            })
            .collect();
        json!({ "format": FORMAT, "shadows": entries })
    }

    /// Puts in what [`export`](Self::export) gave, in the place of the shadows that there are.
    ///
    /// # Errors
    /// It is no export, or one of another format; nothing is changed then.
    pub fn import(&mut self, export: &Value) -> Result<(), InvalidExport> {
        if export.get("format") != Some(&FORMAT.into()) {
            return Err(invalid(format!("the member `format` is not {FORMAT}")));
        }
        let list = export.get("shadows").and_then(Value::as_array);
        let list = list.ok_or_else(|| invalid("the member `shadows` is no list"))?;
        if list.len() > super::MAX_SHADOWS {
            return Err(invalid(format!("more than {} shadows", super::MAX_SHADOWS)));
        }
        let entries = list.iter().enumerate().map(|(index, entry)| {
            read(entry).ok_or_else(|| invalid(format!("shadow {index} of the list, counted from 0")))
        });
        self.entries = entries.collect::<Result<_, _>>()?;
        Ok(())
    }
}

fn read(entry: &Value) -> Option<(ShadowId, Entry)> {
    let name = match entry.get("name")? {
        Value::Null => None,
        name => Some(name.as_str()?),
    };
    let id = ShadowId::new(entry.get("thing")?.as_str()?, name)?;
    let version = entry.get("version")?.as_u64()?;
    if let Some(at) = entry.get("deleted") {
        return Some((id, Entry::Deleted { version, at: at.as_u64()? }));
    }
    let part = |name: &str| {
        let state = entry.get("state")?.get(name)?.as_object()?.clone();
        let metadata = entry.get("metadata")?.get(name)?.as_object()?.clone();
        same_shape(&state, &metadata).then_some(Part { state, metadata })
    };
    Some((id, Entry::Stored(Document { desired: part(DESIRED)?, reported: part(REPORTED)?, version })))
}

/// Whether metadata has the members of a state, objects where that has objects: what merging counts on.
fn same_shape(state: &Map<String, Value>, metadata: &Map<String, Value>) -> bool {
    state.len() == metadata.len()
        && state.iter().all(|(name, value)| match (value, metadata.get(name)) {
            (Value::Object(state), Some(Value::Object(metadata))) => same_shape(state, metadata),
            (Value::Object(_) | Value::Null, _) | (_, None) => false,
            _ => true,
        })
}
