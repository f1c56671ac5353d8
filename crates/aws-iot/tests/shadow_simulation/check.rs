//! Whether what the device was told is what the service has done.

use std::collections::{BTreeMap, BTreeSet};

use aws_iot::shadow::ShadowId;
use iot_emulator::shadow::ShadowId as Stored;
use serde_json::{Value, json};

use super::cloud::{By, Cloud, Entry};
use super::work::{End, Event, Run, What};

/// A request that reached the service.
struct Asked {
    by: By,
    topic: String,
    document: Value,
    /// Where the answer is in the journal, and it.
    answer: Option<(usize, String, Value)>,
}

/// By their tokens, of which none comes twice.
type Requests = BTreeMap<String, Asked>;

pub(crate) fn check(run: &Run) {
    let account = run.account.borrow();
    assert_eq!(account.begun, account.ended + account.given_up, "every call ends");
    let journal = run.cloud.journal(<[_]>::to_vec);
    let (requests, order) = requests(&journal);
    let mut told = BTreeSet::new();
    for event in &account.events {
        let id = run.shadows[event.shadow].client.id();
        match &event.what {
            What::Ended { token, end } => {
                assert!(told.insert(token), "{token} was told twice");
                ended(&requests, event.journal, id, token, end);
            }
            What::Delta { version, state, .. } => {
                let is_it = |entry: &Entry| delta_of(id, entry) == Some((*version, state.clone()));
                assert!(
                    journal[..event.journal].iter().any(is_it),
                    "{id} never had delta {version}: {state}"
                );
            }
            What::Change { .. } => {}
        }
    }
    in_order(run, &journal, &account.events);
    replay(&run.cloud, &run.ids, &requests, &order);
}

/// What was asked, and the tokens in the order in which it was.
fn requests(journal: &[Entry]) -> (Requests, Vec<String>) {
    let (mut requests, mut order) = (Requests::new(), Vec::new());
    for (at, entry) in journal.iter().enumerate() {
        let (topic, document) = (entry.topic.clone(), entry.document());
        let Some(token) = document["clientToken"].as_str().map(str::to_owned) else { continue };
        match entry.by {
            By::Device | By::Application => {
                order.push(token.clone());
                let asked = Asked { by: entry.by, topic, document, answer: None };
                assert!(requests.insert(token.clone(), asked).is_none(), "{token} was sent twice");
            }
            By::Service if ["/accepted", "/rejected"].iter().any(|tail| topic.ends_with(tail)) => {
                let before = requests.get_mut(&token).unwrap().answer.replace((at, topic, document));
                assert!(before.is_none(), "{token} took effect twice");
            }
            By::Service | By::Anyone => {}
        }
    }
    (requests, order)
}

/// A call has come to what the service has made of it.
fn ended(requests: &Requests, journal: usize, id: &ShadowId, token: &str, end: &End) {
    let asked = requests.get(token);
    if let End::NotSent | End::Unknown = end {
        assert!(asked.is_none() || *end == End::Unknown, "{token} was told as not sent");
        return;
    }
    let Some(asked) = asked else { panic!("{token} was never sent, and told as {end:?}") };
    assert_eq!(asked.by, By::Device);
    let Some((at, topic, document)) = &asked.answer else {
        panic!("{token} was not answered, but told: {end:?}")
    };
    let number = |name: &str| document[name].as_u64();
    let (tail, is_so) = match end {
        End::Accepted(version) => ("update/accepted", number("version") == Some(*version)),
        End::Deleted(version) => ("delete/accepted", number("version") == Some(*version)),
        End::Got(version, state) => {
            let part = |name| &document["state"][name];
            let same =
                json!({"desired": part("desired"), "reported": part("reported"), "delta": part("delta")});
            ("get/accepted", number("version") == Some(*version) && same == *state)
        }
        End::Rejected(code) => ("rejected", number("code") == Some(u64::from(*code))),
        End::NotSent | End::Unknown => return,
    };
    let is_its_own =
        topic.starts_with(&format!("{id}/")) && topic.starts_with(&asked.topic) && topic.ends_with(tail);
    assert!(is_so && is_its_own && *at < journal, "{token} was told as {end:?}, not so: {topic} {document}");
}

/// Version and state, if this tells a delta of the shadow.
fn delta_of(id: &ShadowId, entry: &Entry) -> Option<(u64, Value)> {
    let tail = entry.topic.strip_prefix(&id.to_string())?;
    let document = match tail {
        "/update/delta" | "/get/accepted" => entry.document(),
        _ => return None,
    };
    let state = if tail == "/get/accepted" { &document["state"]["delta"] } else { &document["state"] };
    (!state.is_null()).then(|| Some((document["version"].as_u64()?, state.clone())))?
}

/// Versions grow in each stream, and are not older than those that answers have told, unless the shadow was deleted.
fn in_order(run: &Run, journal: &[Entry], events: &[Event]) {
    // The last one of each stream, and the newest answer for each client: the version, and where it was said first.
    let mut last: BTreeMap<usize, (u64, usize)> = BTreeMap::new();
    let mut told: BTreeMap<usize, (u64, usize)> = BTreeMap::new();
    for event in events {
        let id = run.shadows[event.shadow].client.id();
        let is_after_deletion =
            |from: usize| journal[from..event.journal].iter().any(|entry| is_end(id, entry));
        let first = |version: u64| {
            let is_it = |entry: &Entry| {
                entry.topic.starts_with(&format!("{id}/"))
                    && entry.by == By::Service
                    && version_of(entry) == version
            };
            journal.iter().position(is_it).unwrap()
        };
        match event.what {
            What::Ended { end: End::Accepted(version) | End::Got(version, _), .. } => {
                let newest = told.entry(event.shadow).or_insert((version, first(version)));
                if version > newest.0 {
                    *newest = (version, first(version));
                }
            }
            What::Ended { .. } => {}
            What::Delta { stream, version, .. } | What::Change { stream, version } => {
                if let Some((before, said)) = last.insert(stream, (version, first(version))) {
                    assert!(
                        version > before || is_after_deletion(said),
                        "{id}: stream {stream} has {version} after {before}, entry {} of the journal:\n{}",
                        event.journal,
                        shown(journal, id)
                    );
                }
                let is_delta = matches!(event.what, What::Delta { .. });
                if let Some((newest, said)) = told.get(&event.shadow).filter(|_| is_delta) {
                    assert!(
                        version >= *newest || is_after_deletion(*said),
                        "{id}: stream {stream} has {version}, {newest} was told, entry {} of the journal:\n{}",
                        event.journal,
                        shown(journal, id)
                    );
                }
            }
        }
    }
}

fn version_of(entry: &Entry) -> u64 {
    let document = entry.document();
    document["version"].as_u64().or(document["current"]["version"].as_u64()).unwrap_or(0)
}

/// Whether this says that there is no such shadow any more.
fn is_end(id: &ShadowId, entry: &Entry) -> bool {
    let Some(tail) = entry.topic.strip_prefix(&id.to_string()) else { return false };
    tail == "/delete/accepted" || tail.ends_with("/rejected") && entry.document()["code"] == 404
}

/// As the service names it.
pub(crate) fn stored(id: &ShadowId) -> Stored {
    Stored::new(id.thing.as_str(), id.name.as_ref().map(aws_iot::shadow::ShadowName::as_str)).unwrap()
}

/// What was accepted makes the shadows that the service has, and nothing else has changed them.
fn replay(cloud: &Cloud, ids: &[ShadowId], requests: &Requests, order: &[String]) {
    for id in ids {
        let mut shadow: Option<(u64, Value)> = None;
        for token in order {
            let Asked { topic, document, answer: Some((_, answer, said)), .. } = &requests[token] else {
                continue;
            };
            if answer.ends_with("/rejected") {
                continue;
            }
            let version = said["version"].as_u64().unwrap();
            if *topic == format!("{id}/delete") {
                assert_eq!(shadow.take().map(|(version, _)| version), Some(version), "{token}");
            } else if *topic == format!("{id}/update") {
                let (before, mut state) = shadow.take().unwrap_or_else(|| (version - 1, json!({})));
                assert_eq!(version, before + 1, "{token}");
                let count = |state: &Value| state["reported"]["count"].as_u64();
                if document["version"].is_u64() && count(&document["state"]).is_some() {
                    let next = count(&state).unwrap_or(0) + 1;
                    assert_eq!(count(&document["state"]), Some(next), "{token}: nothing is lost");
                }
                merge(&mut state, &document["state"]);
                shadow = Some((version, state));
            }
        }
        let stored = cloud.document(&stored(id));
        let stored =
            stored.map(|document: Value| (document["version"].as_u64().unwrap(), document["state"].clone()));
        let parts = |shadow: Option<(u64, Value)>| {
            let part = |state: &Value, name: &str| state[name].as_object().cloned().unwrap_or_default();
            shadow.map(|(version, state)| (version, part(&state, "desired"), part(&state, "reported")))
        };
        assert_eq!(parts(stored), parts(shadow), "{id} is what was accepted");
    }
}

/// As the service merges.
pub(crate) fn merge(into: &mut Value, patch: &Value) {
    let (Value::Object(members), Value::Object(patch)) = (&mut *into, patch) else {
        *into = patch.clone();
        return;
    };
    for (name, value) in patch {
        match value {
            Value::Null => drop(members.remove(name)),
            value => {
                let member = members.entry(name.clone()).or_insert_with(|| json!({}));
                if !value.is_object() || !member.is_object() {
                    *member = json!({});
                }
                merge(member, value);
            }
        }
    }
}

/// What concerns a shadow, for whoever looks into a failure.
pub(crate) fn shown(journal: &[Entry], id: &ShadowId) -> String {
    let own =
        |(_, entry): &(usize, &Entry)| entry.topic.contains(&format!("{id}/")) || entry.topic == "CONNECT";
    let line = |(at, entry): (usize, &Entry)| {
        let payload = String::from_utf8_lossy(&entry.payload);
        let payload: String = payload.chars().take(300).collect();
        format!("{at} {:?} {:?} {} {payload}\n", entry.at, entry.by, entry.topic)
    };
    journal.iter().enumerate().filter(own).map(line).collect()
}
