//! Topic names, topic filters and how one matches the other (MQTT 5, section 4.7).

use alloc::string::String;
use core::convert::Infallible;
use core::fmt;

use bytes::Bytes;

use crate::Buffer;
use crate::glance::{Glance, glance, glance_filter};
use crate::text::{self, InvalidText, Text};

/// A topic that a message is published to: at least one character, no `+` or `#`
/// (`[MQTT-3.3.2-2]`, `[MQTT-4.7.3-1]`).
///
/// ```
/// use mqtt_codec::{InvalidTopic, TopicName};
///
/// assert!(TopicName::try_from("sensor/1").is_ok());
/// assert_eq!(TopicName::try_from("sensor/+"), Err(InvalidTopic::WildcardInName));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName<B: Buffer = Bytes>(Text<B>);

/// What a subscriber asks for: a topic in which `+` stands for one level and a last `#` for the rest;
/// `$share/<name>/<filter>` shares the messages within a group. (MQTT 3.1.1 has no such filters, but brokers do: a
/// `TopicFilter` follows MQTT 5 in both versions, while a decoded MQTT 3.1.1 packet may hold any filter that its standard
/// allows.)
///
/// ```
/// use mqtt_codec::{InvalidTopic, TopicFilter, TopicName};
///
/// let filter = TopicFilter::try_from("$share/group/sensor/+")?;
/// assert_eq!((filter.share_name(), filter.without_share()), (Some("group"), "sensor/+"));
/// assert!(filter.matches(&TopicName::try_from("sensor/1")?));
/// assert_eq!(TopicFilter::try_from("sensor/#/1"), Err(InvalidTopic::MisplacedHash));
/// # Ok::<(), InvalidTopic>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter<B: Buffer = Bytes>(Text<B>);

/// Why a string is no topic name or filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidTopic {
    /// Not a valid MQTT string.
    Text(InvalidText),
    /// A topic has at least one character (`[MQTT-4.7.3-1]`).
    Empty,
    /// A topic name carries no `+` or `#` (`[MQTT-3.3.2-2]`).
    WildcardInName,
    /// `#` stands alone in the last level (`[MQTT-4.7.1-1]`).
    MisplacedHash,
    /// `+` fills a whole level (`[MQTT-4.7.1-2]`).
    MisplacedPlus,
    /// `$share/` wants a name of at least one character without `/`, `+`, `#`, and a filter after it
    /// (`[MQTT-4.8.2-1]`, `[MQTT-4.8.2-2]`).
    Share,
}

impl fmt::Display for InvalidTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(error) => return error.fmt(f),
            Self::Empty => "empty; a topic has at least one character",
            Self::WildcardInName => "a topic name may not contain the wildcards + and #",
            Self::MisplacedHash => "# must stand alone in the last level",
            Self::MisplacedPlus => "+ must fill a whole level",
            Self::Share => "a shared subscription reads $share/<name>/<filter>, its name without / + #",
        }
        .fmt(f)
    }
}

impl core::error::Error for InvalidTopic {}

impl From<Infallible> for InvalidTopic {
    /// So that functions take topics and what can become one alike.
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<InvalidText> for InvalidTopic {
    fn from(error: InvalidText) -> Self {
        Self::Text(error)
    }
}

/// The rules for a name, on bytes that [`text::check`] has passed and `glance` is about.
#[inline]
pub(crate) fn check_name(topic: &[u8], glance: Glance) -> Result<(), InvalidTopic> {
    // [v5 MQTT-4.7.3-1, v3.1.1 MQTT-4.7.3-1]
    if topic.is_empty() {
        return Err(InvalidTopic::Empty);
    }
    // [v5 MQTT-3.3.2-2, v3.1.1 MQTT-3.3.2-2, v5 MQTT-4.7.0-1, v3.1.1 MQTT-4.7.1-1]
    if glance.wildcard {
        return Err(InvalidTopic::WildcardInName);
    }
    Ok(())
}

/// The rules for a filter, on any bytes. In MQTT 3.1.1 `$share/` means nothing, so that it is not `shared`.
#[inline]
pub(crate) fn check_filter(filter: &[u8], shared: bool) -> Result<(), InvalidTopic> {
    let seen = glance_filter(filter);
    // [v5 MQTT-4.7.3-2, v5 MQTT-4.7.3-3, v3.1.1 MQTT-4.7.3-2, v3.1.1 MQTT-4.7.3-3]
    text::check_glance(filter, seen)?;
    if seen.wildcard || matches!(filter, [] | [b'$', ..]) {
        return check_filter_closely(filter, shared);
    }
    Ok(())
}

#[cold]
fn check_filter_closely(filter: &[u8], shared: bool) -> Result<(), InvalidTopic> {
    let filter = match filter.strip_prefix(SHARE) {
        Some(rest) if shared => {
            // [v5 MQTT-4.8.2-1, v5 MQTT-4.8.2-2]
            let slash = rest.iter().position(|b| *b == b'/').ok_or(InvalidTopic::Share)?;
            let (name, inner) = rest.split_at(slash);
            let inner = inner.strip_prefix(b"/").unwrap_or_default();
            if name.is_empty() || inner.is_empty() || name.iter().any(|b| matches!(b, b'+' | b'#')) {
                return Err(InvalidTopic::Share);
            }
            inner
        }
        _ => filter,
    };
    // [v5 MQTT-4.7.3-1, v3.1.1 MQTT-4.7.3-1]
    if filter.is_empty() {
        return Err(InvalidTopic::Empty);
    }
    let mut levels = filter.split(|b| *b == b'/').peekable();
    while let Some(level) = levels.next() {
        // [v5 MQTT-4.7.1-1, v3.1.1 MQTT-4.7.1-2]
        if level.contains(&b'#') && (level.len() != 1 || levels.peek().is_some()) {
            return Err(InvalidTopic::MisplacedHash);
        }
        // [v5 MQTT-4.7.1-2, v3.1.1 MQTT-4.7.1-3]
        if level.contains(&b'+') && level.len() != 1 {
            return Err(InvalidTopic::MisplacedPlus);
        }
    }
    Ok(())
}

const SHARE: &[u8] = b"$share/";

/// Whether a valid filter matches a valid topic name, both as bytes.
///
/// Wildcards in the first level do not match topics that begin with `$` (`[MQTT-4.7.2-1]`), `a/#` matches
/// `a` itself (section 4.7.1.2). A `$share/<name>/` prefix is looked through. For many filters at once there is
/// [`TopicTree`](crate::TopicTree).
///
/// ```
/// assert!(mqtt_codec::matches("sport/+/score".as_bytes(), "sport/tennis/score".as_bytes()));
/// assert!(mqtt_codec::matches("sport/#".as_bytes(), "sport".as_bytes()));
/// assert!(!mqtt_codec::matches("#".as_bytes(), "$aws/things".as_bytes()));
/// ```
#[must_use]
pub fn matches(filter: &[u8], topic: &[u8]) -> bool {
    let filter = split_share(filter).1;
    // [v5 MQTT-4.7.2-1, v3.1.1 MQTT-4.7.2-1]
    if topic.first() == Some(&b'$') && matches!(filter.first(), Some(b'+' | b'#')) {
        return false;
    }
    let mut topic = topic.split(|b| *b == b'/');
    for level in filter.split(|b| *b == b'/') {
        match (level, topic.next()) {
            (b"#", _) => return true,
            (b"+", Some(_)) => {}
            // Byte by byte, nothing normalised or folded [v5 MQTT-4.7.3-4, v3.1.1 MQTT-4.7.3-4].
            (wanted, Some(found)) if wanted == found => {}
            _ => return false,
        }
    }
    topic.next().is_none()
}

/// The group of a shared filter and the filter behind `$share/<name>/`; an unshared filter whole.
pub(crate) fn split_share(filter: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let shared = filter.strip_prefix(SHARE).and_then(|rest| {
        let (name, inner) = rest.split_at_checked(rest.iter().position(|b| *b == b'/')?)?;
        Some((Some(name), inner.get(1..)?))
    });
    shared.unwrap_or((None, filter))
}

impl TopicName {
    /// Checks a string.
    ///
    /// # Errors
    /// [`InvalidTopic`] names the rule that the string breaks.
    pub fn new(text: Text) -> Result<Self, InvalidTopic> {
        check_name(text.as_bytes(), glance(text.as_bytes()))?;
        Ok(Self(text))
    }
}

impl TopicFilter {
    /// Checks a string.
    ///
    /// # Errors
    /// [`InvalidTopic`] names the rule that the string breaks.
    pub fn new(text: Text) -> Result<Self, InvalidTopic> {
        check_filter(text.as_bytes(), true)?;
        Ok(Self(text))
    }
}

impl<'a> TopicFilter<&'a [u8]> {
    /// Checks a string and borrows it.
    ///
    /// # Errors
    /// [`InvalidTopic`] names the rule that the string breaks.
    pub fn borrowed(text: &'a str) -> Result<Self, InvalidTopic> {
        check_filter(text.as_bytes(), true)?;
        Ok(Self(Text::from_checked(text.as_bytes())))
    }
}

impl<'a> TopicName<&'a [u8]> {
    /// Checks a string and borrows it.
    ///
    /// # Errors
    /// [`InvalidTopic`] names the rule that the string breaks.
    pub fn borrowed(text: &'a str) -> Result<Self, InvalidTopic> {
        // [v5 MQTT-4.7.3-2, v5 MQTT-4.7.3-3, v3.1.1 MQTT-4.7.3-2, v3.1.1 MQTT-4.7.3-3]
        let glance = text::check(text.as_bytes())?;
        check_name(text.as_bytes(), glance)?;
        Ok(Self(Text::from_checked(text.as_bytes())))
    }
}

impl<B: Buffer> TopicFilter<B> {
    /// The group's name when this is a shared subscription.
    #[must_use]
    pub fn share_name(&self) -> Option<&str> {
        split_share(self.as_bytes()).0.map(text::checked)
    }

    /// Whether a message on `topic` is one that this filter asks for. See [`matches()`].
    #[must_use]
    pub fn matches(&self, topic: &TopicName<impl Buffer>) -> bool {
        matches(self.as_bytes(), topic.as_bytes())
    }

    /// The filter as messages are matched against it: without `$share/<name>/`.
    #[must_use]
    pub fn without_share(&self) -> &str {
        text::checked(split_share(self.as_bytes()).1)
    }
}

/// What the two have in common.
macro_rules! text_newtype {
    ($name:ident) => {
        impl<B: Buffer> $name<B> {
            #[inline]
            pub(crate) fn from_checked(bytes: B) -> Self {
                Self(Text::from_checked(bytes))
            }

            /// The string.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// The string's bytes.
            #[must_use]
            #[inline]
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }

            /// The string as text.
            #[must_use]
            pub fn into_text(self) -> Text<B> {
                self.0
            }

            /// The string as shared text.
            #[must_use]
            pub fn text(&self) -> &Text<B> {
                &self.0
            }

            /// On its own: borrowed bytes are copied, shared ones stay shared.
            #[must_use]
            pub fn into_owned(self) -> $name {
                $name(self.0.into_owned())
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidTopic;

            /// Copies the string.
            fn try_from(text: &str) -> Result<Self, InvalidTopic> {
                Self::new(Text::try_from(text)?)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidTopic;

            /// Takes the string's buffer.
            fn try_from(text: String) -> Result<Self, InvalidTopic> {
                Self::new(Text::try_from(text)?)
            }
        }

        impl<B: Buffer> PartialEq<str> for $name<B> {
            fn eq(&self, other: &str) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }

        impl<B: Buffer> PartialEq<&str> for $name<B> {
            fn eq(&self, other: &&str) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }

        impl<B: Buffer> fmt::Debug for $name<B> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl<B: Buffer> fmt::Display for $name<B> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}
text_newtype!(TopicName);
text_newtype!(TopicFilter);

#[cfg(test)]
mod tests;
