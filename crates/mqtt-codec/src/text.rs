//! UTF-8 strings as MQTT allows them (MQTT 5, section 1.5.4; MQTT 3.1.1, section 1.5.3).

use alloc::string::String;
use core::fmt;

use bytes::Bytes;

use crate::Buffer;

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

/// What a quick look at bytes found: enough to tell that most strings are in order, and which need a closer look.
#[derive(Clone, Copy)]
pub(crate) struct Glance {
    /// Some byte is above 0x7F or is 0.
    suspect: bool,
    /// Some byte is `+` or `#`.
    pub(crate) wildcard: bool,
}

/// Bytes that are looked at in one go.
const STRIDE: usize = 16;

/// One in each byte of a word, and the highest bit of each.
const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

/// What was found, at sixteen places: the highest bit of each byte for what is suspect, the lowest for wildcards.
type Found = [u8; STRIDE];

const SUSPECT: u8 = 0x80;
const WILDCARD: u8 = 0x01;

impl Glance {
    #[inline]
    fn of(found: Found) -> Self {
        let found = u128::from_ne_bytes(found);
        Self {
            suspect: found & u128::from_ne_bytes([SUSPECT; STRIDE]) != 0,
            wildcard: found & u128::from_ne_bytes([WILDCARD; STRIDE]) != 0,
        }
    }
}

/// Looks at every byte once, sixteen at a time, without a branch for each: the compiler turns it into vector
/// instructions. The last stride overlaps the one before it instead of ending in a loop over single bytes.
#[inline(always)]
pub(crate) fn glance(bytes: &[u8]) -> Glance {
    let Some(last) = bytes.last_chunk::<STRIDE>() else { return glance_short(bytes) };
    let mut found = [0; STRIDE];
    for stride in bytes.as_chunks::<STRIDE>().0.iter().chain([last]) {
        for (byte, found) in stride.iter().zip(&mut found) {
            // `+` and `#` differ in one bit.
            *found |= suspicion(*byte) | u8::from(byte | WILDCARD_BIT == b'+');
        }
    }
    Glance::of(found)
}

/// The highest bit, for 0 and for what is above 0x7F.
#[inline]
fn suspicion(byte: u8) -> u8 {
    (byte.wrapping_sub(1) | byte) & SUSPECT
}

const WILDCARD_BIT: u8 = b'+' ^ b'#';

/// Fewer than sixteen bytes, as two words that overlap, or one that is filled up with letters.
#[inline(always)]
fn glance_short(bytes: &[u8]) -> Glance {
    let words = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => [u64::from_ne_bytes(*first), u64::from_ne_bytes(*last)],
        _ => [word_of_few(bytes); 2],
    };
    let [suspect, wildcard] =
        words.map(glance_word).into_iter().fold([0; 2], |[a, b], [c, d]| [a | c, b | d]);
    Glance { suspect: suspect != 0, wildcard: wildcard != 0 }
}

/// Up to seven bytes in one word, some of them perhaps twice.
#[inline(always)]
fn word_of_few(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return u64::from(u32::from_ne_bytes(*first)) << 32 | u64::from(u32::from_ne_bytes(*last));
    }
    let filler = u64::from_ne_bytes([b'a'; 8]);
    bytes.iter().fold(filler, |word, byte| word << 8 | u64::from(*byte))
}

/// What is suspect and what is a wildcard in eight bytes: zero, or not.
#[inline]
fn glance_word(word: u64) -> [u64; 2] {
    let suspect = (word.wrapping_sub(ONES) | word) & HIGHS;
    [suspect, zeros(wildcard_bits(word))]
}

/// Zero bytes where there are wildcards.
#[inline]
fn wildcard_bits(word: u64) -> u64 {
    (word | u64::from_ne_bytes([WILDCARD_BIT; 8])) ^ u64::from_ne_bytes([b'+'; 8])
}

/// Not zero when a byte of the word is.
#[inline]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// Like [`glance`], for a filter: `wildcard` says that some wildcard does not fill its level, or that `#` is not the
/// last character. Each pair of neighbours is looked at, whatever is in it.
#[inline]
pub(crate) fn glance_filter(bytes: &[u8]) -> Glance {
    let (Some((first, after)), Some((_, before))) = (bytes.split_first(), bytes.split_last()) else {
        return Glance { suspect: false, wildcard: false };
    };
    let (Some(last_before), Some(last_after)) = (before.last_chunk(), after.last_chunk()) else {
        return glance_short_filter(*first, before, after);
    };
    let mut found = look_at_pairs(&[0; STRIDE], last_before, last_after);
    for (before, after) in before.as_chunks().0.iter().zip(after.as_chunks().0) {
        found = look_at_pairs(&found, before, after);
    }
    let glance = Glance::of(found);
    Glance { suspect: glance.suspect || suspicion(*first) != 0, ..glance }
}

#[inline(always)]
fn look_at_pairs(found: &Found, before: &[u8; STRIDE], after: &[u8; STRIDE]) -> Found {
    let mut all = *found;
    for ((before, after), all) in before.iter().zip(after).zip(&mut all) {
        *all |= look_at_pair(*before, *after);
    }
    all
}

#[inline(never)]
fn glance_short_filter(first: u8, before: &[u8], after: &[u8]) -> Glance {
    let found =
        before.iter().zip(after).fold(0, |found, (before, after)| found | look_at_pair(*before, *after));
    Glance { suspect: found & SUSPECT != 0 || suspicion(first) != 0, wildcard: found & WILDCARD != 0 }
}

/// Whether `after` is suspect, and whether one of the two is a misplaced wildcard.
#[inline]
fn look_at_pair(before: u8, after: u8) -> u8 {
    let misplaced = (u8::from(after | WILDCARD_BIT == b'+') & u8::from(before != b'/'))
        | (u8::from(before == b'+') & u8::from(after != b'/'))
        | u8::from(before == b'#');
    suspicion(after) | misplaced
}

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
    let glance = glance(bytes);
    check_glance(bytes, glance)?;
    Ok(glance)
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
    fn a_glance_sees_every_byte_at_every_place_and_length() {
        for len in 0..50 {
            for at in 0..len {
                for byte in 0..=255u8 {
                    let mut bytes = alloc::vec![b'a'; len];
                    bytes[at] = byte;
                    let seen = glance(&bytes);
                    assert_eq!(seen.suspect, byte == 0 || byte > 0x7F, "{byte:#x} at {at} of {len}");
                    assert_eq!(seen.wildcard, byte == b'+' || byte == b'#', "{byte:#x} at {at} of {len}");
                }
            }
        }
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
