//! A quick look at the bytes of strings, topics and filters: mostly it shows that all is well.

/// What a quick look at bytes found: enough to tell that most strings are in order, and which need a closer look.
#[derive(Clone, Copy)]
pub(crate) struct Glance {
    /// Some byte is above 0x7F or is 0.
    pub(crate) suspect: bool,
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_filter_is_suspect_or_misplaced_just_where_the_standard_says() {
        let levels = |filter: &str| {
            let levels: alloc::vec::Vec<&str> = filter.split('/').collect();
            let last = levels.len() - 1;
            levels.iter().enumerate().all(|(at, level)| match *level {
                "+" => true,
                "#" => at == last,
                level => !level.contains(['+', '#']),
            })
        };
        let mut seed = 1u32;
        for _ in 0..50_000 {
            let mut filter = alloc::string::String::new();
            for _ in 0..seed % 40 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                filter.push(*b"/////abc+#".get((seed >> 24) as usize % 10).unwrap() as char);
            }
            seed = seed.wrapping_mul(1_664_525).wrapping_add(12_345);
            let glance = glance_filter(filter.as_bytes());
            assert_eq!(glance.wildcard, !levels(&filter), "{filter}");
            assert!(!glance.suspect);
        }
    }
}
