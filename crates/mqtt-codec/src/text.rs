//! UTF-8 strings as MQTT allows them (MQTT 5, section 1.5.4; MQTT 3.1.1, section 1.5.3).

use alloc::string::String;
use core::fmt;

use bytes::Bytes;

use crate::Buffer;
use crate::glance::{Glance, glance};

/// A UTF-8 string of at most 65,535 bytes without U+0000 (`[MQTT-1.5.4-1]`, `[MQTT-1.5.4-2]`).
///
/// ```
/// use mqtt_codec::{InvalidText, Text};
///
/// assert_eq!(Text::try_from("21 °C")?.as_str(), "21 °C");
/// assert_eq!(Text::new(&b"a\0b"[..]), Err(InvalidText::ContainsNull));
/// # Ok::<(), InvalidText>(())
/// ```
///
/// Cloning shares the bytes. A `Text` taken from a decoded packet shares the buffer that the packet was read into.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text<B: Buffer = Bytes>(B);

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

/// What is suspect is looked at again.
#[inline(always)]
pub(crate) fn check_glance(bytes: &[u8], glance: Glance) -> Result<(), InvalidText> {
    if bytes.len() > usize::from(u16::MAX) {
        return Err(InvalidText::TooLong);
    }
    if glance.suspect { check_closely(bytes) } else { Ok(()) }
}

/// Checks what MQTT asks of a string, and says whether there is a wildcard in it.
#[inline(always)]
pub(crate) fn check(bytes: &[u8]) -> Result<Glance, InvalidText> {
    let seen = glance(bytes);
    check_glance(bytes, seen)?;
    Ok(seen)
}

#[cold]
fn check_closely(bytes: &[u8]) -> Result<(), InvalidText> {
    // [v5 MQTT-1.5.4-1, v3.1.1 MQTT-1.5.3-1]: no ill-formed sequences, surrogates among them. A byte order mark is a
    // character like any other [v5 MQTT-1.5.4-3, v3.1.1 MQTT-1.5.3-3].
    core::str::from_utf8(bytes).map_err(|_| InvalidText::NotUtf8)?;
    // [v5 MQTT-1.5.4-2, v3.1.1 MQTT-1.5.3-2]
    if bytes.contains(&0) { Err(InvalidText::ContainsNull) } else { Ok(()) }
}

/// The string in bytes that [`check`] has passed before.
///
/// Without `unsafe` the bytes are looked at again; that they are UTF-8 is the invariant of the caller.
#[inline]
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
}

impl<'a> Text<&'a [u8]> {
    /// Borrows a string that must be a valid MQTT string.
    ///
    /// # Errors
    /// [`InvalidText`] says which rule the string breaks.
    pub fn borrowed(text: &'a str) -> Result<Self, InvalidText> {
        check(text.as_bytes())?;
        Ok(Self(text.as_bytes()))
    }
}

impl<B: Buffer> Text<B> {
    /// For bytes that [`check`] has passed.
    #[inline]
    pub(crate) fn from_checked(bytes: B) -> Self {
        Self(bytes)
    }

    /// The string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        checked(self.0.as_ref())
    }

    /// The bytes.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// The bytes, as what they lie in.
    #[must_use]
    pub fn into_inner(self) -> B {
        self.0
    }

    /// The text on its own: borrowed bytes are copied, shared ones stay shared.
    #[must_use]
    pub fn into_owned(self) -> Text {
        Text(self.0.into_bytes())
    }

    /// Whether the string has no characters.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_empty()
    }

    /// Length in bytes, 0 to 65,535.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().len()
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

impl<B: Buffer> fmt::Debug for Text<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<B: Buffer> fmt::Display for Text<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<B: Buffer> PartialEq<str> for Text<B> {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<B: Buffer> PartialEq<&str> for Text<B> {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn null_overlong_and_surrogates_are_refused() {
        assert_eq!(Text::try_from("a\0b"), Err(InvalidText::ContainsNull));
        assert_eq!(Text::new(&b"\xed\xa0\x80"[..]), Err(InvalidText::NotUtf8));
        assert_eq!(Text::new(alloc::vec![b'a'; 65_536]), Err(InvalidText::TooLong));
        assert_eq!(Text::new(alloc::vec![b'a'; 65_535]).unwrap().len(), 65_535);
    }

    #[test]
    fn a_byte_order_mark_is_kept() {
        assert_eq!(Text::try_from("\u{feff}a").unwrap().as_str(), "\u{feff}a");
    }

    #[test]
    fn the_quick_look_and_the_close_look_agree() {
        let mut seed = 7u32;
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..seed % 40)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let byte = (seed >> 24) as u8;
                    if seed & 0x700 == 0 { byte } else { byte & 0x7F | 1 }
                })
                .collect();
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1);
            assert_eq!(check(&bytes).map(|_| ()), check_closely(&bytes), "{bytes:x?}");
        }
    }
}
