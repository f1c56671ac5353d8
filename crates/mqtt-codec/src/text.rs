//! UTF-8 strings as MQTT allows them (MQTT 5, section 1.5.4).

use alloc::string::String;
use core::fmt;

use bytes::Bytes;

/// A UTF-8 string of at most 65,535 bytes without U+0000 (`[MQTT-1.5.4-1]`, `[MQTT-1.5.4-2]`).
///
/// Cloning shares the bytes. A decoded `Text` shares the buffer that the packet was read into.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text(Bytes);

/// Why bytes or a string cannot be a [`Text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidText {
    /// Not well-formed UTF-8; this covers encoded surrogates (`[MQTT-1.5.4-1]`).
    NotUtf8,
    /// Contains U+0000 (`[MQTT-1.5.4-2]`).
    ContainsNull,
    /// Longer than 65,535 bytes.
    TooLong,
}

impl fmt::Display for InvalidText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUtf8 => "not well-formed UTF-8",
            Self::ContainsNull => "contains the null character U+0000",
            Self::TooLong => "longer than 65,535 bytes",
        })
    }
}

impl core::error::Error for InvalidText {}

/// Checks what MQTT asks of a string and returns it.
pub(crate) fn check(bytes: &[u8]) -> Result<&str, InvalidText> {
    if bytes.len() > usize::from(u16::MAX) {
        return Err(InvalidText::TooLong);
    }
    let text = core::str::from_utf8(bytes).map_err(|_| InvalidText::NotUtf8)?;
    if bytes.contains(&0) {
        return Err(InvalidText::ContainsNull);
    }
    Ok(text)
}

/// The string in bytes that [`check`] has passed before.
///
/// Without `unsafe` the bytes are looked at again; that they are UTF-8 is the invariant of the caller.
pub(crate) fn checked(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

impl Text {
    /// Takes bytes that must be a valid MQTT string, without copying them.
    ///
    /// # Errors
    /// [`InvalidText`] says which rule the bytes break.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, InvalidText> {
        let bytes = bytes.into();
        check(&bytes)?;
        Ok(Self(bytes))
    }

    /// For bytes that [`check`] has passed.
    pub(crate) fn from_checked(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        checked(&self.0)
    }

    /// The bytes, shared.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// Whether the string has no characters.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Length in bytes, 0 to 65,535.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl TryFrom<&str> for Text {
    type Error = InvalidText;

    /// Copies the string.
    fn try_from(text: &str) -> Result<Self, InvalidText> {
        Self::new(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl TryFrom<String> for Text {
    type Error = InvalidText;

    /// Takes the string's buffer.
    fn try_from(text: String) -> Result<Self, InvalidText> {
        Self::new(text.into_bytes())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_overlong_and_surrogates_are_refused() {
        assert_eq!(Text::try_from("a\0b"), Err(InvalidText::ContainsNull));
        assert_eq!(Text::new(&b"\xed\xa0\x80"[..]), Err(InvalidText::NotUtf8));
        assert_eq!(Text::new(alloc::vec![b'a'; 65_536]), Err(InvalidText::TooLong));
        assert_eq!(Text::new(alloc::vec![b'a'; 65_535]).unwrap().len(), 65_535);
    }

    #[test]
    fn a_byte_order_mark_is_kept() {
        // [MQTT-1.5.4-3]
        assert_eq!(Text::try_from("\u{feff}a").unwrap().as_str(), "\u{feff}a");
    }
}
