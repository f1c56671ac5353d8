//! Which shadow, and what is asked of it: the topics that clients publish to.

use std::fmt;

/// A shadow of a thing: the classic one without a name, or a named one. Displayed, it is the prefix of its topics.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShadowId {
    pub(super) thing: String,
    pub(super) name: Option<String>,
}

/// What can be asked by MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Get,
    Update,
    Delete,
}

impl Asked {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl ShadowId {
    /// `None` if a name is not valid: 1 to 128 characters of `a-z A-Z 0-9 : _ -` for things, 1 to 64 for shadows, with `$`
    /// besides, which reserved shadows such as `$package` have.
    #[must_use]
    pub fn new(thing: &str, name: Option<&str>) -> Option<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-');
        let thing_fits = (1..=128).contains(&thing.len()) && thing.chars().all(allowed);
        let name_fits = name.is_none_or(|name| {
            (1..=64).contains(&name.len()) && name.chars().all(|c| allowed(c) || c == '$')
        });
        (thing_fits && name_fits).then(|| Self { thing: thing.to_owned(), name: name.map(str::to_owned) })
    }

    /// Whose shadow.
    #[must_use]
    pub fn thing(&self) -> &str {
        &self.thing
    }

    /// Which one; `None` is the classic shadow.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What is asked of which shadow by a publish to this topic; `None`: nothing.
    pub(super) fn parse_request(topic: &str, dollar_names: bool) -> Option<(Self, Asked)> {
        let mut levels = topic.strip_prefix("$aws/things/")?.split('/');
        let thing = levels.next()?;
        if levels.next()? != "shadow" {
            return None;
        }
        let (name, asked) = match levels.next()? {
            "name" => (Some(levels.next()?), levels.next()?),
            asked => (None, asked),
        };
        if levels.next().is_some() || !dollar_names && name.is_some_and(|name| name.contains('$')) {
            return None;
        }
        let asked =
            [Asked::Get, Asked::Update, Asked::Delete].into_iter().find(|one| one.as_str() == asked)?;
        Some((Self::new(thing, name)?, asked))
    }
}

impl fmt::Display for ShadowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "$aws/things/{}/shadow", self.thing)?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, "/name/{name}"))
    }
}
