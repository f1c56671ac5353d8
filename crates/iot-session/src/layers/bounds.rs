//! How much is kept.

/// Bounds in messages and in bytes of topics, properties and payloads; `None`: no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) messages: Option<usize>,
    pub(super) bytes: Option<usize>,
}

impl Bounds {
    /// Whether `messages` of together `bytes` are within bounds.
    pub(super) fn holds(self, messages: usize, bytes: usize) -> bool {
        self.messages.is_none_or(|max| messages <= max) && self.bytes.is_none_or(|max| bytes <= max)
    }

    /// Whether there is no room beside `messages` of together `bytes`.
    pub(super) fn is_full(self, messages: usize, bytes: usize) -> bool {
        !self.holds(messages.saturating_add(1), bytes.saturating_add(1))
    }
}
