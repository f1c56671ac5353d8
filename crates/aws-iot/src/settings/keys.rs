//! The settings that there are, and what each may be.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

/// What a setting may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Text,
    /// A host name or an address. What is none may be a URL with a password in it.
    Host,
    /// As text, never shown.
    Secret,
    /// Relative to the directory of the file that says it.
    Path,
    /// A duration as a number of seconds, from the first to the second.
    Seconds(f64, f64),
    /// A whole number from the first to the second.
    Count(u64, u64),
    /// Messages per second; 0 is without limit.
    Rate,
    Switch,
    OneOf(&'static [&'static str]),
}

/// A setting that was given.
#[derive(Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Secret(Zeroizing<String>),
    Path(PathBuf),
    Seconds(Duration),
    Count(u64),
    Rate(f64),
    Switch(bool),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(f),
            Self::Secret(_) => f.write_str("(secret)"),
            Self::Path(path) => path.fmt(f),
            Self::Seconds(seconds) => seconds.fmt(f),
            Self::Count(count) => count.fmt(f),
            Self::Rate(rate) => rate.fmt(f),
            Self::Switch(on) => on.fmt(f),
        }
    }
}

const DAY: f64 = 86_400.0;
/// What may not be "at once".
const WAIT: Kind = Kind::Seconds(0.001, DAY);
const PAUSE: Kind = Kind::Seconds(0.0, DAY);
const ANY: Kind = Kind::Count(0, u32::MAX as u64);
const SOME: Kind = Kind::Count(1, u32::MAX as u64);
const WHEN_FULL: Kind = Kind::OneOf(&["drop-newest", "drop-oldest"]);

/// How the device shows who it is.
pub(super) const DOORS: &[&str] =
    &["mutual-tls", "websocket", "custom-authorizer", "websocket-custom-authorizer"];

/// Every setting, by its key.
pub(super) const KEYS: &[(&str, Kind)] = &[
    ("endpoint", Kind::Host),
    ("port", Kind::Count(1, u16::MAX as u64)),
    ("door", Kind::OneOf(DOORS)),
    ("certificate", Kind::Path),
    ("private_key", Kind::Path),
    ("root_ca", Kind::Path),
    ("platform_roots", Kind::Switch),
    ("region", Kind::Text),
    ("username", Kind::Text),
    ("password", Kind::Secret),
    ("authorizer.name", Kind::Text),
    ("authorizer.token_key", Kind::Text),
    ("authorizer.token", Kind::Secret),
    ("authorizer.signature", Kind::Secret),
    ("proxy.host", Kind::Host),
    ("proxy.port", Kind::Count(1, u16::MAX as u64)),
    ("proxy.user", Kind::Text),
    ("proxy.password", Kind::Secret),
    ("client_id", Kind::Text),
    ("mqtt", Kind::OneOf(&["3.1.1", "5"])),
    ("clean_start", Kind::Switch),
    ("session_expiry", Kind::Seconds(0.0, u32::MAX as f64)),
    ("keep_alive", Kind::Seconds(0.0, u16::MAX as f64)),
    ("metrics", Kind::Switch),
    ("will.topic", Kind::Text),
    ("will.payload", Kind::Text),
    ("will.qos", Kind::Count(0, 1)),
    ("will.retain", Kind::Switch),
    ("connect_timeout", WAIT),
    ("operation_timeout", WAIT),
    ("connect_interval", PAUSE),
    ("backoff.base", WAIT),
    ("backoff.max", WAIT),
    ("backoff.stable", PAUSE),
    ("jitter", Kind::OneOf(&["none", "full", "decorrelated"])),
    ("retry_first", Kind::Switch),
    ("give_up", Kind::OneOf(&["before-first", "always", "never"])),
    ("containment", Kind::Count(0, u8::MAX as u64)),
    ("pacing.publishes_per_second", ANY),
    ("pacing.bytes_per_second", ANY),
    ("offline_queue.max_messages", ANY),
    ("offline_queue.max_bytes", SOME),
    ("offline_queue.when_full", WHEN_FULL),
    ("offline_queue.drain_rate", Kind::Rate),
    ("outbox.path", Kind::Path),
    ("outbox.max_messages", SOME),
    ("outbox.max_bytes", SOME),
    ("outbox.when_full", WHEN_FULL),
    ("outbox.drain_rate", Kind::Rate),
    ("outbox.keep_session", Kind::Switch),
    ("outbox.sync_interval", WAIT),
];

/// Whether a setting belongs to a way of showing who the device is, but not to this one.
pub(super) fn is_of_another_door(key: &str, door: &str) -> bool {
    let of = match key {
        "certificate" | "private_key" => "mutual-tls",
        "region" => "websocket",
        _ if key.starts_with("authorizer.") => "custom-authorizer",
        _ => return false,
    };
    !door.ends_with(of)
}

/// The key and its kind, under the name that lives as long as the program.
pub(super) fn find(key: &str) -> Option<(&'static str, Kind)> {
    KEYS.iter().find(|(name, _)| *name == key).copied()
}

/// What was meant, perhaps: the same letters in another spelling, or the beginning or the end of a key.
pub(super) fn like(key: &str) -> Option<&'static str> {
    let plain = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let meant = plain(key);
    if meant.len() < 3 {
        return None;
    }
    let names = || KEYS.iter().map(|(name, _)| (*name, plain(name)));
    let same = names().find(|(_, letters)| *letters == meant);
    let part = || {
        names().find(|(_, letters)| {
            letters.starts_with(&meant)
                || letters.ends_with(&meant)
                || meant.starts_with(letters)
                || meant.ends_with(letters)
        })
    };
    same.or_else(part).map(|(name, _)| name)
}

/// The environment variable of a key.
pub(super) fn variable(key: &str) -> String {
    let letters = key.chars().map(|letter| if letter == '.' { '_' } else { letter.to_ascii_uppercase() });
    "AWS_IOT_".chars().chain(letters).collect()
}

/// Whether a variable is named like one of a setting, and is none.
pub(super) fn is_unknown_variable(name: &str) -> bool {
    name.starts_with("AWS_IOT_") && !KEYS.iter().any(|(key, _)| variable(key) == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_and_variables_are_unique() {
        let keys: BTreeSet<_> = KEYS.iter().map(|(name, _)| *name).collect();
        let variables: BTreeSet<_> = KEYS.iter().map(|(name, _)| variable(name)).collect();
        assert_eq!((keys.len(), variables.len()), (KEYS.len(), KEYS.len()));
        assert_eq!(variable("offline_queue.max_messages"), "AWS_IOT_OFFLINE_QUEUE_MAX_MESSAGES");
    }

    #[test]
    fn variables_that_are_no_setting_are_told_from_those_that_are() {
        assert!(is_unknown_variable("AWS_IOT_KEEPALIVE"));
        assert!(!is_unknown_variable("AWS_IOT_KEEP_ALIVE") && !is_unknown_variable("AWS_REGION"));
    }

    #[test]
    fn what_was_meant_is_found() {
        assert_eq!(like("keepAlive"), Some("keep_alive"));
        assert_eq!(like("key"), Some("private_key"));
        assert_eq!(like("cert"), Some("certificate"));
        assert_eq!(like("offline_queue.max-messages"), Some("offline_queue.max_messages"));
        assert_eq!(like("x"), None);
    }
}
