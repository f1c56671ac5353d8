//! A second model of merge and delta, made of paths instead of trees, beside the service on random requests.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Map;

use super::*;

type Path = Vec<String>;

/// What stands at the end of a path: anything but an object with members.
#[derive(Debug, Clone, PartialEq)]
struct Leaf {
    value: Value,
    written: u64,
}

impl Leaf {
    fn is_object(&self) -> bool {
        self.value.is_object()
    }
}

#[derive(Debug, Default)]
struct Section(BTreeMap<Path, Leaf>);

impl Section {
    fn has_below(&self, path: &[String]) -> bool {
        self.0.keys().any(|key| key.len() > path.len() && key.starts_with(path))
    }

    fn is_object(&self, path: &[String]) -> bool {
        path.is_empty() || self.has_below(path) || self.0.get(path).is_some_and(Leaf::is_object)
    }

    fn cut(&mut self, path: &[String]) {
        self.0.retain(|key, _| !key.starts_with(path));
    }

    fn put(&mut self, path: &[String], value: Value, written: u64) {
        // Whatever stood on the way is none any more.
        for len in 1..path.len() {
            self.0.remove(&path[..len]);
        }
        self.cut(path);
        self.0.insert(path.to_vec(), Leaf { value, written });
    }

    /// Merges what was sent for the object at `path`, which exists.
    fn merge(&mut self, path: &[String], sent: &Map<String, Value>, now: u64) {
        for (name, value) in sent {
            let path = [path, std::slice::from_ref(name)].concat();
            match value {
                Value::Object(members) if self.is_object(&path) => self.merge(&path, members, now),
                value => {
                    self.cut(&path);
                    let mut kept = Vec::new();
                    leaves(&path, value, &mut kept);
                    for (path, value) in kept {
                        self.put(&path, value, now);
                    }
                }
            }
        }
        if !path.is_empty() && !self.has_below(path) {
            self.0.insert(path.to_vec(), Leaf { value: json!({}), written: now });
        }
    }

    fn delta(&self, reported: &Self) -> Self {
        let differs = |path: &Path, leaf: &Leaf| {
            if leaf.is_object() {
                return reported.0.is_empty() || !reported.is_object(path);
            }
            reported.0.get(path).is_none_or(|other| other.value != leaf.value)
        };
        Self(
            self.0
                .iter()
                .filter(|(path, leaf)| differs(path, leaf))
                .map(|(p, l)| (p.clone(), l.clone()))
                .collect(),
        )
    }

    /// The tree that the paths stand for.
    fn tree(&self, of: impl Fn(&Leaf) -> Value) -> Value {
        let mut root = json!({});
        for (path, leaf) in &self.0 {
            let place = path.iter().fold(&mut root, |at, name| {
                at.as_object_mut().unwrap().entry(name.clone()).or_insert_with(|| json!({}))
            });
            *place = of(leaf);
        }
        root
    }
}

/// The leaves of a value that is new, without nulls and what consists of them.
fn leaves(path: &[String], value: &Value, kept: &mut Vec<(Path, Value)>) {
    match value {
        Value::Null => {}
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                leaves(&[path, std::slice::from_ref(name)].concat(), value, kept);
            }
        }
        value => kept.push((path.to_vec(), value.clone())),
    }
}

fn stamps(value: &Value, time: u64) -> Value {
    match value {
        Value::Array(elements) => elements.iter().map(|element| stamps(element, time)).collect(),
        Value::Object(_) => json!({}),
        _ => json!({ "timestamp": time }),
    }
}

#[derive(Debug, Default)]
struct Model {
    desired: Section,
    reported: Section,
}

impl Model {
    fn update(&mut self, state: &Value, now: u64) {
        for (name, section) in [("desired", &mut self.desired), ("reported", &mut self.reported)] {
            match state.get(name) {
                _ if state.is_null() => *section = Section::default(),
                Some(Value::Null) => *section = Section::default(),
                Some(Value::Object(sent)) => section.merge(&[], sent, now),
                _ => {}
            }
        }
    }

    /// As [`Shadows::document`] gives it.
    fn document(&self, version: u64) -> Value {
        let (mut state, mut metadata) = (json!({}), json!({}));
        for (name, section) in [("desired", &self.desired), ("reported", &self.reported)] {
            if !section.0.is_empty() {
                state[name] = section.tree(|leaf| leaf.value.clone());
                metadata[name] = section.tree(|leaf| stamps(&leaf.value, leaf.written));
            }
        }
        let delta = self.desired.delta(&self.reported);
        if !delta.0.is_empty() {
            state["delta"] = delta.tree(|leaf| leaf.value.clone());
        }
        json!({"state": state, "metadata": metadata, "version": version})
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        3 => Just(Value::Null),
        3 => (0..3).prop_map(|number| json!(number)),
        1 => Just(json!("text")),
        1 => Just(json!({})),
        1 => prop::collection::vec(0..2, 0..3).prop_map(|numbers| json!(numbers)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop::collection::btree_map("[ab]|c", inner, 0..3).prop_map(|members| json!(members))
    })
}

fn section() -> impl Strategy<Value = Option<Value>> {
    let members = prop::collection::btree_map("[ab]|c", value(), 0..4).prop_map(|members| json!(members));
    prop_oneof![2 => Just(None), 1 => Just(Some(Value::Null)), 12 => members.prop_map(Some)]
}

fn state() -> impl Strategy<Value = Value> {
    let sections = (section(), section()).prop_map(|(desired, reported)| {
        let sections = [("desired", desired), ("reported", reported)];
        sections.into_iter().filter_map(|(name, section)| Some((name.to_owned(), section?))).collect()
    });
    prop_oneof![1 => Just(Value::Null), 30 => sections]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn trees_and_paths_agree_after_every_update(updates in prop::collection::vec(state(), 1..12)) {
        let mut service = Service::with(|rules| rules.requests_per_second = u32::MAX);
        let mut model = Model::default();
        for (number, state) in updates.iter().enumerate() {
            let version = number as u64 + 1;
            service.now = at(100 + version);
            model.update(state, 100 + version);
            let answers = service.ask("update", json!({ "state": state }).to_string());
            let expected = model.document(version);
            prop_assert_eq!(service.shadows.document(&service.id), Some(expected.clone()), "after {}", state);
            let delta = answers.iter().find(|(tail, _)| tail == "update/delta").map(|(_, delta)| &delta["state"]);
            prop_assert_eq!(delta, expected["state"].get("delta"));
            let documents = answers.iter().find(|(tail, _)| tail == "update/documents").unwrap();
            let mut current = expected;
            current["state"].as_object_mut().unwrap().remove("delta");
            prop_assert_eq!(&documents.1["current"], &current);
            prop_assert_eq!(&answers[0].1["state"], state);
        }
    }
}
