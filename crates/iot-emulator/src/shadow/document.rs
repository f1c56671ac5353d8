//! A shadow as it is stored.

use serde_json::{Map, Value};

use super::body::Body;
use super::delta::delta;
use super::merge::merge;
use super::request::{DESIRED, REPORTED, Section, State, Update};
use super::rules::Rules;

type Members = Map<String, Value>;

/// The stored document: what it wants, what it is, and since when.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Document {
    pub(super) desired: Part,
    pub(super) reported: Part,
    pub(super) version: u64,
}

/// A section and its metadata. One without members does not show in documents.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Part {
    pub(super) state: Members,
    pub(super) metadata: Members,
}

impl Document {
    /// Merges an update in. The version is the owner's business.
    pub(super) fn apply(&mut self, update: &Update, now: u64, rules: &Rules) {
        match &update.state {
            State::Clear => (self.desired, self.reported) = (Part::default(), Part::default()),
            State::Sections { desired, reported } => {
                self.desired.apply(desired, now, rules);
                self.reported.apply(reported, now, rules);
            }
        }
    }

    /// Compact JSON of both sections, in bytes: metadata does not count.
    pub(super) fn size(&self) -> usize {
        [&self.desired, &self.reported]
            .iter()
            .filter(|part| !part.state.is_empty())
            .map(|part| serde_json::to_string(&part.state).map_or(usize::MAX, |json| json.len()))
            .sum()
    }

    /// What differs and its metadata, if anything does.
    pub(super) fn delta(&self, rules: &Rules) -> Option<(Value, Value)> {
        let Self { desired, reported, .. } = self;
        let (state, metadata) = if reported.state.is_empty() {
            (desired.state.clone(), desired.metadata.clone())
        } else {
            delta(&desired.state, &reported.state, &desired.metadata, rules)
        };
        (!state.is_empty()).then_some((Value::Object(state), Value::Object(metadata)))
    }

    /// As an answer to a get.
    pub(super) fn as_answer(&self, now: u64, token: Option<String>, rules: &Rules) -> String {
        let mut metadata = self.sections(|part| &part.metadata);
        if let (true, Some((_, stamps))) = (rules.get_has_delta_metadata, self.delta(rules)) {
            metadata.insert("delta".to_owned(), stamps);
        }
        Body::new()
            .value("state", &self.state_with_delta(rules))
            .value("metadata", &Value::Object(metadata))
            .number("version", self.version)
            .number("timestamp", now)
            .token(token)
            .end()
    }

    /// As `previous` and `current` of what is published about an update.
    pub(super) fn as_part(&self) -> String {
        Body::new()
            .value("state", &Value::Object(self.sections(|part| &part.state)))
            .value("metadata", &self.metadata_value())
            .number("version", self.version)
            .end()
    }

    pub(super) fn state_with_delta(&self, rules: &Rules) -> Value {
        let mut state = self.sections(|part| &part.state);
        if let Some((delta, _)) = self.delta(rules) {
            state.insert("delta".to_owned(), delta);
        }
        Value::Object(state)
    }

    pub(super) fn metadata_value(&self) -> Value {
        Value::Object(self.sections(|part| &part.metadata))
    }

    fn sections(&self, of: impl Fn(&Part) -> &Members) -> Members {
        [(DESIRED, &self.desired), (REPORTED, &self.reported)]
            .into_iter()
            .filter(|(_, part)| !part.state.is_empty())
            .map(|(name, part)| (name.to_owned(), Value::Object(of(part).clone())))
            .collect()
    }
}

impl Part {
    fn apply(&mut self, section: &Section, now: u64, rules: &Rules) {
        match section {
            Section::Absent => {}
            Section::Null => *self = Self::default(),
            Section::Members(members) if members.is_empty() && rules.empty_section_clears => {
                *self = Self::default();
            }
            Section::Members(members) => merge(&mut self.state, &mut self.metadata, members, now),
        }
    }
}
