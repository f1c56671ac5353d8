//! What has been told, what is to be told, and what is somebody else's.

use serde_json::{Map, Value};

/// What the service has been told, as far as is known.
#[derive(Debug, Default)]
pub(super) struct Reported(pub(super) Map<String, Value>);

impl Reported {
    /// The service has this. What neither was told nor is in the state is somebody else's, and left alone.
    pub(super) fn correct(&mut self, document: Option<Value>, state: &Map<String, Value>) {
        self.0 = match document {
            Some(Value::Object(document)) => own(document, &self.0, state),
            _ => Map::new(),
        };
    }
}

/// The members that either of the others has, at every level.
fn own(
    document: Map<String, Value>,
    told: &Map<String, Value>,
    state: &Map<String, Value>,
) -> Map<String, Value> {
    let nothing = Map::new();
    let inside = |of: Option<&Value>| of.and_then(Value::as_object).cloned();
    document
        .into_iter()
        .filter(|(name, _)| told.contains_key(name) || state.contains_key(name))
        .map(|(name, value)| match value {
            Value::Object(value) => {
                let (told, state) = (inside(told.get(&name)), inside(state.get(&name)));
                // Where the state has another kind of value, all of it goes.
                let value = match (&told, &state) {
                    (None, None) => value,
                    _ => own(value, told.as_ref().unwrap_or(&nothing), state.as_ref().unwrap_or(&nothing)),
                };
                (name, Value::Object(value))
            }
            value => (name, value),
        })
        .collect()
}

/// What has to be merged into `old` so that it becomes `new`.
pub(super) fn difference(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
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
pub(super) fn merge(into: &mut Map<String, Value>, patch: &Map<String, Value>) {
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

        let mut reported = Reported(object(json!({"net": {"old": 1}})));
        let state = object(json!({"net": {"ssid": "b"}}));
        reported.correct(Some(json!({"net": {"ssid": "a", "old": 1, "other": 1}})), &state);
        assert_eq!(difference(&reported.0, &state), object(json!({"net": {"ssid": "b", "old": null}})));
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
