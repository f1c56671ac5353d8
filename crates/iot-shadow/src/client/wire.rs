//! Payloads, as they come from anyone: read strictly, and never a reason to panic.

use std::borrow::Cow;

use bytes::Bytes;
use iot_session::Message;
use serde::Deserialize;

/// What AWS IoT Core takes as a token, in bytes.
pub(crate) const MAX_TOKEN: usize = 64;

/// What AWS IoT Core takes as a payload, in bytes: it closes the connection for more.
pub(crate) const MAX_PAYLOAD: usize = 128 * 1024;

#[derive(Deserialize)]
struct Token<'a> {
    #[serde(borrow, rename = "clientToken")]
    client_token: Cow<'a, str>,
}

/// The token of an answer; `None`: it has none, or it is no answer. Everything else in it is passed over unread.
pub(crate) fn token_of(answer: &Message) -> Option<Bytes> {
    let is_answer = ["/accepted", "/rejected"].iter().any(|tail| answer.topic().ends_with(tail));
    if !is_answer {
        return None;
    }
    let token: Token<'_> = parse(answer.payload()).ok()?;
    (token.client_token.len() <= MAX_TOKEN).then(|| Bytes::copy_from_slice(token.client_token.as_bytes()))
}

/// Reads a document, which is a JSON object; what it says of the error has no part of the document in it.
pub(crate) fn parse<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, String> {
    // A struct is read from an array just as well.
    if payload.trim_ascii_start().first() != Some(&b'{') {
        return Err("not a JSON object".to_owned());
    }
    serde_json::from_slice(payload).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => {
            format!("not in the form that was asked for, line {} column {}", error.line(), error.column())
        }
        _ => format!("not valid JSON, line {} column {}", error.line(), error.column()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(topic: &str, payload: &[u8]) -> Option<Bytes> {
        token_of(&Message::new(topic, Bytes::copy_from_slice(payload)).unwrap())
    }

    #[test]
    fn tokens_are_those_of_answers() {
        let payload = br#"{"state":{"n":1e999,"deep":[[[{}]]]},"clientToken":"a\"b"}"#;
        assert_eq!(token("t/get/accepted", payload).unwrap(), "a\"b");
        assert_eq!(token("t/update/rejected", payload).unwrap(), "a\"b");
        assert_eq!(token("t/update/documents", payload), None);
        assert_eq!(token("t/update/delta", payload), None);
    }

    #[test]
    fn nothing_else_has_one() {
        let long = format!(r#"{{"clientToken":"{}"}}"#, "x".repeat(65));
        for payload in [
            &b""[..],
            b"[]",
            b"1",
            b"null",
            b"[\"t\"]",
            b"\xFF\xFE",
            b"{\"clientToken\":\"\xFF\"}",
            b"{\"clientToken\":5}",
            b"{\"clientToken\":null}",
            b"{\"clientToken\":\"t\"",
            b"{}",
            long.as_bytes(),
        ] {
            assert_eq!(token("t/get/accepted", payload), None, "{}", String::from_utf8_lossy(payload));
        }
    }

    #[test]
    fn depth_and_size_are_no_matter() {
        let deep = format!(r#"{{"a":{}1{},"clientToken":"t"}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(token("t/get/accepted", deep.as_bytes()).unwrap(), "t");
        assert!(parse::<crate::Shadow>(deep.as_bytes()).is_err());
    }

    #[test]
    fn what_is_wrong_is_told_without_what_it_says() {
        let error = parse::<crate::Deleted>(b"{\"version\":\"secret\"}").unwrap_err();
        assert!(error.starts_with("not in the form") && !error.contains("secret"), "{error}");
    }
}
