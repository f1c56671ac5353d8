//! A subscription as an iterator.

use std::fmt;
use std::time::Duration;

use mqtt_codec::{ReasonCode, TopicFilter};

use super::super::subscription::{self, Acknowledge, Ended};
use super::wait::{wait, wait_for};
use crate::message::Message;

/// The messages of a subscription, as an iterator that blocks until the next one. Dropping it unsubscribes. See
/// [`crate::Messages`] for when it ends.
#[derive(Debug)]
pub struct Messages(subscription::Messages);

/// Why [`Messages::next_timeout`] has no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextError {
    /// None came in time.
    Timeout,
    /// No more will come.
    Ended,
}

impl fmt::Display for NextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "no message came in time",
            Self::Ended => "the subscription has ended",
        })
    }
}

impl std::error::Error for NextError {}

impl Messages {
    pub(super) fn new(messages: subscription::Messages) -> Self {
        Self(messages)
    }

    /// What was subscribed.
    #[must_use]
    pub fn filter(&self) -> &TopicFilter {
        self.0.filter()
    }

    /// The server's answer: the granted QoS, which may be lower than what was asked for.
    #[must_use]
    pub fn granted(&self) -> ReasonCode {
        self.0.granted()
    }

    /// The next message, waited for for so long.
    ///
    /// # Errors
    /// None came in time, or none will come any more.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Message, NextError> {
        match wait_for(self.0.next(), timeout) {
            Some(message) => message.ok_or(NextError::Ended),
            None => Err(NextError::Timeout),
        }
    }

    /// The next message with its acknowledgement; `None` at the end.
    pub fn next_with_ack(&mut self) -> Option<(Message, Acknowledge)> {
        wait(self.0.next_with_ack())
    }

    /// As [`next_with_ack`](Self::next_with_ack), waited for for so long.
    ///
    /// # Errors
    /// None came in time, or none will come any more.
    pub fn next_with_ack_timeout(&mut self, timeout: Duration) -> Result<(Message, Acknowledge), NextError> {
        match wait_for(self.0.next_with_ack(), timeout) {
            Some(next) => next.ok_or(NextError::Ended),
            None => Err(NextError::Timeout),
        }
    }

    /// As [`crate::Messages::filters`].
    pub fn filters(&self) -> impl Iterator<Item = (&TopicFilter, ReasonCode)> {
        self.0.filters()
    }

    /// As [`crate::Messages::mute`].
    pub fn mute(&self) {
        self.0.mute();
    }

    /// As [`crate::Messages::unmute`].
    pub fn unmute(&self) {
        self.0.unmute();
    }

    /// As [`crate::Messages::keep_newest`].
    pub fn keep_newest(&self) {
        self.0.keep_newest();
    }

    /// As [`crate::Messages::skipped`].
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.0.skipped()
    }

    /// Why no more messages come; `None` while they do.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.0.ended()
    }
}

impl Iterator for Messages {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        wait(self.0.next())
    }
}
