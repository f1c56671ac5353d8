//! Masks (RFC 6455, section 5.3): what a client's payload is combined with.

use std::io;

/// Four bytes, over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mask([u8; 4]);

impl Mask {
    pub(super) fn new(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(self) -> [u8; 4] {
        self.0
    }

    /// Combines `data`, which begins at this place of the payload, with the mask: once to hide it, twice to show it.
    pub(super) fn apply(self, data: &mut [u8], place: u64) {
        let mut four = self.0;
        four.rotate_left(usize::from(u8::try_from(place % 4).unwrap_or_default()));
        let [a, b, c, d] = four;
        let eight = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (words, rest) = data.as_chunks_mut();
        for word in words {
            *word = (u64::from_ne_bytes(*word) ^ eight).to_ne_bytes();
        }
        for (byte, mask) in rest.iter_mut().zip(eight.to_ne_bytes()) {
            *byte ^= mask;
        }
    }
}

/// A supply of masks that nobody can guess, as section 10.3 asks: fetched from the operating system 64 at a time.
#[derive(Default)]
pub(super) struct Masks {
    supply: Vec<[u8; 4]>,
}

impl Masks {
    /// # Errors
    ///
    /// The operating system has no random numbers to give.
    pub(super) fn next(&mut self) -> io::Result<Mask> {
        if self.supply.is_empty() {
            let mut fresh = [0; 256];
            getrandom::fill(&mut fresh).map_err(io::Error::other)?;
            self.supply.extend_from_slice(fresh.as_chunks().0);
        }
        Ok(Mask(self.supply.pop().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_may_be_masked_in_pieces_of_any_size() {
        let payload: Vec<u8> = (0..100).collect();
        let mask = Mask::new([0x37, 0xFA, 0x21, 0x3D]);
        let byte_by_byte: Vec<u8> = payload
            .iter()
            .zip([0x37, 0xFA, 0x21, 0x3D].iter().cycle())
            .map(|(byte, mask)| byte ^ mask)
            .collect();
        for size in 1..payload.len() {
            let mut masked = payload.clone();
            for (number, piece) in masked.chunks_mut(size).enumerate() {
                mask.apply(piece, (number * size) as u64);
            }
            assert_eq!(masked, byte_by_byte, "pieces of {size}");
        }
    }

    #[test]
    fn the_example_of_the_standard_comes_out() {
        // RFC 6455, section 5.7: a masked "Hello".
        let mut hello = *b"Hello";
        Mask::new([0x37, 0xFA, 0x21, 0x3D]).apply(&mut hello, 0);
        assert_eq!(hello, [0x7F, 0x9F, 0x4D, 0x51, 0x58]);
    }

    #[test]
    fn no_mask_comes_twice_in_a_row() {
        let mut masks = Masks::default();
        let drawn: Vec<Mask> = (0..1000).map(|_| masks.next().unwrap()).collect();
        assert!(drawn.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
