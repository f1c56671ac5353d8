//! A JSON object whose members stand in the order in which the service writes them.

use std::fmt::Write;

use serde_json::Value;

#[derive(Debug)]
pub(super) struct Body(String);

impl Body {
    pub(super) fn new() -> Self {
        Self("{".to_owned())
    }

    /// A member that is JSON already.
    pub(super) fn raw(mut self, name: &str, json: &str) -> Self {
        let comma = if self.0.len() > 1 { "," } else { "" };
        // Writing to a string does not fail.
        let _ = write!(self.0, "{comma}\"{name}\":{json}");
        self
    }

    pub(super) fn value(self, name: &str, value: &Value) -> Self {
        self.raw(name, &value.to_string())
    }

    pub(super) fn number(self, name: &str, number: u64) -> Self {
        self.raw(name, &number.to_string())
    }

    /// The client's token, if there was one.
    pub(super) fn token(self, token: Option<String>) -> Self {
        match token {
            Some(token) => self.value("clientToken", &Value::String(token)),
            None => self,
        }
    }

    pub(super) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}
