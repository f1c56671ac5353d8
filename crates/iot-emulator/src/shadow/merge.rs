//! How a request is merged into a document, and the metadata that mirrors it.

use serde_json::{Map, Value, json};

/// Merges `patch` into a section and its metadata: objects member by member, everything else whole; `null` takes a member
/// away. Members of the request get the time `now` even if they do not change.
pub(super) fn merge(
    state: &mut Map<String, Value>,
    metadata: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    now: u64,
) {
    for (name, new) in patch {
        match (new, state.get_mut(name), metadata.get_mut(name)) {
            (Value::Object(patch), Some(Value::Object(state)), Some(Value::Object(metadata))) => {
                merge(state, metadata, patch, now);
            }
            (new, ..) => match without_nulls(new) {
                Some(new) => {
                    metadata.insert(name.clone(), mirror(&new, now));
                    state.insert(name.clone(), new);
                }
                None => {
                    metadata.remove(name);
                    state.remove(name);
                }
            },
        }
    }
}

/// A value as it is stored; `None` if nothing is left of it but nulls. An object that was empty before stays.
fn without_nulls(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Object(members) if !members.is_empty() => {
            let kept: Map<_, _> = members
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), without_nulls(value)?)))
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        value => Some(value.clone()),
    }
}

/// The metadata of a value: a timestamp in the place of each scalar, `null` included.
pub(super) fn mirror(value: &Value, now: u64) -> Value {
    match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), mirror(value, now))).collect()
        }
        Value::Array(elements) => elements.iter().map(|element| mirror(element, now)).collect(),
        _ => json!({ "timestamp": now }),
    }
}

/// How many names lead to the deepest value: an array is a level, too; scalars and what is empty add none.
pub(super) fn depth<'a>(children: impl Iterator<Item = &'a Value>) -> usize {
    children
        .map(|child| match child {
            Value::Object(members) => 1 + depth(members.values()),
            Value::Array(elements) => 1 + depth(elements.iter()),
            _ => 1,
        })
        .max()
        .unwrap_or(0)
}

/// Whether there is a `null` anywhere in an array.
pub(super) fn has_null_in_array(value: &Value) -> bool {
    fn has_null(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Object(members) => members.values().any(has_null),
            Value::Array(elements) => elements.iter().any(has_null),
            _ => false,
        }
    }
    match value {
        Value::Array(_) => has_null(value),
        Value::Object(members) => members.values().any(has_null_in_array),
        _ => false,
    }
}
