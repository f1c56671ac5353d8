//! The settings that are still to be used.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use super::Entry;
use super::error::{Origin, SettingsError};
use super::keys::Value;

/// The settings of which a builder is being made. Each is taken out as it is used; what is left in the end has no use.
pub(super) struct Left(pub(super) BTreeMap<&'static str, Entry>);

macro_rules! take {
    ($($name:ident: $variant:ident -> $type:ty),*) => {
        $(
            pub(super) fn $name(&mut self, key: &str) -> Option<$type> {
                self.take(key).and_then(|value| match value {
                    Value::$variant(value) => Some(value),
                    _ => None,
                })
            }
        )*
    };
}

impl Left {
    take!(text: Text -> String, secret: Secret -> Zeroizing<String>, path: Path -> PathBuf, seconds: Seconds -> Duration,
          count: Count -> u64, rate: Rate -> f64, switch: Switch -> bool);

    fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key).map(|entry| entry.value)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn is_on(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|entry| entry.value == Value::Switch(true))
    }

    /// An error if there is anything of a table whose first setting is not there.
    pub(super) fn nothing_of(&self, table: &str, first: &str) -> Result<(), SettingsError> {
        match self.0.iter().find(|(key, _)| key.starts_with(table)) {
            None => Ok(()),
            Some((key, entry)) => {
                Err(SettingsError::new(&entry.origin, key, format!("it has no use without `{first}`")))
            }
        }
    }

    pub(super) fn origin(&self, key: &str) -> Option<Origin> {
        self.0.get(key).map(|entry| entry.origin.clone())
    }

    pub(super) fn number<N: TryFrom<u64>>(&mut self, key: &str) -> Option<N> {
        self.count(key).and_then(|count| N::try_from(count).ok())
    }

    /// Nothing may be left.
    pub(super) fn end(self, why: &str) -> Result<(), SettingsError> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((key, entry)) => Err(SettingsError::new(&entry.origin, key, why)),
        }
    }

    /// Whether any setting of a table is given, for which this program may have been built without the feature.
    #[cfg(not(all(
        feature = "outbox",
        feature = "proxy",
        feature = "websocket",
        feature = "platform-verifier"
    )))]
    pub(super) fn without(&self, key: &str, feature: &str) -> Result<(), SettingsError> {
        match self.0.iter().find(|(name, _)| name.starts_with(key)) {
            None => Ok(()),
            Some((name, entry)) => Err(SettingsError::new(
                &entry.origin,
                name,
                format!(
                    "it needs the feature `{feature}` of the crate aws-iot, without which this program was built"
                ),
            )),
        }
    }
}
