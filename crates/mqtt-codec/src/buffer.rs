//! What the bytes of a packet lie in.

use core::fmt;
use core::ops::Range;

use bytes::Bytes;

mod sealed {
    /// Keeps others from implementing [`Buffer`](super::Buffer).
    pub trait Sealed {}
    impl Sealed for bytes::Bytes {}
    impl Sealed for &[u8] {}
}

/// The bytes behind a packet's parts: [`Bytes`], which packets own and share, or `&[u8]`, for a view that lives no longer
/// than the buffer it looks at.
///
/// The same types serve both: [`Publish`](crate::packet::Publish) is `Publish<Bytes>`, a borrowed one is
/// `Publish<&[u8]>`. The trait is sealed; its methods are details of this crate.
pub trait Buffer: AsRef<[u8]> + Clone + Default + Eq + fmt::Debug + sealed::Sealed {
    /// These bytes of it, sharing the memory; empty when they are not all there.
    #[doc(hidden)]
    #[must_use]
    fn share(&self, range: Range<usize>) -> Self;

    /// Cut down to these bytes; empty when they are not all there.
    #[doc(hidden)]
    #[must_use]
    fn cut(self, range: Range<usize>) -> Self;

    /// As bytes that live on their own: shared where the memory is, copied where it is borrowed.
    #[doc(hidden)]
    #[must_use]
    fn into_bytes(self) -> Bytes;
}

impl Buffer for Bytes {
    #[inline]
    fn share(&self, range: Range<usize>) -> Self {
        if range.start < range.end && range.end <= self.len() { self.slice(range) } else { Self::new() }
    }

    #[inline]
    fn cut(mut self, range: Range<usize>) -> Self {
        if range.start < range.end && range.end <= self.len() {
            self.truncate(range.end);
            bytes::Buf::advance(&mut self, range.start);
            self
        } else {
            Self::new()
        }
    }

    #[inline]
    fn into_bytes(self) -> Bytes {
        self
    }
}

impl Buffer for &[u8] {
    #[inline]
    fn share(&self, range: Range<usize>) -> Self {
        self.get(range).unwrap_or_default()
    }

    #[inline]
    fn cut(self, range: Range<usize>) -> Self {
        self.get(range).unwrap_or_default()
    }

    #[inline]
    fn into_bytes(self) -> Bytes {
        Bytes::copy_from_slice(self)
    }
}
