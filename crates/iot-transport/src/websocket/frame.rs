//! The head of a frame (RFC 6455, section 5.2): what it says, how it is written, what is wrong with it.

use bytes::{BufMut, BytesMut};

use super::Role;
use super::mask::Mask;

/// The longest payload of a control frame.
pub(super) const LONGEST_CONTROL: usize = 125;

/// The longest head.
pub(super) const LONGEST_HEAD: usize = 14;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Whether the message ends with this frame.
    pub(super) last: bool,
    pub(super) operation: Operation,
    pub(super) mask: Option<Mask>,
    pub(super) len: u64,
}

/// What the peer did wrong, and the close code that says so to it (RFC 6455, section 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) what: &'static str,
    pub(super) code: u16,
}

impl Fault {
    pub(super) const TEXT: Self =
        Self { what: "the peer sent a text frame, where MQTT goes in binary frames", code: 1003 };

    /// A protocol error.
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, code: 1002 }
    }
}

impl Operation {
    fn from_bits(bits: u8) -> Option<Self> {
        [Self::Continuation, Self::Text, Self::Binary, Self::Close, Self::Ping, Self::Pong]
            .into_iter()
            .find(|operation| *operation as u8 == bits)
    }

    pub(super) fn is_control(self) -> bool {
        self as u8 & 8 != 0
    }
}

impl Head {
    /// The head at the front of `bytes` and how long it is, or none while some of it is missing; `ours` is the side that
    /// reads.
    pub(super) fn parse(bytes: &[u8], ours: Role) -> Result<Option<(Self, usize)>, Fault> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(Fault::new(
                "the peer set a reserved bit in a frame, of an extension that was not agreed on",
            ));
        }
        let operation = Operation::from_bits(first & 0x0F)
            .ok_or(Fault::new("the peer sent a frame whose opcode is reserved"))?;
        let last = first & 0x80 != 0;
        let masked = second & 0x80 != 0;
        match (ours, masked) {
            (Role::Client, true) => return Err(Fault::new("the server sent a masked frame")),
            (Role::Server, false) => return Err(Fault::new("the client sent a frame that is not masked")),
            _ => {}
        }
        let short = second & 0x7F;
        if operation.is_control() && (!last || usize::from(short) > LONGEST_CONTROL) {
            return Err(Fault::new(if last {
                "the peer sent a control frame of more than 125 bytes"
            } else {
                "the peer sent a fragmented control frame"
            }));
        }
        let (len, rest) = match short {
            126 => match rest.split_first_chunk() {
                Some((long, rest)) => (u64::from(u16::from_be_bytes(*long)), rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk() {
                Some((long, rest)) => (u64::from_be_bytes(*long), rest),
                None => return Ok(None),
            },
            short => (u64::from(short), rest),
        };
        if len > u64::MAX / 2 {
            return Err(Fault::new("the peer announced a frame that is too large for any stream"));
        }
        let (mask, rest) = match (masked, rest.split_first_chunk()) {
            (false, _) => (None, rest),
            (true, Some((mask, rest))) => (Some(Mask::new(*mask)), rest),
            (true, None) => return Ok(None),
        };
        Ok(Some((Self { last, operation, mask, len }, bytes.len() - rest.len())))
    }

    /// Writes a frame whose message ends with it, its payload put together of `parts`, masked in its place.
    pub(super) fn write(operation: Operation, mask: Option<Mask>, parts: &[&[u8]], out: &mut BytesMut) {
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        out.reserve(len + LONGEST_HEAD);
        out.put_u8(0x80 | operation as u8);
        let masked = u8::from(mask.is_some()) << 7;
        match (u8::try_from(len), u16::try_from(len)) {
            (Ok(short @ ..=125), _) => out.put_u8(masked | short),
            (_, Ok(long)) => {
                out.put_u8(masked | 126);
                out.put_u16(long);
            }
            _ => {
                out.put_u8(masked | 127);
                out.put_u64(len as u64);
            }
        }
        if let Some(mask) = mask {
            out.put_slice(&mask.bytes());
        }
        let at = out.len();
        for part in parts {
            out.put_slice(part);
        }
        if let (Some(mask), Some(payload)) = (mask, out.get_mut(at..)) {
            mask.apply(payload, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_back_as_it_was_written_and_waits_for_all_of_itself() {
        for len in [0, 1, 125, 126, 127, 65_535, 65_536, 100_000] {
            for (mask, reader) in [(None, Role::Client), (Some(Mask::new([1, 2, 3, 4])), Role::Server)] {
                let payload = vec![7; len];
                let mut out = BytesMut::new();
                Head::write(Operation::Binary, mask, &[&payload], &mut out);
                let size = out.len() - len;
                let head = Head { last: true, operation: Operation::Binary, mask, len: len as u64 };
                assert_eq!(Head::parse(&out, reader), Ok(Some((head, size))));
                for cut in 0..size {
                    assert_eq!(Head::parse(&out[..cut], reader), Ok(None), "{cut} of {size}");
                }
            }
        }
    }

    #[test]
    fn what_the_standard_forbids_is_named() {
        let bytes = |bytes: &[u8]| Head::parse(bytes, Role::Client).unwrap_err().what;
        assert!(bytes(&[0xC2, 0]).contains("reserved bit"));
        assert!(bytes(&[0x83, 0]).contains("opcode"));
        assert!(bytes(&[0x8B, 0]).contains("opcode"));
        assert!(bytes(&[0x82, 0x80]).contains("masked"));
        assert!(bytes(&[0x09, 0]).contains("fragmented"));
        assert!(bytes(&[0x89, 126]).contains("125"));
        assert!(bytes(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]).contains("too large"));
        assert!(Head::parse(&[0x82, 0], Role::Server).unwrap_err().what.contains("not masked"));
    }
}
