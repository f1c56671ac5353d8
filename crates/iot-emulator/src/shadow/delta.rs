//! What is desired and not reported.

use serde_json::{Map, Value};

use super::rules::Rules;

type Members = Map<String, Value>;

/// The members that differ, with their metadata from `metadata`, which is that of `desired`. Empty: none does.
pub(super) fn delta(
    desired: &Members,
    reported: &Members,
    metadata: &Members,
    rules: &Rules,
) -> (Members, Members) {
    let (mut state, mut stamps) = (Members::new(), Members::new());
    for (name, wanted) in desired {
        let stamp = metadata.get(name);
        let (wanted, stamp) = match (wanted, reported.get(name)) {
            (Value::Object(wanted), None) if wanted.is_empty() && !rules.delta_has_empty_objects => continue,
            (Value::Object(wanted), Some(Value::Object(reported))) => {
                let empty = Members::new();
                let metadata = stamp.and_then(Value::as_object).unwrap_or(&empty);
                let (state, stamps) = delta(wanted, reported, metadata, rules);
                if state.is_empty() {
                    continue;
                }
                (Value::Object(state), Some(Value::Object(stamps)))
            }
            (wanted, Some(reported)) if equal(wanted, reported) => continue,
            (wanted, _) => (wanted.clone(), stamp.cloned()),
        };
        state.insert(name.clone(), wanted);
        stamps.extend(stamp.map(|stamp| (name.clone(), stamp)));
    }
    (state, stamps)
}

/// Numbers are equal by their value, whether they are written as integers or not.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64() && (one.is_f64() || other.is_f64())
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| equal(one, other)))
        }
        (one, other) => one == other,
    }
}
