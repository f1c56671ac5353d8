//! What is told to `tracing`: a span for each attempt and the connection that comes of it, and events in it.
//!
//! Neither payloads nor credentials nor topics of messages are told; filters are, in notices. Without the feature all of
//! this is nothing.

use std::time::Duration;

use crate::error::ConnectionError;
use crate::stage::{Connected, Notice};

/// The span of the present attempt or connection.
#[derive(Debug)]
pub(super) struct Trace {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

#[cfg(feature = "tracing")]
impl Trace {
    pub(super) fn none() -> Self {
        Self { span: tracing::Span::none() }
    }

    /// A new attempt begins.
    pub(super) fn attempt(&mut self, number: u64) {
        self.span = tracing::info_span!(parent: None, "connection", attempt = number);
        tracing::debug!(parent: &self.span, "connecting");
    }

    /// Runs `f` within the span, so that what a connector tells is told within it.
    pub(super) fn within<R>(&self, f: impl FnOnce() -> R) -> R {
        self.span.in_scope(f)
    }

    pub(super) fn connected(&self, connected: &Connected) {
        let Connected { session_present, keep_alive, window, .. } = *connected;
        tracing::info!(parent: &self.span, session_present, keep_alive, window, "connected");
    }

    /// The connection or the attempt ended, and the span with it.
    pub(super) fn disconnected(&mut self, error: &ConnectionError, retry_in: Option<Duration>) {
        if matches!(error, ConnectionError::Requested) {
            tracing::info!(parent: &self.span, "disconnected on request");
        } else {
            let retryable = error.is_retryable();
            tracing::warn!(parent: &self.span, %error, retryable, "disconnected");
        }
        if let Some(retry_in) = retry_in {
            tracing::info!(parent: &self.span, ?retry_in, "will try again");
        }
        self.span = tracing::Span::none();
    }
}

/// Something happened besides the operations.
#[cfg(feature = "tracing")]
pub(super) fn notice(notice: &Notice) {
    match notice {
        Notice::Resubscribed { sent, kept } => tracing::info!(sent, kept, "subscribed again"),
        Notice::Quarantined { filter, why } => tracing::warn!(%filter, ?why, "subscription given up"),
        Notice::Draining { queued } => tracing::info!(queued, "sending what was queued"),
        Notice::Drained => tracing::info!("the queue is empty"),
        // The topic is told to the publisher.
        Notice::Poisoned { .. } => {
            tracing::warn!("message given up: the server closes the connection over it");
        }
        Notice::HandlerPanicked { filter } => tracing::error!(%filter, "a handler panicked"),
        Notice::Lagging { filter } => tracing::warn!(%filter, "a subscriber lags behind"),
        Notice::Undelivered { why, .. } => tracing::error!(%why, "a stored message is given up"),
        Notice::Storage { error } => tracing::error!(%error, "the store fails"),
        Notice::Dropped { why } => tracing::warn!(%why, "a message that waited for a connection is given up"),
        // Both have words of their own.
        Notice::Online(_) | Notice::Offline { .. } | Notice::Missed { .. } => {}
    }
}

#[cfg(not(feature = "tracing"))]
impl Trace {
    pub(super) fn none() -> Self {
        Self {}
    }

    pub(super) fn attempt(&mut self, _: u64) {}

    pub(super) fn within<R>(&self, f: impl FnOnce() -> R) -> R {
        f()
    }

    pub(super) fn connected(&self, _: &Connected) {}

    pub(super) fn disconnected(&mut self, _: &ConnectionError, _: Option<Duration>) {}
}

#[cfg(not(feature = "tracing"))]
pub(super) fn notice(_: &Notice) {}
