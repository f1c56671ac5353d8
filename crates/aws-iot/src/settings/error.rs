//! What is wrong with a setting, and where.

use std::fmt;
use std::path::PathBuf;

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// Text that the program gave.
    Given,
    File(PathBuf),
    /// The variable's name.
    Environment(String),
}

impl Origin {
    /// Whether all there is of a value is text.
    pub(super) fn is_textual(&self) -> bool {
        matches!(self, Self::Environment(_))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => f.write_str("the settings"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(variable) => write!(f, "the environment variable {variable}"),
        }
    }
}

/// A setting that cannot be used: which, where it was given, and what would do. It never quotes a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    origin: Option<Origin>,
    key: Option<String>,
    why: String,
}

impl SettingsError {
    pub(super) fn new(origin: &Origin, key: &str, why: impl Into<String>) -> Self {
        Self { origin: Some(origin.clone()), key: Some(key.to_owned()), why: why.into() }
    }

    /// All of it is unusable.
    pub(super) fn of_source(origin: &Origin, why: impl Into<String>) -> Self {
        Self { origin: Some(origin.clone()), key: None, why: why.into() }
    }

    /// Something is not there, wherever it should have come from.
    pub(super) fn missing(key: &str, why: impl Into<String>) -> Self {
        Self { origin: None, key: Some(key.to_owned()), why: why.into() }
    }

    /// The key of the setting, such as `offline_queue.max_messages`, if it is about one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "`{key}`: ")?;
        }
        f.write_str(&self.why)
    }
}

impl std::error::Error for SettingsError {}
