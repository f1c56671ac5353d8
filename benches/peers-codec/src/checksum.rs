//! What reading packets adds up to, so that every codec can be checked and none can leave out a part.

use crate::workload::Version;

/// What reading a packet leaves: proof that every part was there, and a reason for the compiler to fetch it.
///
/// Every part is added by itself, so that codecs which keep properties in another order come to the same sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checksum(pub u64);

impl Checksum {
    /// Cheap, so that reading costs little beside decoding.
    #[inline(always)]
    fn add(&mut self, part: u32, value: u64) {
        self.0 = self.0.wrapping_add((value + 1).rotate_left(3 * part));
    }

    #[inline(always)]
    fn last(&mut self, part: u32, bytes: &[u8]) {
        let last = bytes.last().map_or(0, |last| u64::from(*last));
        self.add(part, (bytes.len() as u64) << 8 | last);
    }

    #[inline(always)]
    pub fn publish(&mut self, topic: &[u8], id: u16, payload: &[u8]) {
        self.last(1, topic);
        self.add(2, u64::from(id));
        self.last(3, payload);
    }

    #[inline(always)]
    pub fn puback(&mut self, id: u16) {
        self.add(4, u64::from(id));
    }

    #[inline(always)]
    pub fn subscribe(&mut self, id: u16) {
        self.add(5, u64::from(id));
    }

    #[inline(always)]
    pub fn filter(&mut self, filter: &[u8], qos: u8) {
        self.last(6, filter);
        self.add(7, u64::from(qos));
    }

    #[inline(always)]
    pub fn suback(&mut self, id: u16, codes: usize) {
        self.add(8, u64::from(id) << 16 | codes as u64);
    }

    #[inline(always)]
    pub fn ping(&mut self) {
        self.add(9, 1);
    }

    #[inline(always)]
    pub fn message_expiry(&mut self, seconds: u32) {
        self.add(10, u64::from(seconds));
    }

    #[inline(always)]
    pub fn response_topic(&mut self, topic: &[u8]) {
        self.last(11, topic);
    }

    #[inline(always)]
    pub fn correlation_data(&mut self, data: &[u8]) {
        self.last(12, data);
    }

    #[inline(always)]
    pub fn user_property(&mut self, name: &[u8], value: &[u8]) {
        self.last(13, name);
        self.last(14, value);
    }

    /// For what no workload sends.
    pub fn unexpected(&mut self) {
        self.add(15, 1);
    }

    /// Reads what an encoder wrote: how many packets, and their checksum. Not by a codec, and strict in lengths only;
    /// any order of properties will do, and a PUBACK with what may be left out of it. `None` when the bytes are not
    /// such packets.
    pub fn of_wire(mut wire: &[u8], version: Version) -> Option<(usize, Self)> {
        let (mut packets, mut sum) = (0, Self::default());
        while let Some(&header) = wire.split_off_first() {
            let len = variable_byte_integer(&mut wire)?;
            sum.packet(header, wire.split_off(..len)?, version)?;
            packets += 1;
        }
        Some((packets, sum))
    }

    fn packet(&mut self, header: u8, mut body: &[u8], version: Version) -> Option<()> {
        let body = &mut body;
        match header {
            0x30 | 0x32 => {
                let topic = string(body)?;
                let id = if header == 0x32 { number(body)? } else { 0 };
                let properties = properties(body, version)?;
                self.publish(topic, id, body);
                return self.properties(properties);
            }
            0x40 => {
                let id = number(body)?;
                self.puback(id);
                let shortened = body.is_empty() || (version == Version::V5 && *body == [0, 0]);
                return shortened.then_some(());
            }
            0x82 => {
                let id = number(body)?;
                self.subscribe(id);
                properties(body, version)?;
                while !body.is_empty() {
                    let filter = string(body)?;
                    self.filter(filter, *body.split_off_first()?);
                }
            }
            0x90 => {
                let id = number(body)?;
                properties(body, version)?;
                self.suback(id, body.len());
                *body = &[];
            }
            0xC0 | 0xD0 => self.ping(),
            _ => return None,
        }
        body.is_empty().then_some(())
    }

    fn properties(&mut self, mut list: &[u8]) -> Option<()> {
        let list = &mut list;
        while let Some(id) = list.split_off_first() {
            match id {
                0x02 => {
                    let (high, low) = (number(list)?, number(list)?);
                    self.message_expiry(u32::from(high) << 16 | u32::from(low));
                }
                0x08 => self.response_topic(string(list)?),
                0x09 => self.correlation_data(string(list)?),
                0x26 => self.user_property(string(list)?, string(list)?),
                _ => return None,
            }
        }
        Some(())
    }
}

fn properties<'a>(bytes: &mut &'a [u8], version: Version) -> Option<&'a [u8]> {
    if version == Version::V3 {
        return Some(&[]);
    }
    let len = variable_byte_integer(bytes)?;
    bytes.split_off(..len)
}

fn string<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = number(bytes)?;
    bytes.split_off(..usize::from(len))
}

fn number(bytes: &mut &[u8]) -> Option<u16> {
    Some(u16::from(*bytes.split_off_first()?) << 8 | u16::from(*bytes.split_off_first()?))
}

fn variable_byte_integer(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for shift in [0, 7, 14, 21] {
        let byte = *bytes.split_off_first()?;
        value |= usize::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_written_longer_counts_as_the_same() {
        let of = |wire| Checksum::of_wire(wire, Version::V5);
        assert_eq!(of(b"\x40\x02\x00\x07"), of(b"\x40\x04\x00\x07\x00\x00"));
        assert_ne!(of(b"\x40\x02\x00\x07"), of(b"\x40\x02\x00\x08"));
        assert_eq!(of(b"\x40\x03\x00\x07\x00\x00"), None);
        assert_eq!(of(b"\x40\x02\x00"), None);
    }
}
