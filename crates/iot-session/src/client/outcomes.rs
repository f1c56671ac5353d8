//! What calls of the handle come to.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use mqtt_codec::ReasonCode;
use tokio::sync::oneshot;

use crate::error::OpError;
use crate::message::Message;

/// How a message went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// QoS 0: handed to the link. Whether it arrives, nobody knows.
    Sent,
    /// QoS 1 and 2: acknowledged by the server with this code.
    Acked(ReasonCode),
}

/// The client is closed: its driver has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosedError;

impl fmt::Display for ClosedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client is closed")
    }
}

impl std::error::Error for ClosedError {}

/// Why [`Client::try_publish`](super::Client::try_publish) gives the message back.
#[derive(Debug, Clone)]
pub enum TryPublishError {
    /// There is no room now.
    Full(Message),
    /// The client is closed.
    Closed(Message),
}

impl fmt::Display for TryPublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "no room for another message now",
            Self::Closed(_) => "the client is closed",
        })
    }
}

impl std::error::Error for TryPublishError {}

/// The outcome of a publish, still to come. It need not be awaited: the message goes out all the same.
///
/// Who wants to wait for so long and no longer puts `tokio::time::timeout` around it.
#[derive(Debug)]
#[must_use = "await it to learn whether the message arrived, or drop it knowingly"]
pub struct Ack(pub(super) oneshot::Receiver<Result<Delivery, OpError>>);

impl Future for Ack {
    type Output = Result<Delivery, OpError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|result| result.unwrap_or(Err(OpError::Closed)))
    }
}

/// What did not make it before [`Client::close`](super::Client::close) ended the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Leftover {
    /// Messages that were never sent: they waited for a connection, for room or for their turn.
    pub queued: usize,
    /// Messages that were sent and not acknowledged: they may or may not have arrived.
    pub unacknowledged: usize,
}

impl Leftover {
    /// Whether everything made it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queued == 0 && self.unacknowledged == 0
    }
}
