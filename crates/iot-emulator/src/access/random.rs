//! Random text: keys, tokens, identifiers.

use std::io;

use ring::rand::{SecureRandom, SystemRandom};

/// What access keys are made of.
const UPPER: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What secrets and tokens are made of, with the characters that a signer has to encode.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Random characters as access keys have them.
pub(super) fn upper(len: usize) -> io::Result<String> {
    text(UPPER, len)
}

/// Random characters as secrets and tokens have them.
pub(super) fn base64(len: usize) -> io::Result<String> {
    text(BASE64, len)
}

/// A random UUID of version 4.
pub(crate) fn uuid() -> io::Result<String> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    let number = u128::from_be_bytes(bytes) & !(0xF << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
    let mut text = format!("{number:032x}");
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    Ok(text)
}

fn text<const N: usize>(alphabet: &[u8; N], len: usize) -> io::Result<String> {
    let mut bytes = vec![0; len];
    fill(&mut bytes)?;
    let character = |byte: u8| alphabet.get(usize::from(byte) % N).map(|c| char::from(*c));
    Ok(bytes.into_iter().filter_map(character).collect())
}

fn fill(bytes: &mut [u8]) -> io::Result<()> {
    SystemRandom::new().fill(bytes).map_err(|_| io::Error::other("the system has no random numbers to give"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_their_form_and_differ() {
        let (one, other) = (uuid().unwrap(), uuid().unwrap());
        assert_ne!(one, other);
        let parts: Vec<&str> = one.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']), "{one}");
        assert_eq!(upper(16).unwrap().len(), 16);
        assert_ne!(base64(40).unwrap(), base64(40).unwrap());
    }
}
