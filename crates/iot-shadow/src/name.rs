//! Names of things and shadows, checked.

use std::fmt;

/// The name of a thing: 1 to 128 bytes of `a-z A-Z 0-9 : _ -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThingName(Box<str>);

/// The name of a named shadow: 1 to 64 bytes of `a-z A-Z 0-9 : _ -`, also `$` for reserved shadows such as
/// `$package`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShadowName(Box<str>);

/// Why a string is no name of a thing or a shadow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidName {
    /// A name has at least one character.
    Empty,
    /// Longer than the limit.
    TooLong {
        /// What it has, in bytes.
        len: usize,
        /// What is allowed: 128 for things, 64 for shadows.
        max: usize,
    },
    /// A character that is not allowed.
    Character(char),
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name is empty"),
            Self::TooLong { len, max } => write!(f, "the name has {len} bytes, at most {max} are allowed"),
            Self::Character(c) => {
                write!(f, "{c:?} is not allowed in a name: use letters, digits, ':', '_' and '-'")
            }
        }
    }
}

impl std::error::Error for InvalidName {}

fn check(name: &str, max: usize, also: &[char]) -> Result<Box<str>, InvalidName> {
    if name.is_empty() {
        return Err(InvalidName::Empty);
    }
    if name.len() > max {
        return Err(InvalidName::TooLong { len: name.len(), max });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-') || also.contains(&c);
    match name.chars().find(|c| !allowed(*c)) {
        Some(c) => Err(InvalidName::Character(c)),
        None => Ok(name.into()),
    }
}

macro_rules! name {
    ($name:ident, $max:literal, $also:expr) => {
        impl $name {
            /// Checks a name.
            ///
            /// # Errors
            /// [`InvalidName`] says what is wrong with it.
            pub fn new(name: &str) -> Result<Self, InvalidName> {
                check(name, $max, $also).map(Self)
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidName;

            fn try_from(name: &str) -> Result<Self, InvalidName> {
                Self::new(name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
name!(ThingName, 128, &[]);
name!(ShadowName, 64, &['$']);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_their_lengths_and_characters() {
        assert!(ThingName::new(&"a".repeat(128)).is_ok());
        assert_eq!(ThingName::new(&"a".repeat(129)), Err(InvalidName::TooLong { len: 129, max: 128 }));
        assert!(ShadowName::new(&"a".repeat(64)).is_ok());
        assert_eq!(ShadowName::new(&"a".repeat(65)), Err(InvalidName::TooLong { len: 65, max: 64 }));
        assert_eq!(ThingName::new(""), Err(InvalidName::Empty));
        for bad in ["a/b", "a+b", "a#", "a b", "ä", "a$"] {
            assert!(matches!(ThingName::new(bad), Err(InvalidName::Character(_))), "{bad}");
        }
        assert!(ThingName::new("Thing:1_a-Z").is_ok());
        assert!(ShadowName::new("$package").is_ok());
    }
}
