//! The document of an update: read, and checked in a fixed order.

use serde_json::{Map, Value};

use super::merge::{depth, has_null_in_array, mirror};
use super::rejection::Rejection;
use super::rules::Rules;

/// What an update wants.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Update {
    pub(super) state: State,
    pub(super) version: Option<u64>,
    pub(super) token: Option<String>,
}

/// The member `state` of a request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    /// `null`: both sections go.
    Clear,
    Sections {
        desired: Section,
        reported: Section,
    },
}

/// `desired` or `reported` in a request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Section {
    Absent,
    Null,
    Members(Map<String, Value>),
}

/// The names of the sections, which are all that a state may have.
pub(super) const DESIRED: &str = "desired";
pub(super) const REPORTED: &str = "reported";

impl Update {
    /// In this order: encoding, JSON, token, state, its sections, version, depth, nulls in arrays.
    pub(super) fn parse(payload: &[u8], rules: &Rules) -> Result<Self, Rejection> {
        let text = std::str::from_utf8(payload).map_err(|_| Rejection::not_utf8())?;
        let value: Value = serde_json::from_str(text).map_err(|_| Rejection::not_json(rules, None))?;
        let Value::Object(mut root) = value else { return Err(Rejection::not_json(rules, None)) };
        let token = token(&root, rules)?;
        let bad = |message: &str| Rejection::bad(message, token.clone());
        let state = match root.remove("state") {
            None => return Err(bad("Missing required node: state")),
            Some(Value::Null) => State::Clear,
            Some(Value::Object(mut state)) => {
                let desired =
                    section(&mut state, DESIRED).map_err(|()| bad("Desired node must be an object"))?;
                let reported =
                    section(&mut state, REPORTED).map_err(|()| bad("Reported node must be an object"))?;
                if let Some(name) = state.keys().next() {
                    let named = format!("State contains an invalid node: '{name}'");
                    let bare = "State contains an invalid node";
                    return Err(bad(if rules.invalid_node_is_named { &named } else { bare }));
                }
                State::Sections { desired, reported }
            }
            Some(_) => return Err(bad("State node must be an object")),
        };
        let version = match root.remove("version") {
            None => None,
            Some(version) => Some(version.as_u64().ok_or_else(|| Rejection::invalid_version(token.clone()))?),
        };
        for members in state.members() {
            if depth(members.values()) > rules.max_depth {
                let allowed = rules.depth_in_text;
                return Err(bad(&format!("JSON contains too many levels of nesting; maximum is {allowed}")));
            }
        }
        if state.members().flat_map(Map::values).any(has_null_in_array) {
            return Err(bad("Invalid JSON"));
        }
        Ok(Self { state, version, token })
    }

    /// What the answer repeats.
    pub(super) fn state_as_sent(&self) -> Value {
        self.state.each_section(|members| Value::Object(members.clone()), || Value::Null, Value::Null)
    }

    /// The metadata of what was sent: nulls have a timestamp as well.
    pub(super) fn metadata(&self, now: u64) -> Value {
        let members = |members: &Map<String, Value>| mirror(&Value::Object(members.clone()), now);
        let stamp = || mirror(&Value::Null, now);
        self.state.each_section(members, stamp, stamp())
    }
}

impl State {
    /// The members of each section.
    fn members(&self) -> impl Iterator<Item = &Map<String, Value>> {
        let sections = match self {
            Self::Clear => [None, None],
            Self::Sections { desired, reported } => [Some(desired), Some(reported)],
        };
        sections.into_iter().flatten().filter_map(|section| match section {
            Section::Members(members) => Some(members),
            Section::Absent | Section::Null => None,
        })
    }

    fn each_section(
        &self,
        of_members: impl Fn(&Map<String, Value>) -> Value,
        of_null: impl Fn() -> Value,
        of_clear: Value,
    ) -> Value {
        let Self::Sections { desired, reported } = self else { return of_clear };
        let mut object = Map::new();
        for (name, section) in [(DESIRED, desired), (REPORTED, reported)] {
            let value = match section {
                Section::Absent => continue,
                Section::Null => of_null(),
                Section::Members(members) => of_members(members),
            };
            object.insert(name.to_owned(), value);
        }
        Value::Object(object)
    }
}

fn section(state: &mut Map<String, Value>, name: &str) -> Result<Section, ()> {
    match state.remove(name) {
        None => Ok(Section::Absent),
        Some(Value::Null) => Ok(Section::Null),
        Some(Value::Object(members)) => Ok(Section::Members(members)),
        Some(_) => Err(()),
    }
}

fn token(root: &Map<String, Value>, rules: &Rules) -> Result<Option<String>, Rejection> {
    match root.get("clientToken") {
        None => Ok(None),
        Some(Value::String(token)) if token.len() <= rules.max_token => Ok(Some(token.clone())),
        Some(_) => Err(Rejection::bad("Invalid clientToken", None)),
    }
}

/// The token in a body of which nothing else matters: that of a get or delete.
pub(super) fn token_of(body: &[u8], rules: &Rules) -> Option<String> {
    let Ok(Value::Object(root)) = serde_json::from_slice(body) else { return None };
    token(&root, rules).ok().flatten()
}
