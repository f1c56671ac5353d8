//! The service against its worked examples, its rules, and a model of it.

mod examples;
mod model;
mod quotas;
mod requests;
mod switches;

use std::time::Duration;

use serde_json::Value;

use super::*;

const CLIENT: Asker = Asker(1);

/// A service that is asked by one client about one shadow.
struct Service {
    shadows: Shadows,
    id: ShadowId,
    now: Time,
}

impl Default for Service {
    fn default() -> Self {
        Self::with(|_| {})
    }
}

impl Service {
    fn with(change: impl FnOnce(&mut Rules)) -> Self {
        let mut rules = Rules::default();
        change(&mut rules);
        Self { shadows: Shadows::new(rules), id: ShadowId::new("T", None).unwrap(), now: at(100) }
    }

    fn named(mut self, name: &str) -> Self {
        self.id = ShadowId::new("T", Some(name)).unwrap();
        self
    }

    /// Publishes a request and gives all that comes of it: tails of topics and documents.
    fn ask(&mut self, tail: &str, payload: impl AsRef<[u8]>) -> Vec<(String, Value)> {
        let topic = format!("{}/{tail}", self.id);
        assert!(self.shadows.published(self.now, CLIENT, &topic, payload.as_ref()), "{topic} is a request");
        self.answers()
    }

    fn answers(&mut self) -> Vec<(String, Value)> {
        let prefix = format!("{}/", self.id);
        std::iter::from_fn(|| self.shadows.poll())
            .map(|outgoing| {
                let tail = outgoing.topic.strip_prefix(&prefix).expect("an answer about the shadow");
                (tail.to_owned(), serde_json::from_slice(&outgoing.payload).expect("JSON"))
            })
            .collect()
    }

    /// An update that is accepted: its answer.
    fn update(&mut self, payload: &str) -> Value {
        let (tail, document) = self.ask("update", payload).swap_remove(0);
        assert_eq!(tail, "update/accepted", "{document}");
        document
    }

    /// A request that is refused, alone: code, message, token.
    fn refused(&mut self, tail: &str, payload: impl AsRef<[u8]>) -> (u64, String, Option<String>) {
        let answers = self.ask(tail, payload);
        let [(topic, rejection)] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!(*topic, format!("{tail}/rejected"));
        let text = |name: &str| rejection.get(name).and_then(Value::as_str).map(str::to_owned);
        (rejection["code"].as_u64().unwrap(), text("message").unwrap(), text("clientToken"))
    }

    /// The state of the shadow, with its delta.
    fn state(&self) -> Value {
        self.shadows.document(&self.id).expect("the shadow exists")["state"].clone()
    }

    /// The delta that an update publishes.
    fn delta(&mut self, payload: &str) -> Option<Value> {
        let answers = self.ask("update", payload);
        assert_eq!(answers.first().map(|(tail, _)| tail.as_str()), Some("update/accepted"), "{answers:?}");
        answers.into_iter().find(|(tail, _)| tail == "update/delta").map(|(_, delta)| delta["state"].clone())
    }
}

/// So many seconds after the beginning of both clocks.
fn at(seconds: u64) -> Time {
    Time { uptime: Duration::from_secs(seconds), unix: seconds }
}
