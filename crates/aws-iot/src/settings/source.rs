//! From TOML, JSON and environment variables to one flat list of settings.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use iot_transport::Address;
use zeroize::Zeroizing;

use super::error::{Origin, SettingsError};
use super::keys::{self, Kind, Value};

/// The largest file of settings that is read: 1 MiB.
const FILE_LIMIT: usize = 1024 * 1024;

/// A value as its source has it.
#[derive(Clone)]
pub(super) enum Raw {
    Text(Zeroizing<String>),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// What no setting is; in words.
    Other(&'static str),
}

/// What a source holds: key and value, tables as `table.key`.
pub(super) type Flat = Vec<(String, Raw)>;

/// How a file of settings is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Toml,
    Json,
}

/// By the file's name: JSON, if it says so.
pub(super) fn format_of(path: &Path) -> Format {
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    if is_json { Format::Json } else { Format::Toml }
}

/// The file's text.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, SettingsError> {
    let origin = Origin::File(path.to_owned());
    let wrong = |why: String| SettingsError::of_source(&origin, why);
    let unreadable = |error: std::io::Error| wrong(format!("the settings cannot be read: {error}"));
    // Opening a pipe would wait for its writer.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(wrong("the settings cannot be read: it is not a regular file".to_owned()));
    }
    let mut text = Zeroizing::new(String::new());
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_LIMIT as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() > FILE_LIMIT {
        return Err(wrong("the file is larger than 1 MiB, which no settings are; check the path".to_owned()));
    }
    Ok(text)
}

/// All settings in a text, or in the table of it that is named.
pub(super) fn flat(
    text: &str,
    format: Format,
    table: Option<&str>,
    origin: &Origin,
) -> Result<Flat, SettingsError> {
    let no_table = |name: &str| SettingsError::of_source(origin, format!("there is no table `{name}`"));
    let mut flat = Flat::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format {
        Format::Toml => {
            // The parser's own words quote the line, which may hold a password.
            let whole: toml::Table = text.parse().map_err(|error: toml::de::Error| {
                let line = error.span().and_then(|span| text.get(..span.start));
                let line = line.map_or(1, |before| before.matches('\n').count().saturating_add(1));
                SettingsError::of_source(origin, format!("line {line} is no TOML: {}", error.message()))
            })?;
            match table {
                None => flatten_toml("", toml::Value::Table(whole), &mut flat),
                Some(name) => match whole.get(name) {
                    Some(value @ toml::Value::Table(_)) => flatten_toml("", value.clone(), &mut flat),
                    _ => return Err(no_table(name)),
                },
            }
        }
        Format::Json => {
            let whole: serde_json::Value = serde_json::from_str(text)
                .map_err(|error| SettingsError::of_source(origin, format!("it is no JSON: {error}")))?;
            match (table, &whole) {
                (None, serde_json::Value::Object(_)) => flatten_json("", whole, &mut flat),
                (None, _) => return Err(SettingsError::of_source(origin, "it is no JSON object")),
                (Some(name), _) => match whole.get(name) {
                    Some(value @ serde_json::Value::Object(_)) => flatten_json("", value.clone(), &mut flat),
                    _ => return Err(no_table(name)),
                },
            }
        }
    }
    Ok(flat)
}

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

/// The parser bounds how deep this goes.
fn flatten_toml(prefix: &str, value: toml::Value, flat: &mut Flat) {
    let raw = match value {
        toml::Value::Table(table) if table.is_empty() && !prefix.is_empty() => Raw::Other("an empty table"),
        toml::Value::Table(table) => {
            for (key, value) in table {
                flatten_toml(&join(prefix, &key), value, flat);
            }
            return;
        }
        toml::Value::String(text) => Raw::Text(Zeroizing::new(text)),
        toml::Value::Integer(number) => Raw::Integer(number),
        toml::Value::Float(number) => Raw::Float(number),
        toml::Value::Boolean(on) => Raw::Boolean(on),
        toml::Value::Array(_) => Raw::Other("a list"),
        toml::Value::Datetime(_) => Raw::Other("a date"),
    };
    flat.push((prefix.to_owned(), raw));
}

/// The parser bounds how deep this goes.
fn flatten_json(prefix: &str, value: serde_json::Value, flat: &mut Flat) {
    use serde_json::Value as Json;
    let raw = match value {
        Json::Object(object) if object.is_empty() && !prefix.is_empty() => Raw::Other("an empty object"),
        Json::Object(object) => {
            for (key, value) in object {
                flatten_json(&join(prefix, &key), value, flat);
            }
            return;
        }
        Json::String(text) => Raw::Text(Zeroizing::new(text)),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Raw::Integer(number),
            (None, Some(number)) => Raw::Float(number),
            (None, None) => Raw::Other("a number out of range"),
        },
        Json::Bool(on) => Raw::Boolean(on),
        Json::Array(_) => Raw::Other("a list"),
        Json::Null => Raw::Other("null"),
    };
    flat.push((prefix.to_owned(), raw));
}

/// The value of a setting of this kind.
pub(super) fn value(kind: Kind, raw: Raw, origin: &Origin) -> Result<Value, String> {
    let raw = if origin.is_textual() { from_text(kind, raw) } else { raw };
    let refused = || wanted(kind, &found(kind, &raw));
    let value = match (kind, &raw) {
        (Kind::Text, Raw::Text(text)) => Some(Value::Text(text.to_string())),
        (Kind::Host, Raw::Text(text)) => match text.parse::<Address>() {
            Ok(_) => Some(Value::Text(text.to_string())),
            Err(error) => return Err(error.to_string()),
        },
        (Kind::Secret, Raw::Text(text)) => Some(Value::Secret(text.clone())),
        // It may be a private key.
        (Kind::Path, Raw::Text(text)) if text.contains("-----BEGIN") || text.contains('\n') => {
            return Err("the path of a file is expected, found what should be in that file".to_owned());
        }
        (Kind::Path, Raw::Text(text)) if !text.is_empty() => Some(Value::Path(path(text, origin))),
        (Kind::Seconds(min, max), raw) => {
            let seconds = number(raw).filter(|seconds| (min..=max).contains(seconds));
            seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).map(Value::Seconds)
        }
        (Kind::Count(min, max), Raw::Integer(number)) => {
            u64::try_from(*number).ok().filter(|count| (min..=max).contains(count)).map(Value::Count)
        }
        (Kind::Rate, raw) => number(raw).filter(|rate| rate.is_finite() && *rate >= 0.0).map(Value::Rate),
        (Kind::Switch, Raw::Boolean(on)) => Some(Value::Switch(*on)),
        (Kind::OneOf(words), Raw::Text(text)) if words.contains(&text.as_str()) => {
            Some(Value::Text(text.to_string()))
        }
        _ => None,
    };
    value.ok_or_else(refused)
}

/// A relative path in a file counts from where the file is.
fn path(text: &str, origin: &Origin) -> PathBuf {
    match origin {
        Origin::File(file) => file.parent().map_or_else(|| text.into(), |directory| directory.join(text)),
        Origin::Given | Origin::Environment(_) => text.into(),
    }
}

/// What a text from the environment stands for. Around it may be what a shell or a file left there.
fn from_text(kind: Kind, raw: Raw) -> Raw {
    let Raw::Text(whole) = &raw else { return raw };
    let text = whole.trim();
    let as_text = || Raw::Text(Zeroizing::new(text.to_owned()));
    match kind {
        Kind::Seconds(..) | Kind::Rate => text.parse().map_or_else(|_| as_text(), Raw::Float),
        Kind::Count(..) => text.parse().map_or_else(|_| as_text(), Raw::Integer),
        Kind::Switch => text.parse().map_or_else(|_| as_text(), Raw::Boolean),
        Kind::Text | Kind::Host | Kind::Path | Kind::OneOf(_) => as_text(),
        Kind::Secret => raw,
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds and rates beyond 2^53 are all too large")]
fn number(raw: &Raw) -> Option<f64> {
    match raw {
        Raw::Integer(number) => Some(*number as f64),
        Raw::Float(number) => Some(*number),
        _ => None,
    }
}

/// What was found, in words.
fn found(kind: Kind, raw: &Raw) -> String {
    match raw {
        _ if kind == Kind::Secret => "something else".to_owned(),
        // It may be as long as the file.
        Raw::Text(text) => format!("the text {:?}", text.chars().take(40).collect::<String>()),
        Raw::Integer(number) => number.to_string(),
        Raw::Float(number) => number.to_string(),
        Raw::Boolean(on) => on.to_string(),
        Raw::Other(what) => (*what).to_owned(),
    }
}

fn wanted(kind: Kind, found: &str) -> String {
    let wanted = match kind {
        Kind::Text | Kind::Secret => "a text".to_owned(),
        Kind::Path => "the path of a file".to_owned(),
        Kind::Host => "a host name".to_owned(),
        Kind::Seconds(min, max) => format!("a number of seconds from {min} to {max}"),
        Kind::Count(min, max) => format!("a whole number from {min} to {max}"),
        Kind::Rate => "a number of messages per second, 0 or more".to_owned(),
        Kind::Switch => "true or false".to_owned(),
        Kind::OneOf(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
            format!("one of {}", words.join(", "))
        }
    };
    format!("{wanted} is expected, found {found}")
}

/// A setting that there is not.
pub(super) fn unknown(key: &str, origin: &Origin) -> SettingsError {
    // A key may be as long as the file.
    let shown: String = key.chars().take(60).collect();
    let why = match keys::like(key) {
        Some(meant) => format!("there is no such setting; is `{meant}` meant?"),
        None => "there is no such setting".to_owned(),
    };
    SettingsError::new(origin, &shown, why)
}
