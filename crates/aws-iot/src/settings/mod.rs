//! Settings from a file and from the environment.

mod build;
mod error;
mod keys;
mod left;
mod parts;
mod source;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

use error::Origin;
pub use error::SettingsError;
use keys::Value;
use source::{Flat, Format, Raw};

/// The settings of a connection as devices are given them: from a file in TOML or JSON, from environment variables, or
/// from both, the environment going before. [`builder`](Self::builder) makes a [`Builder`](crate::Builder) of them.
///
/// ```toml
/// endpoint = "abc-ats.iot.eu-west-1.amazonaws.com"
/// certificate = "device.pem.crt"     # relative to this file
/// private_key = "private.pem.key"
/// client_id = "my-device"
/// keep_alive = 60                    # seconds
///
/// [offline_queue]
/// max_messages = 100
/// when_full = "drop-oldest"
/// ```
///
/// ```no_run
/// # async fn example() -> Result<(), aws_iot::Error> {
/// let settings = aws_iot::Settings::load("/etc/my-device/aws-iot.toml")?;
/// let client = settings.builder()?.connect().await?;
/// # drop(client); Ok(()) }
/// ```
///
/// # Keys
/// Each is what the method of [`Builder`](crate::Builder) of that name takes, and what is not given has that method's default.
/// In the environment a key is in capitals behind `AWS_IOT_`, with `_` for the dot: `AWS_IOT_OFFLINE_QUEUE_MAX_MESSAGES`.
/// A variable that is empty is none; variables with that prefix that are no setting are left alone
/// ([`unknown_variables`](Self::unknown_variables)). A key in a file that is no setting is an error. Paths are relative to the
/// file that says them, and in the environment to the working directory.
///
/// | key | value |
/// |---|---|
/// | `endpoint`, `port` | host name, 1 to 65535 |
/// | `door` | `"mutual-tls"`, `"websocket"`, `"custom-authorizer"` or `"websocket-custom-authorizer"`; needed where neither a certificate nor an authorizer says it |
/// | `certificate`, `private_key`, `root_ca` | paths, PEM or DER |
/// | `platform_roots` | `true`: trust whom the operating system trusts, instead of `root_ca` (feature `platform-verifier`) |
/// | `region` | for `websocket`, whose credentials are those of the environment and of `~/.aws/credentials` (feature `websocket`) |
/// | `authorizer.name`, `.token_key`, `.token`, `.signature` | for custom authorizers |
/// | `username`, `password` | for custom authorizers and other brokers |
/// | `proxy.host`, `.port`, `.user`, `.password` | an HTTP proxy (feature `proxy`) |
/// | `client_id`, `clean_start`, `session_expiry`, `keep_alive`, `metrics` | text, boolean, seconds, seconds, boolean |
/// | `mqtt` | `"5"` or `"3.1.1"` |
/// | `will.topic`, `.payload`, `.qos`, `.retain` | text, text, 0 or 1, boolean |
/// | `connect_timeout`, `operation_timeout`, `connect_interval` | seconds, from 0.001, 0.001 and 0 to a day |
/// | `backoff.base`, `.max`, `.stable` | seconds |
/// | `jitter` | `"none"`, `"full"` or `"decorrelated"` |
/// | `retry_first`, `give_up` | boolean; `"before-first"`, `"always"` or `"never"` |
/// | `containment` | strikes, 0 for never |
/// | `pacing.publishes_per_second`, `.bytes_per_second` | 0 for no limit |
/// | `offline_queue.max_messages`, `.max_bytes`, `.when_full`, `.drain_rate` | 0 for no queue; bytes; `"drop-newest"` or `"drop-oldest"`; messages per second, 0 for no limit |
/// | `outbox.path`, `.max_messages`, `.max_bytes`, `.when_full`, `.drain_rate`, `.keep_session`, `.sync_interval` | the same for an outbox (feature `outbox`); with an interval in seconds messages are on disk within it instead of at once |
#[derive(Clone, Default, PartialEq)]
pub struct Settings(BTreeMap<&'static str, Entry>);

/// A setting and where it was given.
#[derive(Clone, PartialEq)]
struct Entry {
    value: Value,
    origin: Origin,
}

impl Settings {
    /// What a file says, and the environment instead where it says something. For a device without a file there is
    /// [`from_env`](Self::from_env).
    ///
    /// # Errors
    /// The file cannot be read or is neither; a setting is none or is out of its range.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, SettingsError> {
        Ok(Self::from_file(path)?.overridden_by(Self::from_env()?))
    }

    /// What a file says: JSON if its name ends in `.json`, else TOML; at most 1 MiB.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, SettingsError> {
        Self::of_file(path.as_ref(), None)
    }

    /// What one table of a file says, for programs that keep settings of their own in the same file.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), aws_iot::Error> {
    /// // [aws_iot]
    /// // endpoint = "..."
    /// let settings = aws_iot::Settings::from_table("/etc/my-device.toml", "aws_iot")?;
    /// # drop(settings); Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`load`](Self::load); there is no such table.
    pub fn from_table(path: impl AsRef<Path>, table: &str) -> Result<Self, SettingsError> {
        Self::of_file(path.as_ref(), Some(table))
    }

    fn of_file(path: &Path, table: Option<&str>) -> Result<Self, SettingsError> {
        let origin = Origin::File(path.to_owned());
        let text = source::read(path)?;
        Self::collect(source::flat(&text, source::format_of(path), table, &origin)?, &origin)
    }

    /// What a text in TOML says. Paths are relative to the working directory.
    ///
    /// ```
    /// # fn main() -> Result<(), aws_iot::SettingsError> {
    /// let settings = aws_iot::Settings::from_toml("keep_alive = 60\nmqtt = \"3.1.1\"")?;
    /// assert_eq!(format!("{settings:?}"), r#"Settings {"keep_alive": 60s, "mqtt": "3.1.1"}"#);
    /// let error = aws_iot::Settings::from_toml("keep_alive = \"long\"").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     r#"the settings: `keep_alive`: a number of seconds from 0 to 65535 is expected, found the text "long""#
    /// );
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// It is no TOML; a setting is none or is out of its range.
    pub fn from_toml(text: &str) -> Result<Self, SettingsError> {
        Self::collect(source::flat(text, Format::Toml, None, &Origin::Given)?, &Origin::Given)
    }

    /// What a text in JSON says. Paths are relative to the working directory.
    ///
    /// # Errors
    /// It is no JSON; a setting is none or is out of its range.
    pub fn from_json(text: &str) -> Result<Self, SettingsError> {
        Self::collect(source::flat(text, Format::Json, None, &Origin::Given)?, &Origin::Given)
    }

    /// What the variables of this process say.
    ///
    /// # Errors
    /// A setting is out of its range, or no Unicode.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_variables(|name| match std::env::var(name) {
            Ok(value) => Some(Ok(value)),
            Err(std::env::VarError::NotPresent) => None,
            Err(std::env::VarError::NotUnicode(_)) => Some(Err("it is no Unicode".to_owned())),
        })
    }

    /// What these variables say, each asked for by its name.
    fn from_variables(
        lookup: impl Fn(&str) -> Option<Result<String, String>>,
    ) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        for (key, kind) in keys::KEYS {
            let variable = keys::variable(key);
            let Some(given) = lookup(&variable) else { continue };
            let origin = Origin::Environment(variable);
            let given = given.map(Zeroizing::new);
            let value = given.and_then(|text| {
                let is_given = !text.is_empty();
                is_given.then(|| source::value(*kind, Raw::Text(text), &origin)).transpose()
            });
            match value {
                Ok(Some(value)) => drop(settings.0.insert(key, Entry { value, origin })),
                Ok(None) => {}
                Err(why) => return Err(SettingsError::new(&origin, key, why)),
            }
        }
        Ok(settings)
    }

    /// The variables of this process that begin as those of settings do, `AWS_IOT_`, and are none: misspelt, or the program's own.
    /// They are left alone; a program without any of its own can refuse them.
    #[must_use]
    pub fn unknown_variables() -> Vec<String> {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let mut unknown: Vec<_> = names.filter(|name| keys::is_unknown_variable(name)).collect();
        unknown.sort();
        unknown
    }

    /// These settings, with those of `other` in the place of their own. A `door` of `other` is taken without what these settings
    /// have for another one.
    #[must_use]
    pub fn overridden_by(mut self, other: Self) -> Self {
        if let Some(Entry { value: Value::Text(door), .. }) = other.0.get("door") {
            self.0.retain(|key, _| !keys::is_of_another_door(key, door));
        }
        self.0.extend(other.0);
        self
    }

    fn collect(flat: Flat, origin: &Origin) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        for (key, raw) in flat {
            let (name, kind) = keys::find(&key).ok_or_else(|| source::unknown(&key, origin))?;
            let value =
                source::value(kind, raw, origin).map_err(|why| SettingsError::new(origin, name, why))?;
            if settings.0.insert(name, Entry { value, origin: origin.clone() }).is_some() {
                return Err(SettingsError::new(origin, name, "it is given twice"));
            }
        }
        Ok(settings)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Settings ")?;
        f.debug_map().entries(self.0.iter().map(|(key, entry)| (key, &entry.value))).finish()
    }
}
