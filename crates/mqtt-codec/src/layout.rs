//! A packet's layout is described once and run twice, to count and to write, so that a length can never disagree
//! with its bytes.

use bytes::{BufMut, BytesMut};

use crate::text::Text;
use crate::{PacketId, Properties, Version};

/// Where a layout runs to.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);

    fn u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    fn u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    fn packet_id(&mut self, id: PacketId) {
        self.u16(id.value());
    }

    fn var_int(&mut self, value: u32) {
        let mut rest = value;
        while rest > 0x7F {
            self.u8((rest & 0x7F) as u8 | 0x80);
            rest >>= 7;
        }
        self.u8(rest as u8);
    }

    /// A two-byte length and the bytes. Callers hold the length under 65,536 by their types or a check; what is
    /// above is cut, so that length and bytes agree all the same.
    fn binary(&mut self, bytes: &[u8]) {
        let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.u16(len);
        self.put(bytes.get(..usize::from(len)).unwrap_or(bytes));
    }

    fn text(&mut self, text: &Text) {
        self.binary(text.as_bytes());
    }

    /// In MQTT 5 the property length and the properties, before it nothing.
    fn properties(&mut self, version: Version, properties: &Properties) {
        if version.is_v5() {
            self.property_bytes(properties.as_bytes());
        }
    }

    fn property_bytes(&mut self, bytes: &[u8]) {
        self.var_int(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.put(bytes);
    }
}

/// Counts.
#[derive(Default)]
pub(crate) struct Count(pub(crate) usize);

impl Sink for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.0 = self.0.saturating_add(bytes.len());
    }
}

/// Writes.
pub(crate) struct Write<'a>(pub(crate) &'a mut BytesMut);

impl Sink for Write<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.0.put_slice(bytes);
    }
}
