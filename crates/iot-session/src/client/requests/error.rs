//! Why a request has no answer.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::super::subscription::Ended;
use crate::error::OpError;

/// Why a request has no answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RequestError {
    /// There is no connection. The request was not sent.
    Offline,
    /// The answers could not be subscribed. The request was not sent.
    Subscribe(OpError),
    /// Another request under way has the token. This one was not sent.
    TokenInUse,
    /// The request was refused by the server or the session, or the connection was lost before it was acknowledged:
    /// [`OpError::Interrupted`].
    Publish(OpError),
    /// No answer came in time. The request may take effect all the same.
    TimedOut {
        /// How long it was waited for.
        within: Duration,
    },
    /// The answers are not subscribed any more: somebody unsubscribed them, or the server does not let the subscription
    /// live.
    Ended(Ended),
    /// The client is closed.
    Closed,
}

impl RequestError {
    /// Whether the request may have been sent: only then it can have taken effect.
    #[must_use]
    pub fn may_have_been_sent(&self) -> bool {
        match self {
            Self::Offline | Self::Subscribe(_) | Self::TokenInUse => false,
            Self::Publish(error) => matches!(error, OpError::Interrupted | OpError::Poisoned { .. }),
            Self::TimedOut { .. } | Self::Ended(_) | Self::Closed => true,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offline => f.write_str("there is no connection, and a request is not kept for later"),
            Self::Subscribe(error) => write!(f, "the answers could not be subscribed: {error}"),
            Self::TokenInUse => f.write_str("another request under way has the same token"),
            Self::Publish(error) => write!(f, "the request could not be published: {error}"),
            Self::TimedOut { within } => write!(f, "no answer came within {within:?}"),
            Self::Ended(Ended::Unsubscribed) => {
                f.write_str("the answers were unsubscribed while one was waited for")
            }
            Self::Ended(Ended::Quarantined(why)) => {
                write!(f, "the server does not let the subscription of the answers live: {why:?}")
            }
            Self::Ended(Ended::Closed) | Self::Closed => f.write_str("the client is closed"),
        }
    }
}

impl Error for RequestError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Subscribe(error) | Self::Publish(error) => Some(error),
            _ => None,
        }
    }
}
