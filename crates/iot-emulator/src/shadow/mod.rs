//! The Device Shadow service without a clock, a socket or a task.
//!
//! # Contract
//! The owner tells the service what clients publish ([`Shadows::published`]) and what they ask by HTTP ([`Shadows::get`],
//! [`Shadows::update`], [`Shadows::delete`], [`Shadows::list`]), that a connection is gone ([`Shadows::closed`]), and calls
//! [`Shadows::handle_timeout`] when [`Shadows::deadline`] has come. After each of them it publishes what
//! [`Shadows::poll`] gives, until that returns `None`.
//!
//! ```
//! use iot_emulator::shadow::{Asker, ShadowId, Shadows, Time};
//!
//! let mut shadows = Shadows::default();
//! let now = Time { uptime: std::time::Duration::ZERO, unix: 1_700_000_000 };
//! let update = br#"{"state":{"desired":{"color":"red"}},"clientToken":"t"}"#;
//! shadows.published(now, Asker(1), "$aws/things/lamp/shadow/update", update);
//! let accepted = shadows.poll().expect("an answer");
//! assert_eq!(accepted.topic, "$aws/things/lamp/shadow/update/accepted");
//! let lamp = ShadowId::new("lamp", None).expect("a valid name");
//! assert_eq!(shadows.document(&lamp).expect("it exists")["state"]["desired"]["color"], "red");
//! ```
//!
//! # What it follows
//! The AWS IoT Core developer guide: "Device Shadow service documents", "Device Shadow MQTT topics", "Device Shadow REST API",
//! "Device Shadow error messages" and the service's quotas. Where those are silent, contradict each other, or differ from
//! what is seen on the wire, there is a switch in [`Rules`].

mod body;
mod delta;
mod document;
mod export;
mod id;
mod merge;
mod quota;
mod rejection;
mod request;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use mqtt_codec::QoS;
use serde_json::{Value, json};

use body::Body;
use document::Document;
pub use export::InvalidExport;
use id::Asked;
pub use id::ShadowId;
use quota::Quota;
pub use rejection::Rejection;
use request::Update;
pub use rules::{Order, Rules};

/// The most shadows, and the most deleted ones that are remembered: what is beyond is refused, or forgotten.
const MAX_SHADOWS: usize = 10_000;

/// The most answers that wait for their delay.
const MAX_WAITING: usize = 10_000;

/// When something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Time {
    /// Since any moment, never going back: rates and delays are measured by it.
    pub uptime: Duration,
    /// Seconds since 1970: what timestamps say.
    pub unix: u64,
}

/// Names a connection, as far as its requests under way are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asker(pub u64);

/// What the service publishes; it is never retained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to.
    pub topic: String,
    /// A JSON document.
    pub payload: Bytes,
    /// At most.
    pub qos: QoS,
}

/// All shadows of all things. See the [module](self) for how it is driven.
#[derive(Debug, Default)]
pub struct Shadows {
    rules: Rules,
    entries: BTreeMap<ShadowId, Entry>,
    quota: Quota,
    outputs: VecDeque<Outgoing>,
    /// By when it is due, and in the order in which it came.
    waiting: BTreeMap<(Duration, u64), Waiting>,
    counter: u64,
    revision: u64,
}

#[derive(Debug, Clone, PartialEq)]
enum Entry {
    Stored(Document),
    /// Numbering goes on from here for a while.
    Deleted {
        version: u64,
        at: u64,
    },
}

#[derive(Debug)]
struct Waiting {
    /// Whose request ends with it.
    ends: Option<(Asker, String)>,
    outgoing: Outgoing,
}

/// When the answer to a request is published, and whose request ends then.
#[derive(Debug, Clone, Copy)]
struct Delayed {
    due: Duration,
    asker: Asker,
}

/// A page of the names of a thing's named shadows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In order.
    pub names: Vec<String>,
    /// What to ask the next page with; `None`: there is none.
    pub next: Option<String>,
}

/// What an update or a delete came to: the answer to the one who asked, and what everyone else hears.
struct Outcome {
    answer: String,
    /// The tail of the topic, and the document.
    others: Vec<(&'static str, String)>,
}

impl Shadows {
    /// No shadows yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// What the service does where it could do something else.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The same, to change it.
    pub fn rules_mut(&mut self) -> &mut Rules {
        &mut self.rules
    }

    // --- by MQTT ---

    /// A client has published this. Whether it is a request to the service; anything else is ignored.
    pub fn published(&mut self, now: Time, asker: Asker, topic: &str, payload: &[u8]) -> bool {
        let Some((id, asked)) = ShadowId::parse_request(topic, self.rules.dollar_names) else { return false };
        let takes =
            self.waiting.len() < MAX_WAITING && self.quota.begin(asker, &id.thing, self.rules.max_in_flight);
        if !takes {
            let rejection = Rejection::too_many(request::token_of(payload, &self.rules));
            self.publish_rejected(now, &id, asked, &rejection, None);
            return true;
        }
        let outcome = self.answer(now, &id, asked, payload);
        let delayed = (!self.rules.answer_delay.is_zero())
            .then(|| Delayed { due: now.uptime.saturating_add(self.rules.answer_delay), asker });
        if delayed.is_none() {
            self.quota.end(asker, &id.thing);
        }
        match outcome {
            Ok(Outcome { answer, others }) => {
                self.publish_accepted(&id, asked, Some(answer), others, delayed);
            }
            Err(rejection) => self.publish_rejected(now, &id, asked, &rejection, delayed),
        }
        true
    }

    /// A connection is gone: its requests are under way no more. They are answered all the same.
    pub fn closed(&mut self, asker: Asker) {
        self.quota.forget(asker);
        for waiting in self.waiting.values_mut() {
            waiting.ends.take_if(|(whose, _)| *whose == asker);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout): an answer is due then.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.waiting.keys().next().map(|(due, _)| *due)
    }

    /// Publishes the answers that are due.
    pub fn handle_timeout(&mut self, uptime: Duration) {
        while let Some(first) = self.waiting.first_entry() {
            if first.key().0 > uptime {
                return;
            }
            let Waiting { ends, outgoing } = first.remove();
            if let Some((asker, thing)) = ends {
                self.quota.end(asker, &thing);
            }
            self.outputs.push_back(outgoing);
        }
    }

    /// What to publish next; until it returns `None`.
    pub fn poll(&mut self) -> Option<Outgoing> {
        self.outputs.pop_front()
    }

    // --- by HTTP ---

    /// The document of a shadow, as an answer to a request.
    ///
    /// # Errors
    /// [`Rejection`]: there is none, its name is not allowed, or there were too many requests.
    pub fn get(&mut self, now: Time, id: &ShadowId) -> Result<String, Rejection> {
        self.check_name(id)?;
        Ok(self.answer(now, id, Asked::Get, b"")?.answer)
    }

    /// Merges a request document into a shadow, which is made if there is none; publishes what MQTT clients hear of it.
    ///
    /// # Errors
    /// [`Rejection`]; nothing is changed or published then.
    pub fn update(&mut self, now: Time, id: &ShadowId, request: &[u8]) -> Result<String, Rejection> {
        self.by_http(now, id, Asked::Update, request)
    }

    /// Deletes a shadow and publishes that to MQTT clients.
    ///
    /// # Errors
    /// [`Rejection`]: there is none, its name is not allowed, or there were too many requests.
    pub fn delete(&mut self, now: Time, id: &ShadowId) -> Result<String, Rejection> {
        self.by_http(now, id, Asked::Delete, b"")
    }

    /// By MQTT, a topic with such a name is none of the service's.
    fn check_name(&self, id: &ShadowId) -> Result<(), Rejection> {
        let refused = !self.rules.dollar_names && id.name.as_ref().is_some_and(|name| name.contains('$'));
        if refused { Err(Rejection::shadow_name()) } else { Ok(()) }
    }

    fn by_http(
        &mut self,
        now: Time,
        id: &ShadowId,
        asked: Asked,
        request: &[u8],
    ) -> Result<String, Rejection> {
        self.check_name(id)?;
        let Outcome { answer, others } = self.answer(now, id, asked, request)?;
        let accepted = self.rules.http_publishes_accepted.then(|| answer.clone());
        self.publish_accepted(id, asked, accepted, others, None);
        Ok(answer)
    }

    /// The names of a thing's named shadows, those behind `after`, at most `size`.
    ///
    /// # Errors
    /// [`Rejection`]: the thing's name is not valid, or there were too many requests.
    pub fn list(
        &mut self,
        now: Time,
        thing: &str,
        after: Option<&str>,
        size: usize,
    ) -> Result<Page, Rejection> {
        let classic = ShadowId::new(thing, None).ok_or_else(Rejection::thing_name)?;
        self.quota
            .count(now.uptime, &classic, self.rules.requests_per_second)
            .map_err(|()| Rejection::too_many(None))?;
        let mut names = self.ids().filter(|id| id.thing == thing).filter_map(|id| id.name.clone());
        let mut page: Vec<String> = names
            .by_ref()
            .filter(|name| after.is_none_or(|after| name.as_str() > after))
            .take(size.max(1).saturating_add(1))
            .collect();
        let next = (page.len() > size.max(1)).then(|| {
            page.pop();
            page.last().cloned()
        });
        Ok(Page { names: page, next: next.flatten() })
    }

    // --- to look at ---

    /// The shadows that there are, in order.
    pub fn ids(&self) -> impl Iterator<Item = &ShadowId> {
        self.entries.iter().filter(|(_, entry)| matches!(entry, Entry::Stored(_))).map(|(id, _)| id)
    }

    /// A shadow with its state, the delta included, its metadata and version.
    #[must_use]
    pub fn document(&self, id: &ShadowId) -> Option<Value> {
        let document = self.stored(id)?;
        Some(json!({
            "state": document.state_with_delta(&self.rules),
            "metadata": document.metadata_value(),
            "version": document.version,
        }))
    }

    /// A number that is another one after every change of a shadow.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    // --- the service itself ---

    fn stored(&self, id: &ShadowId) -> Option<&Document> {
        match self.entries.get(id)? {
            Entry::Stored(document) => Some(document),
            Entry::Deleted { .. } => None,
        }
    }

    fn answer(
        &mut self,
        now: Time,
        id: &ShadowId,
        asked: Asked,
        payload: &[u8],
    ) -> Result<Outcome, Rejection> {
        let token = || request::token_of(payload, &self.rules);
        if self.quota.count(now.uptime, id, self.rules.requests_per_second).is_err() {
            return Err(Rejection::too_many(token()));
        }
        match asked {
            Asked::Get => {
                let token = token();
                let Some(document) = self.stored(id) else {
                    return Err(Rejection::missing(id, &self.rules, token));
                };
                let answer = document.as_answer(now.unix, token, &self.rules);
                Ok(Outcome { answer, others: Vec::new() })
            }
            Asked::Delete => {
                let token = token();
                let Some(version) = self.stored(id).map(|document| document.version) else {
                    return Err(Rejection::missing(id, &self.rules, token));
                };
                self.entries.insert(id.clone(), Entry::Deleted { version, at: now.unix });
                self.revision += 1;
                let answer =
                    Body::new().number("version", version).number("timestamp", now.unix).token(token);
                Ok(Outcome { answer: answer.end(), others: Vec::new() })
            }
            Asked::Update => {
                let update = Update::parse(payload, &self.rules)?;
                self.merge(now, id, update)
            }
        }
    }

    fn merge(&mut self, now: Time, id: &ShadowId, update: Update) -> Result<Outcome, Rejection> {
        let previous = self.stored(id);
        self.check_version(previous, &update)?;
        let version = match (previous, self.entries.get(id)) {
            (Some(document), _) => document.version.saturating_add(1),
            (None, Some(Entry::Deleted { version, at }))
                if now.unix.saturating_sub(*at) < self.rules.tombstone.as_secs() =>
            {
                version.saturating_add(1 + u64::from(self.rules.delete_takes_a_version))
            }
            (None, _) => 1,
        };
        let mut current = previous.cloned().unwrap_or_default();
        current.version = version;
        current.apply(&update, now.unix, &self.rules);
        if current.size() > self.rules.max_document {
            return Err(Rejection::too_large(update.token));
        }
        let was_there = previous.is_some();
        let before = previous.map_or_else(|| "null".to_owned(), Document::as_part);
        if !was_there && !self.make_room(id) {
            return Err(Rejection::internal(update.token));
        }

        let token = update.token.clone();
        let answer = Body::new()
            .value("state", &update.state_as_sent())
            .value("metadata", &update.metadata(now.unix))
            .number("version", version)
            .number("timestamp", now.unix)
            .token(token.clone());
        let documents = Body::new()
            .raw("previous", &before)
            .raw("current", &current.as_part())
            .number("timestamp", now.unix)
            .token(token.clone());
        let mut others = vec![("update/documents", documents.end())];
        if let Some((state, metadata)) = current.delta(&self.rules) {
            let delta = Body::new()
                .number("version", version)
                .number("timestamp", now.unix)
                .value("state", &state)
                .value("metadata", &metadata)
                .token(token);
            others.push(("update/delta", delta.end()));
        }
        self.entries.insert(id.clone(), Entry::Stored(current));
        self.revision += 1;
        Ok(Outcome { answer: answer.end(), others })
    }

    fn check_version(&self, previous: Option<&Document>, update: &Update) -> Result<(), Rejection> {
        let Some(wanted) = update.version else { return Ok(()) };
        match previous {
            Some(document) if document.version == wanted => Ok(()),
            None if self.rules.version_1_creates && wanted == 1 => Ok(()),
            None if self.rules.version_1_creates => Err(Rejection::invalid_version(update.token.clone())),
            _ => Err(Rejection::conflict(update.token.clone())),
        }
    }

    /// Room for one more shadow: the oldest memory of a deleted one is given up for it.
    fn make_room(&mut self, id: &ShadowId) -> bool {
        if self.entries.contains_key(id) || self.entries.len() < MAX_SHADOWS {
            return true;
        }
        let oldest = self
            .entries
            .iter()
            .filter_map(|(id, entry)| match entry {
                Entry::Deleted { at, .. } => Some((*at, id.clone())),
                Entry::Stored(_) => None,
            })
            .min();
        oldest.is_some_and(|(_, id)| self.entries.remove(&id).is_some())
    }

    /// Publishes an answer and what everyone hears besides, in the order of the rules.
    fn publish_accepted(
        &mut self,
        id: &ShadowId,
        asked: Asked,
        answer: Option<String>,
        others: Vec<(&'static str, String)>,
        delayed: Option<Delayed>,
    ) {
        let accepted = answer.map(|answer| (format!("{id}/{}/accepted", asked.as_str()), answer));
        let others = others.into_iter().map(|(tail, document)| (format!("{id}/{tail}"), document));
        let mut all: Vec<_> = accepted.into_iter().chain(others).collect();
        if self.rules.order == Order::DeltaFirst {
            all.reverse();
        }
        let last = all.len().saturating_sub(1);
        for (index, (topic, payload)) in all.into_iter().enumerate() {
            self.send(id, topic, payload, delayed, index == last);
        }
    }

    fn publish_rejected(
        &mut self,
        now: Time,
        id: &ShadowId,
        asked: Asked,
        rejection: &Rejection,
        delayed: Option<Delayed>,
    ) {
        let payload = rejection.to_json(self.rules.rejections_have_a_timestamp.then_some(now.unix));
        self.send(id, format!("{id}/{}/rejected", asked.as_str()), payload, delayed, true);
    }

    fn send(
        &mut self,
        id: &ShadowId,
        topic: String,
        payload: String,
        delayed: Option<Delayed>,
        is_last: bool,
    ) {
        let outgoing = Outgoing { topic, payload: payload.into(), qos: self.rules.qos };
        let Some(Delayed { due, asker }) = delayed else { return self.outputs.push_back(outgoing) };
        self.counter += 1;
        let ends = is_last.then(|| (asker, id.thing.clone()));
        self.waiting.insert((due, self.counter), Waiting { ends, outgoing });
    }
}
